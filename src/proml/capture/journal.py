"""The journal of a run: append-only files of facts, one JSON object a line.

Each process writes files of its own (*segments*), so that processes never wait for one another. A fact is one
``write`` to a file opened with ``O_APPEND``: when the call returns the kernel has it, so killing the process loses
nothing, and lines of several threads never mix. Only a loss of power can lose what was not yet written back; see
``fsync_s``.

An observation is a line ``{"m":NAME,"v":VALUE,"s":STEP,"t":NANOSECONDS}``, written by hand for speed. Every other line
is a fact ``{"f":KIND,…,"t":NANOSECONDS}``. The reader skips a line that a full disk or a loss
of power cut short.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import operator
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from proml.capture import processes
from proml.capture.values import NAME_LIMIT, label, large_integer, non_finite
from proml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SUFFIX = ".jsonl"
CLOSING = "closing.json"
"""Is in the run's folder once the run has ended; what is written after that is in no record."""
ENDED = "the run has ended; nothing more can be recorded in it."
LATE = "what a process recorded after the run had ended is in the run's journal and in no record."
WAIT = "Let the process that started the run wait for its children before it ends the run."
_CLOSED = -1
_FIRST_DESCRIPTOR = 512  # out of the way of programs that close and reuse the lowest descriptors
_NAMES_LIMIT = 4096
_SHORT_INTEGER = 1 << 1000
_TAIL_BYTES = 1 << 16
_LEAVE, _PROCESS = b'{"f":"leave"', b'{"f":"process"'
_time_ns = time.time_ns
_write = os.write

_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


