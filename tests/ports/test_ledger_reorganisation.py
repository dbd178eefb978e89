"""What a ledger says when the chain changes its mind; only a real client can be made to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ports.ledgers import PROBE_CREATION, Anvil, Person, call_data, mined, running_anvil, store, word

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.ports import Finality, LogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine


@pytest.fixture
def own_anvil(anvil_program: Path, tmp_path: Path) -> Iterator[Anvil]:
    with running_anvil(anvil_program, tmp_path) as running:
        yield running


@pytest.fixture
def ledger(own_anvil: Anvil) -> Iterator[JsonRpcLedger]:
    opened = JsonRpcLedger(own_anvil.url, finality=Finality("depth", 2))
    yield opened
    opened.close()


def test_a_transaction_that_vanished_has_no_receipt_and_no_logs(ledger: JsonRpcLedger, own_anvil: Anvil) -> None:
    person = Person(ledger)
    probe = person.deploy()
    kept = person.transact(probe, store(1, 1))
    lost = person.transact(probe, store(2, 2))
    own_anvil.ask("anvil_reorg", 1, [])
    assert ledger.receipt(lost.transaction_hash) is None
    assert ledger.transaction_input(lost.transaction_hash) is None
    assert ledger.receipt(kept.transaction_hash) == kept
    assert [log.transaction_hash for log in ledger.logs(LogQuery(probe))] == [kept.transaction_hash]
    in_its_place = ledger.block(lost.block_number)
    assert in_its_place is None or in_its_place.hash != lost.block_hash
    assert ledger.call(probe, call_data("count()")) == word(1)


def test_a_transaction_that_vanished_can_be_sent_again(ledger: JsonRpcLedger, own_anvil: Anvil) -> None:
    person = Person(ledger)
    probe = person.deploy()
    snapshot = own_anvil.ask("evm_snapshot")
    raw = person.sign(probe, store(1, 1))
    first = ledger.send(raw)
    mined(ledger, first)
    own_anvil.ask("evm_revert", snapshot)
    assert ledger.receipt(first) is None
    assert ledger.send(raw) == first
    assert mined(ledger, first).succeeded
    assert ledger.call(probe, call_data("count()")) == word(1)


def test_finality_by_depth_trails_the_newest_block(ledger: JsonRpcLedger, own_anvil: Anvil) -> None:
    assert ledger.finalized() == -1
    own_anvil.ask("anvil_mine", "0x5")
    assert ledger.finalized() == 3


def test_finality_by_tag_is_what_the_client_says(own_anvil: Anvil) -> None:
    ledger = JsonRpcLedger(own_anvil.url, finality=Finality("tag"))
    own_anvil.ask("anvil_mine", "0x5")
    tagged = own_anvil.ask("eth_getBlockByNumber", "finalized", False)["number"]  # noqa: FBT003  (as JSON-RPC has it)
    assert ledger.finalized() == int(tagged, 16)
    ledger.close()


def test_a_transaction_waiting_for_its_block_counts_for_the_nonce_and_has_no_receipt(
    ledger: JsonRpcLedger, own_anvil: Anvil
) -> None:
    person = Person(ledger)
    own_anvil.ask("evm_setAutomine", False)  # noqa: FBT003  (as JSON-RPC has it)
    raw = person.sign(None, PROBE_CREATION)
    digest = ledger.send(raw)
    assert ledger.nonce(person.address) == 1
    assert ledger.receipt(digest) is None
    assert ledger.transaction_input(digest) is None
    assert ledger.send(raw) == digest, "sending again while it waits"
    own_anvil.ask("evm_mine")
    assert mined(ledger, digest).succeeded
