"""Follows the ledger into the index: pins, fork, events, heads, records.

A range of blocks is read from the ledger without holding the index, checked, and written in one transaction that gives
way if another process was faster. A reorganisation is found by comparing block hashes, and its rows are deleted before
anything is added. What the rows say of a head was recomputed (:mod:`proml.index.rows`); what a record says is another
matter (:mod:`proml.index.bodies`).
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.core.events import decode_event
from proml.core.operation import ZERO
from proml.errors import UnreachableError, VerificationError
from proml.index import schema
from proml.index.bodies import fetch_bodies, want_records
from proml.index.onchain import check_pins
from proml.index.rows import RowMaker, added_rules
from proml.index.schema import IndexBroken, reading, throw_away, writing
from proml.index.views import FollowReport
from proml.ports import LogQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Block, Ledger, Log, Store

    Progress = Callable[[int, int], None]  # called with (blocks done, blocks to do)

__all__ = ["check_pins", "follow", "rebuild"]

_RANGE_BLOCKS = 2_000
_RANGE_LOGS = 5_000
"""How much is written at once: some seconds of work, so that others who use the index or wait for it get their turn."""
_ATTEMPTS = 20  # ranges in a row that a reorganisation or another process may spoil


@dataclass(frozen=True, slots=True)
class _Range:
    """A range of blocks with all that the ledger says of it, read while the chain stood still."""

    first: int
    last: Block
    logs: Sequence[Log]
    times: dict[int, Block]


@dataclass(slots=True)
class _Following:
    """One follow under way."""

    ledger: Ledger
    workspace: WorkspaceFile
    engine: Engine
    logs: int = 0
    transitions: int = 0
    rolled_back_to: int | None = None
    maker: RowMaker | None = None
    span: int = _RANGE_BLOCKS  # how many blocks to read next: fewer where they are full


def follow(
    ledger: Ledger, workspace: WorkspaceFile, store: Store | None, engine: Engine, progress: Progress | None = None
) -> FollowReport:
    """Brings the index up to the ledger's newest block, and fetches records that it misses.

    Several processes may follow into the same index at once.

    Args:
        ledger: The chain; must be the pinned one.
        workspace: The workspace file, which pins it.
        store: Where records are; None leaves them as they are.
        engine: See :func:`proml.index.schema.open_index`.
        progress: Called with (blocks done, blocks to do) after each range, and after each batch of records that was
            fetched then. The index is free meanwhile. What it raises ends the follow; the next one goes on there.

    Raises:
        VerificationError: The ledger is not the pinned one, has another block where one was final, or its logs do not
            fit together (a lying end point); nothing of the range in question is written.
        UnreachableError: No answer from the ledger, or it does not reach up to what was final.
        LocalStorageError: The index cannot be written.
    """
    check_pins(ledger, workspace)
    try:
        return _follow(ledger, workspace, store, engine, progress)
    except IndexBroken:
        throw_away(engine)
        report = _follow(ledger, workspace, store, engine, progress)
        return dataclasses.replace(report, rebuilt=True)


def rebuild(
    ledger: Ledger, workspace: WorkspaceFile, store: Store | None, engine: Engine, progress: Progress | None = None
) -> FollowReport:
    """Throws the index away and follows from the workspace's first block; raises as :func:`follow` does."""
    check_pins(ledger, workspace)
    throw_away(engine)
    return dataclasses.replace(follow(ledger, workspace, store, engine, progress), rebuilt=True)


def _follow(
    ledger: Ledger, workspace: WorkspaceFile, store: Store | None, engine: Engine, progress: Progress | None
) -> FollowReport:
    started = time.perf_counter()
    following = _Following(ledger, workspace, engine)
    rebuilt = _claim(engine, workspace)
    first = begun = _roll_back(following)
    newest = ledger.newest()
    spoiled = 0

    def tell() -> None:
        if progress is not None:
            progress(max(first - begun, 0), max(newest.number + 1 - begun, 0))

    while first <= newest.number:
        block_range = _read_range(following, first, newest.number)
        if block_range is not None and _write_range(following, block_range):
            spoiled, first = 0, block_range.last.number + 1
            tell()
            continue
        spoiled += 1
        if spoiled > _ATTEMPTS:
            raise UnreachableError(
                f"the chain changed {spoiled} times while blocks from {first} on were read", hint="Try again later."
            )
        following.maker = None
        first, newest = _roll_back(following), ledger.newest()
    _note_position(following)
    fetched, missing = fetch_bodies(engine, workspace, store, tell)
    return FollowReport(
        first_block=begun,
        last_block=first - 1,
        logs=following.logs,
        transitions=following.transitions,
        rolled_back_to=following.rolled_back_to,
        records_fetched=fetched,
        records_missing=missing,
        rebuilt=rebuilt,
        milliseconds=(time.perf_counter() - started) * 1000,
    )


