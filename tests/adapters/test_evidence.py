"""What proves an end point's answers: on a real client's blocks, and on the same ones with one thing changed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.ledgers import Anvil, Person, running_anvil, store, wanted_anvil

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.adapters.jsonrpc.answers import Reader
from proml.adapters.jsonrpc.evidence import JsonRpcEvidence
from proml.adapters.jsonrpc.proof import header_of, prove_receipts, prove_transactions
from proml.errors import VerificationError
from proml.ports import LogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine
READ = Reader("eth_getBlockByHash", "a client")
NOBODY = "0x" + "00" * 19 + "07"


@pytest.fixture(scope="module", params=["london", "cancun", "prague"])
def anvil(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    folder = tmp_path_factory.mktemp("anvil")
    with running_anvil(wanted_anvil(), folder, hardfork=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def probe(anvil: Anvil) -> Iterator[str]:
    """A contract with logs in several blocks, one of which has several transactions."""
    ledger = JsonRpcLedger(anvil.url)
    person = Person(ledger)
    contract = person.deploy()
    person.transact(contract, store(1, 2))
    anvil.ask("evm_setAutomine", False)  # noqa: FBT003 - as JSON-RPC has it
    first = ledger.nonce(person.address)
    for number in range(20):
        ledger.send(person.sign(contract, store(number, number), nonce=first + number))
    anvil.ask("evm_mine")
    anvil.ask("evm_setAutomine", True)  # noqa: FBT003 - as above
    yield contract
    ledger.close()


@pytest.fixture
def evidence(anvil: Anvil, probe: str) -> Iterator[JsonRpcEvidence]:
    found = JsonRpcEvidence([anvil.url])
    yield found
    found.close()


@pytest.fixture
def block(anvil: Anvil, probe: str) -> dict[str, Any]:
    """The newest block with its transactions, and its receipts."""
    found: dict[str, Any] = anvil.ask("eth_getBlockByNumber", "latest", True)  # noqa: FBT003 - with transactions
    return found


def test_headers_follow_on_each_other(evidence: JsonRpcEvidence, anvil: Anvil) -> None:
    newest = int(anvil.ask("eth_blockNumber"), 16)
    headers = list(evidence.headers(0, newest))
    assert [header.number for header in headers] == list(range(newest + 1))
    assert all(later.parent_hash == earlier.hash for earlier, later in itertools.pairwise(headers))


def test_the_logs_of_proved_receipts_are_those_that_the_node_finds(
    evidence: JsonRpcEvidence, anvil: Anvil, probe: str
) -> None:
    newest = int(anvil.ask("eth_blockNumber"), 16)
    proved = [
        log
        for header in evidence.headers(0, newest)
        if evidence.may_hold(header, probe)
        for receipt in evidence.receipts(header)
        for log in receipt.logs
        if log.address == probe
    ]
    ledger = JsonRpcLedger(anvil.url)
    assert proved == list(ledger.logs(LogQuery(probe)))
    assert len(proved) >= 21
    assert not any(evidence.may_hold(header, NOBODY) for header in evidence.headers(0, newest))
    ledger.close()


@pytest.mark.parametrize(
    "name", ["stateRoot", "receiptsRoot", "parentHash", "timestamp", "gasUsed", "logsBloom", "extraData", "number"]
)
def test_a_changed_member_does_not_make_the_hash(block: dict[str, Any], name: str) -> None:
    header_of(block, READ)
    last = block[name][-1]
    changed = block[name][:-1] + ("1" if last != "1" else "2") if len(block[name]) > 3 else "0x77"
    with pytest.raises(VerificationError, match="make its hash"):
        header_of({**block, name: changed}, READ)


def test_a_transaction_left_out_or_changed_does_not_make_the_root(block: dict[str, Any]) -> None:
    header, transactions = header_of(block, READ), block["transactions"]
    hashes = prove_transactions(header, transactions, READ)
    assert ["0x" + one.hex() for one in hashes] == [one["hash"] for one in transactions]
    for wrong in (transactions[:-1], [*transactions[:-1], {**transactions[-1], "nonce": "0x777"}], []):
        with pytest.raises(VerificationError, match="transactions of block"):
            prove_transactions(header, wrong, READ)


def test_a_receipt_changed_in_anything_is_noticed(anvil: Anvil, block: dict[str, Any]) -> None:
    header = header_of(block, READ)
    hashes = prove_transactions(header, block["transactions"], READ)
    receipts = [anvil.ask("eth_getTransactionReceipt", "0x" + one.hex()) for one in hashes]
    assert len(prove_receipts(header, receipts, hashes, READ)) == 20

    def last(**changes: Any) -> list[Any]:
        return [*receipts[:-1], {**receipts[-1], **changes}]

    log = receipts[-1]["logs"][0]
    for wrong in (
        last(status="0x0"),
        last(logs=[]),
        last(logs=[log, log]),
        last(logs=[{**log, "data": "0x" + "77" * 32}]),
        last(logs=[{**log, "logIndex": "0x77"}]),
        last(logs=[{**log, "transactionHash": "0x" + hashes[0].hex()}], transactionHash="0x" + hashes[0].hex()),
        last(transactionHash="0x" + hashes[0].hex(), logs=[{**log, "transactionHash": "0x" + hashes[0].hex()}]),
        receipts[:-1],
    ):
        with pytest.raises(VerificationError):
            prove_receipts(header, wrong, hashes, READ)


def test_a_block_that_is_not_there_is_not_made_up(evidence: JsonRpcEvidence) -> None:
    with pytest.raises(VerificationError, match="expected block 100000"):
        list(evidence.headers(100_000, 100_000))
