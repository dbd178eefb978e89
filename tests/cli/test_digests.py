"""Digests that ``proml act`` did not compute, and that ``proml verify`` computes all of them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.adapters.test_digest_cache import poison

from proml.hashing import hash_path

if TYPE_CHECKING:
    from tests.cli.conftest import Person


@pytest.fixture
def settled(alone: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setattr("proml.hashing._SETTLED_NS", 0)
    for number in range(3):
        alone.write(f"data/{number}.csv", str(number))
    time.sleep(0.02)
    # In the person's own environment: that of the tests is kept from commands.
    return replace(alone, environment={**alone.environment, "PROML_RECHECK": "0"})


def test_the_cache_serves_act_and_never_verify(settled: Person) -> None:
    settled("act", "numbers", "collect", "data", "--kind", "source")
    poison(settled.folder / ".proml" / "digests.sqlite", bytes(32))
    settled("verify", "data", "--as", "numbers")
    settled("act", "other", "collect", "data", "--kind", "source")
    assert settled.json("log", "other")["history"][0]["record"]["facts"]["digests"] == {"cached": 3}
    assert "3 from the cache" in settled("log", "other").out
    settled.json("verify", "data", "--as", "other", code=4)


def test_no_cache_reads_every_file(settled: Person) -> None:
    settled("act", "numbers", "collect", "data", "--kind", "source")
    poison(settled.folder / ".proml" / "digests.sqlite", bytes(32))
    settled("act", "other", "collect", "data", "--kind", "source", "--no-cache")
    expected = hash_path(settled.folder / "data").digest.hex()
    assert settled.json("log", "other")["history"][0]["content"] == f"sha256:{expected}"


def test_stated_digests_are_shown_as_such_and_verify_computes(settled: Person) -> None:
    lines = [f"{hashlib.sha256(str(number).encode()).hexdigest()}  {number}.csv\n" for number in range(3)]
    settled.write("SUMS", "".join(lines))
    answer = settled("act", "numbers", "collect", "data", "--kind", "source", "--manifest", "SUMS")
    assert "3 stated, not computed" in answer.out
    assert "3 stated, not computed" in settled("log", "numbers").out
    report = settled.json("verify", "data", "--as", "numbers")["reports"][0]
    assert [finding["code"] for finding in report["findings"] if finding["level"] == "note"] == ["digests-stated"]
    settled.write("data/1.csv", "9")
    settled.json("verify", "data", "--as", "numbers", code=4)


def test_stated_digests_that_are_wrong_are_found_by_verify(settled: Person) -> None:
    settled.write("SUMS", "".join(f"{'ab' * 32}  {number}.csv\n" for number in range(3)))
    settled("act", "numbers", "collect", "data", "--kind", "source", "--manifest", "SUMS")
    settled.json("verify", "data", "--as", "numbers", code=4)
