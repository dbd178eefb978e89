"""What operations cost is what ``contracts/gas.json`` says, to the unit, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench.gas import CHAIN_ID, Bench, measure_embedded, read_snapshot
from tests.ports.ledgers import running_anvil, wanted_anvil

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.ports import Finality

if TYPE_CHECKING:
    from pathlib import Path

CHANGED = "if that is meant, run `make gas-snapshot` and commit contracts/gas.json"


def test_the_embedded_evm_measures_the_snapshot() -> None:
    assert measure_embedded() == read_snapshot(), CHANGED


@pytest.mark.engine
def test_anvil_measures_the_snapshot(tmp_path: Path) -> None:
    with running_anvil(wanted_anvil(), tmp_path, "--chain-id", str(CHAIN_ID)) as anvil:
        ledger = JsonRpcLedger(anvil.url, finality=Finality("immediate"))
        try:
            assert Bench(ledger).measure() == read_snapshot(), CHANGED
        finally:
            ledger.close()
