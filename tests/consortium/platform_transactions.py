"""Reads platform-chain transactions apart, by Avalanche's serialization and without the code that writes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from coincurve import PublicKey

KINDS = {13: "add subnet validator", 15: "create chain", 16: "create subnet", 33: "transfer subnet"}
Owners = tuple[int, list[bytes]]


@dataclass(frozen=True)
class Spent:
    """An output that a transaction consumes."""

    transaction: bytes
    output: int
    amount: int


@dataclass(frozen=True)
class Read:
    """A transaction, read apart."""

    id: bytes
    kind: str
    network: int
    spent: Spent
    left: int
    change_owners: Owners
    owners: Owners | None
    node: bytes
    signers: tuple[bytes, ...]


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, size: int) -> bytes:
        found = self.data[self.place : self.place + size]
        assert len(found) == size, "the transaction is too short"
        self.place += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def expect(self, size: int, value: int, what: str) -> None:
        found = self.number(size)
        assert found == value, f"{what}: {found}"

    def owners(self) -> Owners:
        self.expect(8, 0, "locktime")
        threshold = self.number(4)
        keys = [self.take(20) for _ in range(self.number(4))]
        assert keys == sorted(set(keys)), "owners are not sorted"
        return threshold, keys


def read_transaction(data: bytes) -> Read:
    cursor = _Cursor(data)
    cursor.expect(2, 0, "codec")
    kind = KINDS[cursor.number(4)]
    network = cursor.number(4)
    assert cursor.take(32) == bytes(32), "the platform chain's id"
    cursor.expect(4, 1, "outputs")
    asset = cursor.take(32)
    cursor.expect(4, 7, "kind of output")
    left = cursor.number(8)
    change_owners = cursor.owners()
    cursor.expect(4, 1, "inputs")
    source, output = cursor.take(32), cursor.number(4)
    assert cursor.take(32) == asset
    cursor.expect(4, 5, "kind of input")
    amount = cursor.number(8)
    cursor.expect(4, 1, "signatures")
    cursor.expect(4, 0, "first signature")
    cursor.expect(4, 0, "memo")
    owners, node, authorised = _body(cursor, kind)
    unsigned = data[: cursor.place]
    credentials = cursor.number(4)
    assert credentials == (2 if authorised else 1)
    signers = []
    for _ in range(credentials):
        cursor.expect(4, 9, "credential")
        cursor.expect(4, 1, "signatures")
        digest = hashlib.sha256(unsigned).digest()
        key = PublicKey.from_signature_and_message(cursor.take(65), digest, hasher=None)
        signers.append(key.format())
    assert cursor.place == len(data), "bytes are left over"
    identifier = hashlib.sha256(data).digest()
    spent = Spent(source, output, amount)
    return Read(identifier, kind, network, spent, left, change_owners, owners, node, tuple(signers))


def _body(cursor: _Cursor, kind: str) -> tuple[Owners | None, bytes, bool]:
    if kind == "create subnet":
        cursor.expect(4, 11, "owners")
        return cursor.owners(), b"", False
    node = b""
    if kind == "add subnet validator":
        node = cursor.take(20)
        cursor.number(8)
        assert cursor.number(8) > 0
        cursor.expect(8, 2, "weight")
    cursor.take(32)
    if kind == "create chain":
        assert cursor.take(cursor.number(2)) == b"proml"
        assert cursor.take(32).rstrip(b"\0") == b"subnetevm"
        cursor.expect(4, 0, "extensions")
        assert cursor.take(cursor.number(4)).startswith(b"{")
    cursor.expect(4, 10, "authority")
    cursor.expect(4, 1, "authority's signatures")
    cursor.expect(4, 0, "first signature")
    if kind != "transfer subnet":
        return None, node, True
    cursor.expect(4, 11, "owners")
    return cursor.owners(), node, True
