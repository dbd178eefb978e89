"""What JSON-RPC adds to a ledger: end points that fail, lie, refuse and disagree."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.adapters.lying_node import GENESIS, LyingNode, Raw, Refusal, block, running

from proml.adapters.clock import ManualClock
from proml.adapters.jsonrpc import JsonRpcLedger
from proml.adapters.jsonrpc.joined_views import program
from proml.adapters.jsonrpc.transport import Limits, without_secrets
from proml.asking import Question, receipts
from proml.core.digest import keccak256
from proml.errors import ConfigError, ConflictError, ProMLError, UnreachableError, UsageError
from proml.ports import Fees, Finality, LogQuery, NotTaken, Reverted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ADDRESS = "0x" + "aB" * 20
HASH = b"\x33" * 32
RAW_TRANSACTION = b"\x02\xc0"
LIMITS = Limits(timeout_s=30, answer_bytes=100_000)
SOON = Limits(timeout_s=0.6, answer_bytes=100_000)

QUESTIONS = (
    Question("call", (ADDRESS, b"\x01")),
    Question("estimate_gas", (ADDRESS, ADDRESS, b"\x01")),
    Question("receipt", (HASH,)),
    Question("send", (RAW_TRANSACTION,)),
)


def raised(answers: Sequence[object]) -> Sequence[object]:
    """Raises the first error among answers."""
    for answer in answers:
        if isinstance(answer, ProMLError):
            raise answer
    return answers


# Every method of the port that asks the node.
METHODS: dict[str, Callable[[JsonRpcLedger], object]] = {
    "newest": lambda ledger: ledger.newest(),
    "finalized": lambda ledger: ledger.finalized(),
    "block": lambda ledger: ledger.block(3),
    "code": lambda ledger: ledger.code(ADDRESS),
    "call": lambda ledger: ledger.call(ADDRESS, b"\x01"),
    "estimate_gas": lambda ledger: ledger.estimate_gas(ADDRESS, None, b"\x01"),
    "fees": lambda ledger: ledger.fees(),
    "nonce": lambda ledger: ledger.nonce(ADDRESS),
    "send": lambda ledger: ledger.send(RAW_TRANSACTION),
    "receipt": lambda ledger: ledger.receipt(HASH),
    "logs": lambda ledger: ledger.logs(LogQuery(ADDRESS, (), 0, 9)),
    "transaction_input": lambda ledger: ledger.transaction_input(HASH),
    "together": lambda ledger: raised(ledger.together(QUESTIONS)),
    "chain_id": lambda ledger: ledger.chain_id,
    "genesis_hash": lambda ledger: ledger.genesis_hash,
}
every_method = pytest.mark.parametrize("use", METHODS.values(), ids=METHODS)


@pytest.fixture(scope="module")
def server() -> Iterator[LyingNode]:
    with running(LyingNode()) as node:
        yield node


@pytest.fixture
def node(server: LyingNode) -> LyingNode:
    server.answers = {}
    server.asked = []
    server.chain_id = 5
    server.batch = None
    return server


_OPENED: list[JsonRpcLedger] = []


def connect(urls: str | list[str], **options: Any) -> JsonRpcLedger:
    """Opens a ledger that is closed when the test ends."""
    _OPENED.append(JsonRpcLedger(urls, **options))
    return _OPENED[-1]


@pytest.fixture(autouse=True)
def _close_what_was_opened() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0)


@pytest.fixture
def ledger(node: LyingNode, clock: ManualClock) -> JsonRpcLedger:
    return connect(node.url, limits=LIMITS, clock=clock)


def everything(answer: Any) -> dict[str, Any]:
    """Returns answers that are the same for every method, the greeting included."""

    class Same(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            return answer

        def __contains__(self, key: object) -> bool:
            return True

    return Same()


# ------------------------------------------------------------------------------------------------ no foreign exception


BROKEN: dict[str, Any] = {
    "garbage": Raw(b"\xff\xfe garbage"),
    "nothing": Raw(b""),
    "html": Raw(b"<html>hello</html>"),
    "half an answer": Raw(b'{"jsonrpc": "2.0", "id": 1, "resu', declared_bytes=500),
    "half a json": Raw(b'{"jsonrpc": "2.0", "id": 1, "resu'),
    "an array": Raw(b"[]"),
    "a number": Raw(b"7"),
    "another id": Raw(b'{"jsonrpc": "2.0", "id": 999999, "result": "0x1"}'),
    "no result": Raw(b'{"jsonrpc": "2.0", "id": 1}'),
    "an error of a wrong type": Raw(b'{"jsonrpc": "2.0", "id": 1, "error": 5}'),
    "an empty error": Raw(b'{"jsonrpc": "2.0", "id": 1, "error": {}}'),
    "deep nesting": Raw(b"[" * 50_000),
    "a huge body": Raw(b'"' + b"x" * 200_000 + b'"'),
    "a huge number": Raw(b'{"jsonrpc": "2.0", "id": 1, "result": ' + b"9" * 5000 + b"}"),
    "bad chunks": Raw(b"zz\r\nnot a chunk", headers={"Transfer-Encoding": "chunked"}),
    "HTTP 500": Raw(b"oh no", status=500),
    "HTTP 404": Raw(b"", status=404),
    "HTTP 301": Raw(b"", status=301, headers={"Location": "http://127.0.0.1:1/"}),
    "HTTP 401": Raw(b"who are you", status=401),
    "HTTP 429": Raw(b"slow down", status=429, headers={"Retry-After": "1"}),
    "HTTP 503": Raw(b"later", status=503, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    "a dropped connection": Raw(b"", drop=True),
    "null where a value must be": None,
    "a wrong type": 17,
    "an empty object": {},
    "an object of wrong types": {key: [] for key in ("number", "hash", "blockHash", "input", "logs")},
    "a number without digits": "0x",
    "a negative number": "-0x1",
    "not hexadecimal": "0xzz",
    "an odd number of digits": "0x123",
    "a blank within": "0x1 2 3",
    "a refusal": Refusal(-32000, "no"),
}


@every_method
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_no_foreign_exception_escapes(
    node: LyingNode, ledger: JsonRpcLedger, use: Callable[[JsonRpcLedger], object], answer: Any
) -> None:
    node.answers = everything(answer)
    # What is not raised was an answer within the protocol: null for "there is none", or a number for a number.
    with contextlib.suppress(UnreachableError, Reverted, ConflictError, UsageError):
        use(ledger)


@every_method
@pytest.mark.parametrize("name", [name for name, answer in BROKEN.items() if isinstance(answer, Raw)])
def test_an_answer_outside_the_protocol_is_no_answer(
    node: LyingNode, ledger: JsonRpcLedger, use: Callable[[JsonRpcLedger], object], name: str
) -> None:
    node.answers = everything(BROKEN[name])
    with pytest.raises(UnreachableError):
        use(ledger)


_FIELDS = ("number", "hash", "parentHash", "timestamp", "status", "transactionHash", "blockHash", "blockNumber", "logs")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.binary(max_size=40).map(lambda b: "0x" + b.hex())
    | st.integers(0, 2**70).map(hex),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_FIELDS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=JSON, data=st.data())
def test_no_json_value_raises_anything_foreign(
    node: LyingNode, ledger: JsonRpcLedger, answer: Any, data: st.DataObject
) -> None:
    """Law: whatever JSON a node answers, a method returns or raises an error of ours."""
    node.answers = everything(answer)
    use = METHODS[data.draw(st.sampled_from(sorted(METHODS)))]
    with contextlib.suppress(ProMLError):
        use(ledger)


@every_method
def test_a_node_that_is_not_there_is_unreachable(use: Callable[[JsonRpcLedger], object]) -> None:
    with pytest.raises(UnreachableError):
        use(connect("http://127.0.0.1:9"))


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9", "/nonexistent/geth.ipc", "http://nohost.invalid:80"])
def test_every_transport_that_fails_is_unreachable(url: str) -> None:
    with pytest.raises(UnreachableError):
        connect(url, limits=LIMITS).newest()


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://x", "http://", "http://[", "http://x:99999", "relative.ipc"])
def test_a_url_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        connect(url)


def test_no_url_is_refused() -> None:
    with pytest.raises(ConfigError):
        connect([])


def test_a_node_that_takes_too_long_is_unreachable_in_time(node: LyingNode) -> None:
    node.answers["eth_getCode"] = Raw(b"{}", pause_s=20)
    start = time.monotonic()
    with pytest.raises(UnreachableError, match=r"0\.6 s"):
        connect(node.url, limits=SOON).code(ADDRESS)
    assert time.monotonic() - start < 15


def test_a_node_whose_answer_begins_byte_by_byte_is_unreachable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-More: ")
                while True:
                    time.sleep(0.1)
                    connection.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        start = time.monotonic()
        with pytest.raises(UnreachableError, match=r"0\.6 s"):
            connect(f"http://127.0.0.1:{listening.getsockname()[1]}", limits=SOON).code(ADDRESS)
        assert time.monotonic() - start < 15
        dripping.join()


def test_a_node_is_used_again_after_it_failed(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getCode"] = Raw(b"", drop=True)
    with pytest.raises(UnreachableError):
        ledger.code(ADDRESS)
    node.answers["eth_getCode"] = "0x60"
    assert ledger.code(ADDRESS) == b"\x60"


def test_secrets_in_a_url_are_not_shown() -> None:
    url = "http://user:secret@127.0.0.1:9/v3/secret?key=secret"
    with pytest.raises(UnreachableError) as caught:
        connect(url).newest()
    assert "secret" not in str(caught.value)
    assert without_secrets(url) == "http://127.0.0.1:9"


def test_a_closed_ledger_says_so(ledger: JsonRpcLedger) -> None:
    ledger.close()
    with pytest.raises(UnreachableError, match="closed"):
        ledger.newest()


# ------------------------------------------------------------------------------------------------ many at once


def answer_all(node: LyingNode) -> None:
    node.answers |= {
        "eth_call": "0x07",
        "eth_estimateGas": "0x5208",
        "eth_getTransactionReceipt": None,
        "eth_sendRawTransaction": "0x" + keccak256(RAW_TRANSACTION).hex(),
    }


EXPECTED = [b"\x07", 21_000, None, keccak256(RAW_TRANSACTION)]


def test_questions_together_are_one_request_and_answered_in_order(node: LyingNode, ledger: JsonRpcLedger) -> None:
    answer_all(node)
    sizes: list[int] = []

    def count(requests: list[dict[str, Any]]) -> Raw:
        sizes.append(len(requests))
        answers = [{"id": one["id"], "result": node.answers[one["method"]]} for one in reversed(requests)]
        return Raw(json.dumps(answers).encode())

    node.batch = count
    assert list(ledger.together(QUESTIONS)) == EXPECTED
    assert list(ledger.together(QUESTIONS * 40)) == EXPECTED * 40
    assert sizes == [4, 100, 60]


def test_an_end_point_without_batches_is_asked_one_by_one(node: LyingNode, ledger: JsonRpcLedger) -> None:
    answer_all(node)
    node.batch = lambda _: Raw(b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}}')
    assert list(ledger.together(QUESTIONS)) == EXPECTED


def test_a_refusal_is_the_answer_to_its_own_question_only(node: LyingNode, ledger: JsonRpcLedger) -> None:
    answer_all(node)
    node.answers["eth_call"] = Refusal(3, "execution reverted", "0x1234")
    node.answers["eth_sendRawTransaction"] = Refusal(-32000, "nonce too low")
    node.answers["eth_getTransactionByHash"] = None
    reverted, gas, receipt, conflict = ledger.together(QUESTIONS)
    assert isinstance(reverted, Reverted)
    assert reverted.data == b"\x12\x34"
    assert (gas, receipt) == (21_000, None)
    assert isinstance(conflict, ConflictError)


@pytest.mark.parametrize("missing", range(4))
def test_a_question_that_is_not_answered_is_noticed(node: LyingNode, ledger: JsonRpcLedger, missing: int) -> None:
    answer_all(node)

    def forget(requests: list[dict[str, Any]]) -> Raw:
        kept = [one for number, one in enumerate(requests) if number != missing]
        return Raw(json.dumps([{"id": one["id"], "result": node.answers[one["method"]]} for one in kept]).encode())

    node.batch = forget
    with pytest.raises(UnreachableError):
        ledger.together(QUESTIONS)


VIEWS = [Question("view", (ADDRESS, bytes([value]))) for value in range(60)]


def test_many_views_are_one_call(node: LyingNode) -> None:
    answers = b"".join(
        bytes(31) + (b"\x01" if value % 2 else b"\x00") + (1).to_bytes(32, "big") + bytes([value])
        for value in range(60)
    )
    node.answers["eth_call"] = Refusal(3, "execution reverted", "0x" + answers.hex())
    found = connect(node.url).together(VIEWS)
    assert [one.data if isinstance(one, Reverted) else one for one in found] == [bytes([value]) for value in range(60)]
    assert [isinstance(one, Reverted) for one in found] == [value % 2 == 0 for value in range(60)]
    assert [method for method, _ in node.asked].count("eth_call") == 1


def test_no_program_is_longer_than_a_client_takes(node: LyingNode) -> None:
    wanted = [Question("view", (ADDRESS, value.to_bytes(36, "big"))) for value in range(2_500)]
    without_calls = len(program(bytes(20), [b""]))
    sizes: list[int] = []

    def answer(call: dict[str, str], _: str) -> Refusal:
        sizes.append(len(call["data"]) // 2 - 1)
        answers = (bytes(31) + b"\x01" + bytes(32)) * ((sizes[-1] - without_calls) // 36)
        return Refusal(3, "execution reverted", "0x" + answers.hex())

    node.answers["eth_call"] = answer
    assert list(connect(node.url).together(wanted)) == [b""] * 2_500
    assert (len(sizes), max(sizes) <= 49_152) == (3, True)


@pytest.mark.parametrize(
    "answer",
    [
        "0x", "0x07", Refusal(3, "execution reverted", "0x1234"), Refusal(3, "execution reverted"),
        Refusal(-32000, "out of gas"), Refusal(-32602, "expected a member to"),
        Refusal(3, "execution reverted", "0x" + "00" * 31 + "01" + "ff" * 32), "0x" + "00" * 100_000,
        Refusal(3, "execution reverted", "0x" + f"{1:064x}{2:064x}aabb" * 59 + f"{1:064x}{9:064x}aa"),
    ],
    ids=["nothing", "a result", "too short", "no data", "gas", "no creations", "a huge size", "too large", "cut off"],
)  # fmt: skip
def test_views_are_asked_one_by_one_where_they_cannot_be_joined(
    node: LyingNode, ledger: JsonRpcLedger, answer: object
) -> None:
    node.answers["eth_call"] = lambda call, _: "0x07" if "to" in call else answer
    for _ in range(2):
        assert list(ledger.together(VIEWS)) == [b"\x07"] * 60
    joined = [
        one for method, parameters in node.asked if method == "eth_call" for one in parameters[:1] if "to" not in one
    ]
    assert len(joined) == 1


def test_a_view_that_failed_without_a_word_is_asked_again_by_itself(node: LyingNode, ledger: JsonRpcLedger) -> None:
    # It may have failed for want of gas, of which the others took much.
    answers = (bytes(31) + b"\x01" + (1).to_bytes(32, "big") + b"\x07") * 59 + bytes(64)
    node.answers["eth_call"] = lambda call, _: (
        "0x08" if "to" in call else Refusal(3, "execution reverted", "0x" + answers.hex())
    )
    assert list(ledger.together(VIEWS)) == [b"\x07"] * 59 + [b"\x08"]


def receipt_of(digest: str, number: int) -> dict[str, Any]:
    """Returns a receipt as a client writes it."""
    return {
        "transactionHash": digest, "blockNumber": hex(number), "blockHash": GENESIS, "transactionIndex": "0x0",
        "status": "0x1", "gasUsed": "0x5208", "contractAddress": None, "logs": [],
    }  # fmt: skip


def with_blocks(node: LyingNode, per_block: int) -> None:
    """Has every transaction be in a block: that of number N is in block N // per_block."""

    def one(digest: str) -> dict[str, Any]:
        return receipt_of(digest, int(digest, 16) // per_block)

    def all_of(number: str) -> list[dict[str, Any]]:
        first = int(number, 16) * per_block
        return [one(f"0x{value:064x}") for value in range(first, first + per_block)]

    node.answers |= {"eth_getTransactionReceipt": one, "eth_getBlockReceipts": all_of}


HASHES = [value.to_bytes(32, "big") for value in range(1, 401)]


def test_many_receipts_are_asked_for_by_the_block(node: LyingNode) -> None:
    with_blocks(node, 100)
    found = receipts(connect(node.url), HASHES)
    assert [one.transaction_hash for one in found if one is not None] == HASHES
    methods = [method for method, _ in node.asked]
    assert methods.count("eth_getBlockReceipts") <= 5
    assert methods.count("eth_getTransactionReceipt") < 40


@pytest.mark.parametrize(
    "answer",
    [Refusal(-32601, "no such method"), None, [], "0x", [None, 7, {"transactionHash": None}, {}], ["x" * 200_000]],
    ids=["unknown", "none", "empty", "text", "nonsense", "large"],
)
def test_receipts_are_asked_for_one_by_one_where_blocks_tell_nothing(
    node: LyingNode, ledger: JsonRpcLedger, answer: object
) -> None:
    with_blocks(node, 100)
    node.answers["eth_getBlockReceipts"] = answer
    found = receipts(ledger, HASHES)
    assert [one.transaction_hash for one in found if one is not None] == HASHES
    assert [method for method, _ in node.asked].count("eth_getBlockReceipts") <= 5


def test_where_each_transaction_has_a_block_of_its_own_blocks_are_given_up(
    node: LyingNode, ledger: JsonRpcLedger
) -> None:
    with_blocks(node, 1)
    assert None not in receipts(ledger, HASHES)
    assert [method for method, _ in node.asked].count("eth_getBlockReceipts") <= 5


def test_a_malformed_receipt_among_a_blocks_is_told(node: LyingNode) -> None:
    with_blocks(node, 100)
    node.answers["eth_getBlockReceipts"] = [receipt_of(f"0x{value:064x}", 1) | {"gasUsed": "?"} for value in range(99)]
    with pytest.raises(UnreachableError, match="expected a hexadecimal number"):
        receipts(connect(node.url), HASHES)


def test_nothing_asked_is_nothing_answered(node: LyingNode, ledger: JsonRpcLedger) -> None:
    assert list(ledger.together([])) == []
    assert not node.asked


# ------------------------------------------------------------------------------------------------ waiting and moving on


def test_a_node_that_asks_for_patience_is_asked_again(
    node: LyingNode, ledger: JsonRpcLedger, clock: ManualClock
) -> None:
    answers = iter([Raw(b"", status=429, headers={"Retry-After": "2"}), Raw(b"", status=503), "0x60"])
    node.answers["eth_getCode"] = lambda *_: next(answers)
    assert ledger.code(ADDRESS) == b"\x60"
    assert 2 <= clock.now_ns() / 1e9 < 4


def test_the_next_end_point_is_used_when_one_fails(node: LyingNode) -> None:
    node.answers["eth_getCode"] = "0x60"
    ledger = connect(["http://127.0.0.1:9", node.url], limits=LIMITS)
    assert ledger.code(ADDRESS) == b"\x60"
    assert ledger.chain_id == 5


def test_an_end_point_of_another_chain_is_never_used(node: LyingNode) -> None:
    node.answers["eth_getCode"] = "0x60"
    with running(LyingNode()) as other:
        ledger = connect([node.url, other.url], limits=LIMITS)
        assert ledger.chain_id == 5
        other.chain_id = 6
        other.answers["eth_getCode"] = "0x61"
        node.answers["eth_getCode"] = Raw(b"", drop=True)
        with pytest.raises(UnreachableError, match="chain 6"):
            ledger.code(ADDRESS)
        other.chain_id, other.genesis = 5, "0x" + "99" * 32
        with pytest.raises(UnreachableError, match="genesis"):
            ledger.code(ADDRESS)


@pytest.mark.parametrize("second", ["same", "away"])
def test_of_several_end_points_less_is_asked_as_of_one(node: LyingNode, second: str) -> None:
    full = {"address": ADDRESS, "topics": [], "data": "0x" + "00" * 40_000, "blockHash": "0x" + "66" * 32,
            "transactionHash": "0x" + HASH.hex(), "transactionIndex": "0x0", "logIndex": "0x0"}  # fmt: skip

    def logs(query: dict[str, Any]) -> Any:
        blocks = range(int(query["fromBlock"], 16), int(query["toBlock"], 16) + 1)
        return [{**full, "blockNumber": hex(number)} for number in blocks]

    node.answers["eth_getLogs"] = logs
    urls = [node.url, node.url if second == "same" else "http://127.0.0.1:9"]
    assert len(connect(urls, limits=LIMITS).logs(LogQuery(ADDRESS, (), 1, 8))) == 8


FAULTS = [Refusal(-32603, "Internal error"), Refusal(-32005, "daily request count exceeded, request rate limited"),
          Raw(b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "who are you?"}}', status=401),
          Raw(b'{"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}}', status=403)]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_an_end_point_that_says_that_it_is_unable_is_left_for_another(node: LyingNode, fault: Any) -> None:
    node.answers["eth_blockNumber"] = node.answers["eth_getBlockByNumber"] = fault
    node.answers["eth_getCode"] = fault
    with running(LyingNode()) as other:
        other.answers["eth_getCode"] = "0x60"
        ledger = connect([node.url, other.url], limits=LIMITS)
        assert ledger.code(ADDRESS) == b"\x60"
        other.answers["eth_call"] = "0x01"
        assert ledger.together([Question("call", (ADDRESS, b"\x01"))]) == [b"\x01"]