def _claim(engine: Engine, workspace: WorkspaceFile) -> bool:
    """Makes the index this workspace's, emptied if it was another's; returns whether it begins anew."""
    pins = (workspace.chain_id, workspace.genesis_hash, workspace.contract)
    with reading(engine) as connection:
        found = connection.execute(sql.select(schema.meta)).first()
    if found is not None:
        if (found.chain_id, found.genesis_hash, found.contract) == pins:
            return False
        throw_away(engine)
    with writing(engine) as connection:
        if connection.execute(sql.select(schema.meta).with_for_update()).first() is None:
            values = {
                "schema": schema.SCHEMA_VERSION,
                "chain_id": workspace.chain_id,
                "genesis_hash": workspace.genesis_hash,
                "contract": workspace.contract,
                "next_block": workspace.first_block,
                "finalized": -1,
                "followed_at": 0,
            }
            connection.execute(schema.meta.insert(), values)
    return True


# -------------------------------------------------------------------------------------------------- the fork


def _roll_back(following: _Following) -> int:
    """Takes the index back to the newest block that it shares with the chain; returns the next block to read.

    Raises:
        VerificationError: The chain has another block where one was final.
        UnreachableError: It does not reach up to what was final.
    """
    engine = following.engine
    while True:
        with reading(engine) as connection:
            next_block = _next_block(connection)
            newest = _stored_before(connection, next_block)
        if newest is None or _has(following.ledger, newest):
            return next_block
        _check_final(following)
        fork = _fork(following)
        target = following.workspace.first_block if fork is None else fork + 1
        with writing(engine) as connection:
            if not _move(connection, next_block, target):
                continue  # another process was faster: look again
            for table in schema.EVENT_TABLES:
                connection.execute(table.delete().where(table.c.block_number >= target))
            connection.execute(schema.blocks.delete().where(schema.blocks.c.number >= target))
        back_to = target - 1
        known = following.rolled_back_to
        following.rolled_back_to = back_to if known is None else min(known, back_to)
        return target


def _check_final(following: _Following) -> None:
    """Refuses a chain that has lost what was final: a record that everybody saw as final would go without a word."""
    with reading(following.engine) as connection:
        finalized = connection.execute(sql.select(schema.meta.c.finalized)).scalar()
        stored = None if finalized is None else _stored_before(connection, finalized + 1)
    if stored is None:
        return
    found = following.ledger.block(stored.number)
    if found is None:
        raise UnreachableError(
            f"the ledger is behind: it has no block {stored.number}, which was final. The index was left as it is",
            hint="Wait until it has caught up, or ask another end point.",
        )
    if found.hash != stored.hash:
        raise VerificationError(
            f"block {stored.number} was final as 0x{stored.hash.hex()}, and the ledger has 0x{found.hash.hex()} there "
            "now: this end point lies, or validators took back what was final. The index was left as it is",
            hint="Ask another end point, and the other participants. `proml sync --rebuild` takes this chain as it is.",
        )


def _fork(following: _Following) -> int | None:
    """Returns the newest stored block that the chain still has, where it does not have the newest stored one.

    The ledger is asked while the index is free. Should another process change it meanwhile, an older block may be
    found than there is, and never one that the chain has not.
    """
    ordered = sql.select(schema.blocks).order_by(schema.blocks.c.number)
    with reading(following.engine) as connection:
        count = connection.execute(sql.select(sql.func.count()).select_from(schema.blocks)).scalar_one()
    # Sharing a block means sharing all before it, so the border is found by halving.
    low, high, found = -1, count - 2, None
    while low < high:
        middle = (low + high + 1) // 2
        with reading(following.engine) as connection:
            row = connection.execute(ordered.offset(middle).limit(1)).first()
        if row is not None and _has(following.ledger, row):
            low, found = middle, int(row.number)
        else:
            high = middle - 1
    return found


def _stored_before(connection: Connection, number: int) -> sql.Row[Any] | None:
    """Returns the newest stored block below a number."""
    b = schema.blocks
    return connection.execute(sql.select(b).where(b.c.number < number).order_by(b.c.number.desc()).limit(1)).first()


def _has(ledger: Ledger, stored: sql.Row[Any]) -> bool:
    """Whether the chain has a stored block."""
    block = ledger.block(stored.number)
    return block is not None and block.hash == stored.hash


