"""What `proml run` takes from the cache of digests: files that it knows, and files as they were when they were read."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.test_digest_cache import count_reads, poison

import proml
from proml.capture.observed import describing
from proml.capture.run_command import run_command

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

OVERWRITES = "rows = open('data.csv').read(); open('data.csv', 'w').write(rows * 2)"
REPLACES = "open('data.csv').read(); open('new', 'w').write('new'); import os; os.replace('new', 'data.csv')"
REMOVES = "open('data.csv').read(); import os; os.remove('data.csv')"


@pytest.fixture
def data(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr("proml.hashing._SETTLED_NS", 0)
    monkeypatch.setenv("PROML_RECHECK", "0")
    (here.root / "data.csv").write_text("1,2\n")
    time.sleep(0.02)  # more than the tick of the file system's clock
    return here


def observe(here: Recorded, code: str) -> Any:
    """Runs a script of this code; returns its record."""
    (here.root / "script.py").write_text(code)
    before = [record["run"]["id"] for record in here.records]
    assert run_command([sys.executable, "script.py"]) == 0
    (made,) = [record for record in here.records if record["run"]["id"] not in before]
    return made


def test_a_file_that_was_read_before_is_not_read_again_and_marked(
    data: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = observe(data, "open('data.csv').read()")["uses"]
    opened = count_reads(monkeypatch)
    second = observe(data, "open('data.csv').read()")["uses"]
    assert str(data.root / "data.csv") not in opened
    assert second == [{**first[0], "digests": {"cached": 1}}]


def test_what_cannot_be_trusted_is_read_again(data: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    first = observe(data, "open('data.csv').read()")["uses"]
    poison(data.root / ".proml" / "digests.sqlite", bytes(32))
    monkeypatch.setenv("PROML_RECHECK", "1")
    assert observe(data, "open('data.csv').read()")["uses"] == first


@pytest.mark.parametrize("code", [OVERWRITES, REPLACES, REMOVES])
def test_what_a_program_read_before_it_changed_it_is_known_if_it_was_hashed_before(data: Recorded, code: str) -> None:
    with proml.start_run() as earlier:
        content = earlier.use("data.csv").content
    record = observe(data, code)
    assert record["uses"] == [
        {"role": describing.ROLE, "path": "data.csv", "content": content, "size_bytes": 4, "digests": {"cached": 1}}
    ]
    assert "without_digest" not in record["facts"]["observed"]


def test_what_was_hashed_before_in_another_state_is_not_taken_for_what_was_read(data: Recorded) -> None:
    with proml.start_run() as earlier:
        earlier.use("data.csv")
    (data.root / "data.csv").write_text("3,4\n")
    record = observe(data, OVERWRITES)
    assert "uses" not in record
    assert record["facts"]["observed"]["without_digest"] == [{"path": "data.csv", "why": describing.CHANGED}]


@pytest.mark.parametrize(("code", "why"), [(OVERWRITES, describing.CHANGED), (REMOVES, describing.GONE)])
def test_what_was_never_hashed_before_it_was_changed_is_named_without_a_digest(
    data: Recorded, code: str, why: str
) -> None:
    record = observe(data, code)
    assert "uses" not in record
    assert record["facts"]["observed"]["without_digest"] == [{"path": "data.csv", "why": why}]


def test_without_the_cache_everything_is_read(data: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROML_NO_CACHE", "1")
    for _ in range(2):
        assert "digests" not in observe(data, "open('data.csv').read()")["uses"][0]
    assert observe(data, OVERWRITES)["facts"]["observed"]["without_digest"]
    assert not (data.root / ".proml" / "digests.sqlite").exists()