def test_a_refusal_that_means_something_is_the_same_from_several_end_points(node: LyingNode) -> None:
    node.answers["eth_call"] = Refusal(-32603, "VM Exception while processing transaction: reverted", "0x1234")
    node.answers["eth_sendRawTransaction"] = Refusal(-32603, "nonce too low")
    ledger = connect([node.url, node.url], limits=LIMITS)
    with pytest.raises(Reverted):
        ledger.call(ADDRESS, b"\x01")
    with pytest.raises(ConflictError):
        ledger.send(RAW_TRANSACTION)


def test_when_all_end_points_fail_all_are_named() -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9.*127\.0\.0\.1:7"):
        connect(["http://127.0.0.1:9", "http://127.0.0.1:7"]).newest()


# ------------------------------------------------------------------------------------------------ reverts


DATA = "0x08c379a0" + "00" * 32
REVERTS = {
    "go-ethereum": (Refusal(3, "execution reverted: words", DATA), DATA),
    "go-ethereum, no data": (Refusal(-32000, "execution reverted"), "0x"),
    "erigon": (Refusal(3, "execution reverted", "0x"), "0x"),
    "anvil": (Refusal(3, "execution reverted: custom error 0x08c379a0", DATA), DATA),
    "besu": (Refusal(-32000, "Execution reverted", DATA), DATA),
    "nethermind": (Refusal(-32015, "VM execution error.", f"Reverted {DATA}"), DATA),
    "nethermind, no data": (Refusal(-32015, "VM execution error.", "Reverted 0x"), "0x"),
    "hardhat": (
        Refusal(-32603, "Error: VM Exception while processing transaction", {"message": "x", "data": DATA}),
        DATA,
    ),
    "ganache": (
        Refusal(-32000, "VM Exception while processing transaction: revert", {"0xab": {"return": DATA, "x": 1}}),
        DATA,
    ),
    "ganache 7": (Refusal(-32000, "VM Exception: revert", {"hash": "0x12", "result": DATA, "reason": "y"}), DATA),
    "a wrapper": (Refusal(-32000, "execution reverted", {"originalError": {"code": 3, "data": DATA}}), DATA),
    "words for data": (Refusal(3, "execution reverted", "not hexadecimal"), "0x"),
    "out of gas": (Refusal(-32000, "out of gas"), "0x"),
    "invalid opcode": (Refusal(-32000, "invalid opcode: INVALID"), "0x"),
    "reth": (Refusal(-32003, "EVM error: InvalidFEOpcode"), "0x"),
}