def _next_block(connection: Connection) -> int:
    found = connection.execute(sql.select(schema.meta.c.next_block)).scalar()
    if found is None:
        raise IndexBroken("the index was emptied while it was followed", hint="Run the command again.")
    return int(found)


def _move(connection: Connection, old: int, new: int) -> bool:
    """Moves the index's position if it is still the old one."""
    change = schema.meta.update().where(schema.meta.c.next_block == old).values(next_block=new)
    return connection.execute(change).rowcount == 1


# --------------------------------------------------------------------------------------------------- ranges


def _read_range(following: _Following, first: int, newest: int) -> _Range | None:
    """Reads logs and blocks of the next range; None if the chain changed meanwhile."""
    ledger = following.ledger
    last = min(first + following.span - 1, newest)
    end = ledger.block(last)
    if end is None:
        return None
    found = ledger.logs(LogQuery(address=following.workspace.contract, first_block=first, last_block=last))
    logs = _fitting(found)
    if len(logs) < len(found):
        following.span = logs[-1].block_number - first + 1
    else:
        following.span = min(2 * following.span, _RANGE_BLOCKS)
    times = {last: end} if len(logs) == len(found) else {}
    for log in logs:
        if log.block_number not in times:
            block = ledger.block(log.block_number)
            if block is None:
                return None
            times[log.block_number] = block
        if times[log.block_number].hash != log.block_hash:
            return None
    again = ledger.block(last)
    if again is None or again.hash != end.hash:
        return None
    return _Range(first, times[max(times)], logs, times)


def _fitting(logs: Sequence[Log]) -> Sequence[Log]:
    """Returns the logs of the first blocks that together have not too many for a range, of one block at least."""
    if len(logs) <= _RANGE_LOGS:
        return logs
    border = max(logs[_RANGE_LOGS].block_number, logs[0].block_number + 1)
    return [log for log in logs if log.block_number < border]


def _write_range(following: _Following, block_range: _Range) -> bool:
    """Writes a range in one transaction; False if another process was faster or the chain changed."""
    events = [event for event in map(decode_event, block_range.logs) if event is not None]
    # What the ledger has to say is asked for before the index is taken: others would wait for the ledger as well.
    rules = added_rules(following.ledger, following.workspace.contract, events)
    with reading(following.engine) as connection:
        before = _stored_before(connection, block_range.first)
    if before is not None and not _has(following.ledger, before):
        return False
    with writing(following.engine) as connection:
        if (
            not _move(connection, block_range.first, block_range.last.number + 1)
            or _stored_before(connection, block_range.first) != before
        ):
            connection.rollback()
            return False
        if following.maker is None:
            following.maker = RowMaker(following.workspace, connection)
        following.maker.reconnect(connection)
        rows = following.maker.make(events, rules)
        for table, values in rows.items():
            if values:
                connection.execute(table.insert(), values)
        _note_blocks(connection, block_range)
        want_records(connection, _records_named(rows))
    following.logs += len(block_range.logs)
    following.transitions += sum(row["seq"] > 0 for row in rows[schema.transitions])
    return True


def _note_blocks(connection: Connection, block_range: _Range) -> None:
    """Stores a range's blocks, and forgets those that are final and have nothing: one would stay of every follow."""
    named = {log.block_number for log in block_range.logs}
    stamps = [
        {"number": b.number, "hash": b.hash, "timestamp": b.timestamp, "bare": b.number not in named}
        for b in block_range.times.values()
    ]
    connection.execute(schema.blocks.insert(), stamps)
    finalized = connection.execute(sql.select(schema.meta.c.finalized)).scalar_one()
    settled = min(finalized, block_range.last.number - 1)
    connection.execute(schema.blocks.delete().where(schema.blocks.c.bare, schema.blocks.c.number <= settled))


def _records_named(rows: dict[sql.Table, list[dict[str, Any]]]) -> set[bytes]:
    tables = (schema.transitions, schema.votes)
    return {row["record"] for table in tables for row in rows[table]} - {ZERO}


def _note_position(following: _Following) -> None:
    """Notes which block is final, unless the index knows: a follow that finds nothing new need not write."""
    finalized = following.ledger.finalized()
    with reading(following.engine) as connection:
        known = connection.execute(sql.select(schema.meta.c.finalized)).scalar()
    if known != finalized or following.logs:
        with writing(following.engine) as connection:
            connection.execute(schema.meta.update().values(finalized=finalized, followed_at=int(time.time())))
