"""The folder of one run, ``.proml/runs/RUN_ID/``: how it is made, joined, and sealed.

| file | holds |
|---|---|
| ``run.json`` | how the run began; there from the folder's first instant |
| ``*.jsonl`` | the journal: one segment for each process |
| ``contents/`` | manifests of what was published, by content digest |
| ``closing.json`` | the extent: how the run ended and how far the journal counts |
| ``closed.json`` | what was made of it; the run needs nothing more |
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proml.capture.journal import CLOSING, LATE, WAIT, Segment, segments, written_after
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

START = "run.json"
CLOSED = "closed.json"
CONTENTS = "contents"
_NEW = ".new-"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ABANDONED_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Start:
    """How a run began; whoever joins or closes it goes by this.

    Attributes:
        id: The run's id, unique for ever.
        secret: Hex; the salts of its records are made from it, so that closing twice makes the same records.
        shared: The id was given by a launcher: all processes are equal, and the last one to leave closes the run.
        started_ns: Unix time in nanoseconds.
        facts: Fields of a record's ``run`` known at the start, and ``tags`` and ``parent`` if any.
    """

    id: str
    secret: str
    shared: bool
    started_ns: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    Attributes:
        ended_ns: Unix time in nanoseconds.
        exit_status: As a shell would see it; None if it is not known.
        interrupted: The process vanished: killed, or the machine stopped.
        exception: ``type`` and ``message`` of what ended it.
    """

    ended_ns: int
    exit_status: int | None = None
    interrupted: bool = False
    exception: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """A run's end, decided once: what is made of the run depends on nothing else."""

    ending: Ending
    segments: tuple[Segment, ...]


def new_id() -> str:
    """Returns an id that sorts by time: ``20261122T100000-1f0c9a7b2d3e``."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.urandom(6).hex()}"


def check_id(run_id: str) -> str:
    """Returns the id if it can name a folder.

    Raises:
        UsageError: It cannot.
    """
    if not _ID.fullmatch(run_id):
        raise UsageError(
            f"expected a run's id of 1 to 100 letters, digits, '.', '_' and '-' in PROML_RUN; found {run_id!a}.",
            hint="Set PROML_RUN to such an id, or unset it.",
        )
    return run_id


def make(folder: Path, start: Start, fill: Callable[[Path], None] | None = None) -> bool:
    """Makes a run's folder, whole or not at all.

    Args:
        folder: The run's folder; its parent exists.
        start: What goes into it.
        fill: Puts more into it, before anybody sees it.

    Returns:
        False if it was there already, made by another process.

    Raises:
        OSError: It cannot be made.
    """
    fresh = folder.with_name(f"{_NEW}{os.urandom(8).hex()}")
    fresh.mkdir(mode=0o700)
    try:
        (fresh / START).write_text(json.dumps(asdict(start)), encoding="ascii")
        if fill is not None:
            fill(fresh)
        try:
            fresh.rename(folder)  # fails if the folder exists, as no run's folder is empty
        except OSError:
            if not folder.is_dir():
                raise
            return False
        return True
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_start(folder: Path) -> Start:
    """Reads how a run began.

    Raises:
        ConfigError: The file is missing or damaged.
    """
    try:
        return Start(**_read(folder / START))
    except TypeError as error:
        raise _damaged(folder / START, error) from error


def seal(folder: Path, ending: Ending) -> Extent:
    """Decides how a run ended and how far its journal counts; if that is decided already, returns what was decided.

    The caller holds :func:`locked`.

    Raises:
        OSError: It cannot be written.
        ConfigError: The file is damaged.
    """
    if not (folder / CLOSING).exists():
        parts = segments(folder)
        value = {**asdict(ending), "segments": [[part.path.name, part.size_bytes] for part in parts]}
        write_whole(folder / CLOSING, json.dumps(value).encode())
    return read_extent(folder)


def read_extent(folder: Path) -> Extent:
    """Reads what :func:`seal` decided.

    Raises:
        ConfigError: The run has not ended, or the file is damaged.
    """
    value = _read(folder / CLOSING)
    try:
        parts = tuple(Segment(folder / Path(name).name, size) for name, size in value.pop("segments"))
        return Extent(Ending(**value), parts)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / CLOSING, error) from error


def check_not_outlived(folder: Path) -> None:
    """Checks that nothing was recorded in a run after it had ended, if it has.

    Raises:
        UsageError: A process did, which is in no record then.
    """
    if not is_sealed(folder):
        return
    counted = {part.path.name: part.size_bytes for part in read_extent(folder).segments}
    found = [Segment(part.path, counted.get(part.path.name, 0)) for part in segments(folder)]
    if any(map(written_after, found)):
        raise UsageError(LATE, hint=WAIT)


def is_sealed(folder: Path) -> bool:
    """Tells whether the run has ended; nothing more can be recorded in it."""
    return (folder / CLOSING).exists()


def is_closed(folder: Path) -> bool:
    """Tells whether all that follows from the run is in the store and the outbox."""
    return (folder / CLOSED).exists()


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keeps other processes from closing the run meanwhile; yields False if one does so and ``wait`` is False."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file durably, so that at any instant it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def remove_abandoned(runs: Path) -> None:
    """Removes what processes left that were killed while they made a run's folder."""
    for path in runs.glob(f"{_NEW}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(
            f"expected a run's {path.name}; there is no {path}.", hint="Name a run that ended."
        ) from error
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise _damaged(path, "it is no object")
    return cast("dict[str, Any]", value)


def _damaged(path: Path, error: object) -> ConfigError:
    return ConfigError(
        f"{path} cannot be used: {error}.", hint=f"Move {path.parent} away; what it recorded is not in the outbox."
    )
