"""Reads files and folders and names their content by a manifest.

Files are read as bytes and never interpreted. What cannot be named truthfully is refused with ContentError that names
the file: a symlink inside a folder (wherever it points), a device, pipe or socket, a name that is not UTF-8 or holds
control characters, what cannot be read, an empty folder, and what changes while it is read. Nothing is left out but a
top-level ``.proml`` folder, ProML's own. Empty subfolders have no files and leave no trace in a manifest.

A change is seen by a file's size, times and inode before and after reading, and by listing the folder again at the end.
Who can set a file's times back within the same clock tick, as a superuser can, is not seen.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from proml.core.manifest import ALGORITHMS, SINGLE_FILE, Algorithm, Manifest, Resource, check_resource_name
from proml.core.name import show
from proml.errors import ContentError, InvalidRecord, ProMLError

if TYPE_CHECKING:
    from os import PathLike

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in total; one call at a time, from any thread."""

IGNORED_FOLDER = ".proml"
"""The one folder that is left out, at the top of the folder that is hashed."""

_CHUNK_BYTES = {"sha256": 1 << 20, "blake3": 1 << 23}  # blake3 divides a chunk among threads: larger chunks pay
_ALONE_BYTES = 1 << 20  # in total; below this, threads cost more than they save
_SMALL_BYTES = 1 << 15  # on average; hashing smaller files hardly ever lets another thread run (measured: 30 % slower)
_MAX_THREADS = 8
_KINDS = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file found, and what tells whether it changed since: device, inode, size, times of change."""

    name: str
    path: str
    identity: tuple[int, ...]
    size_bytes: int


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def digest(self) -> bytes: ...


def hash_path(
    path: str | PathLike[str],
    algorithm: Algorithm = "sha256",
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Manifest:
    """Returns the manifest of a file or folder.

    Memory stays bounded by the number of files; their bytes pass through one buffer for each thread.

    Args:
        path: A file (one resource named ``.``) or a folder. A symlink given here is followed, none inside is.
        algorithm: ``sha256`` or ``blake3``.
        progress: Told how far it is.
        threads: How many files are hashed at once at most (``blake3``: threads on each file instead); None is one
            for each core, at most 8. Many small files are hashed by one thread, which is faster.

    Raises:
        ContentError: Something cannot be read, is of an unsupported type, or changed meanwhile; the message names it.
    """
    if algorithm not in ALGORITHMS:
        raise ContentError(f"Expected the algorithm {' or '.join(ALGORITHMS)}, found {show(str(algorithm))}.")
    given = os.fspath(path)
    if not given:
        raise ContentError("Expected a path, found an empty one.", hint="Write '.' for the current folder.")
    with _reading(given):
        root = os.path.realpath(given, strict=True)
        entries = _list_files(root, given)
    work = _Hashing(algorithm, sum(entry.size_bytes for entry in entries), progress, _thread_count(threads))
    resources = work.all(entries)
    with _reading(given):
        again = _list_files(root, given)
    if again != entries:
        raise _changed(_first_difference(entries, again))
    try:
        return Manifest.of(resources, algorithm)
    except InvalidRecord as error:
        raise ContentError(error.message, hint=error.hint) from error


class _Hashing:
    """One run over a list of files: threads, progress, and the signal to stop after the first failure."""

    def __init__(self, algorithm: Algorithm, total_bytes: int, progress: Progress | None, threads: int) -> None:
        self._algorithm: Algorithm = algorithm
        self._total_bytes = total_bytes
        self._progress = progress
        self._threads = threads
        self._done_bytes = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def all(self, entries: list[_Entry]) -> list[Resource]:
        """Returns the files' resources, in any order."""
        self._report(0)
        waiting = iter(entries)
        workers = min(self._threads, len(entries)) if self._algorithm == "sha256" else 1
        if workers == 1 or self._total_bytes < max(_ALONE_BYTES, _SMALL_BYTES * len(entries)):
            return self._drain(waiting)
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # 5 ms, and small contents go without

        with ThreadPoolExecutor(workers, thread_name_prefix="proml-hashing") as pool:
            try:
                drained = [pool.submit(self._drain, waiting) for _ in range(workers)]
                return [resource for one in drained for resource in one.result()]
            except BaseException:
                self._stopped.set()  # also on Ctrl-C: the others stop at their next chunk
                raise

    def _drain(self, waiting: Iterator[_Entry]) -> list[Resource]:
        buffer = memoryview(bytearray(_CHUNK_BYTES[self._algorithm]))
        resources = []
        try:
            while not self._stopped.is_set():
                with self._lock:
                    entry = next(waiting, None)
                if entry is None:
                    break
                resources.append(self._one(entry, buffer))
        except BaseException:
            self._stopped.set()
            raise
        return resources

    def _one(self, entry: _Entry, buffer: memoryview) -> Resource:
        hasher = self._new_hasher()
        read_bytes = 0
        for chunk in _chunks(entry, buffer):
            if self._stopped.is_set():
                break
            hasher.update(chunk)
            read_bytes += len(chunk)
            self._report(len(chunk))
        return Resource(entry.name, self._algorithm, hasher.digest(), read_bytes)

    def _new_hasher(self) -> _Hasher:
        if self._algorithm == "sha256":
            return hashlib.sha256()
        from blake3 import blake3  # noqa: PLC0415  # rarely used: keeps `import proml` light

        return blake3(max_threads=self._threads)

    def _report(self, count: int) -> None:
        with self._lock:
            self._done_bytes += count
            if self._progress is not None:
                self._progress(self._done_bytes, self._total_bytes)


