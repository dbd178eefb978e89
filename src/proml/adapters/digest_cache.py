"""The digests of files that were read before, in one SQLite file of the working folder: ``.proml/digests.sqlite``.

A file is known by device, inode, size, and times of modification and change (to the nanosecond). The time of change is
set by the system at every write, at every setting of the other times, and when an inode gets a new file; a program
cannot set it. What this cannot see: a superuser who sets the clock back, and bytes written through a memory map that
was dirty already when the file was listed. So a random share of the known files is read on each use
(``PROML_RECHECK``), and what decides, `proml verify`, never asks here.

It is a cache: a file that is damaged, locked for long, or of a later version is as an empty one, and is made anew if
that is possible. Several processes may use it at once. Each row has a check sum, since SQLite has none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from proml.config import is_set
from proml.core.name import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from proml.core.manifest import Algorithm
    from proml.listing import Entry

RECHECK_SHARE = 0.01
"""Default of ``PROML_RECHECK``: about one known file in a hundred is read at each use."""
MAX_BYTES = 256 << 20
"""When the file gets larger, the rows that were not used for longest go: about two million files have room."""

_APPLICATION_ID = 0x50524D44  # PRMD
_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS digest (
    device      INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    algorithm   TEXT    NOT NULL,
    size_bytes  INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    changed_ns  INTEGER NOT NULL,
    digest      BLOB    NOT NULL,
    check_sum   BLOB    NOT NULL,
    used_day    INTEGER NOT NULL,
    PRIMARY KEY (device, inode, algorithm)
) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_FIND = """
SELECT size_bytes, modified_ns, changed_ns, digest, check_sum, used_day FROM digest
WHERE device = ? AND inode = ? AND algorithm = ?
"""
_TOUCH = "UPDATE digest SET used_day = ? WHERE device = ? AND inode = ? AND algorithm = ?"
_KEEP = "INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MEDIAN_DAY = "SELECT used_day FROM digest ORDER BY used_day LIMIT 1 OFFSET (SELECT COUNT(*) / 2 FROM digest)"
_COUNT = "SELECT COUNT(*) FROM digest"
_BUSY_S = 2.0
_DAY_S = 86_400
_CHECK_BYTES = 8
_SIGN_BIT = 1 << 63


class SqliteDigestCache:
    """A :class:`~proml.hashing.DigestCache` in one SQLite file.

    Args:
        path: The file; made when there is something to remember, in a folder that exists.
        recheck_share: Which share of the known files is read all the same.
        max_bytes: How large the file may get.
    """

    def __init__(self, path: Path, *, recheck_share: float = RECHECK_SHARE, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._recheck_share = recheck_share
        self._max_bytes = max_bytes

    @property
    def recheck_share(self) -> float:
        """Which share of the known files is read all the same, and compared; 0 to 1."""
        return self._recheck_share

    def find(self, entries: Sequence[Entry], algorithm: Algorithm) -> Mapping[str, bytes]:
        """Returns the digests of those files that are known and unchanged, by the entries' names."""
        if not self._path.exists():
            return {}
        found: dict[str, bytes] = {}
        with self._whole(), self._open() as connection:
            today, stale = _today(), []
            for entry in entries:
                key = _key(entry, algorithm)
                row = connection.execute(_FIND, key).fetchone()
                if row is not None and row[:3] == _state(entry) and row[4] == _check_sum(key, *row[:4]):
                    found[entry.name] = row[3]
                    if row[5] != today:
                        stale.append((today, *key))
            if stale:
                with contextlib.suppress(sqlite3.OperationalError):  # read-only or busy: it only seems older than it is
                    connection.executemany(_TOUCH, stale)
                    connection.commit()
        return found

    def keep(self, digests: Iterable[tuple[Entry, bytes]], algorithm: Algorithm) -> None:
        """Remembers digests."""
        rows = []
        for entry, digest in digests:
            key, state = _key(entry, algorithm), _state(entry)
            rows.append((*key, *state, digest, _check_sum(key, *state, digest), _today()))
        if rows:
            with self._whole(), self._open() as connection:
                connection.executemany(_KEEP, rows)
                connection.commit()
                self._shrink(connection)

    def drop(self) -> None:
        """Forgets everything."""
        for suffix in ("", "-journal"):
            with contextlib.suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # For each call anew: nothing is inherited by a fork, and a file that another process dropped is not kept open.
        connection = sqlite3.connect(self._path, timeout=_BUSY_S)
        try:
            connection.execute("BEGIN")  # another process may be making it: both are asked of the same state
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
            connection.commit()
            if found == [0, 0]:
                connection.executescript(_SCHEMA)
                self._path.chmod(0o600)
            elif found != [_APPLICATION_ID, _VERSION]:
                raise sqlite3.DatabaseError("not a digest cache of this version")
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Around every use: a damaged file is removed, and whatever else goes wrong is as if nothing were known."""
        try:
            yield
        except (sqlite3.OperationalError, OSError):
            pass  # locked, read-only, disk full: nothing is wrong with what is there
        except (sqlite3.Error, TypeError, ValueError, OverflowError):
            self.drop()

    def _shrink(self, connection: sqlite3.Connection) -> None:
        if _used_bytes(connection) <= self._max_bytes:
            return
        while _used_bytes(connection) > self._max_bytes and connection.execute(_COUNT).fetchone()[0]:
            median = connection.execute(_MEDIAN_DAY).fetchone()[0]
            if connection.execute("DELETE FROM digest WHERE used_day < ?", (median,)).rowcount == 0:
                # Most are of the same day: any half of those will do.
                connection.execute("DELETE FROM digest WHERE used_day = ? AND random() % 2 = 0", (median,))
        connection.commit()
        connection.execute("VACUUM")


def open_digest_cache(dot: Path) -> SqliteDigestCache | None:
    """Returns the cache of a working folder; None where ``PROML_NO_CACHE`` is set.

    Args:
        dot: ``.proml/``.
    """
    if is_set("PROML_NO_CACHE"):
        return None
    try:
        share = float(os.environ.get("PROML_RECHECK") or RECHECK_SHARE)
    except ValueError:
        share = 1.0  # whatever was meant, reading too much is the safe reading of it
    return SqliteDigestCache(dot / "digests.sqlite", recheck_share=share)


def wrong_digest(path: str) -> str:
    """Returns what people are told when a known file's bytes were not those of its digest."""
    return (
        f"the cached digest of {show(path, 400)} was not that of its bytes, although nothing shows that the file "
        "changed. The cache was deleted, and every file was read. Find out what changed it, or the clock."
    )


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page_bytes)


def _key(entry: Entry, algorithm: Algorithm) -> tuple[int, int, str]:
    return _signed(entry.identity.device), _signed(entry.identity.inode), algorithm


def _state(entry: Entry) -> tuple[int, int, int]:
    return entry.identity.size_bytes, entry.identity.modified_ns, entry.identity.changed_ns


def _signed(number: int) -> int:
    """Returns an unsigned 64-bit number as SQLite can hold it."""
    return (number ^ _SIGN_BIT) - _SIGN_BIT


def _check_sum(key: tuple[int, int, str], *values: object) -> bytes:
    return hashlib.blake2b(repr((key, values)).encode(), digest_size=_CHECK_BYTES).digest()


def _today() -> int:
    return int(time.time() // _DAY_S)