@pytest.mark.parametrize(("refusal", "expected"), REVERTS.values(), ids=REVERTS)
def test_a_revert_is_known_from_every_client(
    node: LyingNode, ledger: JsonRpcLedger, refusal: Refusal, expected: str
) -> None:
    node.answers["eth_call"] = node.answers["eth_estimateGas"] = refusal
    for use in (METHODS["call"], METHODS["estimate_gas"]):
        with pytest.raises(Reverted) as caught:
            use(ledger)
        assert caught.value.data == bytes.fromhex(expected[2:])


@pytest.mark.parametrize(
    "refusal", [Refusal(-32601, "method not found"), Refusal(-32000, "header not found"), Refusal(-32603, "internal")]
)
def test_another_refusal_of_a_call_is_no_revert(node: LyingNode, ledger: JsonRpcLedger, refusal: Refusal) -> None:
    node.answers["eth_call"] = refusal
    with pytest.raises(UnreachableError, match=refusal.message):
        METHODS["call"](ledger)


# ------------------------------------------------------------------------------------------------ sending


@pytest.mark.parametrize(
    "message", ["already known", "AlreadyKnown", "Known transaction", "Transaction already imported."]
)
def test_a_transaction_that_waits_may_be_sent_again(node: LyingNode, ledger: JsonRpcLedger, message: str) -> None:
    node.answers["eth_sendRawTransaction"] = Refusal(-32000, message)
    assert ledger.send(RAW_TRANSACTION) == keccak256(RAW_TRANSACTION)


