"""The ledger port over JSON-RPC end points."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from proml.adapters.clock import SystemClock
from proml.adapters.jsonrpc.answers import Reader
from proml.adapters.jsonrpc.block_receipts import receipts_of_blocks
from proml.adapters.jsonrpc.endpoint import EndPoints, RpcError
from proml.adapters.jsonrpc.joined_views import JoinedViews
from proml.adapters.jsonrpc.refusals import (
    asks_for_less,
    is_invalid,
    is_known,
    is_nonce_conflict,
    is_pool_full,
    is_too_cheap,
    revert_of,
)
from proml.adapters.jsonrpc.transport import Limits, TimedOut, TooLarge
from proml.asking import Question
from proml.core.digest import keccak256
from proml.core.words import address_bytes, checksum_address
from proml.errors import ConflictError, ProMLError, UnreachableError, UsageError
from proml.ports import Block, Clock, Fees, Finality, Log, LogQuery, NotTaken, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEFAULT_LIMITS = Limits(timeout_s=30.0, answer_bytes=64 * 2**20)
# What go-ethereum takes per position of a topics filter.
_MOST_WORDS_PER_TOPIC = 1000
_MOST_TOPICS = 4
_MOST_LATE = 3
# Clients hold block numbers in 64 bits, some with a sign.
_LARGEST_NUMBER = 2**63 - 1


class JsonRpcLedger:
    """An Ethereum chain behind one or several JSON-RPC end points; nothing is asked before the first use.

    Args:
        urls: One end point or several of one chain: ``http(s)://…``, ``ws(s)://…`` or the path of an IPC socket. The
            first is used until it fails, then the next, which must serve the same chain id and genesis block.
        finality: When a block counts as final.
        fees: What to offer per unit of gas; None asks the chain.
        limits: Time and size granted for one answer.
        clock: Waits when a node asks to be asked later; the system's if None.

    Raises:
        ConfigError: A URL is of no known kind.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        finality: Finality = Finality("tag"),  # noqa: B008  (frozen)
        fees: Fees | None = None,
        limits: Limits = _DEFAULT_LIMITS,
        clock: Clock | None = None,
    ) -> None:
        if finality.kind not in ("immediate", "depth", "tag") or finality.depth < 0:
            raise UsageError(f"expected the finality immediate, depth or tag, found {finality}")
        self._finality = finality
        self._fees = fees
        self._identity: tuple[int, bytes] | None = None
        self._identity_lock = threading.Lock()
        self._end_points = EndPoints(
            [urls] if isinstance(urls, str) else urls, limits, clock or SystemClock(), self._check_chain
        )
        self._views = JoinedViews(self._end_points)

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self._chain()[0]

    @property
    def genesis_hash(self) -> bytes:
        """Hash of block 0."""
        return self._chain()[1]

    @property
    def finality(self) -> Finality:
        """When a block counts as final."""
        return self._finality

    def newest(self) -> Block:
        """Returns the newest block."""
        value, read = self._ask("eth_getBlockByNumber", "latest", False)  # noqa: FBT003  (without transactions)
        return read.block(value)

    def finalized(self) -> int:
        """Returns the number of the newest block that is final by :attr:`finality`; -1 if none is."""
        if self._finality.kind == "immediate":
            return self.newest().number
        if self._finality.kind == "depth":
            return max(-1, self.newest().number - self._finality.depth)
        try:
            value = self._end_points.request("eth_getBlockByNumber", "finalized", False)  # noqa: FBT003
        except RpcError:
            return -1  # chains without a finalized block, and clients without the tag
        return -1 if value is None else self._reader("eth_getBlockByNumber").block(value).number

    def block(self, number: int) -> Block | None:
        """Returns the block of that height on the canonical chain, or None if there is none yet."""
        if not 0 <= number <= _LARGEST_NUMBER:
            return None
        value, read = self._ask("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003
        return _block(read, number, value)

    def code(self, address: str) -> bytes:
        """Returns the runtime code at an address; empty if there is none."""
        value, read = self._ask("eth_getCode", _address(address), "latest")
        return read.data(value)

    def call(
        self, to: str, data: bytes, sender: str | None = None, block: int | None = None, gas: int | None = None
    ) -> bytes:
        """Executes a call without a transaction.

        Raises:
            Reverted: The call was reverted.
            UnreachableError: No answer.
        """
        value, read = self._execute("eth_call", *_call(to, data, sender, block, gas))
        return read.data(value)

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        """Returns gas that suffices for the transaction; raises Reverted like :meth:`call`."""
        request = {"from": _address(sender), "data": _hex(data)}
        if to is not None:
            request["to"] = _address(to)
        value, read = self._execute("eth_estimateGas", request)
        return read.quantity(value)

    def fees(self) -> Fees:
        """Returns fees with which a transaction is included soon; zero on chains without fees.

        A base fee of zero marks a consortium's chain, where accounts own nothing: there, a tip would only make
        transactions invalid, whatever tip the node suggests.
        """
        if self._fees is not None:
            return self._fees
        value, read = self._ask("eth_getBlockByNumber", "latest", False)  # noqa: FBT003
        base_fee = read.object(value).get("baseFeePerGas")
        if base_fee is None:  # before London
            price = self._gas_price()
            return Fees(price, price, is_legacy=True)
        base = read.quantity(base_fee)
        if base == 0:
            return Fees(0, 0)
        try:
            tip = self._reader("eth_maxPriorityFeePerGas").quantity(
                self._end_points.request("eth_maxPriorityFeePerGas")
            )
        except RpcError:
            tip = max(0, self._gas_price() - base)
        # The base fee can double in six full blocks; what is not needed is not spent.
        return Fees(2 * base + tip, tip)

    def nonce(self, address: str) -> int:
        """Returns the account's next transaction nonce, transactions not yet in a block included."""
        value, read = self._ask("eth_getTransactionCount", _address(address), "pending")
        return read.quantity(value)

    def send(self, raw_transaction: bytes) -> bytes:
        """Hands a signed transaction in and returns its hash, without waiting for a block.

        Sending the same bytes again is not an error and has no further effect.

        Raises:
            ConflictError: Another transaction of the account has this nonce.
            NotTaken: The node's pool is full, or others offer more.
            UsageError: The node will never accept this transaction.
            UnreachableError: No answer.
        """
        transaction_hash = keccak256(raw_transaction)
        try:
            value = self._end_points.request("eth_sendRawTransaction", _hex(raw_transaction))
        except RpcError as error:
            # Once it is in a block, clients only see that its nonce was used: by itself.
            if is_known(error) or self._has_transaction(transaction_hash):
                return transaction_hash
            _refuse(error)
        return self._sent(transaction_hash, value)

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Returns the receipt, or None while the transaction is in no block of the canonical chain."""
        value, read = self._ask("eth_getTransactionReceipt", _hex(transaction_hash))
        return _receipt(read, transaction_hash, value)

    def logs(self, query: LogQuery) -> Sequence[Log]:
        """Returns the matching logs of the canonical chain in chain order.

        A range that the end point refuses, or whose answer is too large or too slow, is asked for in halves.
        """
        if len(query.topics) > _MOST_TOPICS:
            raise UsageError(f"expected topics for at most {_MOST_TOPICS} positions, found {len(query.topics)}")
        last = self.newest().number if query.last_block is None else query.last_block
        first = max(0, query.first_block)
        if last < first:
            return []
        found = [
            log
            for topics in _in_portions(query.topics)
            for log in self._logs_between(LogQuery(query.address, topics, first, last))
        ]
        logs = sorted(set(found), key=_place)
        for one, next_ in itertools.pairwise(logs):
            if _place(one) == _place(next_):
                self._reader("eth_getLogs").fail("one log at each place of a block", next_)
        return logs

    def transaction_input(self, transaction_hash: bytes) -> bytes | None:
        """Returns a mined transaction's call data, or None if the chain does not have it."""
        value, read = self._ask("eth_getTransactionByHash", _hex(transaction_hash))
        if value is None:
            return None
        # Some clients still show a transaction as waiting for an instant after its block has come.
        if read.object(value).get("blockHash") is None and self.receipt(transaction_hash) is None:
            return None
        if read.hash(value.get("hash")) != transaction_hash:
            read.fail(f"the transaction 0x{transaction_hash.hex()}", value.get("hash"))
        return read.data(value.get("input"))

    def together(self, questions: Sequence[Question]) -> Sequence[object]:
        """Answers questions in their order, many in one exchange."""
        hashes: list[Any] = [question.arguments[0] for question in questions if question.method == "receipt"]
        known = {Question("receipt", (h,)): value for h, value in receipts_of_blocks(self._end_points, hashes).items()}
        joined = self._views.ask(questions)
        others = [question for question in questions if question not in known and question not in joined]
        outcomes = self._end_points.request_all([_request(question) for question in others])
        known.update(zip(others, outcomes, strict=True))
        return [joined[q] if q in joined else self._answer(q, known[q]) for q in questions]

    def close(self) -> None:
        """Drops the connections; safe to call twice."""
        self._end_points.close()

    # ------------------------------------------------------------------------------------------------- asking

    def _reader(self, method: str) -> Reader:
        return Reader(method, self._end_points.where)

    def _ask(self, method: str, *parameters: Any) -> tuple[Any, Reader]:
        """Returns a result and what reads it; a refusal has no meaning of its own here."""
        try:
            return self._end_points.request(method, *parameters), self._reader(method)
        except RpcError as error:
            raise error.unexpected(method) from error

    def _execute(self, method: str, *parameters: Any) -> tuple[Any, Reader]:
        """Like :meth:`_ask`, where a refusal may be the contract's."""
        try:
            return self._end_points.request(method, *parameters), self._reader(method)
        except RpcError as error:
            reverted = revert_of(error)
            if reverted is not None:
                raise reverted from error
            raise error.unexpected(method) from error

    def _answer(self, question: Question, value: Any) -> object:
        if isinstance(value, RpcError):
            reverted = revert_of(value) if question.method in ("call", "estimate_gas", "view") else None
            # Asked by itself, there are the meanings of all other refusals.
            return reverted or question.ask(self)
        try:
            return self._read(question, value)
        except ProMLError as error:
            return error

    def _read(self, question: Question, value: Any) -> object:
        first: Any = question.arguments[0]
        match question.method:
            case "block":
                return _block(self._reader("eth_getBlockByNumber"), first, value)
            case "call" | "view":
                return self._reader("eth_call").data(value)
            case "estimate_gas":
                return self._reader("eth_estimateGas").quantity(value)
            case "receipt":
                return _receipt(self._reader("eth_getTransactionReceipt"), first, value)
            case "send":
                return self._sent(keccak256(first), value)

    def _sent(self, transaction_hash: bytes, value: Any) -> bytes:
        read = self._reader("eth_sendRawTransaction")
        if read.hash(value) != transaction_hash:
            read.fail(f"the transaction's hash 0x{transaction_hash.hex()}", value)
        return transaction_hash

    def _gas_price(self) -> int:
        value, read = self._ask("eth_gasPrice")
        return read.quantity(value)

    def _has_transaction(self, transaction_hash: bytes) -> bool:
        try:
            return self._end_points.request("eth_getTransactionByHash", _hex(transaction_hash)) is not None
        except RpcError:
            return False

    def _logs_between(self, query: LogQuery, late: int = 0) -> Iterator[Log]:
        """Yields the logs of a range, in halves where it is refused; ``late`` says how many in a row had no answer."""
        assert query.last_block is not None
        request: dict[str, Any] = {
            "fromBlock": hex(query.first_block),
            "toBlock": hex(query.last_block),
            "topics": [[_hex(word) for word in accepted] or None for accepted in query.topics],
        }
        if query.address is not None:
            request["address"] = _address(query.address)
        try:
            value = self._end_points.request("eth_getLogs", request)
        except (RpcError, TooLarge, TimedOut) as error:
            if isinstance(error, RpcError) and not asks_for_less(error):
                raise error.unexpected("eth_getLogs") from error
            if query.first_block == query.last_block:
                raise (error.unexpected("eth_getLogs") if isinstance(error, RpcError) else error) from error
            late = late + 1 if isinstance(error, TimedOut) else 0
            if late == _MOST_LATE:
                raise  # it answers nothing, however little it is asked for
            middle = (query.first_block + query.last_block) // 2
            yield from self._logs_between(LogQuery(query.address, query.topics, query.first_block, middle), late)
            yield from self._logs_between(LogQuery(query.address, query.topics, middle + 1, query.last_block), late)
            return
        read = self._reader("eth_getLogs")
        for entry in read.list(value):
            log = read.log(entry)
            if not _matches(log, query):
                read.fail("logs that match the query", entry)
            yield log

    # ------------------------------------------------------------------------------------------------- which chain

    def _chain(self) -> tuple[int, bytes]:
        if self._identity is None:
            self._ask("eth_chainId")  # the first request to an end point asks which chain it serves
        assert self._identity is not None
        return self._identity

    def _check_chain(self, end_points: EndPoints) -> None:
        """Refuses an end point that serves another chain than the first one did."""
        try:
            chain_id = self._reader("eth_chainId").quantity(end_points.ask_current("eth_chainId"))
            genesis = end_points.ask_current("eth_getBlockByNumber", "0x0", False)  # noqa: FBT003
        except RpcError as error:
            raise error.unexpected("eth_chainId or eth_getBlockByNumber") from error
        identity = (chain_id, self._reader("eth_getBlockByNumber").block(genesis).hash)
        with self._identity_lock:
            if self._identity is None:
                self._identity = identity
        if identity != self._identity:
            raise UnreachableError(
                f"expected chain {self._identity[0]} with genesis 0x{self._identity[1].hex()} at {end_points.where},"
                f" found chain {identity[0]} with genesis 0x{identity[1].hex()}",
                hint="Remove this end point from the workspace's ledgers.",
            )


def _place(log: Log) -> tuple[int, int]:
    return log.block_number, log.log_index


def _refuse(error: RpcError) -> NoReturn:
    """Raises what a refusal of ``eth_sendRawTransaction`` means."""
    if is_pool_full(error) or (is_too_cheap(error) and not is_nonce_conflict(error)):
        raise NotTaken(
            f"the client does not take a transaction now: {error}",
            hint="It is safe in the outbox, and is handed in again.",
            is_too_cheap=is_too_cheap(error),
        ) from error
    if is_nonce_conflict(error):
        raise ConflictError(
            f"another transaction of the account has this nonce, or it is not the next: {error}",
            hint="Read the account's nonce and sign the transaction again.",
        ) from error
    if is_invalid(error):
        raise UsageError(
            f"expected a transaction that the chain accepts, found one it refuses: {error}",
            hint="Check the chain id, the gas, and the account's balance where gas costs something.",
        ) from error
    raise error.unexpected("eth_sendRawTransaction") from error


def _request(question: Question) -> tuple[str, Sequence[Any]]:
    """Returns the method and parameters that ask a question of :meth:`JsonRpcLedger.together`."""
    arguments: Any = question.arguments
    match question.method:
        case "block":
            return "eth_getBlockByNumber", (hex(arguments[0]), False)
        case "call" | "view":
            return "eth_call", _call(*arguments)
        case "estimate_gas":
            sender, to, data = arguments
            return "eth_estimateGas", ({"from": _address(sender), "to": _address(to), "data": _hex(data)},)
        case "receipt":
            return "eth_getTransactionReceipt", (_hex(arguments[0]),)
        case "send":
            return "eth_sendRawTransaction", (_hex(arguments[0]),)


def _call(
    to: str, data: bytes, sender: str | None = None, block: int | None = None, gas: int | None = None
) -> tuple[dict[str, str], str]:
    """Returns the parameters of ``eth_call``."""
    request = {"to": _address(to), "data": _hex(data)}
    if sender is not None:
        request["from"] = _address(sender)
    if gas is not None:
        request["gas"] = hex(gas)
    return request, "latest" if block is None else hex(block)


def _block(read: Reader, number: int, value: Any) -> Block | None:
    if value is None:
        return None
    block = read.block(value)
    return block if block.number == number else read.fail(f"block {number}", block.number)


def _receipt(read: Reader, transaction_hash: bytes, value: Any) -> Receipt | None:
    if value is None or read.object(value).get("blockHash") is None:
        return None
    receipt = read.receipt(value)
    if receipt.transaction_hash != transaction_hash:
        read.fail(f"the receipt of 0x{transaction_hash.hex()}", receipt.transaction_hash.hex())
    return receipt


def _matches(log: Log, query: LogQuery) -> bool:
    assert query.last_block is not None
    return (
        query.first_block <= log.block_number <= query.last_block
        and (query.address is None or log.address == checksum_address(address_bytes(query.address)))
        and all(
            not accepted or (position < len(log.topics) and log.topics[position] in accepted)
            for position, accepted in enumerate(query.topics)
        )
    )


def _in_portions(topics: tuple[tuple[bytes, ...], ...]) -> Iterator[tuple[tuple[bytes, ...], ...]]:
    """Yields filters that together accept the same, none of them with more words per position than nodes take."""
    choices = [
        [accepted[start : start + _MOST_WORDS_PER_TOPIC] for start in range(0, len(accepted), _MOST_WORDS_PER_TOPIC)]
        or [()]
        for accepted in topics
    ]
    yield from itertools.product(*choices)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _address(address: str) -> str:
    return _hex(address_bytes(address))
