"""Stages of a real DVC pipeline become runs; content that is not what DVC says is not published."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proml.hashing import hash_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.frameworks.conftest import Recorded

pytestmark = pytest.mark.xdist_group("dvc")

PIPELINE = """
stages:
  split:
    cmd: {python} split.py --token=hunter2
    deps: [raw.csv, split.py]
    params: [parts]
    outs: [data/parts]
  count:
    cmd: {python} count.py
    deps: [data/parts]
    outs: [total.txt]
"""
REPRO = """
import os
from dvc.cli import main
assert main(["init", "--no-scm", "-q"]) == 0
assert main(["repro", "-q"]) == 0
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, script: Callable[..., str]) -> Path:
    root = tmp_path_factory.mktemp("dvc")
    (root / "raw.csv").write_bytes(b"1\r\n2\r\n3\r\n")
    (root / "params.yaml").write_text("parts: 2\nunused: 5\n")
    (root / "split.py").write_text(
        "import os; os.makedirs('data/parts')\nfor n in 'ab', 'a/c', 'b':\n"
        "    os.makedirs(os.path.dirname('data/parts/' + n), exist_ok=True) if '/' in n else None\n"
        "    open('data/parts/' + n + '.csv', 'w').write(n)\n"
    )
    (root / "count.py").write_text("open('total.txt', 'w').write('3')\n")
    (root / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable))
    script(root, REPRO, DVC_NO_ANALYTICS="1")
    return root


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    shutil.copytree(made, root, symlinks=True)
    return root


def content(path: Path) -> str:
    return f"sha256:{hash_path(path).digest.hex()}"


def test_stages_are_imported_in_order_with_content_hashed_anew(here: Recorded, repository: Path, proml: Any) -> None:
    found = proml("import", "--format", "dvc", repository / "dvc.lock")
    assert [(run["name"], run["publishes"], run["remarks"]) for run in found["runs"]] == [
        ("split", ["data/parts"], []),
        ("count", ["total.txt"], []),
    ]
    split, count = sorted(here.records, key=lambda record: record["run"]["name"], reverse=True)
    assert [used["content"] for used in split["uses"]] == [
        content(repository / "raw.csv"), content(repository / "split.py"),
    ]  # fmt: skip
    assert split["content"] == hash_path(repository / "data" / "parts").to_json()
    assert [used["content"] for used in count["uses"]] == [content(repository / "data" / "parts")]
    assert split["parameters"] == {"parts": 2}
    assert "hunter2" not in str(split)
    (stated,) = split["facts"]["imported"]["outs"]
    assert stated["md5"].endswith(".dir")
    assert proml("import", "--format", "dvc", repository)["runs"] == []


def test_what_was_changed_since_comes_from_the_cache(here: Recorded, repository: Path, proml: Any) -> None:
    before = content(repository / "data" / "parts")
    added = repository / "data" / "parts" / "new.csv"
    added.write_text("not of the stage")
    (run,) = proml("import", "--format", "dvc", repository, "--run", "split")["runs"]
    assert run["remarks"] == []
    assert here.intents[0][2]["content"] == before.replace("sha256:", "0x") or before in str(here.intents[0])


def test_what_is_not_what_dvc_says_is_reported_and_not_published(here: Recorded, repository: Path, proml: Any) -> None:
    (repository / "total.txt").unlink()
    (repository / "total.txt").write_text("4")
    shutil.rmtree(repository / ".dvc" / "cache")
    found = proml("import", "--format", "dvc", repository, "--run", "count")
    (run,) = found["runs"]
    assert run["publishes"] == []
    assert any("'total.txt' is not what the stage had" in remark for remark in run["remarks"])
    assert here.intents[0][1] == "anchor"
    assert here.record["facts"]["imported"]["unread"] == run["remarks"]


def test_a_damaged_cache_is_not_believed(here: Recorded, repository: Path, proml: Any) -> None:
    (repository / "total.txt").unlink()
    for path in (repository / ".dvc" / "cache").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"other")
    (run,) = proml("import", "--format", "dvc", repository, "--run", "count")["runs"]
    assert run["publishes"] == []
    assert any("damaged" in remark for remark in run["remarks"])


def test_paths_that_lead_out_of_the_repository_are_not_read(
    here: Recorded, repository: Path, tmp_path: Path, proml: Any
) -> None:
    (tmp_path.parent / "outside").write_text("secret")
    lock = repository / "dvc.lock"
    lock.write_text(lock.read_text().replace("path: total.txt", "path: ../../outside"))
    (run,) = proml("import", "--format", "dvc", lock, "--run", "count", "--dry-run")["runs"]
    assert any("outside of what may be read" in remark for remark in run["remarks"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: '1.0'\nstages: {}\n", "schema"),
        ("schema: '2.0'\nstages: {a: {deps: [{path: 3}]}}\n", "malformed"),
        ("schema: '2.0'\nstages: {a: {outs: 3}}\n", "malformed"),
        ("a: &a [x, x]\nb: [*a, *a]\n", "alias"),
        ("!!python/object/apply:os.system ['touch hacked']\n", "cannot be read"),
        ("[" * 5000, "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_what_is_no_lock_file_is_refused(here: Recorded, text: str, message: str, proml: Any) -> None:
    Path("dvc.lock").write_text(text)
    assert message in proml("import", "--format", "dvc", "dvc.lock", code=2)["error"]["message"]
    assert not Path("hacked").exists()
    proml("import", "--format", "dvc", "missing", code=2)
