"""What a participant shares, with whom, and what others placed here: one SQLite file in the working folder.

Tokens are kept as SHA-256: they are random and long, so that nobody finds one by trying. Any number of threads and
processes may use the file.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.adapters.sqlite_file import private_file
from proml.config import make_private_folder
from proml.errors import ConfigError, LocalStorageError, RefusedError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from proml.contents import ObjectName
    from proml.listing import Identity

_TOKEN_BYTES = 32
_WAIT_S = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS peers (
    name TEXT PRIMARY KEY, token BLOB NOT NULL UNIQUE, may_put INTEGER NOT NULL, quota_bytes INTEGER NOT NULL,
    created INTEGER NOT NULL, placed_bytes INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS shares (
    content BLOB PRIMARY KEY, label TEXT NOT NULL, root TEXT NOT NULL, manifest BLOB NOT NULL, files INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS files (
    algorithm TEXT NOT NULL, digest BLOB NOT NULL, content BLOB NOT NULL REFERENCES shares ON DELETE CASCADE,
    path TEXT NOT NULL, identity TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    PRIMARY KEY (algorithm, digest, content)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_of_content ON files (content);
CREATE TABLE IF NOT EXISTS placed (
    algorithm TEXT NOT NULL, digest BLOB NOT NULL, peer TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    PRIMARY KEY (algorithm, digest, peer)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS placed_by_peer ON placed (peer);
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A participant that has a token.

    Attributes:
        name: What the owner calls it.
        may_put: Whether it may place content here.
        quota_bytes: How much at most.
        created: Unix time, in seconds.
        placed_bytes: How much it has placed, or begun to.
    """

    name: str
    may_put: bool
    quota_bytes: int
    created: int
    placed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """A content that its owner shares from where it is.

    Attributes:
        content: The content digest.
        label: NAME@V.
        root: The file or folder.
        manifest: Its manifest's bytes.
        files: How many files it has.
        size_bytes: Their length.
    """

    content: bytes
    label: str
    root: str
    manifest: bytes
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file of a share.

    Attributes:
        name: Its digest.
        path: Where it is.
        identity: What it was when it was shared: another one is not given out.
        size_bytes: Its length.
    """

    name: ObjectName
    path: str
    identity: str
    size_bytes: int


class SqliteSharing:
    """The file.

    Args:
        path: Made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None

    # ----------------------------------------------------------------------------------------------------- peers

    def new_peer(self, name: str, *, may_put: bool, quota_bytes: int) -> str:
        """Makes a token for a peer and returns it; it is kept nowhere.

        Raises:
            UsageError: The peer has one.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = (name, _digest_of(token), may_put, quota_bytes, int(time.time()), name)
        # One that had a token before still has what it placed.
        placed = "(SELECT coalesce(sum(size_bytes), 0) FROM placed WHERE peer = ?)"
        with self._changed() as db:
            try:
                db.execute(f"INSERT INTO peers VALUES (?, ?, ?, ?, ?, {placed})", row)  # noqa: S608 - our own text
            except sqlite3.IntegrityError:
                raise UsageError(
                    f"{name!r} has a token.", hint=f"Revoke it first: `proml node token revoke {name}`."
                ) from None
        return token

    def peers(self) -> list[Peer]:
        """Returns all peers, by name."""
        with self._connected() as db:
            return [_peer(row) for row in db.execute(f"{_PEER} ORDER BY name").fetchall()]

    def peer_of(self, token: str) -> Peer | None:
        """Returns whose token it is; None if it is nobody's."""
        with self._connected() as db:
            row = db.execute(f"{_PEER} WHERE token = ?", (_digest_of(token),)).fetchone()
            return _peer(row) if row else None

    def revoke(self, name: str) -> None:
        """Makes a peer's token void; what it placed stays; raises UnknownName."""
        with self._changed() as db:
            if not db.execute("DELETE FROM peers WHERE name = ?", (name,)).rowcount:
                raise UnknownName(f"no peer {name!r} has a token.", hint="`proml node token list` shows them.")

    # ---------------------------------------------------------------------------------------------------- shares

    def share(self, share: Share, files: Iterable[tuple[ObjectName, str, Identity]]) -> None:
        """Shares a content, or shares it from elsewhere."""
        row = (share.content, share.label, share.root, share.manifest, share.files, share.size_bytes, int(time.time()))
        rows = (
            (name.algorithm, name.digest, share.content, path, identity_text(identity), identity.size_bytes)
            for name, path, identity in files
        )
        with self._changed() as db:
            db.execute("DELETE FROM shares WHERE content = ?", (share.content,))
            db.execute("INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            db.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def unshare(self, content: bytes) -> bool:
        """Shares a content no more; returns whether it was shared."""
        with self._changed() as db:
            return bool(db.execute("DELETE FROM shares WHERE content = ?", (content,)).rowcount)

    def shares(self) -> list[Share]:
        """Returns all, by name."""
        query = "SELECT content, label, root, manifest, files, size_bytes FROM shares ORDER BY label"
        with self._connected() as db:
            return [Share(*row) for row in db.execute(query).fetchall()]

    def manifest(self, content: bytes) -> bytes | None:
        """Returns the manifest of a shared content."""
        with self._connected() as db:
            row = db.execute("SELECT manifest FROM shares WHERE content = ?", (content,)).fetchone()
            return row[0] if row else None

    def files(self, name: ObjectName) -> list[SharedFile]:
        """Returns the shared files that were these bytes when they were shared."""
        query = "SELECT path, identity, size_bytes FROM files WHERE algorithm = ? AND digest = ?"
        with self._connected() as db:
            return [SharedFile(name, *row) for row in db.execute(query, (name.algorithm, name.digest)).fetchall()]

    # ---------------------------------------------------------------------------------------------------- placed

    def check_room(self, peer: Peer, name: ObjectName, size_bytes: int) -> None:
        """Raises RefusedError if a peer may not place an object of this length here."""
        with self._connected() as db:
            _check_room(db, peer, name, size_bytes)

    def reserve(self, peer: Peer, name: ObjectName, size_bytes: int) -> None:
        """Takes room for an object out of a peer's quota, before it comes.

        Raises:
            RefusedError: It may not place anything, or not so much.
        """
        with self._changed(durably=False) as db:
            more_bytes = _check_room(db, peer, name, size_bytes)
            if more_bytes is not None:
                db.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?)", (*_key(name), peer.name, size_bytes))
                db.execute(_USED, (more_bytes, peer.name))

    def release(self, peer: Peer, name: ObjectName) -> None:
        """Gives the room back that :meth:`reserve` took."""
        query = "DELETE FROM placed WHERE algorithm = ? AND digest = ? AND peer = ? RETURNING size_bytes"
        with self._changed(durably=False) as db:
            for (size_bytes,) in db.execute(query, (*_key(name), peer.name)).fetchall():
                db.execute(_USED, (-size_bytes, peer.name))

    def close(self) -> None:
        """Closes the file; it is opened again when it is needed."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """One connection for all threads, one after the other: opening it each time costs more than what it does."""
        with self._lock, self._errors_in_words():
            if self._db is None:
                self._db = self._open()
            yield self._db

    @contextmanager
    def _changed(self, *, durably: bool = True) -> Iterator[sqlite3.Connection]:
        """The same for a transaction that writes; the account of what was placed may lose its end by a power cut."""
        with self._connected() as db:
            db.execute(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
            with db:
                db.execute("BEGIN IMMEDIATE")
                yield db

    def _open(self) -> sqlite3.Connection:
        make_private_folder(self._path.parent)
        with private_file(self._path):
            db = sqlite3.connect(self._path, timeout=_WAIT_S, check_same_thread=False)
        db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; {_SCHEMA}")
        return db

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise LocalStorageError(
                f"{self._path} cannot be used: {error}.", hint="Free space, or correct its permissions."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self._path} is broken: {error}.", hint="Move it away; share anew, and make new tokens."
            ) from error
        except OSError as error:
            raise LocalStorageError(
                f"{self._path} cannot be made: {error.strerror or error}.", hint="Correct the folder's permissions."
            ) from error


_USED = "UPDATE peers SET placed_bytes = placed_bytes + ? WHERE name = ?"
_PEER = "SELECT name, may_put, quota_bytes, created, placed_bytes FROM peers"


def identity_text(identity: Identity) -> str:
    """Returns what a file was, as text."""
    return ":".join(str(part) for part in identity)


def _peer(row: tuple[str, int, int, int, int]) -> Peer:
    name, may_put, quota_bytes, created, placed_bytes = row
    return Peer(name, bool(may_put), quota_bytes, created, placed_bytes)


def _check_room(db: sqlite3.Connection, peer: Peer, name: ObjectName, size_bytes: int) -> int | None:
    """Returns how much room an object takes beside what the peer announced of it before; None if that is enough."""
    if not peer.may_put:
        raise RefusedError(f"{peer.name} may only read here.", hint="Ask the node's owner for a token with --may-put.")
    # Each peer's own: what one announces, truly or not, neither blocks nor pays for another.
    query = "SELECT size_bytes FROM placed WHERE algorithm = ? AND digest = ? AND peer = ?"
    row = db.execute(query, (*_key(name), peer.name)).fetchone()
    if row is not None and row[0] >= size_bytes:
        return None
    more_bytes = size_bytes - (row[0] if row else 0)
    found = db.execute("SELECT placed_bytes, quota_bytes FROM peers WHERE name = ?", (peer.name,)).fetchone()
    used_bytes, quota_bytes = found or (0, 0)
    if used_bytes + more_bytes > quota_bytes:
        raise RefusedError(
            f"{peer.name} may place {quota_bytes} bytes, and has placed {used_bytes}: no room for {size_bytes}.",
            hint="Ask the node's owner for a larger quota.",
        )
    return more_bytes


def _key(name: ObjectName) -> tuple[str, bytes]:
    return name.algorithm, name.digest


def _digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