class Journal:
    """Writes this process's part of a run's journal.

    Args:
        folder: The run's folder; it exists.
        role: What this process is to the run: ``owner``, ``member`` or ``worker`` (a fork of one of these).
        about: Further facts about the process, for its segment's first line.
        fsync_s: Write back to the disk every so many seconds, against loss of power; 0 leaves it to the system.

    Attributes:
        token: Tells this writer from all others; it is in the first line of each of its segments.
    """

    def __init__(
        self, folder: Path, role: str, about: Mapping[str, object] | None = None, *, fsync_s: float = 0.0
    ) -> None:
        self._folder = folder
        self._role = role
        self._about = dict(about or {})
        self._fsync_s = fsync_s
        self.token = os.urandom(8).hex()
        self._descriptor = _CLOSED
        self._closed = False
        self._outlives = False  # a fork that goes on when the run has ended would write for nobody
        self._lock = threading.RLock()
        self._prefixes: dict[str, str] = {}
        self._waiting: Callable[[], None] | None = None
        self._open_segment()
        _journals.add(self)

    def observe(self, name: str, value: object, step: object = None) -> None:
        """Writes an observation; it is durable against SIGKILL when this returns. This is the hot path.

        Raises:
            TypeError, ValueError: The value is no real number, or the step is none.
            OSError: It could not be written.
            UsageError: The journal is closed.
        """
        try:
            prefix = self._prefixes[name]
        except (KeyError, TypeError):
            prefix = self._new_prefix(name)
        if type(value) is not float or value - value != 0.0:  # not a number and infinity minus themselves are not zero
            value = _number(value)
        if step is None:
            line = f'{prefix}{value},"s":null,"t":{_time_ns()}}}\n'.encode()
        elif type(step) is int:
            line = f'{prefix}{value},"s":{step},"t":{_time_ns()}}}\n'.encode()
        else:
            line = f'{prefix}{value},"s":{_number(step)},"t":{_time_ns()}}}\n'.encode()
        try:
            written = _write(self._descriptor, line)
        except OSError as error:
            self._write_anew(line, error)
        else:
            if written != len(line):
                self._abandon_segment(OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes could be written"))
            if self._outlives:
                self._check_not_ended()

    def write(self, kind: str, fact: Mapping[str, object]) -> None:
        """Writes a fact; it is durable against SIGKILL when this returns.

        Raises:
            OSError: It could not be written.
            UsageError: The journal is closed.
        """
        if self._waiting is not None:
            self._wake_waiting()
        line = _encode(kind, fact)
        try:
            written = _write(self._descriptor, line)
        except OSError as error:
            self._write_anew(line, error)
        else:
            if written != len(line):
                self._abandon_segment(OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes could be written"))
            if self._outlives:
                self._check_not_ended()

    def wake(self, waiting: Callable[[], None]) -> None:
        """Calls this once, when something is written next."""
        self._waiting = waiting
        self._prefixes.clear()  # so that observations pass by `_new_prefix`, and none has to look otherwise

    def sync(self) -> None:
        """Writes back to the disk what the kernel holds."""
        if self._descriptor != _CLOSED:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Ends this process's writing; safe to call twice."""
        with self._lock:
            self._closed = True
            descriptor, self._descriptor = self._descriptor, _CLOSED
            if descriptor != _CLOSED:
                os.close(descriptor)
        _journals.discard(self)

    def forked(self) -> None:
        """Lets go of the parent's segment, in a process that was just forked; the next fact opens one of its own."""
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._role, self.token, self._waiting = "worker", os.urandom(8).hex(), None
        self._outlives = True
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)

    def _wake_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()

    def _new_prefix(self, name: object) -> str:
        if self._waiting is not None:
            self._wake_waiting()
        if len(self._prefixes) >= _NAMES_LIMIT:
            self._prefixes.clear()
        prefix = f'{{"m":{json.dumps(label(str(name), NAME_LIMIT))},"v":'
        if type(name) is str:
            self._prefixes[name] = prefix
        return prefix

    def _open_segment(self) -> None:
        path = self._folder / f"{_time_ns():020d}-{os.getpid()}-{os.urandom(3).hex()}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        line = _encode("process", {**processes.identity(), "journal": self.token, "role": self._role, **self._about})
        try:
            _write_whole(descriptor, line)
            self._descriptor = _out_of_the_way(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if self._fsync_s > 0:
            threading.Thread(target=_sync_often, args=(weakref.ref(self), self._fsync_s), daemon=True).start()

    def _write_anew(self, line: bytes, error: OSError) -> None:
        """Writes a line into a new segment: after a fork, or when something closed the descriptor."""
        with self._lock:
            if self._closed:
                raise UsageError(ENDED, hint="Start a new run.")
            if self._descriptor != _CLOSED and error.errno != errno.EBADF:
                raise error
            self._open_segment()
            if _write(self._descriptor, line) != len(line):
                self._abandon_segment(OSError(errno.ENOSPC, "the line could not be written whole"))
        if self._outlives:
            self._check_not_ended()

    def _check_not_ended(self) -> None:
        """Raises if the run has ended; after writing, so that either this sees the end or the end sees the line."""
        if os.path.exists(f"{self._folder}/{CLOSING}"):  # noqa: PTH110 - a third of the time, and for each observation
            raise UsageError(LATE, hint=WAIT)

    def _abandon_segment(self, error: OSError) -> None:
        """Leaves a segment whose last line was cut short, so that the next line does not continue it."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, _CLOSED
            if descriptor != _CLOSED:
                os.close(descriptor)
        raise error


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as far as it counts: what is written behind ``size_bytes`` came after the run's end."""

    path: Path
    size_bytes: int


def segments(folder: Path) -> list[Segment]:
    """Returns a run's segments, oldest first, as long as they are now."""
    return [Segment(path, path.stat().st_size) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def lines(segment: Segment) -> Iterator[bytes]:
    """Yields a segment's whole lines without their end, in constant memory; a last line without an end is left out."""
    left = segment.size_bytes
    with segment.path.open("rb") as file:
        for line in file:
            left -= len(line)
            if left < 0 or not line.endswith(b"\n"):
                return
            yield line[:-1]


def facts(segment: Segment) -> Iterator[dict[str, object]]:
    """Yields a segment's facts, without its observations and without lines that were cut short."""
    for line in lines(segment):
        if line.startswith(b'{"f":'):
            try:
                fact = json.loads(line)
            except ValueError:
                continue
            if isinstance(fact, dict):
                yield cast("dict[str, object]", fact)


def writers(parts: Sequence[Segment]) -> list[dict[str, object]]:
    """Returns the first line of each segment: which process wrote it."""
    return [fact for part in parts for fact in [next(facts(part), {})] if fact.get("f") == "process"]


def has_left(segment: Segment) -> bool:
    """Tells whether a segment's writer has left the run, which is the last that it says; reads the end alone."""
    with segment.path.open("rb") as file:
        file.seek(max(0, segment.size_bytes - _TAIL_BYTES))
        return any(line.startswith(_LEAVE) for line in file.read(_TAIL_BYTES).splitlines())


def written_after(segment: Segment) -> bool:
    """Tells whether something was recorded in a segment behind where it counts."""
    with segment.path.open("rb") as file:
        file.seek(segment.size_bytes)
        return any(not line.startswith((_LEAVE, _PROCESS)) for line in file)


def fact_line(kind: str, fact: Mapping[str, object], time_ns: int) -> bytes:
    """Returns a fact as a line of a journal; the time is Unix time in nanoseconds."""
    return (json.dumps({"f": kind, **fact, "t": time_ns}, separators=(",", ":")) + "\n").encode("ascii")


def observation_line(name: str, value: object, step: object, time_ns: int) -> bytes:
    """Returns an observation that was made before as a line of a journal.

    Raises:
        TypeError, ValueError: The value is no real number, or the step is none.
    """
    number, place = _number(value), "null" if step is None else _number(step)
    return f'{{"m":{json.dumps(label(name, NAME_LIMIT))},"v":{number},"s":{place},"t":{max(time_ns, 0)}}}\n'.encode()


def _encode(kind: str, fact: Mapping[str, object]) -> bytes:
    return fact_line(kind, fact, _time_ns())


def _write_whole(descriptor: int, line: bytes) -> None:
    written = _write(descriptor, line)
    if written != len(line):
        raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes could be written")


def _number(value: object) -> str:
    """Returns any real number in JSON; those that JSON cannot hold as text."""
    if isinstance(value, float):
        number = float(value)
    else:
        try:
            integer = int(operator.index(value))  # type: ignore[arg-type]  # whatever is no integer raises TypeError
        except TypeError:
            number = float(value)  # type: ignore[arg-type]  # as above
        else:
            return str(integer) if abs(integer) < _SHORT_INTEGER else json.dumps(large_integer(integer))
    return repr(number) if math.isfinite(number) else json.dumps(non_finite(number))


def _out_of_the_way(descriptor: int) -> int:
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
    except OSError:
        return descriptor  # the process may not have so many
    os.close(descriptor)
    return moved


def _sync_often(reference: weakref.ref[Journal], interval_s: float) -> None:
    journal = reference()
    descriptor = journal._descriptor if journal else _CLOSED  # noqa: SLF001 - the thread is the journal's own
    while journal and descriptor != _CLOSED and journal._descriptor == descriptor:  # noqa: SLF001 - as above
        journal = None  # do not keep it alive while waiting
        time.sleep(interval_s)
        try:
            os.fsync(descriptor)
        except OSError:
            return
        journal = reference()


def _after_fork() -> None:
    for journal in list(_journals):
        journal.forked()


os.register_at_fork(after_in_child=_after_fork)
