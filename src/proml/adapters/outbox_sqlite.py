"""The outbox in one SQLite file: durable, shared by many processes, readable after a kill at any instant.

Capture imports this, so it needs the standard library only. What is added is on disk when :meth:`SqliteOutbox.add`
returns (write-ahead log, ``synchronous = FULL``). Delivery is :mod:`proml.submit.deliver`'s.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proml.adapters.sender_lock import ProcessLock
from proml.adapters.sqlite_file import private_file
from proml.errors import ConfigError, LocalStorageError, ProMLError, UnknownName
from proml.ports import Entry, Intent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proml.ports import Clock

APPLICATION_ID = 0x50524D4F
"""Marks the file as ours in SQLite's header: ``PRMO``."""
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE entry (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    key              TEXT    NOT NULL UNIQUE,
    kind             TEXT    NOT NULL,
    artefact         TEXT    NOT NULL,
    body             TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN
                             ('pending', 'sent', 'confirmed', 'refused', 'conflict', 'dropped')),
    raw_transaction  BLOB    NOT NULL,
    transaction_hash BLOB    NOT NULL,
    block_number     INTEGER NOT NULL,
    block_hash       BLOB    NOT NULL,
    gas_used         INTEGER NOT NULL,
    attempts         INTEGER NOT NULL,
    error            TEXT    NOT NULL,
    created_ns       INTEGER NOT NULL,
    confirmed_ns     INTEGER NOT NULL,
    detail           TEXT    NOT NULL,
    final            INTEGER NOT NULL
);
CREATE INDEX entry_by_state ON entry (state, number);
CREATE INDEX entry_unsettled ON entry (number) WHERE state != 'dropped' AND final = 0;
"""
_COLUMNS = (
    "number, key, kind, artefact, body, state, raw_transaction, transaction_hash, block_number, block_hash, "
    "gas_used, attempts, error, created_ns, confirmed_ns, detail, final"
)
_UNSETTLED = "state != 'dropped' AND final = 0"
_UPDATE = (
    "UPDATE entry SET state = ?, raw_transaction = ?, transaction_hash = ?, block_number = ?, block_hash = ?, "
    "gas_used = ?, attempts = ?, error = ?, confirmed_ns = ?, detail = ?, final = ? WHERE number = ?"
)
_PAGE = 256
_MOST_NUMBER = 2**63 - 1
_OPEN_TRIES = 200
_OPEN_PAUSE_S = 0.02
_RESULT_MASK = 0xFF  # SQLite's primary result code; the rest says more about it

# A connection must not be used, nor closed, in a process that inherited it by fork: SQLite's locks would be lost. Such
# connections are kept here unclosed.
_inherited: list[sqlite3.Connection] = []


class SqliteOutbox:
    """The :class:`~proml.ports.Outbox` in one SQLite file; safe for many processes, threads and forks at once.

    Args:
        path: The file; made when it does not exist, in a folder that does.
        busy_timeout_s: How long one operation waits for other processes, in seconds.
        clock: What time entries are added at; the system's when not given.

    Raises:
        ConfigError: The file is damaged, is not an outbox, or was written by a later version.
        LocalStorageError: The file cannot be made, read or written.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout_s: float = 60.0, clock: Clock | None = None
    ) -> None:
        self.path = Path(path).absolute()
        self._busy_timeout_s = busy_timeout_s
        self._now_ns = clock.now_ns if clock else time.time_ns
        self._mutex = threading.RLock()
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = None
        with self._connected():
            pass

    def add(self, intents: Sequence[Intent], detail: Mapping[str, object] | None = None) -> Sequence[int]:
        """Adds intents durably, all or none, and returns their numbers (those known by key keep theirs)."""
        known = json.dumps(dict(detail or {}))
        rows = [(i.key, i.kind, i.artefact, json.dumps(dict(i.body)), self._now_ns(), known) for i in intents]
        insert = (
            "INSERT INTO entry (key, kind, artefact, body, created_ns, state, raw_transaction, transaction_hash, "
            "block_number, block_hash, gas_used, attempts, error, confirmed_ns, detail, final) "
            "VALUES (?, ?, ?, ?, ?, 'pending', x'', x'', -1, x'', 0, 0, '', 0, ?, 0) ON CONFLICT (key) DO NOTHING"
        )
        with self._writing() as connection:
            connection.executemany(insert, rows)
            numbers = [
                connection.execute("SELECT number FROM entry WHERE key = ?", (i.key,)).fetchone()[0] for i in intents
            ]
        return [int(number) for number in numbers]

    def entries(self, *states: str) -> Iterator[Entry]:
        """Yields the entries in these states (all if none is named), oldest first."""
        return self._pages(_in_states(states), states)

    def count(self, *states: str) -> int:
        """Returns how many entries are in these states (all if none is named)."""
        with self._connected() as connection:
            row = connection.execute(f"SELECT count(*) FROM entry WHERE {_in_states(states)}", states).fetchone()  # noqa: S608 - constants; values are bound
        return int(row[0])

    def unsettled(self) -> Iterator[Entry]:
        """Yields the entries that may still change, oldest first: neither dropped nor in a final block."""
        return self._pages(_UNSETTLED, ())

    def entry(self, number: int) -> Entry:
        """Returns one entry; raises UnknownName."""
        if number > _MOST_NUMBER:
            raise self._unknown(number)
        with self._connected() as connection:
            # The column names are constants.
            row = connection.execute(f"SELECT {_COLUMNS} FROM entry WHERE number = ?", (number,)).fetchone()  # noqa: S608
        if row is None:
            raise self._unknown(number)
        return self._entry(row)

    def find(self, keys: Collection[str]) -> Sequence[int]:
        """Returns the numbers of the entries with these keys, in their order."""
        with self._connected() as connection:
            found = (connection.execute("SELECT number FROM entry WHERE key = ?", (key,)).fetchone() for key in keys)
            return sorted(int(row[0]) for row in found if row is not None)

    def version(self) -> int:
        """Returns a number that differs from an earlier one if another connection changed the outbox in between."""
        with self._connected() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def update(self, entries: Sequence[Entry]) -> None:
        """Replaces the stored entries of the same numbers, all or none; key, kind, body and time of adding stay."""
        with self._writing() as connection:
            for e in entries:
                detail = json.dumps(dict(e.detail))
                transaction = (e.raw_transaction, e.transaction_hash, e.block_number, e.block_hash, e.gas_used)
                values = (e.state, *transaction, e.attempts, e.error, e.confirmed_ns, detail, int(e.final), e.number)
                if connection.execute(_UPDATE, values).rowcount != 1:
                    raise self._unknown(e.number)

    def lock_sender(self, address: str, *, timeout_s: float) -> ProcessLock:
        """Makes this process the only one that sends from here, until released or the process ends.

        One lock for all accounts, and for what is given to a node: whichever is quicker takes what is pending.

        Raises:
            ConflictError: Another process holds it for longer than ``timeout_s``.
        """
        lock = ProcessLock(self.path.with_name(f"{self.path.name}.sender.lock"), what=f"sending for {address}")
        lock.acquire(timeout_s=timeout_s)
        return lock

    def close(self) -> None:
        """Releases the file; safe to call twice."""
        with self._mutex:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    # --------------------------------------------------------------------------------------------------- internal

    def _pages(self, where: str, values: Sequence[str]) -> Iterator[Entry]:
        # Page by page, so that no read transaction stays open while the caller works on an entry.
        query = f"SELECT {_COLUMNS} FROM entry WHERE {where} AND number > ? ORDER BY number LIMIT {_PAGE}"  # noqa: S608 - constants; values are bound
        last = 0
        while True:
            with self._connected() as connection:
                rows = connection.execute(query, (*values, last)).fetchall()
            for row in rows:
                yield self._entry(row)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        number, key, kind, artefact, body, state, raw, tx_hash, block, block_hash, *rest = row
        gas_used, attempts, error, created_ns, confirmed_ns, detail, final = rest
        # A damaged file, or a foreign hand, can hold values of other types.
        numbers = (block, gas_used, attempts, created_ns, confirmed_ns, final, number)
        if not all(isinstance(v, int) for v in numbers) or not all(isinstance(v, bytes) for v in (raw, tx_hash)):
            raise self._damaged(f"entry {number} holds values of the wrong type")
        try:
            intent = Intent(str(key), str(kind), _object(body), str(artefact))
            known = _object(detail)
        except ValueError as wrong:
            raise self._damaged(f"entry {number} holds no JSON object: {wrong}") from wrong
        return Entry(
            number=number,
            intent=intent,
            state=str(state),
            raw_transaction=raw,
            transaction_hash=tx_hash,
            block_number=block,
            block_hash=bytes(block_hash),
            gas_used=gas_used,
            attempts=attempts,
            error=str(error),
            created_ns=created_ns,
            confirmed_ns=confirmed_ns,
            detail=known,
            final=bool(final),
        )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if self._process != os.getpid():
            self._after_fork()
        with self._mutex:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.Error as failure:
                raise self._in_words(failure) from failure
            except OSError as failure:
                raise self._unusable(str(failure)) from failure

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as connection, _transaction(connection, "IMMEDIATE"):
            yield connection

    def _after_fork(self) -> None:
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None
        self._mutex = threading.RLock()  # another thread of the parent may have held the old one
        self._process = os.getpid()

    def _open(self) -> sqlite3.Connection:
        # Records may be confidential: nobody else reads the file.
        with private_file(self.path):
            connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            with contextlib.suppress(sqlite3.Error):  # told when it is prepared
                connection.execute("PRAGMA schema_version")  # connects in fact: before, SQLite opens nothing
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # SQLite does not wait for others while it changes the journal mode, so several processes that open a new
        # file at once are made to try again.
        for attempt in range(_OPEN_TRIES):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as failure:
                if not _is_busy(failure) or attempt == _OPEN_TRIES - 1:
                    raise
                time.sleep(_OPEN_PAUSE_S)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        # Another process may be making it at this moment: what is asked has to be about one and the same state.
        with _transaction(connection, "DEFERRED"):
            ready = self._is_ready(connection)
        if not ready:
            with _transaction(connection, "IMMEDIATE"):
                if not self._is_ready(connection):  # another process may have been first
                    self._create(connection)

    def _create(self, connection: sqlite3.Connection) -> None:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _is_ready(self, connection: sqlite3.Connection) -> bool:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
            return True
        if (application, version, tables) == (0, 0, 0):
            return False
        if application == APPLICATION_ID and version > SCHEMA_VERSION:
            raise ConfigError(
                f"The outbox {self.path} was written by a later version of ProML (schema {version}; this one reads "
                f"{SCHEMA_VERSION}). Nothing in it was touched.",
                hint="Update ProML: `pip install --upgrade proml`.",
            )
        raise ConfigError(
            f"{self.path} is a SQLite file, but not an outbox of ProML (application id {application:#x}).",
            hint="Move it elsewhere; ProML then makes a new outbox.",
        )

    # ---------------------------------------------------------------------------------------------------- in words

    def _in_words(self, failure: sqlite3.Error) -> ProMLError:
        # Errors of Python's module itself carry no code.
        code = getattr(failure, "sqlite_errorcode", 0) & _RESULT_MASK
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self._damaged(str(failure))
        if _is_busy(failure):
            return LocalStorageError(
                f"Other processes kept the outbox {self.path} locked for {self._busy_timeout_s:g} s. "
                "Nothing recorded before was lost.",
                hint=f"Try again; if it stays so, see which process holds it: `fuser {self.path}`.",
            )
        if code == sqlite3.SQLITE_FULL:
            return self._unusable("the disk is full")
        storage = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR)
        if code in storage or isinstance(failure, sqlite3.OperationalError):
            return self._unusable(str(failure))
        return self._damaged(str(failure))

    def _unusable(self, why: str) -> LocalStorageError:
        return LocalStorageError(
            f"The outbox {self.path} cannot be used: {why}. What was recorded before is not lost.",
            hint="Free space on the disk, or make the file and its folder writable, and try again.",
        )

    def _damaged(self, why: str) -> ConfigError:
        return ConfigError(
            f"The outbox {self.path} is damaged: {why}. What was sent is on the ledger, and the runs' journals are "
            "beside it in runs/: nothing of these was lost.",
            hint=f"Rescue entries not yet sent with `sqlite3 {self.path} .recover`, then move the file elsewhere: "
            "ProML makes a new outbox, and `proml sync` recovers runs from their journals.",
        )

    def _unknown(self, number: int) -> UnknownName:
        return UnknownName(
            f"The outbox {self.path} has no entry {number}.", hint="`proml status` lists the outbox's entries."
        )


def _in_states(states: Sequence[str]) -> str:
    return f"state IN ({', '.join('?' * len(states))})" if states else "1"


def _object(text: object) -> dict[str, object]:
    if not isinstance(text, str):
        raise ValueError(f"expected text, found {type(text).__name__}")  # noqa: TRY004 - as json.loads raises it
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")  # noqa: TRY004 - as json.loads raises it
    return value


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Disk full may have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_busy(failure: sqlite3.Error) -> bool:
    code = getattr(failure, "sqlite_errorcode", 0) & _RESULT_MASK
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
