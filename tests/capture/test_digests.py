"""Digests that a run did not compute: from the cache, or stated; and what the record says about them."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.test_digest_cache import poison

import proml

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded


@pytest.fixture
def data(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr("proml.hashing._SETTLED_NS", 0)
    monkeypatch.setenv("PROML_RECHECK", "0")
    (here.root / "data").mkdir()
    for number in range(5):
        (here.root / "data" / f"{number}.csv").write_text(str(number))
    time.sleep(0.02)
    return here


def record_of(here: Recorded, name: str) -> Any:
    (only,) = [record for record in here.records if record["run"].get("name") == name]
    return only


def test_the_record_says_which_digests_are_from_the_cache(data: Recorded) -> None:
    with proml.start_run("first") as run:
        run.use("data")
    (data.root / "data" / "0.csv").write_text("new")
    time.sleep(0.02)
    with proml.start_run("second") as run:
        run.use("data")
        run.publish("thing", "data", kind="dataset", action="collect")
    assert "digests" not in record_of(data, "first")["uses"][0]
    second = record_of(data, "second")
    assert second["uses"][0]["digests"] == {"read": 1, "cached": 4}
    assert second["facts"]["digests"] == {"cached": 5}


def test_the_cache_can_be_switched_off(data: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROML_NO_CACHE", "1")
    with proml.start_run() as run:
        run.use("data")
        run.use("data", role="again")
    assert not any("digests" in use for use in data.record["uses"])
    assert not (data.root / ".proml" / "digests.sqlite").exists()


def test_a_wrong_cache_is_said_in_a_warning_and_not_recorded(
    data: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with proml.start_run("first") as run:
        true = run.use("data").content
    poison(data.root / ".proml" / "digests.sqlite", bytes(32))
    monkeypatch.setenv("PROML_RECHECK", "1")
    with caplog.at_level(logging.WARNING), proml.start_run("second") as run:
        assert run.use("data").content == true
    assert "was not that of its bytes" in caplog.text


def test_stated_digests_are_taken_and_marked(data: Recorded) -> None:
    stated = hashlib.sha256(b"bytes that are nowhere").hexdigest()
    (data.root / "model.bin").write_bytes(b"weights")
    (data.root / "SUMS").write_text(f"{stated}  model.bin\n")
    with proml.start_run() as run:
        run.publish("model", "model.bin", kind="model", action="train", manifest="SUMS")
    assert data.record["content"]["resources"][0]["digest"] == stated
    assert data.record["facts"]["digests"] == {"stated": 1}


def test_a_list_that_does_not_fit_never_hurts_the_script(data: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    (data.root / "SUMS").write_text("nonsense\n")
    with proml.start_run() as run:
        assert run.publish("model", "data", kind="dataset", action="collect", manifest="SUMS") == ""
    assert "line 1" in caplog.text
