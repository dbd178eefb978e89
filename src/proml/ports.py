"""The ports: what the stages need from the outside, as protocols and the plain data that crosses them.

No adapter is imported here. Addresses are EIP-55 strings; hashes, ids and digests are 32 raw bytes; amounts are in wei;
times are Unix seconds unless the name says otherwise. An adapter raises only errors of :mod:`proml.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from proml.core.finality import Finality as Finality  # noqa: PLC0414, TC001 - of the ledger's port
from proml.core.header import Header as Header  # noqa: PLC0414, TC001 - of the evidence's port
from proml.core.intent import Intent as Intent  # noqa: PLC0414, TC001 - of the outbox's port, kept with its kinds
from proml.errors import ProMLError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proml.asking import Question

# --------------------------------------------------------------------------------------------------------- ledger


@dataclass(frozen=True, slots=True)
class Block:
    """A block header's essentials."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain holds it.

    Attributes:
        address: Contract that emitted it.
        topics: 1 to 4 words; the first is the event's signature hash.
        data: ABI-encoded, non-indexed arguments.
    """

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    transaction_index: int
    log_index: int


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which logs are wanted: ``eth_getLogs``.

    Attributes:
        address: Contract, or None for all.
        topics: By position, the words that are accepted; an empty tuple accepts all.
        first_block: First block, inclusive.
        last_block: Last block, inclusive; None is the newest.
    """

    address: str | None = None
    topics: tuple[tuple[bytes, ...], ...] = ()
    first_block: int = 0
    last_block: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction.

    Attributes:
        succeeded: False if it was reverted.
        contract: Address of the contract that it created, if any.
    """

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    transaction_index: int
    succeeded: bool
    gas_used: int
    contract: str | None
    logs: tuple[Log, ...] = ()


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers per unit of gas, in wei (EIP-1559).

    Attributes:
        is_legacy: Whether the chain knows only a gas price (before London); both numbers are that price then.
    """

    max_fee: int
    max_priority_fee: int
    is_legacy: bool = False

    @property
    def least(self) -> int:
        """Of fees that a ledger asks for, ``2 x base fee + tip``: what the newest block would have taken."""
        return (self.max_fee + self.max_priority_fee + 1) // 2


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A transaction before its signature, of EIP-1559 or older; ``to`` is None to create a contract."""

    chain_id: int
    nonce: int
    to: str | None
    data: bytes
    gas: int
    fees: Fees
    value: int = 0


class Reverted(ProMLError):
    """The EVM reverted a call; caught by :mod:`proml.submit`, which turns it into words.

    Args:
        data: The revert data: four selector bytes and the ABI-encoded arguments, or nothing.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(f"the contract reverted with 0x{data.hex()}")
        self.data = data


