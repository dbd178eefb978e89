"""Several processes write to one embedded ledger, and die doing so."""

from __future__ import annotations

import multiprocessing
import random
import secrets
import time
from typing import TYPE_CHECKING

import pytest
from tests.adapters.embedded_writers import assert_whole, write
from tests.ports.ledgers import Person

from proml.adapters.embedded import EmbeddedLedger

if TYPE_CHECKING:
    from pathlib import Path

_KILLS = 20
_DIGEST_BYTES = 32

# A server that has loaded the EVM forks the writers: a new interpreter for each would take most of the test's time.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["proml.adapters.embedded.machine", "tests.adapters.embedded_writers"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chain.sqlite"


@pytest.fixture
def probe(path: Path) -> str:
    ledger = EmbeddedLedger.create(path)
    contract = Person(ledger).deploy()
    ledger.close()
    return contract


def noted(path: Path) -> set[bytes]:
    data = path.read_bytes() if path.exists() else b""
    return {data[at : at + _DIGEST_BYTES] for at in range(0, len(data) - _DIGEST_BYTES + 1, _DIGEST_BYTES)}


def wait_for_one_more(path: Path) -> None:
    """Waits until a writer has noted a transaction, on whatever machine."""
    before, ends = len(noted(path)), time.monotonic() + 120
    while len(noted(path)) == before:
        assert time.monotonic() < ends, "no writer came to write within 120 s"
        time.sleep(0.005)


def test_nothing_is_lost_when_several_processes_write(path: Path, probe: str, tmp_path: Path) -> None:
    writers = [processes.Process(target=write, args=(path, probe, tmp_path / "noted", 25)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    assert noted(tmp_path / "noted") < assert_whole(path, probe)
    assert len(noted(tmp_path / "noted")) == 100


def test_a_ledger_whose_writers_are_killed_at_random_instants_is_whole(path: Path, probe: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # noqa: T201  (to repeat a failure)
    instants = random.Random(seed)
    for _ in range(_KILLS // 2):
        writers = [processes.Process(target=write, args=(path, probe, tmp_path / "noted", 10**6)) for _ in range(2)]
        for writer in writers:
            writer.start()
        wait_for_one_more(tmp_path / "noted")
        for writer in writers:
            time.sleep(instants.uniform(0, 0.25))
            writer.kill()
            writer.join(30)
        ledger = EmbeddedLedger.open(path)
        assert ledger.newest().number >= len(noted(tmp_path / "noted")), f"seed {seed}"
        ledger.close()
    found = assert_whole(path, probe)
    assert noted(tmp_path / "noted") <= found, f"a transaction that was acknowledged is lost; seed {seed}"
    assert len(found) > _KILLS // 2, f"the writers hardly wrote; seed {seed}"
