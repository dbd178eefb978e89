"""Reads files and folders and names their content by a manifest.

Files are read as bytes and never interpreted. What cannot be named truthfully is refused with ContentError that names
the file: a symlink inside a folder (wherever it points), a device, pipe or socket, a name that is not UTF-8 or holds
control characters, what cannot be read, an empty folder, and what changes while it is read. Nothing is left out but a
top-level ``.proml`` folder, ProML's own. Empty subfolders have no files and leave no trace in a manifest.

A change is seen by a file's size, times and inode before and after reading, and by listing the folder again at the end.
Who can set a file's times back within the same clock tick, as a superuser can, is not seen.

Digests can come from a cache (:class:`DigestCache`) instead of from the bytes, where :func:`hash_content` is given one:
for capturing, never for verifying. The result tells how many did.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from proml.core.manifest import ALGORITHMS, SINGLE_FILE, Algorithm, Manifest, Resource
from proml.core.name import show
from proml.errors import ContentError, InvalidRecord
from proml.listing import Entry, changed, first_difference, identity_of, list_files, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from proml.listing import Identity

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in total; one call at a time, from any thread."""

_CHUNK_BYTES = 1 << 20  # larger ones leave the processor's cache before they are hashed (blake3: 40 % more CPU time)
_ALONE_BYTES = 1 << 20  # in total; below this, threads cost more than they save
_SMALL_BYTES = 1 << 15  # on average; hashing smaller files hardly ever lets another thread run (measured: 30 % slower)
_MAX_THREADS = 8
_SETTLED_NS = 2_000_000_000
"""A file that changed less than this before it was listed may change again without its times showing it, as git's racy
entries: the coarsest clock of a file system in use (FAT) ticks every two seconds."""
_DRAW_BYTES = 4


class DigestCache(Protocol):
    """Digests of files that were read before. No method raises: what cannot be read or written is as not known."""

    @property
    def recheck_share(self) -> float:
        """Which share of the known files is read all the same, and compared; 0 to 1."""

    def find(self, entries: Sequence[Entry], algorithm: Algorithm) -> Mapping[str, bytes]:
        """Returns the digests of those files that are known and unchanged, by the entries' names."""

    def keep(self, digests: Iterable[tuple[Entry, bytes]], algorithm: Algorithm) -> None:
        """Remembers digests."""

    def drop(self) -> None:
        """Forgets everything."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A content, and where its digests are from.

    Attributes:
        manifest: Files and digests.
        read: How many files were read.
        cached: How many digests were taken from the cache.
        stated: How many digests were made elsewhere and taken as they were.
        wrong: Path of a file whose digest in the cache was not that of its bytes; then all files were read. Else empty.
    """

    manifest: Manifest
    read: int
    cached: int = 0
    stated: int = 0
    wrong: str = ""

    def mark(self) -> dict[str, dict[str, int]]:
        """Returns what a record says, under ``digests``: numbers of files by origin; empty if all were read here."""
        if not self.cached and not self.stated:
            return {}
        told = {"read": self.read, "cached": self.cached, "stated": self.stated}
        return {"digests": {name: count for name, count in told.items() if count}}


