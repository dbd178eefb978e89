"""A ledger with a witness: what is in a block, and final, is believed when both say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.lying_node import LyingNode, block, running

from proml.adapters.jsonrpc import WitnessedLedger
from proml.errors import UnreachableError, VerificationError
from proml.ports import Finality, LogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = b"\x33" * 32
BLOCK_HASH = "0x" + "66" * 32


def receipt(number: int, **more: Any) -> dict[str, Any]:
    return {
        "transactionHash": "0x" + HASH.hex(), "transactionIndex": "0x0", "blockHash": BLOCK_HASH, "gasUsed": "0x5208",
        "blockNumber": hex(number), "status": "0x1", "logs": [], "contractAddress": None, **more,
    }  # fmt: skip


@pytest.fixture
def two() -> Iterator[tuple[LyingNode, LyingNode]]:
    with running(LyingNode()) as ours, running(LyingNode()) as theirs:
        for node in (ours, theirs):
            node.answers["eth_getBlockByNumber"] = block(20)
            node.answers["eth_getTransactionReceipt"] = receipt(10)
            node.answers["eth_getLogs"] = []
        yield ours, theirs


@pytest.fixture
def ledger(two: tuple[LyingNode, LyingNode]) -> Iterator[WitnessedLedger]:
    ours, theirs = two
    opened = WitnessedLedger(ours.url, theirs.url, finality=Finality("depth", 5))
    yield opened
    opened.close()


def test_a_receipt_that_both_have_is_believed(ledger: WitnessedLedger) -> None:
    found = ledger.receipt(HASH)
    assert found is not None
    assert found.block_number == 10


def test_a_receipt_that_the_witness_does_not_have_yet_is_waited_for(
    ledger: WitnessedLedger, two: tuple[LyingNode, LyingNode]
) -> None:
    two[0].answers["eth_getTransactionReceipt"] = receipt(18)
    two[1].answers["eth_getTransactionReceipt"] = None
    assert ledger.receipt(HASH) is None


@pytest.mark.parametrize("theirs", [None, receipt(10, status="0x0"), receipt(10, blockHash="0x" + "77" * 32)])
def test_a_final_receipt_that_the_witness_knows_otherwise_is_told(
    ledger: WitnessedLedger, two: tuple[LyingNode, LyingNode], theirs: Any
) -> None:
    two[1].answers["eth_getTransactionReceipt"] = theirs
    with pytest.raises(VerificationError, match="two end points differ in transaction 0x3333"):
        ledger.receipt(HASH)


def test_a_block_that_comes_to_the_witness_between_two_answers_is_no_lie(two: tuple[LyingNode, LyingNode]) -> None:
    ours, theirs = two
    answers = iter([None, receipt(20)])
    theirs.answers["eth_getTransactionReceipt"] = lambda _hash: next(answers)
    ours.answers["eth_getTransactionReceipt"] = receipt(20)
    opened = WitnessedLedger(ours.url, theirs.url, finality=Finality("immediate"))
    found = opened.receipt(HASH)
    assert found is not None
    assert found.block_number == 20
    opened.close()


def test_a_block_that_comes_between_two_answers_about_logs_is_no_lie(two: tuple[LyingNode, LyingNode]) -> None:
    ours, theirs = two
    new = {
        "address": "0x" + "ab" * 20, "topics": [], "data": "0x", "blockNumber": hex(21), "blockHash": BLOCK_HASH,
        "transactionHash": "0x" + HASH.hex(), "transactionIndex": "0x0", "logIndex": "0x2",
    }  # fmt: skip

    def comes(query: dict[str, Any]) -> list[Any]:
        for node in two:
            node.answers["eth_getBlockByNumber"] = block(21)
        return [new] if int(query["toBlock"], 16) > 20 else []

    ours.answers["eth_getLogs"] = []
    theirs.answers["eth_getLogs"] = comes
    opened = WitnessedLedger(ours.url, theirs.url, finality=Finality("immediate"))
    assert opened.logs(LogQuery(None, (), 0)) == []
    opened.close()


def test_what_is_final_is_final_for_both(ledger: WitnessedLedger, two: tuple[LyingNode, LyingNode]) -> None:
    two[1].answers["eth_getBlockByNumber"] = block(12)
    assert ledger.finalized() == 7


def test_an_end_point_far_behind_the_witness_is_not_used(
    ledger: WitnessedLedger, two: tuple[LyingNode, LyingNode]
) -> None:
    two[1].answers["eth_getBlockByNumber"] = block(40, timestamp="0xffff")
    with pytest.raises(UnreachableError, match="is behind"):
        ledger.newest()


def test_a_final_log_that_only_one_has_is_told(ledger: WitnessedLedger, two: tuple[LyingNode, LyingNode]) -> None:
    two[0].answers["eth_getLogs"] = [
        {
            "address": "0x" + "ab" * 20, "topics": [], "data": "0x", "blockNumber": "0x9", "blockHash": BLOCK_HASH,
            "transactionHash": "0x" + HASH.hex(), "transactionIndex": "0x0", "logIndex": "0x2",
        }
    ]  # fmt: skip
    with pytest.raises(VerificationError, match="differ in log 2 of block 9"):
        ledger.logs(LogQuery(None, (), 0, 20))


def test_two_chains_are_not_taken_for_one(ledger: WitnessedLedger, two: tuple[LyingNode, LyingNode]) -> None:
    two[1].chain_id = 6
    with pytest.raises(VerificationError, match="differ in the chain id"):
        _ = ledger.chain_id
