"""A block header whose hash was computed from its members, so that whoever trusts the hash can trust them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """A block header.

    Attributes:
        number: Height.
        hash: Keccak-256 of all members, computed here.
        parent_hash: That of the block before.
        timestamp: Unix time in seconds, as whoever sealed it says.
        transactions_root: Commits to the transactions (Yellow Paper, section 4.3.2).
        receipts_root: Commits to what became of them, their logs included.
        bloom: The logs' bloom filter (section 4.3.1) as a number: addresses and topics of all logs in the block.
        difficulty: As the header has it.
        coinbase: Address in it, EIP-55; in Clique, whom a vote is about.
        nonce: 8 bytes; in Clique, which way a vote goes.
        extra: Bytes that the engine put in.
        signer: Who sealed it as EIP-225 has it, EIP-55; empty if there is no such seal.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    transactions_root: bytes
    receipts_root: bytes
    bloom: int
    difficulty: int
    coinbase: str
    nonce: bytes
    extra: bytes
    signer: str = ""
