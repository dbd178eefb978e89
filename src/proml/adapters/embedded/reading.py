"""What the embedded ledger answers by SQL alone: blocks, receipts, logs, code and nonces, without an EVM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.adapters.embedded.blocks import Head
from proml.core.words import address_bytes, checksum_address
from proml.errors import UsageError
from proml.ports import Block, Log, LogQuery, Receipt

if TYPE_CHECKING:
    import sqlite3

_MOST_TOPICS = 4
_LARGEST_SQL_INTEGER = 2**63 - 1
# SQLite takes 32,766 parameters per statement.
_MOST_WORDS = 30_000

_LOG_COLUMNS = (
    "log.block, log.log_index, log.position, log.address, log.topic0, log.topic1, log.topic2, log.topic3, log.data,"
    " block.hash, executed.hash"
)


def find_block(connection: sqlite3.Connection, number: int) -> Block | None:
    """Returns the block of that height, or None if there is none yet."""
    row = connection.execute(
        "SELECT number, hash, parent_hash, timestamp FROM block WHERE number = ?", (_sql_integer(number),)
    ).fetchone()
    return None if row is None else Block(*row)


def newest_block(connection: sqlite3.Connection) -> Block | None:
    """Returns the newest block, or None if there is none."""
    row = connection.execute(
        "SELECT number, hash, parent_hash, timestamp FROM block ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Block(*row)


def find_receipt(connection: sqlite3.Connection, transaction_hash: bytes) -> Receipt | None:
    """Returns a transaction's receipt with its logs, or None if it is in no block."""
    row = connection.execute(
        "SELECT executed.block, block.hash, executed.position, succeeded, gas_used, contract"
        " FROM executed JOIN block ON block.number = executed.block WHERE executed.hash = ?",
        (transaction_hash,),
    ).fetchone()
    if row is None:
        return None
    number, block_hash, position, succeeded, gas_used, contract = row
    logs = connection.execute(
        f"SELECT {_LOG_COLUMNS} FROM log JOIN block ON block.number = log.block"  # noqa: S608  (column names only)
        " JOIN executed ON executed.block = log.block AND executed.position = log.position"
        " WHERE log.block = ? AND log.position = ? ORDER BY log.log_index",
        (number, position),
    )
    return Receipt(
        transaction_hash=transaction_hash,
        block_number=number,
        block_hash=block_hash,
        transaction_index=position,
        succeeded=bool(succeeded),
        gas_used=gas_used,
        contract=None if contract is None else checksum_address(contract),
        logs=tuple(_log(row) for row in logs),
    )


def find_logs(connection: sqlite3.Connection, query: LogQuery) -> list[Log]:
    """Returns the logs that a query matches, in chain order, through the narrowest index that serves it."""
    if len(query.topics) > _MOST_TOPICS:
        raise UsageError(f"expected topics for at most {_MOST_TOPICS} positions, found {len(query.topics)}")
    if sum(map(len, query.topics)) > _MOST_WORDS:
        raise UsageError(
            f"expected at most {_MOST_WORDS} topics in one query, found {sum(map(len, query.topics))}",
            hint="Ask in several queries.",
        )
    conditions = ["log.block >= ?"]
    parameters: list[Any] = [_sql_integer(query.first_block)]
    if query.last_block is not None:
        conditions.append("log.block <= ?")
        parameters.append(_sql_integer(query.last_block))
    # SQLite cannot know which column is the most selective one. We do: few contracts emit few kinds of events with
    # many different arguments.
    index = ""
    if query.address is not None:
        conditions.append("log.address = ?")
        parameters.append(address_bytes(query.address))
        index = "INDEXED BY log_address"
    for position, accepted in enumerate(query.topics):
        if accepted:
            conditions.append(f"log.topic{position} IN ({', '.join('?' * len(accepted))})")
            parameters.extend(accepted)
            index = f"INDEXED BY log_topic{position}"
    rows = connection.execute(
        f"SELECT {_LOG_COLUMNS} FROM log {index} JOIN block ON block.number = log.block"  # noqa: S608  (our own words)
        " JOIN executed ON executed.block = log.block AND executed.position = log.position"
        f" WHERE {' AND '.join(conditions)} ORDER BY log.block, log.log_index",
        parameters,
    )
    return [_log(row) for row in rows]


def find_code(connection: sqlite3.Connection, address: bytes) -> bytes:
    """Returns the runtime code at an address; empty if there is none."""
    row = connection.execute(
        "SELECT node.value FROM contract JOIN node ON node.key = contract.code_hash WHERE contract.address = ?",
        (address,),
    ).fetchone()
    return b"" if row is None else row[0]


def next_nonce(connection: sqlite3.Connection, address: bytes) -> int:
    """Returns the next nonce of an account that signs transactions: one more than its last."""
    (last,) = connection.execute("SELECT max(nonce) FROM executed WHERE sender = ?", (address,)).fetchone()
    return 0 if last is None else last + 1


def find_input(connection: sqlite3.Connection, transaction_hash: bytes) -> bytes | None:
    """Returns a transaction's call data, or None if it is in no block."""
    row = connection.execute(
        "SELECT substr(raw, input_offset + 1, input_size) FROM executed WHERE hash = ?", (transaction_hash,)
    ).fetchone()
    return None if row is None else row[0]


def find_head(connection: sqlite3.Connection, number: int) -> Head | None:
    """Returns what the block of that height hands on to the next, or None if there is none yet."""
    row = connection.execute(
        "SELECT number, hash, timestamp, state_root FROM block WHERE number = ?", (_sql_integer(number),)
    ).fetchone()
    return None if row is None else Head(*row)


def newest_head(connection: sqlite3.Connection) -> Head:
    """Returns what the newest block hands on to the next."""
    row = connection.execute(
        "SELECT number, hash, timestamp, state_root FROM block ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return Head(*row)


def _log(row: tuple[Any, ...]) -> Log:
    number, log_index, position, address, *topics, data, block_hash, transaction_hash = row
    return Log(
        address=checksum_address(address),
        topics=tuple(topic for topic in topics if topic is not None),
        data=data,
        block_number=number,
        block_hash=block_hash,
        transaction_hash=transaction_hash,
        transaction_index=position,
        log_index=log_index,
    )


def _sql_integer(number: int) -> int:
    return max(-1, min(number, _LARGEST_SQL_INTEGER))
