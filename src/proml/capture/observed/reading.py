"""Reads what observed Python programs reported: one line a fact, in the order in which it happened.

| kind | meaning | stamp and path are of |
|---|---|---|
| ``p`` | a Python started to report | its ``sys.prefix`` and ``sys.base_prefix`` |
| ``r`` | opened for reading | the file, as it was then |
| ``w`` | opened for writing, what was in it is not read | the file before; none if there was none |
| ``u`` | opened for both, or as a database | as above |
| ``m`` | renamed or linked | what had the new name before; old and new name |
| ``b`` | a Python started that does not report | why |
| ``l`` | the program reports no more, because of a limit | none |

A kind can be reported many times for a path, by several processes; the first counts. A line that was cut short, as by
a full disk, is skipped.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SIZE_LIMIT = 256 << 20
_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file is still what it was."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Touch:
    """The first time that a file was read, or written.

    Attributes:
        moment: Position among all facts.
        stamp: The file at that time; before writing None if there was none.
    """

    moment: int
    stamp: Stamp | None


@dataclass(slots=True)
class Seen:
    """What was reported.

    Attributes:
        reads: Files opened for reading, by absolute path.
        writes: Files opened for writing, or which got their name from another one.
        processes: How many Python programs reported; forks do not count.
        prefixes: Where their interpreters are installed.
        unobserved: Why Python programs did not report, with how many times at least.
        is_cut: Not everything was reported, as there was too much.
    """

    reads: dict[str, Touch] = field(default_factory=dict)
    writes: dict[str, Touch] = field(default_factory=dict)
    processes: int = 0
    prefixes: set[str] = field(default_factory=set)
    unobserved: dict[str, int] = field(default_factory=dict)
    is_cut: bool = False


def stamp_of(path: str) -> Stamp | None:
    """Returns a file's stamp as it is now; None if there is no regular file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - as the observer does
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def read_log(log: Path) -> Seen:
    """Reads what was reported.

    Raises:
        OSError: The file cannot be read.
    """
    seen = Seen()
    with log.open("rb") as file:
        for moment, line in enumerate(file):
            if file.tell() > _SIZE_LIMIT:
                seen.is_cut = True
                break
            parts = line.removesuffix(b"\n").split(b" ", _FIELDS - 1)
            if line.endswith(b"\n") and len(parts) == _FIELDS:
                _take(seen, moment, parts[0], _stamp(parts[1:-1]), os.fsdecode(_unescaped(parts[-1])))
    return seen


def _take(seen: Seen, moment: int, kind: bytes, stamp: Stamp | None, path: str) -> None:
    touch = Touch(moment, stamp)
    if kind in {b"r", b"w", b"u"}:
        path = os.path.normpath(path)
    match kind:
        case b"r":
            seen.reads.setdefault(path, touch)
        case b"w":
            seen.writes.setdefault(path, touch)
        case b"u":
            if stamp is not None:
                seen.reads.setdefault(path, touch)
            seen.writes.setdefault(path, touch)
        case b"m":
            source, _, target = path.partition("\0")
            _move(seen, os.path.normpath(source), os.path.normpath(target), touch)
        case b"p":
            seen.processes += 1
            seen.prefixes.update(path.split("\0"))
        case b"b":
            seen.unobserved[path] = seen.unobserved.get(path, 0) + 1
        case b"l":
            seen.is_cut = True


def _move(seen: Seen, source: str, target: str, touch: Touch) -> None:
    """Gives what was written under the old name the new one too; what is not there in the end is left out later."""
    seen.writes.setdefault(target, touch)
    below = source + os.sep
    for path in [path for path in seen.writes if path.startswith(below)]:
        seen.writes.setdefault(target + os.sep + path[len(below) :], Touch(touch.moment, None))


def _stamp(numbers: list[bytes]) -> Stamp | None:
    try:
        size_bytes, mtime_ns, ctime_ns, inode = map(int, numbers)
    except ValueError:
        return None
    return Stamp(size_bytes, mtime_ns, ctime_ns, inode)


def _unescaped(path: bytes) -> bytes:
    parts = path.split(b"\\\\")
    return b"\\".join(part.replace(b"\\n", b"\n") for part in parts)