NONCES = [
    "nonce too low",
    "nonce too low: next nonce 5, tx nonce 4",
    "replacement transaction underpriced",
    "Nonce too low. Expected at least 5",
    "OldNonce",
    "nonce too high",
    "NONCE_TOO_LOW",
    "invalid transaction nonce",
]


@pytest.mark.parametrize("message", NONCES)
def test_a_mined_transaction_may_be_sent_again(node: LyingNode, ledger: JsonRpcLedger, message: str) -> None:
    node.answers["eth_sendRawTransaction"] = Refusal(-32000, message)
    node.answers["eth_getTransactionByHash"] = {"hash": "0x" + keccak256(RAW_TRANSACTION).hex()}
    assert ledger.send(RAW_TRANSACTION) == keccak256(RAW_TRANSACTION)


@pytest.mark.parametrize("message", NONCES)
def test_another_transaction_with_the_nonce_is_a_conflict(node: LyingNode, ledger: JsonRpcLedger, message: str) -> None:
    node.answers["eth_sendRawTransaction"] = Refusal(-32000, message)
    node.answers["eth_getTransactionByHash"] = None
    with pytest.raises(ConflictError):
        ledger.send(RAW_TRANSACTION)


@pytest.mark.parametrize(
    "message",
    [
        "invalid chain id for signer",
        "intrinsic gas too low",
        "insufficient funds for gas * price + value",
        "rlp: eof",
        "unknown transaction type",
    ],
)
def test_a_transaction_that_can_never_be_taken_is_a_usage_error(
    node: LyingNode, ledger: JsonRpcLedger, message: str
) -> None:
    node.answers["eth_sendRawTransaction"] = Refusal(-32000, message)
    node.answers["eth_getTransactionByHash"] = None
    with pytest.raises(UsageError, match=message[:5]):
        ledger.send(RAW_TRANSACTION)