class NotTaken(UnreachableError):
    """A client does not take a transaction into its pool as things are: it is full, or others offer more.

    Args:
        message: What happened.
        hint: What to do.
        is_too_cheap: Whether an offer of more would help.
    """

    def __init__(self, message: str, *, hint: str = "", is_too_cheap: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_too_cheap = is_too_cheap


class Ledger(Protocol):
    """An Ethereum chain."""

    @property
    def chain_id(self) -> int:
        """The chain's EIP-155 id."""
        ...

    @property
    def genesis_hash(self) -> bytes:
        """Hash of block 0."""
        ...

    @property
    def finality(self) -> Finality:
        """When a block counts as final."""
        ...

    def newest(self) -> Block:
        """Returns the newest block."""
        ...

    def finalized(self) -> int:
        """Returns the number of the newest block that is final by :attr:`finality`; -1 if none is."""
        ...

    def block(self, number: int) -> Block | None:
        """Returns the block of that height on the canonical chain, or None if there is none yet."""
        ...

    def code(self, address: str) -> bytes:
        """Returns the runtime code at an address; empty if there is none."""
        ...

    def call(
        self, to: str, data: bytes, sender: str | None = None, block: int | None = None, gas: int | None = None
    ) -> bytes:
        """Executes a call without a transaction (``eth_call``).

        Args:
            to: The contract.
            data: Call data.
            sender: Whom the contract sees; None is nobody in particular.
            block: After which block; None is the newest.
            gas: What is granted, with what a transaction pays before it is executed; None is as much as the ledger
                grants.

        Raises:
            Reverted: The call was reverted.
            UnreachableError: No answer.
        """
        ...

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        """Returns gas that suffices for the transaction; raises Reverted like :meth:`call`."""
        ...

    def fees(self) -> Fees:
        """Returns fees with which a transaction is included soon; zero on chains without fees."""
        ...

    def nonce(self, address: str) -> int:
        """Returns the account's next transaction nonce, transactions not yet in a block included."""
        ...

    def send(self, raw_transaction: bytes) -> bytes:
        """Hands a signed transaction in and returns its hash, without waiting for a block.

        Sending the same bytes again is not an error and has no further effect, whether the transaction waits or is
        in a block.

        Raises:
            ConflictError: Another transaction of the account has this nonce.
            NotTaken: The pool is full, or others offer more.
            UnreachableError: No answer.
        """
        ...

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Returns the receipt, or None while the transaction is in no block of the canonical chain."""
        ...

    def logs(self, query: LogQuery) -> Sequence[Log]:
        """Returns the matching logs of the canonical chain in chain order."""
        ...

    def transaction_input(self, transaction_hash: bytes) -> bytes | None:
        """Returns a mined transaction's call data, or None if the chain does not have it."""
        ...

    def together(self, questions: Sequence[Question]) -> Sequence[object]:
        """Answers questions in their order, if it can in one exchange.

        Returns:
            For each what its method returns, or the :class:`~proml.errors.ProMLError` that it raises.

        Raises:
            UnreachableError: No answer at all.
        """
        ...

    def close(self) -> None:
        """Releases files and connections; safe to call twice."""
        ...


# ------------------------------------------------------------------------------------------------------- evidence


class Evidence(Protocol):
    """What makes an end point's answers provable: headers, and what their roots commit to."""

    @property
    def where(self) -> str:
        """Which end point it is, without secrets."""
        ...

    def headers(self, first: int, last: int) -> Iterator[Header]:
        """Yields headers in order, each with its hash computed anew.

        Raises:
            VerificationError: A header is missing, has another number, or its members do not make its hash.
        """
        ...

    def may_hold(self, header: Header, address: str) -> bool:
        """Tells whether a block may have logs of a contract; never wrong when it says no."""
        ...

    def receipts(self, header: Header) -> Sequence[Receipt]:
        """Returns a block's receipts, proved against the header's roots, transactions' hashes included.

        Raises:
            VerificationError: They do not make the roots.
        """
        ...


# --------------------------------------------------------------------------------------------------------- signer


class Signer(Protocol):
    """An account's private key, wherever it is held."""

    @property
    def address(self) -> str:
        """The account's address."""
        ...

    def sign_transaction(self, transaction: UnsignedTransaction) -> bytes:
        """Returns the signed raw transaction (EIP-2718 envelope, or a legacy one)."""
        ...

    def reprice(self, raw_transaction: bytes, fees: Fees) -> bytes:
        """Returns a raw transaction of this account with other fees and all else as it was, signed anew."""
        ...

    def sign_hash(self, digest: bytes) -> bytes:
        """Returns the 65-byte signature r‖s‖v (v is 27 or 28) over a 32-byte hash, as for EIP-712."""
        ...


# ---------------------------------------------------------------------------------------------------------- store


class Store(Protocol):
    """Content-addressed bytes, checked on every read. Keys are SHA-256 digests."""

    def put(self, data: bytes) -> bytes:
        """Stores the bytes durably and returns their digest; storing them again has no effect."""
        ...

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        """Stores documents as :meth:`put` does, in less time than one by one, and returns their digests in order."""
        ...

    def get(self, digest: bytes) -> bytes:
        """Returns the bytes.

        Raises:
            NotAvailable: The store does not have them.
            VerificationError: The stored bytes do not have this digest.
            UnreachableError: No answer.
        """
        ...

    def has(self, digest: bytes) -> bool:
        """Tells whether the store has the bytes, without reading them."""
        ...


class LocalStore(Store, Protocol):
    """A store on this machine, which may also have copies of what others have."""

    def keep_all(self, documents: Sequence[bytes]) -> None:
        """Keeps copies of what can be had elsewhere: whole, but they may be lost when the power fails."""
        ...


# --------------------------------------------------------------------------------------------------------- outbox


LEFT_OUT = "left_out"
"""Key of an entry's detail: what was seen to be read and is no input on the ledger, as it is not usable there."""

ATTENDED = "attended"
"""Key of an entry's detail: whoever asked for it is told at once. Refused, it holds back nothing after it: what is
asked for next does not build on it, as what a program captured next does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An intent with what has become of it.

    Attributes:
        number: Position in the outbox, from 1.
        state: ``pending`` (not yet sent), ``sent`` (signed and handed in), ``confirmed`` (in a block),
            ``refused`` (by the rules), ``conflict`` (the artefact moved on) or ``dropped`` (by its owner).
        raw_transaction: The signed transaction; stored before it is sent, so that a retry sends the same bytes.
        transaction_hash: Its hash.
        block_number: Block it is in, when confirmed.
        gas_used: Gas of the whole transaction, when confirmed.
        attempts: How many times sending was tried.
        error: Why it was refused, in words, or the last failure.
        created_ns: Unix time in nanoseconds at which it was added.
        confirmed_ns: Unix time in nanoseconds at which its block was seen; 0 before.
        final: Whether its block is final, so that nothing about it changes any more.
    """

    number: int
    intent: Intent
    state: str = "pending"
    raw_transaction: bytes = b""
    transaction_hash: bytes = b""
    block_number: int = -1
    block_hash: bytes = b""
    gas_used: int = 0
    attempts: int = 0
    error: str = ""
    created_ns: int = 0
    confirmed_ns: int = 0
    detail: Mapping[str, object] = field(default_factory=dict)
    final: bool = False


class Outbox(Protocol):
    """Durable queue between capture and the ledger; safe for many processes at once."""

    def add(self, intents: Sequence[Intent], detail: Mapping[str, object] | None = None) -> Sequence[int]:
        """Adds intents durably, all or none, and returns their numbers (those known by key keep theirs).

        Args:
            intents: What is asked for.
            detail: What their entries' details say from the beginning.
        """
        ...

    def entries(self, *states: str) -> Iterator[Entry]:
        """Yields the entries in these states (all if none is named), oldest first."""
        ...

    def count(self, *states: str) -> int:
        """Returns how many entries are in these states (all if none is named)."""
        ...

    def unsettled(self) -> Iterator[Entry]:
        """Yields the entries that may still change, oldest first: neither dropped nor in a final block."""
        ...

    def entry(self, number: int) -> Entry:
        """Returns one entry; raises UnknownName."""
        ...

    def update(self, entries: Sequence[Entry]) -> None:
        """Replaces the stored entries of the same numbers, all or none."""
        ...

    def version(self) -> int:
        """Returns a number that differs from an earlier one if somebody else changed the outbox in between."""
        ...

    def find(self, keys: Collection[str]) -> Sequence[int]:
        """Returns the numbers of the entries with these keys, in their order."""
        ...

    def lock_sender(self, address: str, *, timeout_s: float) -> SenderLock:
        """Makes this process the only one that sends from here, until released or the process ends.

        Args:
            address: For which account, for messages.
            timeout_s: How long to wait for it, in seconds.

        Raises:
            ConflictError: Another process holds it for longer than ``timeout_s``.
        """
        ...

    def close(self) -> None:
        """Releases the file; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an intent that a node was given.

    Attributes:
        number: Its entry's number in the node's outbox.
        key: The intent's key.
        created_ns: When it came there, as Unix time in nanoseconds; 0 if the node does not say.
    """

    number: int
    key: str
    state: str
    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    gas_used: int
    confirmed_ns: int
    error: str
    final: bool
    created_ns: int = 0


Decision: TypeAlias = Literal["rebase", "drop"]
"""What can be decided about an entry that failed: it goes again on what is there now, or is given up."""


class Node(Protocol):
    """Another host's node, which sends for this one."""

    @property
    def where(self) -> str:
        """Which node it is, for messages, without secrets."""
        ...

    def has(self, digest: bytes) -> bool:
        """Tells whether the node has a document."""
        ...

    def put(self, data: bytes) -> None:
        """Gives the node a document, durably."""
        ...

    def add(self, intents: Sequence[Intent], *, again: bool = False) -> Sequence[int]:
        """Gives the node intents, all or none, durably; returns their numbers there. Known keys keep theirs.

        Args:
            intents: What is asked for.
            again: Whether it may be on the chain already; then the node looks for it there before it sends.

        Raises:
            UnreachableError: No answer, or it takes no more for now; nothing is known of what it took.
            InvalidRecord: It does not take one of these, or not so much at once; says why.
            UsageError: It does not take anything from us.
        """
        ...

    def outcomes(self, numbers: Sequence[int]) -> Sequence[Outcome]:
        """Returns what became of entries of the node; raises UnknownName if it has not one of them."""
        ...

    def decide(self, number: int, key: str, decision: Decision) -> Outcome:
        """Sends an entry of the node that failed again, or gives it up; returns what became of it.

        What was decided before has no effect once more.

        Args:
            number: Of the entry, there.
            key: Its intent's, so that none is taken for another.
            decision: What to do.

        Raises:
            ConflictError: It did not fail, or is another one.
            UnreachableError: No answer; nothing is known of what it did.
        """
        ...


class SenderLock(Protocol):
    """What :meth:`Outbox.lock_sender` returns: a context manager."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_exc: object) -> None: ...


# ------------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class IssuedMessage:
    """A message that was signed here and handed out for others to send.

    Attributes:
        contract: The workspace.
        signer: Who signed it.
        nonce: Its number.
        deadline: Unix time, in seconds, after which it is void.
        name: Where it was written, for people.
    """

    contract: str
    signer: str
    nonce: int
    deadline: int
    name: str


class IssuedMessages(Protocol):
    """Remembers the messages that were handed out, whose numbers the chain does not know before they are used."""

    def add(self, message: IssuedMessage) -> None:
        """Remembers a message durably."""
        ...

    def all(self) -> Sequence[IssuedMessage]:
        """Returns all, oldest first."""
        ...


# ---------------------------------------------------------------------------------------------------------- clock


class Clock(Protocol):
    """Time, so that tests can choose it."""

    def now_ns(self) -> int:
        """Returns Unix time in nanoseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...
