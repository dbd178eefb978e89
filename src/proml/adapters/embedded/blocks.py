"""The plain data that passes between the EVM and the file of an embedded ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """What of a block the next one builds on."""

    number: int
    hash: bytes
    timestamp: int
    state_root: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls what, without a transaction; an empty ``to`` creates a contract."""

    sender: bytes
    to: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class RawLog:
    """An event before its block has a hash."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What a signed transaction says, and who signed it."""

    raw: bytes
    hash: bytes
    sender: bytes
    nonce: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A block of one transaction, and all that has to be stored for it.

    Attributes:
        header: The header's RLP encoding.
        contract: Address of the contract that it created, if any.
        nodes: New trie nodes and contract codes by their hash.
        code_hashes: New code hash of every account whose code changed; None where it was deleted.
    """

    head: Head
    header: bytes
    transaction: SignedTransaction
    succeeded: bool
    gas_used: int
    contract: bytes | None
    logs: tuple[RawLog, ...]
    nodes: dict[bytes, bytes]
    code_hashes: dict[bytes, bytes | None]