def _chunks(entry: _Entry, buffer: memoryview) -> Iterator[memoryview]:
    """Yields a file's bytes through the buffer; refuses the file if it is not, or does not stay, what was listed."""
    with _reading(entry.path):
        # O_NONBLOCK: a pipe put in the file's place must not block; O_NOFOLLOW: nor may a symlink be followed.
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # by descriptor
            if _identity(os.fstat(descriptor)) != entry.identity:
                raise _changed(entry.path)
            read_bytes = 0
            while count := file.readinto(buffer):
                read_bytes += count
                yield buffer[:count]
            if _identity(os.fstat(descriptor)) != entry.identity or read_bytes != entry.size_bytes:
                raise _changed(entry.path)


def _list_files(root: str, given: str) -> list[_Entry]:
    """Returns the files below a folder in a fixed order, or the one file; refuses what a manifest cannot name."""
    status = os.lstat(root)
    if not stat.S_ISDIR(status.st_mode):
        return [_entry(SINGLE_FILE, root, status)]
    found: list[_Entry] = []
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        with _reading(folder), os.scandir(folder) as children:
            for child in children:
                name = prefix + child.name
                if name == IGNORED_FOLDER and child.is_dir(follow_symlinks=False):
                    continue
                _check_name(name, given)
                with _reading(child.path):
                    status = child.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((name + "/", child.path))
                else:
                    found.append(_entry(name, child.path, status))
    if not found:
        raise ContentError(
            f"The folder {show(given)} has no files, so there is no content to name.",
            hint="Put the files there first, or name another path.",
        )
    return sorted(found, key=lambda entry: entry.name)


def _entry(name: str, path: str, status: os.stat_result) -> _Entry:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        hint = "Name regular files and folders only."
        if stat.S_ISLNK(status.st_mode):
            hint = "A manifest names bytes, not links: replace it by what it points to (`cp -L`), or move it away."
        raise ContentError(f"Expected a regular file, found {kind}: {show(path, 400)}.", hint=hint)
    return _Entry(name, path, _identity(status), status.st_size)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_mode, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _check_name(name: str, given: str) -> None:
    try:
        check_resource_name(name, f"the folder {show(given)}")
    except InvalidRecord as error:
        raise ContentError(error.message, hint=error.hint) from error


def _first_difference(before: list[_Entry], after: list[_Entry]) -> str:
    return min(set(before) ^ set(after), key=lambda entry: entry.name).path


def _changed(path: str) -> ContentError:
    return ContentError(
        f"The file {show(path, 400)} changed while it was read, so its digest would name nothing that exists.",
        hint="Wait until whatever writes it is done, then try again.",
    )


def _thread_count(threads: int | None) -> int:
    if threads is None:
        return min(_MAX_THREADS, os.cpu_count() or 1)
    if threads < 1:
        raise ContentError(f"Expected at least one thread, found {threads}.")
    return threads


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turns the system's errors into ContentError naming the path."""
    try:
        yield
    except ProMLError:
        raise
    except FileNotFoundError as error:
        raise ContentError(f"There is no file or folder {show(path, 400)}.", hint="Check the path.") from error
    except PermissionError as error:
        raise ContentError(
            f"Reading {show(path, 400)} is not permitted.", hint="Ask its owner for permission to read it."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ContentError(f"Reading {show(path, 400)} failed: {reason}.") from error
