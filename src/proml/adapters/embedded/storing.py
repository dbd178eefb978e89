"""Writes blocks into the file of an embedded ledger; the caller holds the write transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from proml.adapters.embedded.blocks import Head, MinedBlock

_NO_TOPICS = (None, None, None, None)


def insert_genesis(connection: sqlite3.Connection, chain_id: int, head: Head, header: bytes) -> None:
    """Stores the first block, and whose genesis it is."""
    connection.execute("INSERT INTO chain VALUES (1, ?, ?)", (chain_id, head.hash))
    _insert_header(connection, head, bytes(32), header)


def insert_block(connection: sqlite3.Connection, parent: Head, mined: MinedBlock) -> None:
    """Stores a block with its state, transaction, receipt and logs."""
    number, transaction = mined.head.number, mined.transaction
    # Equal nodes occur again in later states and in other tries; one copy serves all.
    connection.executemany("INSERT OR IGNORE INTO node (key, value) VALUES (?, ?)", mined.nodes.items())
    _insert_header(connection, mined.head, parent.hash, mined.header)
    connection.execute(
        "INSERT INTO executed VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            transaction.hash,
            transaction.sender,
            transaction.nonce,
            transaction.raw,
            # The call data are part of the raw bytes: remember where, instead of storing them twice.
            transaction.raw.index(transaction.data),
            len(transaction.data),
            mined.succeeded,
            mined.gas_used,
            mined.contract,
        ),
    )
    connection.executemany(
        "INSERT INTO log VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?)",
        [
            (number, index, log.address, *(log.topics + _NO_TOPICS)[:4], log.data)
            for index, log in enumerate(mined.logs)
        ],
    )
    for address, code_hash in mined.code_hashes.items():
        if code_hash is None:
            connection.execute("DELETE FROM contract WHERE address = ?", (address,))
        else:
            connection.execute("INSERT OR REPLACE INTO contract VALUES (?, ?)", (address, code_hash))


def _insert_header(connection: sqlite3.Connection, head: Head, parent_hash: bytes, header: bytes) -> None:
    connection.execute(
        "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)",
        (head.number, head.hash, parent_hash, head.timestamp, head.state_root, header),
    )