@pytest.mark.parametrize(
    ("message", "is_too_cheap"),
    [
        ("txpool is full", False),
        ("account limit exceeded", False),
        ("future transaction tries to replace pending", False),
        ("transaction underpriced: tip needed 10, tip permitted 1", True),
        ("max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7", True),
        ("Gas price below configured minimum gas price", True),
        ("FeeTooLow, EffectivePriorityFeePerGas too low 1 < 2", True),
    ],
)
def test_a_full_pool_or_a_dear_one_leaves_the_transaction_to_be_sent_later(
    node: LyingNode, ledger: JsonRpcLedger, message: str, *, is_too_cheap: bool
) -> None:
    node.answers["eth_sendRawTransaction"] = Refusal(-32000, message)
    node.answers["eth_getTransactionByHash"] = None
    with pytest.raises(NotTaken, match=message[:9]) as refused:
        ledger.send(RAW_TRANSACTION)
    assert refused.value.is_too_cheap == is_too_cheap


def test_a_node_that_names_another_hash_is_not_believed(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_sendRawTransaction"] = "0x" + "44" * 32
    with pytest.raises(UnreachableError, match="hash"):
        ledger.send(RAW_TRANSACTION)


# ------------------------------------------------------------------------------------------------ logs


def log(number: int, **more: Any) -> dict[str, Any]:
    return {
        "address": ADDRESS.lower(),
        "topics": ["0x" + "55" * 32],
        "data": "0x",
        "blockNumber": hex(number),
        "blockHash": "0x" + "66" * 32,
        "transactionHash": "0x" + "77" * 32,
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        **more,
    }


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(-32005, "query returned more than 10000 results"),
        Refusal(-32602, "block range is too wide"),
        Refusal(-32000, "exceed maximum block range: 5000"),
        Refusal(-32000, "Log response size exceeded."),
        Refusal(-32002, "query timeout exceeded"),
        Raw(b'"' + b"x" * 200_000 + b'"'),
    ],
    ids=lambda refusal: getattr(refusal, "message", "a body that is too large"),
)
def test_a_range_that_is_refused_is_asked_for_in_parts(node: LyingNode, ledger: JsonRpcLedger, refusal: Any) -> None:
    def answer(request: dict[str, Any]) -> Any:
        first, last = int(request["fromBlock"], 16), int(request["toBlock"], 16)
        return refusal if last - first >= 10 else [log(number) for number in range(first, last + 1)]

    node.answers["eth_getLogs"] = answer
    assert [found.block_number for found in ledger.logs(LogQuery(ADDRESS, (), 3, 99))] == list(range(3, 100))


