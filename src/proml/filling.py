"""Completes a file from a source that may end, stall or lie at any byte, and checks it whole before it is used.

A partial file is continued where it ends, also after the process was killed: what it has is read again and goes into
the digest, so it needs no notes beside it that could be wrong.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

from proml.contents import CHUNK_BYTES, SourceFault
from proml.errors import ConflictError, LocalStorageError, ProMLError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proml.contents import Chunks, OpenAt, Piece, Told
    from proml.core.manifest import Algorithm

WINDOW_S = 30.0
"""How long a source is watched before it counts as too slow."""
SLOWEST_BYTES_S = 1024
"""What a source has to give on average meanwhile."""


class Hasher(Protocol):
    """What makes a digest."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Takes more bytes."""

    def digest(self) -> bytes:
        """Returns the digest of all."""


def new_hasher(algorithm: Algorithm) -> Hasher:
    """Returns a hasher for ``sha256`` or ``blake3``."""
    if algorithm == "sha256":
        return hashlib.sha256()
    from blake3 import blake3  # noqa: PLC0415 - rarely used

    return blake3()


def check_digest(hasher: Hasher, piece: Piece) -> None:
    """Raises VerificationError unless what was hashed is the object."""
    if hasher.digest() != piece.name.digest:
        raise wrong_bytes(piece, hasher.digest())


def wrong_bytes(piece: Piece, found: bytes | None = None) -> VerificationError:
    """Returns the error for bytes that are not what their name says; no digest if there were too many of them."""
    what = f"more than {piece.size_bytes} bytes" if found is None else f"{piece.name.algorithm}:{found.hex()}"
    return VerificationError(
        f"Expected {piece.size_bytes} bytes with the digest {piece.name}, found {what}.",
        hint="They were changed, or are another content's. Take them from elsewhere.",
    )


def ended_early(piece: Piece, have_bytes: int) -> SourceFault:
    """Returns the error for a source that gave too few bytes."""
    return SourceFault(f"expected {piece.size_bytes} bytes of {piece.name}, and they ended after {have_bytes}.")


def watched(chunks: Chunks, piece: Piece, have_bytes: int = 0) -> Chunks:
    """Passes bytes through until the object is whole.

    Args:
        chunks: What a source gives; closed at the end.
        piece: What it should become.
        have_bytes: How much of it there is already.

    Raises:
        VerificationError: There are more bytes than the object has.
        SourceFault: There are fewer, or they come too slowly.
    """
    since, come_bytes = time.monotonic(), 0
    with closing(chunks):
        while have_bytes < piece.size_bytes:
            chunk = next(chunks, None)
            if chunk is None:
                raise ended_early(piece, have_bytes)
            have_bytes += len(chunk)
            if have_bytes > piece.size_bytes:
                raise wrong_bytes(piece)
            yield chunk
            come_bytes += len(chunk)
            elapsed_s = time.monotonic() - since
            if elapsed_s > WINDOW_S:
                if come_bytes < SLOWEST_BYTES_S * elapsed_s:
                    raise SourceFault(f"{come_bytes} bytes of {piece.name} came in {elapsed_s:.0f} s: too slow.")
                since, come_bytes = time.monotonic(), 0
        if next((chunk for chunk in chunks if chunk), None) is not None:
            raise wrong_bytes(piece)


def verified(chunks: Chunks, piece: Piece, told: Told) -> Chunks:
    """Passes an object's bytes through as :func:`watched`; raises VerificationError at the end if they are not its."""
    hasher, done_bytes = new_hasher(piece.name.algorithm), 0
    try:
        with closing(watched(chunks, piece)) as passing:
            for chunk in passing:
                hasher.update(chunk)
                yield chunk
                told(len(chunk))
                done_bytes += len(chunk)
        check_digest(hasher, piece)
    except BaseException:
        told(-done_bytes)
        raise


@contextmanager
def filled(path: Path, piece: Piece, open_at: OpenAt, told: Told) -> Iterator[None]:
    """Completes a partial file and checks it; within, it is whole and on disk, and nobody else touches it.

    Args:
        path: The partial file, made if there is none. The caller gives it its name, within.
        piece: What it becomes.
        open_at: The source.
        told: Is told how far it is, what was there already included.

    Raises:
        VerificationError: The source's bytes have another digest. The file is emptied. That a part from before was to
            blame is ruled out: then everything is taken from the source once more.
        SourceFault: The source ended too early, or gives too little; what came is kept.
        ConflictError: Another process fills this file.
        LocalStorageError: It cannot be written.
    """
    with _locked(path, piece) as partial:
        if not partial.fill(piece, open_at, told):
            partial.fill(piece, open_at, told)
        with writing(path):
            os.fsync(partial.descriptor)
        yield


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turns the system's errors while something is written into LocalStorageError naming the path."""
    try:
        yield
    except ProMLError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LocalStorageError(
            f"{path} cannot be written: {'the disk is full' if full else error.strerror or error}.",
            hint="Free space, or correct its permissions, and repeat the command: it goes on where it stopped.",
        ) from error


class _Partial:
    """A partial file that this process alone writes to."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def fill(self, piece: Piece, open_at: OpenAt, told: Told) -> bool:
        """Completes and checks it; returns False, and empties it, if what was there before may have been wrong."""
        hasher = new_hasher(piece.name.algorithm)
        before = have_bytes = self._read_back(piece.size_bytes, hasher, told)
        try:
            # An empty file needs no source.
            if before < piece.size_bytes:
                for chunk in watched(open_at(before), piece, before):
                    self._append(chunk)
                    hasher.update(chunk)
                    have_bytes += len(chunk)
                    told(len(chunk))
            check_digest(hasher, piece)
        except BaseException as error:
            told(-have_bytes)
            if not isinstance(error, VerificationError):
                raise
            with writing(self.path):
                os.ftruncate(self.descriptor, 0)
            if not before:
                raise
            return False
        return True

    def _read_back(self, size_bytes: int, hasher: Hasher, told: Told) -> int:
        have_bytes = 0
        with writing(self.path):
            if os.fstat(self.descriptor).st_size > size_bytes:
                os.ftruncate(self.descriptor, size_bytes)
            os.lseek(self.descriptor, 0, os.SEEK_SET)
            while data := os.read(self.descriptor, CHUNK_BYTES):
                hasher.update(data)
                have_bytes += len(data)
                told(len(data))
        return have_bytes

    def _append(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        with writing(self.path):
            while left:  # a disk that gets full may take a part
                left = left[os.write(self.descriptor, left) :]


@contextmanager
def _locked(path: Path, piece: Piece) -> Iterator[_Partial]:
    """Opens a partial file for this process alone; never through a symbolic link, nor anything but a file."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        with writing(path):
            descriptor = os.open(path, flags, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConflictError(
                    f"another one receives {piece.name} at this moment.", hint="Wait until it is done."
                ) from None
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise LocalStorageError(f"expected a file at {path}, found something else.", hint="Move it away.")
            if not _is_at(path, status):
                continue  # it got its name, or was removed, between the two calls: the lock is on another file
            if status.st_nlink > 1:
                # It has its name as well, since a process was killed: writing here would change what is in place.
                with writing(path):
                    path.unlink()
                continue
            yield _Partial(path, descriptor)
            return
        finally:
            os.close(descriptor)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except FileNotFoundError:
        return False