def hash_path(
    path: str | PathLike[str],
    algorithm: Algorithm = "sha256",
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Manifest:
    """Returns the manifest of a file or folder; every byte is read.

    Memory stays bounded by the number of files; their bytes pass through one buffer for each thread.

    Args:
        path: A file (one resource named ``.``) or a folder. A symlink given here is followed, none inside is.
        algorithm: ``sha256`` or ``blake3``.
        progress: Told how far it is.
        threads: How many files are hashed at once at most (``blake3``: also threads on a file that is larger than all
            others together); None is one for each core, at most 8. Many small files are hashed by one thread, which is
            faster.

    Raises:
        ContentError: Something cannot be read, is of an unsupported type, or changed meanwhile; the message names it.
    """
    return hash_content(path, algorithm, progress=progress, threads=threads).manifest


def hash_content(
    path: str | PathLike[str],
    algorithm: Algorithm = "sha256",
    *,
    cache: DigestCache | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Hashed:
    """Returns the manifest of a file or folder; files that the cache knows are not read, but for a random sample.

    If a file of the sample has another digest than the cache says, the cache is dropped and every file is read.

    Args:
        path: As for :func:`hash_path`, and so are the others.
        algorithm: ``sha256`` or ``blake3``.
        cache: Digests of earlier calls; those that this one makes are added. None reads everything.
        progress: Told how far it is, of the bytes to be read.
        threads: How many at most.

    Raises:
        ContentError: As for :func:`hash_path`.
    """
    if algorithm not in ALGORITHMS:
        raise ContentError(f"Expected the algorithm {' or '.join(ALGORITHMS)}, found {show(str(algorithm))}.")
    started_ns = time.time_ns()
    given, root, entries = find_entries(path)
    count = thread_count(threads)

    def read(wanted: list[Entry]) -> list[Resource]:
        total_bytes = sum(entry.size_bytes for entry in wanted)
        return _Hashing(algorithm, total_bytes, progress, count).all(wanted)

    known = dict(cache.find(entries, algorithm)) if cache is not None else {}
    sample = _draw(known, cache.recheck_share) if cache is not None else set()
    resources = read([entry for entry in entries if entry.name not in known or entry.name in sample])
    wrong = [one.name for one in resources if one.name in sample and one.digest != known[one.name]]
    if wrong and cache is not None:
        cache.drop()
        resources += read([entry for entry in entries if entry.name in known and entry.name not in sample])
        known = {}
    check_unchanged(entries, root, given)
    digests = {one.name: one.digest for one in resources}
    if cache is not None:
        settled = (entry for entry in entries if entry.name in digests and _is_settled(entry, started_ns))
        cache.keep([(entry, digests[entry.name]) for entry in settled], algorithm)
    kept = [entry for entry in entries if entry.name not in digests]
    resources += [Resource(entry.name, algorithm, known[entry.name], entry.size_bytes) for entry in kept]
    wrong_path = next((entry.path for entry in entries if entry.name in wrong), "")
    return Hashed(manifest_of(resources, algorithm), len(digests), len(kept), wrong=wrong_path)


def known_content(
    path: str | PathLike[str], identity: Identity, cache: DigestCache, algorithm: Algorithm = "sha256"
) -> Hashed | None:
    """Returns what a file was at an earlier time, if the cache knows it as it was then; reads nothing.

    Args:
        path: The file, which may have changed since, or be gone.
        identity: What a stat call said of it then.
        cache: Digests of earlier calls.
        algorithm: ``sha256`` or ``blake3``.
    """
    entry = Entry(SINGLE_FILE, os.fspath(path), identity)
    digest = cache.find([entry], algorithm).get(entry.name)
    if digest is None:
        return None
    return Hashed(manifest_of([Resource(entry.name, algorithm, digest, entry.size_bytes)], algorithm), 0, cached=1)


def find_entries(path: str | PathLike[str]) -> tuple[str, str, list[Entry]]:
    """Returns the path as it was given, the real one, and the files there.

    Raises:
        ContentError: There is nothing, or something that no manifest can name.
    """
    given = os.fspath(path)
    if not given:
        raise ContentError("Expected a path, found an empty one.", hint="Write '.' for the current folder.")
    with reading(given):
        root = os.path.realpath(given, strict=True)
        return given, root, list_files(root, given)


def check_unchanged(entries: list[Entry], root: str, given: str) -> None:
    """Lists the files again.

    Raises:
        ContentError: They are not the same, or one changed.
    """
    with reading(given):
        again = list_files(root, given)
    if again != entries:
        raise changed(first_difference(entries, again))


def manifest_of(resources: Iterable[Resource], algorithm: Algorithm) -> Manifest:
    """Returns the manifest of files that were found; raises ContentError where it would not be valid."""
    try:
        return Manifest.of(resources, algorithm)
    except InvalidRecord as error:
        raise ContentError(error.message, hint=error.hint) from error


def _draw(names: Iterable[str], share: float) -> set[str]:
    """Returns a random sample; not from :mod:`random`, whose state is the user's."""
    if share <= 0:
        return set()
    limit = share * (1 << 8 * _DRAW_BYTES)
    return {name for name in names if int.from_bytes(os.urandom(_DRAW_BYTES)) < limit}


def _is_settled(entry: Entry, started_ns: int) -> bool:
    return max(entry.identity.modified_ns, entry.identity.changed_ns) <= started_ns - _SETTLED_NS


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def digest(self) -> bytes: ...


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

    def all(self, entries: list[Entry]) -> list[Resource]:
        """Returns the files' resources, in any order."""
        self._report(0)
        waiting = iter(entries)
        workers = min(self._threads, len(entries))
        if workers <= 1 or self._total_bytes < max(_ALONE_BYTES, _SMALL_BYTES * len(entries)):
            return self._drain(waiting)
        waiting = iter(sorted(entries, key=lambda entry: entry.size_bytes, reverse=True))  # so that all end together
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # 5 ms, and small contents go without

        with ThreadPoolExecutor(workers, thread_name_prefix="proml-hashing") as pool:
            try:
                drained = [pool.submit(self._drain, waiting) for _ in range(workers)]
                return [resource for one in drained for resource in one.result()]
            except BaseException:
                self._stopped.set()  # also on Ctrl-C: the others stop at their next chunk
                raise

    def _drain(self, waiting: Iterator[Entry]) -> list[Resource]:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
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

    def _one(self, entry: Entry, buffer: memoryview) -> Resource:
        hasher = self._new_hasher(entry)
        read_bytes = 0
        for chunk in _chunks(entry, buffer):
            if self._stopped.is_set():
                break
            hasher.update(chunk)
            read_bytes += len(chunk)
            self._report(len(chunk))
        return Resource(entry.name, self._algorithm, hasher.digest(), read_bytes)

    def _new_hasher(self, entry: Entry) -> _Hasher:
        if self._algorithm == "sha256":
            return hashlib.sha256()
        from blake3 import blake3  # noqa: PLC0415  # rarely used: keeps `import proml` light

        # Files side by side are faster than threads within a file, but for one that the others would wait for.
        return blake3(max_threads=self._threads if 2 * entry.size_bytes > self._total_bytes else 1)

    def _report(self, count: int) -> None:
        with self._lock:
            self._done_bytes += count
            if self._progress is not None:
                self._progress(self._done_bytes, self._total_bytes)


def _chunks(entry: Entry, buffer: memoryview) -> Iterator[memoryview]:
    """Yields a file's bytes through the buffer; refuses the file if it is not, or does not stay, what was listed."""
    with reading(entry.path):
        # O_NONBLOCK: a pipe put in the file's place must not block; O_NOFOLLOW: nor may a symlink be followed.
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # by descriptor
            if identity_of(os.fstat(descriptor)) != entry.identity:
                raise changed(entry.path)
            read_bytes = 0
            while count := file.readinto(buffer):
                read_bytes += count
                yield buffer[:count]
            if identity_of(os.fstat(descriptor)) != entry.identity or read_bytes != entry.size_bytes:
                raise changed(entry.path)


def thread_count(threads: int | None) -> int:
    """Returns how many threads are meant; raises ContentError for less than one."""
    if threads is None:
        return min(_MAX_THREADS, os.cpu_count() or 1)
    if threads < 1:
        raise ContentError(f"Expected at least one thread, found {threads}.")
    return threads
