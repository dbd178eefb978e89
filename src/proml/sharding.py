"""Hashes files in shards, as OpenSSF Model Signing's method ``shards`` does: parts of equal length, each with a digest.

A shard's digest says which part of a very large file changed, and one file's shards are hashed side by side. Digests of
shards do not tell a file's own digest, which names content here (see :mod:`proml.core.manifest`): they serve to check
what somebody else signed. Empty files have no shards.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from proml.core.shards import SHARD_BYTES, Shard, spans
from proml.errors import ContentError
from proml.hashing import check_unchanged, find_entries, thread_count
from proml.listing import changed, identity_of, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from proml.core.manifest import Algorithm
    from proml.listing import Entry

_CHUNK_BYTES = 1 << 20


def hash_shards(
    path: str | PathLike[str],
    algorithm: Algorithm = "sha256",
    *,
    shard_bytes: int = SHARD_BYTES,
    threads: int | None = None,
) -> tuple[Shard, ...]:
    """Returns the shards of a file or folder, by name and place.

    Memory stays bounded by the number of shards; their bytes pass through one buffer for each thread.

    Args:
        path: As for :func:`proml.hashing.hash_path`.
        algorithm: ``sha256`` or ``blake3``.
        shard_bytes: Length of each shard but the last of a file.
        threads: How many shards are hashed at once at most; None is one for each core, at most 8.

    Raises:
        ContentError: As for :func:`proml.hashing.hash_path`; or a length or a number of threads is less than one.
    """
    if shard_bytes < 1:
        raise ContentError(f"Expected shards of at least one byte, found {shard_bytes}.")
    given, root, entries = find_entries(path)
    tasks = iter([(entry, start, end) for entry in entries for start, end in spans(entry.size_bytes, shard_bytes)])
    lock, stopped = threading.Lock(), threading.Event()

    def drain() -> list[Shard]:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        made: list[Shard] = []
        try:
            while not stopped.is_set():
                with lock:
                    task = next(tasks, None)
                if task is None:
                    break
                entry, start, end = task
                made.append(Shard(entry.name, start, end, _digest(entry, start, end, algorithm, buffer)))
        except BaseException:
            stopped.set()
            raise
        return made

    with ThreadPoolExecutor(thread_count(threads), thread_name_prefix="proml-sharding") as pool:
        workers = [pool.submit(drain) for _ in range(thread_count(threads))]
        shards = [shard for worker in workers for shard in worker.result()]
    check_unchanged(entries, root, given)
    return tuple(sorted(shards))


def _digest(entry: Entry, start: int, end: int, algorithm: Algorithm, buffer: memoryview) -> bytes:
    if algorithm == "sha256":
        sha = hashlib.sha256()
        for chunk in _chunks(entry, start, end, buffer):
            sha.update(chunk)
        return sha.digest()
    from blake3 import blake3  # noqa: PLC0415 - rarely used

    hasher = blake3()
    for chunk in _chunks(entry, start, end, buffer):
        hasher.update(chunk)
    return hasher.digest()


def _chunks(entry: Entry, start: int, end: int, buffer: memoryview) -> Iterator[memoryview]:
    """Yields a shard's bytes through the buffer; refuses the file if it is not, or does not stay, what was listed."""
    with reading(entry.path):
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - by descriptor
            if identity_of(os.fstat(descriptor)) != entry.identity:
                raise changed(entry.path)
            file.seek(start)
            while start < end:
                count = file.readinto(buffer[: end - start])
                if not count:
                    raise changed(entry.path)
                start += count
                yield buffer[:count]
            if identity_of(os.fstat(descriptor)) != entry.identity:
                raise changed(entry.path)
