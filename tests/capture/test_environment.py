from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

import proml
from proml.capture.environment import describe_hardware, describe_packages, distributed_place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.conftest import Recorded


def test_the_packages_are_those_that_the_standard_library_finds() -> None:
    found = describe_packages(sys.path)["packages"]
    expected: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        expected.setdefault(re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(), one.version)
    assert found == expected


def test_the_lock_is_the_digest_of_sorted_lines(tmp_path: Path) -> None:
    for name in ("Zeta_Pkg-1.0.dist-info", "alpha-2.1.post1-py3.11.egg-info", "alpha", "not-a.package"):
        (tmp_path / name).mkdir()
    found = describe_packages([str(tmp_path), str(tmp_path / "missing")])
    assert found["packages"] == {"alpha": "2.1.post1", "zeta-pkg": "1.0"}
    lines = b"alpha==2.1.post1\nzeta-pkg==1.0\n"
    assert found["lock_digest"] == "sha256:" + hashlib.sha256(lines).hexdigest()


def test_the_first_package_on_the_path_counts(tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / number / f"a-{number}.dist-info").mkdir(parents=True)
    assert describe_packages([str(tmp_path / "2"), str(tmp_path / "1")])["packages"] == {"a": "2"}


def test_the_hardware_has_cores_and_memory() -> None:
    hardware = describe_hardware()
    assert hardware["cores"] == len(os.sched_getaffinity(0))
    assert isinstance(hardware["memory_bytes"], int)
    assert hardware["memory_bytes"] > 2**26


@pytest.mark.parametrize(
    ("rank", "world", "place"),
    [("1", "4", {"rank": 1, "world_size": 4}), ("x", "4", {}), ("4", "4", {}), ("-1", "4", {}), (None, "4", {})],
)
def test_the_place_in_a_distributed_job_is_taken_only_if_it_makes_sense(
    monkeypatch: pytest.MonkeyPatch, rank: str | None, world: str, place: dict[str, int]
) -> None:
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    assert distributed_place() == place


def test_no_value_of_an_environment_variable_is_recorded(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SETTING", "value-of-a-variable")
    with proml.start_run():
        pass
    everything = b"".join(path.read_bytes() for path in here.run.iterdir()) + json.dumps(here.record).encode()
    assert b"value-of-a-variable" not in everything


def test_a_run_in_a_repository_records_the_commit(here: Recorded) -> None:
    os.system("git init -q . && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m first")
    with proml.start_run():
        pass
    assert len(here.record["run"]["git"]["commit"]) == 40
