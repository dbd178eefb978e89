"""The SQLite file of an embedded ledger: schema, connections, locks, and SQLite's errors in words.

One transaction of SQLite writes the whole of a block: trie nodes, header, transaction, receipt and logs. Whoever
reopens the file after a crash therefore finds whole blocks only. A writer holds SQLite's write lock from reading the
newest header to committing the next block, so several processes can share one file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

from proml.errors import ConfigError, LocalStorageError, ProMLError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# "PrML" in ASCII: tells an embedded ledger from any other SQLite file.
_APPLICATION_ID = 0x50724D4C
_SCHEMA_VERSION = 1

# What is looked up by hash is kept in a table in order of writing with an index beside it: hashes are random, and
# random places in a small index cost fewer dirty pages per block than random places among the nodes themselves.
_SCHEMA = """
CREATE TABLE chain (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    chain_id INTEGER NOT NULL,
    genesis_hash BLOB NOT NULL
);
CREATE TABLE block (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    parent_hash BLOB NOT NULL,
    timestamp INTEGER NOT NULL,
    state_root BLOB NOT NULL,
    header BLOB NOT NULL
);
CREATE TABLE executed (
    block INTEGER NOT NULL REFERENCES block (number),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    sender BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    raw BLOB NOT NULL,
    input_offset INTEGER NOT NULL,
    input_size INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    gas_used INTEGER NOT NULL,
    contract BLOB,
    PRIMARY KEY (block, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX executed_hash ON executed (hash);
CREATE UNIQUE INDEX executed_nonce ON executed (sender, nonce);
CREATE TABLE log (
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    position INTEGER NOT NULL,
    address BLOB NOT NULL,
    topic0 BLOB,
    topic1 BLOB,
    topic2 BLOB,
    topic3 BLOB,
    data BLOB NOT NULL,
    PRIMARY KEY (block, log_index),
    FOREIGN KEY (block, position) REFERENCES executed (block, position)
) WITHOUT ROWID;
CREATE INDEX log_address ON log (address, block);
CREATE INDEX log_topic0 ON log (topic0, block) WHERE topic0 IS NOT NULL;
CREATE INDEX log_topic1 ON log (topic1, block) WHERE topic1 IS NOT NULL;
CREATE INDEX log_topic2 ON log (topic2, block) WHERE topic2 IS NOT NULL;
CREATE INDEX log_topic3 ON log (topic3, block) WHERE topic3 IS NOT NULL;
CREATE TABLE contract (
    address BLOB PRIMARY KEY,
    code_hash BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    value BLOB NOT NULL
);
CREATE UNIQUE INDEX node_key ON node (key);
"""

# Connections of a parent process are kept here by its forked children: SQLite forbids both using and closing them.
_INHERITED: list[sqlite3.Connection] = []


class ChainFile:
    """An open embedded ledger file; safe for threads, forks and several processes.

    Args:
        path: The file; it must exist.
        busy_timeout_s: How long to wait for another process that writes.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 30.0) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._closed = False

    @classmethod
    def create(cls, path: Path, *, busy_timeout_s: float = 30.0) -> ChainFile:
        """Opens a file that is new or empty; :meth:`writing_schema` fills it."""
        if path.is_dir():
            raise ConfigError(f"expected a file for the embedded ledger at {path}, found a folder")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise LocalStorageError(
                f"cannot create the embedded ledger {path}: {error.strerror or error}",
                hint="Choose a folder that can be written to and has room.",
            ) from error
        return cls(path, busy_timeout_s=busy_timeout_s)

    @classmethod
    def open(cls, path: Path, *, busy_timeout_s: float = 30.0) -> ChainFile:
        """Opens a file that holds a ledger.

        Raises:
            ConfigError: There is no such file, or it is not an embedded ledger of this version.
            LocalStorageError: It cannot be read.
        """
        if not path.is_file():
            raise ConfigError(
                f"expected an embedded ledger at {path}, found {'a folder' if path.is_dir() else 'nothing'}",
                hint="Create one with `proml init`, or correct the ledger's path in the workspace file.",
            )
        file = cls(path, busy_timeout_s=busy_timeout_s)
        try:
            file._check_format()
        except ProMLError:
            file.close()
            raise
        return file

    def close(self) -> None:
        """Closes this process's connection; safe to call twice."""
        with self._lock:
            self._closed = True
            if self._connection is not None and self._owner == os.getpid():
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lends the connection for reading; what one statement sees is whole blocks."""
        with self._lock, self._in_words():
            yield self._connected()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lends the connection inside a write transaction: committed at the end, rolled back on any exception."""
        with self._lock, self._in_words():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already; the first error is the one to report.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def writing_schema(self) -> Iterator[sqlite3.Connection]:
        """Like :meth:`writing`, on a file without tables, which it creates in the same transaction.

        Raises:
            ConfigError: The file holds a ledger or something else.
        """
        with self.reading() as connection:
            self._check_empty(connection)
            # Readers go on while a block is written. The file keeps this mode, so that opening never has to write.
            connection.execute("PRAGMA journal_mode = WAL")
        with self.writing() as connection:
            self._check_empty(connection)
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            yield connection

    def _check_empty(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise ConfigError(
                f"expected no ledger at {self.path}, found one",
                hint="Open it instead of creating it, or choose another path.",
            )

    def _check_format(self) -> None:
        with self.reading() as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION_ID:
                raise ConfigError(
                    f"expected an embedded ledger at {self.path}, found another or an empty database",
                    hint="Correct the ledger's path, or create a ledger with `proml init`.",
                )
            if version != _SCHEMA_VERSION:
                raise ConfigError(
                    f"expected version {_SCHEMA_VERSION} of the ledger's format in {self.path}, found {version}",
                    hint="Use the version of ProML that wrote it.",
                )

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise UnreachableError(f"the embedded ledger {self.path} was closed", hint="Open it again.")
        if self._connection is not None and self._owner != os.getpid():
            _INHERITED.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._connection = self._connect()
            self._owner = os.getpid()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # With NORMAL, killing the process loses nothing; a power cut may take the newest blocks, never part of
            # one, and the outbox sends their transactions again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -16000")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error


def _translated(error: sqlite3.Error, path: Path) -> ProMLError:
    """Returns the error of ours that says what SQLite's means."""
    primary_code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if primary_code == sqlite3.SQLITE_ERROR and "no such table" in str(error):
        primary_code = sqlite3.SQLITE_CORRUPT
    kind, what, hint = _MEANINGS.get(primary_code, (ProMLError, "failed unexpectedly", ""))
    return kind(f"the embedded ledger {path} {what} (SQLite says: {error})", hint=hint)


_LOCKED = (
    UnreachableError,
    "was kept locked by another process for too long",
    "Try again when that process has ended.",
)
_DAMAGED = (
    ConfigError,
    "is damaged, or is no embedded ledger; nothing was written to it",
    "Restore the file from a backup; records and outbox are kept in other files.",
)
_FULL = (
    LocalStorageError,
    "has no room left on its disk; the block was not added, earlier ones are whole",
    "Free some space and try again.",
)
_NOT_PERMITTED = (
    LocalStorageError,
    "cannot be opened and written",
    "Give yourself permission to write the file and its folder.",
)
_FAILING = (LocalStorageError, "is on a disk that fails; the block was not added", "Check the disk and its free space.")
_MEANINGS: dict[int, tuple[type[ProMLError], str, str]] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _NOT_PERMITTED,
    sqlite3.SQLITE_PERM: _NOT_PERMITTED,
    sqlite3.SQLITE_AUTH: _NOT_PERMITTED,
    sqlite3.SQLITE_CANTOPEN: _NOT_PERMITTED,
    sqlite3.SQLITE_IOERR: _FAILING,
    sqlite3.SQLITE_NOMEM: _FAILING,
}