def test_a_node_that_never_answers_about_logs_is_given_up_soon(node: LyingNode) -> None:
    node.answers["eth_getLogs"] = Raw(b"", pause_s=5)
    ledger = connect(node.url, limits=SOON)
    with pytest.raises(UnreachableError, match=r"within 0\.6 s"):
        ledger.logs(LogQuery(ADDRESS, (), 0, 2_000_000))
    assert len([method for method, _ in node.asked if method == "eth_getLogs"]) == 3


@pytest.mark.parametrize("field", ["blockNumber", "logIndex", "transactionIndex"])
def test_places_that_no_chain_has_are_not_believed(node: LyingNode, ledger: JsonRpcLedger, field: str) -> None:
    log = {"address": ADDRESS, "topics": [], "data": "0x", "blockNumber": "0x1", "blockHash": "0x" + "66" * 32,
           "transactionHash": "0x" + HASH.hex(), "transactionIndex": "0x0", "logIndex": "0x0"}  # fmt: skip
    node.answers["eth_getLogs"] = [{**log, field: hex(2**63)}]
    with pytest.raises(UnreachableError, match=r"a number up to|match the query"):
        ledger.logs(LogQuery(ADDRESS, (), 0, 2**63))
    node.answers["eth_getBlockByNumber"] = block(1, timestamp=hex(2**63))
    with pytest.raises(UnreachableError, match="a number up to"):
        ledger.newest()


