"""Processes that write to one embedded ledger, and the proof that its file is whole afterwards."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

from eth.rlp.logs import Log as EvmLog
from eth.rlp.receipts import Receipt as EvmReceipt
from rlp.codec import decode as rlp_decode
from tests.ports.ledgers import Person, call_data, store
from trie.hexary import HexaryTrie

from proml.adapters.embedded import EmbeddedLedger
from proml.core.digest import keccak256

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, probe: str, acknowledged: Path, transactions: int) -> None:
    """Sends transactions of a new account, and notes each one's hash after ``send`` returned."""
    ledger = EmbeddedLedger.open(path)
    person = Person(ledger)
    note = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(transactions):
        os.write(note, ledger.send(person.sign(probe, store(number, 1))))
    os.close(note)
    ledger.close()


def assert_whole(path: Path, probe: str) -> set[bytes]:
    """Asserts that blocks, transactions, receipts, logs and state agree; returns the transactions' hashes."""
    ledger = EmbeddedLedger.open(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    newest = ledger.newest().number
    assert connection.execute("SELECT count(*), max(number) FROM block").fetchone() == (newest + 1, newest)
    assert connection.execute("SELECT count(*), count(DISTINCT block) FROM executed").fetchone() == (newest, newest)
    hashes: set[bytes] = set()
    for number in range(1, newest + 1):
        hashes.add(_assert_block_whole(ledger, connection, number))
    connection.close()
    assert int.from_bytes(ledger.call(probe, call_data("count()")), "big") == newest - 1  # block 1 deployed it
    ledger.close()
    return hashes


def _assert_block_whole(ledger: EmbeddedLedger, connection: sqlite3.Connection, number: int) -> bytes:
    block, parent = ledger.block(number), ledger.block(number - 1)
    assert block is not None
    assert parent is not None
    assert block.parent_hash == parent.hash
    encoded, state_root = connection.execute(
        "SELECT header, state_root FROM block WHERE number = ?", (number,)
    ).fetchone()
    header: Any = rlp_decode(encoded)  # type: ignore[no-untyped-call]
    assert keccak256(encoded) == block.hash
    assert (header[0], header[3]) == (parent.hash, state_root)
    (transaction_hash, raw) = connection.execute("SELECT hash, raw FROM executed WHERE block = ?", (number,)).fetchone()
    assert keccak256(raw) == transaction_hash
    assert header[4] == _root(raw)
    receipt = ledger.receipt(transaction_hash)
    assert receipt is not None
    logs = [
        EvmLog(bytes.fromhex(log.address[2:]), tuple(int.from_bytes(topic, "big") for topic in log.topics), log.data)
        for log in receipt.logs
    ]
    status = b"\x01" if receipt.succeeded else b""
    assert header[5] == _root(b"\x02" + EvmReceipt(status, receipt.gas_used, logs).encode())
    assert connection.execute("SELECT 1 FROM node WHERE key = ?", (state_root,)).fetchone() == (1,)
    return bytes(transaction_hash)


def _root(only_item: bytes) -> bytes:
    trie = HexaryTrie({})
    trie[b"\x80"] = only_item
    return bytes(trie.root_hash)
