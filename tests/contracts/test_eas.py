"""What the Attestation Service is measured with: its own built contracts, calls that succeed, 160 bytes each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import eas
from bench.gas import BATCH, CHAIN_ID, Bench

from proml.adapters.embedded import EmbeddedLedger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not eas.ARTIFACTS.is_dir(), reason="needs its built contracts (make eas)")
PAYLOAD = 160


@pytest.fixture
def service(tmp_path: Path) -> Iterator[eas.Service]:
    ledger = EmbeddedLedger.create(tmp_path / "chain.sqlite", chain_id=CHAIN_ID)
    yield eas.Service.deploy(Bench(ledger))
    ledger.close()


def test_every_operation_succeeds_and_those_of_many_are_cheaper_each(service: eas.Service) -> None:
    measured = service.measure()
    assert set(measured) == {"attest", "multiAttest", "attestByDelegation", "timestamp", "multiTimestamp"}
    assert measured["multiAttest"] < measured["attest"] < measured["attestByDelegation"]
    assert measured["multiTimestamp"] < measured["timestamp"]
    stored = (PAYLOAD // 32 + 1) * 20_000  # five words and their length, each in new storage
    assert stored < measured["multiAttest"] < 400_000, BATCH


def test_an_attestation_carries_160_bytes_without_structure() -> None:
    *_, payload, value = eas._data("one")
    assert (len(payload), value) == (PAYLOAD, 0)
    assert len({payload[at : at + 32] for at in range(0, PAYLOAD, 32)}) == PAYLOAD // 32
    assert eas._data("two")[4] != payload
