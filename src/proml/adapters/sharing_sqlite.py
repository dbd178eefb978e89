"""What a participant shares, with whom, and what others placed here: one SQLite file in the working folder.

Tokens are kept as SHA-256: they are random and long, so that nobody finds one by trying. Any number of threads and
processes may use the file; each call is a transaction of its own.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from contextlib import closing, contextmanager
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
    created INTEGER NOT NULL) STRICT;
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
        self._ready = False

    # ----------------------------------------------------------------------------------------------------- peers

    def new_peer(self, name: str, *, may_put: bool, quota_bytes: int) -> str:
        """Makes a token for a peer and returns it; it is kept nowhere.

        Raises:
            UsageError: The peer has one.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = (name, _digest_of(token), may_put, quota_bytes, int(time.time()))
        with self._connected(writes=True) as db:
            try:
                db.execute("INSERT INTO peers VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise UsageError(
                    f"{name!r} has a token.", hint=f"Revoke it first: `proml node token revoke {name}`."
                ) from None
        return token

    def peers(self) -> list[Peer]:
        """Returns all peers, by name."""
        with self._connected() as db:
            return [_peer(db, row) for row in db.execute(f"{_PEER} ORDER BY name").fetchall()]

    def peer_of(self, token: str) -> Peer | None:
        """Returns whose token it is; None if it is nobody's."""
        with self._connected() as db:
            row = db.execute(f"{_PEER} WHERE token = ?", (_digest_of(token),)).fetchone()
            return _peer(db, row) if row else None

    def revoke(self, name: str) -> None:
        """Makes a peer's token void; what it placed stays; raises UnknownName."""
        with self._connected(writes=True) as db:
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
        with self._connected(writes=True) as db:
            db.execute("DELETE FROM shares WHERE content = ?", (share.content,))
            db.execute("INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            db.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def unshare(self, content: bytes) -> bool:
        """Shares a content no more; returns whether it was shared."""
        with self._connected(writes=True) as db:
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
        with self._connected(writes=True) as db:
            if _check_room(db, peer, name, size_bytes):
                db.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?)", (*_key(name), peer.name, size_bytes))

    def release(self, peer: Peer, name: ObjectName) -> None:
        """Gives the room back that :meth:`reserve` took."""
        query = "DELETE FROM placed WHERE algorithm = ? AND digest = ? AND peer = ?"
        with self._connected(writes=True) as db:
            db.execute(query, (*_key(name), peer.name))

    @contextmanager
    def _connected(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            make_private_folder(self._path.parent)
            with private_file(self._path), closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as db:
                if not self._ready:
                    db.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA}")
                    self._ready = True
                db.executescript("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
                with db:
                    db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                    yield db
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise LocalStorageError(
                    f"{self._path} cannot be used: {error}.", hint="Free space, or correct its permissions."
                ) from error
            raise ConfigError(
                f"{self._path} is broken: {error}.", hint="Move it away; share anew, and make new tokens."
            ) from error
        except OSError as error:
            raise LocalStorageError(
                f"{self._path} cannot be made: {error.strerror or error}.", hint="Correct the folder's permissions."
            ) from error


_PEER = "SELECT name, may_put, quota_bytes, created FROM peers"


def identity_text(identity: Identity) -> str:
    """Returns what a file was, as text."""
    return ":".join(str(part) for part in identity)


def _peer(db: sqlite3.Connection, row: tuple[str, int, int, int]) -> Peer:
    name, may_put, quota_bytes, created = row
    return Peer(name, bool(may_put), quota_bytes, created, _placed_bytes(db, name))


def _placed_bytes(db: sqlite3.Connection, peer: str) -> int:
    return int(db.execute("SELECT coalesce(sum(size_bytes), 0) FROM placed WHERE peer = ?", (peer,)).fetchone()[0])


def _check_room(db: sqlite3.Connection, peer: Peer, name: ObjectName, size_bytes: int) -> bool:
    """Returns whether room has to be taken, which is not so for an object that somebody has announced already."""
    if not peer.may_put:
        raise RefusedError(f"{peer.name} may only read here.", hint="Ask the node's owner for a token with --may-put.")
    # Each peer's own: what one announces, truly or not, neither blocks nor pays for another.
    query = "SELECT size_bytes FROM placed WHERE algorithm = ? AND digest = ? AND peer = ?"
    row = db.execute(query, (*_key(name), peer.name)).fetchone()
    if row is not None and row[0] >= size_bytes:
        return False
    used_bytes = _placed_bytes(db, peer.name) - (row[0] if row else 0)
    if used_bytes + size_bytes > peer.quota_bytes:
        raise RefusedError(
            f"{peer.name} may place {peer.quota_bytes} bytes, and has placed {used_bytes}: no room for {size_bytes}.",
            hint="Ask the node's owner for a larger quota.",
        )
    return True


def _key(name: ObjectName) -> tuple[str, bytes]:
    return name.algorithm, name.digest


def _digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