def test_two_logs_in_one_place_are_not_believed(node: LyingNode, ledger: JsonRpcLedger) -> None:
    log = {"address": ADDRESS, "topics": [], "data": "0x", "blockNumber": "0x1", "blockHash": "0x" + "66" * 32,
           "transactionHash": "0x" + HASH.hex(), "transactionIndex": "0x0", "logIndex": "0x0"}  # fmt: skip
    node.answers["eth_getLogs"] = [log, {**log, "data": "0x01"}]
    with pytest.raises(UnreachableError, match="one log at each place"):
        ledger.logs(LogQuery(ADDRESS, (), 0, 9))


def test_one_block_that_is_refused_is_an_error(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getLogs"] = Refusal(-32005, "query returned more than 10000 results")
    with pytest.raises(UnreachableError, match="10000"):
        ledger.logs(LogQuery(ADDRESS, (), 0, 9))


def test_logs_up_to_the_newest_block_ask_which_it_is(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getBlockByNumber"] = block(12)
    node.answers["eth_getLogs"] = [log(12)]
    assert len(ledger.logs(LogQuery(ADDRESS))) == 1
    assert node.asked[-1][1][0]["toBlock"] == "0xc"


@pytest.mark.parametrize(
    "lie",
    [
        log(100),
        log(5, address="0x" + "01" * 20),
        log(5, topics=["0x" + "88" * 32]),
        log(5, topics=[]),
        log(5, topics=["0x" + "55" * 32] * 5),
        log(5, blockHash=None),
    ],
)
def test_logs_that_were_not_asked_for_are_not_believed(node: LyingNode, ledger: JsonRpcLedger, lie: Any) -> None:
    node.answers["eth_getLogs"] = [lie]
    with pytest.raises(UnreachableError):
        ledger.logs(LogQuery(ADDRESS, ((b"\x55" * 32,),), 0, 9))


def test_many_words_are_asked_for_in_portions(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getLogs"] = []
    ledger.logs(LogQuery(None, ((), tuple(n.to_bytes(32, "big") for n in range(2500))), 0, 9))
    asked = [parameters[0]["topics"] for method, parameters in node.asked if method == "eth_getLogs"]
    assert [(topics[0], len(topics[1])) for topics in asked] == [(None, 1000), (None, 1000), (None, 500)]


# ------------------------------------------------------------------------------------------------ fees and finality


def test_the_fees_follow_the_base_fee(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getBlockByNumber"] = block(12, baseFeePerGas="0x64")
    node.answers["eth_maxPriorityFeePerGas"] = "0x3"
    assert ledger.fees() == Fees(max_fee=203, max_priority_fee=3)


def test_a_client_that_suggests_no_tip_is_asked_for_its_price(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getBlockByNumber"] = block(12, baseFeePerGas="0x64")
    node.answers["eth_gasPrice"] = "0x69"
    assert ledger.fees() == Fees(max_fee=205, max_priority_fee=5)


def test_a_chain_before_london_has_one_price(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getBlockByNumber"] = block(12)
    node.answers["eth_gasPrice"] = "0x69"
    assert ledger.fees() == Fees(105, 105, is_legacy=True)


def test_a_base_fee_of_zero_means_no_fees_whatever_tip_is_suggested(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getBlockByNumber"] = block(12, baseFeePerGas="0x0")
    node.answers["eth_maxPriorityFeePerGas"] = "0x3b9aca00"
    assert ledger.fees() == Fees(0, 0)


def test_fees_can_be_fixed(node: LyingNode) -> None:
    assert connect(node.url, fees=Fees(9, 1)).fees() == Fees(9, 1)
    assert node.asked == []


@pytest.mark.parametrize(
    ("finality", "expected"),
    [(Finality("immediate"), 12), (Finality("depth", 5), 7), (Finality("depth", 50), -1), (Finality("tag"), 10)],
)
def test_finality_follows_its_rule(node: LyingNode, finality: Finality, expected: int) -> None:
    node.answers["eth_getBlockByNumber"] = lambda tag, _: block({"latest": 12, "finalized": 10}[tag])
    assert connect(node.url, finality=finality).finalized() == expected


@pytest.mark.parametrize("answer", [None, Refusal(-39001, "Unknown block"), Refusal(-32602, "invalid tag")])
def test_without_a_finalized_block_nothing_is_final(node: LyingNode, ledger: JsonRpcLedger, answer: Any) -> None:
    node.answers["eth_getBlockByNumber"] = answer
    assert ledger.finalized() == -1


def test_an_unknown_rule_of_finality_is_refused() -> None:
    with pytest.raises(UsageError):
        connect("http://127.0.0.1:9", finality=Finality("soon"))


# ------------------------------------------------------------------------------------------------ lies and lightness


def test_another_block_than_the_one_asked_for_is_not_believed(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getBlockByNumber"] = block(4)
    with pytest.raises(UnreachableError, match="block 3"):
        ledger.block(3)


def test_anothers_receipt_is_not_believed(node: LyingNode, ledger: JsonRpcLedger) -> None:
    node.answers["eth_getTransactionReceipt"] = {
        "transactionHash": "0x" + "77" * 32,
        "blockNumber": "0x1",
        "blockHash": "0x" + "66" * 32,
        "transactionIndex": "0x0",
        "status": "0x1",
        "gasUsed": "0x1",
        "contractAddress": None,
        "logs": [],
    }
    with pytest.raises(UnreachableError, match="receipt of"):
        ledger.receipt(HASH)


def test_a_mined_transaction_still_shown_as_waiting_has_its_call_data(node: LyingNode, ledger: JsonRpcLedger) -> None:
    waiting = {"hash": "0x" + HASH.hex(), "blockHash": None, "input": "0x0102"}
    node.answers["eth_getTransactionByHash"] = waiting
    node.answers["eth_getTransactionReceipt"] = None
    assert ledger.transaction_input(HASH) is None
    node.answers["eth_getTransactionReceipt"] = {
        "transactionHash": "0x" + HASH.hex(),
        "blockNumber": "0x1",
        "blockHash": "0x" + "66" * 32,
        "transactionIndex": "0x0",
        "status": "0x1",
        "gasUsed": "0x1",
        "contractAddress": None,
        "logs": [],
    }
    assert ledger.transaction_input(HASH) == b"\x01\x02"


def test_opening_asks_nothing_and_loads_no_client_library(node: LyingNode) -> None:
    program = f"""
import sys
from proml.adapters.jsonrpc import JsonRpcLedger
from proml.adapters.jsonrpc.endpoint import EndPoints, RpcError
JsonRpcLedger({node.url!r})
assert not {{"web3", "eth", "eth_account", "eth_utils", "requests", "aiohttp", "websockets"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert node.asked == []
