"""The page about what is captured names every field that there is, and none that there is not."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.capture.commands import run
from tests.capture.conftest import Recorded

from proml.capture import closing, resources
from proml.capture.observed.describing import Description
from proml.capture.observed.observation import SUMMARY
from proml.core import record, shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[2] / "docs/reference/what-is-captured.md"
RESOURCES = (
    "facts.resources",
    "facts.resources.processes",
    "facts.resources.machines",
    "facts.resources.machines.gpus",
)
SPLIT = ("uses", "run", "facts", "facts.observed", *RESOURCES)
SCRIPT = """
import proml, sys
with proml.start_run("all", tags={"a": 1}) as run:
    run.log_param("p", 1)
    run.log_metric("m", 1.0)
    run.note("n")
    run.use("in.txt", uri="u", licence="l")
    old = open("state.txt").read()
    open("state.txt", "w").write(old + "!")
    open("other.txt").close()
    raise ValueError("x")
"""


def documented() -> set[str]:
    shared = PAGE.read_text(encoding="utf-8").partition("## On your machine only")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", shared, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def of_the_code() -> set[str]:
    found = {name for name in shape.fields_of(record._RECORD) if name not in SPLIT}
    found |= {f"uses.{name}" for name in shape.fields_of(record._USE)}
    found |= {f"run.{name}" for name in {*shape.fields_of(record._RUN), *closing._RUN_FIELDS, "ranks"}}
    found |= {f"facts.{name}" for name in closing.FACTS if f"facts.{name}" not in SPLIT}
    found |= {f"facts.resources.processes.{name}" for name in resources.PROCESS_FIELDS}
    found |= {f"facts.resources.machines.{name}" for name in resources.MACHINE_FIELDS if name != "gpus"}
    found |= {f"facts.resources.machines.gpus.{name}" for name in resources.GPU_FIELDS}
    lists = {one.name for one in fields(Description)} - {"uses"}
    return found | {f"facts.observed.{name}" for name in (*lists, *SUMMARY)}


def paths(value: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, inner in value.items():
        path = f"{above}{name}"
        if path not in SPLIT:
            yield path
            continue
        for one in inner if isinstance(inner, list) else [inner]:
            yield from paths(one, f"{path}.")


def test_every_field_of_the_code_is_on_the_page_and_no_other() -> None:
    assert documented() == of_the_code()


def test_every_field_of_a_real_record_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / ".proml").mkdir()
    (tmp_path / ".proml/config.toml").touch()
    here = Recorded(tmp_path)
    for name in ("in.txt", "state.txt", "other.txt", "a.lock"):
        (tmp_path / name).write_text(name)
    (tmp_path / "all.py").write_text(SCRIPT + "\n")
    shell = f"{sys.executable} all.py; sleep 1.5; {sys.executable} -c 'open(\"a.lock\")'; exit 1"
    assert run(here, "sh", "-c", shell).returncode == 1
    found = set(paths(here.record))
    assert {"facts.observed.outputs", "facts.observed.without_digest", "uses.licence", "run.hardware"} <= found
    assert {"facts.resources.processes.cpu_s", "facts.resources.machines.cpu_percent"} <= found
    assert found <= documented()
