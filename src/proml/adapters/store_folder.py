"""A content-addressed folder: ``ROOT/sha256/ab/cdef…``. Standard library only, because capture uses it.

The path of a document follows from its digest alone, so no name from outside ever becomes a path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from proml.core.digest import sha256
from proml.errors import ContentError, LocalStorageError, NotAvailable, ProMLError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
"""What one document may have by default: records are small, and a whole document is held in memory."""

_DIGEST_BYTES = 32
_UNFINISHED = ".unfinished-"
_FEW, _SIDE_BY_SIDE = 4, 16


def document_path(digest: bytes) -> str:
    """Returns where a document stands below a store's root: ``sha256/`` + 2 hex digits + ``/`` + the other 62.

    Raises:
        UsageError: The digest does not have 32 bytes.
    """
    if len(digest) != _DIGEST_BYTES:
        raise UsageError(f"expected a SHA-256 digest of 32 bytes, found {len(digest)}: 0x{bytes(digest).hex()[:80]}")
    digits = bytes(digest).hex()
    return f"sha256/{digits[:2]}/{digits[2:]}"


def check_document(data: bytes, digest: bytes, where: str) -> bytes:
    """Returns the bytes if they have this digest.

    Raises:
        VerificationError: They have another one.
    """
    found = sha256(data)
    if found != digest:
        raise VerificationError(
            f"The document at {where} was changed: expected sha256:{digest.hex()}, found sha256:{found.hex()} "
            f"({len(data)} bytes).",
            hint="Do not use it. Whoever has the original can put it again; the other stores may have it too.",
        )
    return data


def check_size(size_bytes: int, max_bytes: int, what: str) -> None:
    """Raises ContentError if something is larger than a store takes."""
    if size_bytes > max_bytes:
        raise ContentError(
            f"{what} has {size_bytes} bytes; this store takes at most {max_bytes}.",
            hint="Keep large content outside and let the record name its digest.",
        )


class FolderStore:
    """The :class:`~proml.ports.Store` in a local folder; safe for many processes at once.

    Args:
        root: The folder; made when something is first put.
        max_bytes: Largest document taken or read, in bytes.
    """

    def __init__(self, root: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.root = Path(root).absolute()
        self.name = str(self.root)
        self._max_bytes = max_bytes

    def put(self, data: bytes) -> bytes:
        """Stores the bytes durably and returns their digest; storing them again has no effect.

        A document that was damaged in the meantime is replaced.

        Raises:
            ContentError: They are more than the store takes.
            LocalStorageError: They cannot be written.
        """
        return self.put_all([data])[0]

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        """Stores documents durably, in little more time than one of them takes; returns their digests. See :meth:`put`.

        Raises:
            ContentError: One is more than the store takes; none was stored.
            LocalStorageError: One cannot be written; others may be stored.
        """
        for data in documents:
            check_size(len(data), self._max_bytes, "The document")
        digests = [sha256(data) for data in documents]
        paths = {self._path(digest): data for digest, data in zip(digests, documents, strict=True)}
        try:
            held = {path: None for path, data in paths.items() if self._holds(path, data)}
            _each(_sync_file, list(held))  # it may be a copy that was not waited for
            _write_all({path: data for path, data in paths.items() if path not in held}, durably=True)
            # The names have to be on disk too: the documents', and those of folders just made.
            folders = {os.path.dirname(path) for path in paths}
            _each(sync_folder, [*sorted(folders), *([f"{self.name}/sha256", self.name] if paths else [])])
        except OSError as failure:
            raise self._unusable(failure, "written") from failure
        return digests

    def keep_all(self, documents: Sequence[bytes]) -> None:
        """Keeps copies of what can be had elsewhere: whole, but they may be lost or damaged when the power fails.

        Raises:
            ContentError: One is more than the store takes; none was kept.
            LocalStorageError: One cannot be written; others may be kept.
        """
        for data in documents:
            check_size(len(data), self._max_bytes, "The document")
        try:
            _write_all({self._path(sha256(data)): data for data in documents}, durably=False)
        except OSError as failure:
            raise self._unusable(failure, "written") from failure

    def get(self, digest: bytes) -> bytes:
        """Returns the bytes.

        Raises:
            NotAvailable: The store does not have them.
            VerificationError: The stored bytes do not have this digest.
            ContentError: They are more than this store reads.
            LocalStorageError: They cannot be read.
        """
        path = self._path(digest)
        try:
            data = self._read(path)
        except (FileNotFoundError, NotADirectoryError):
            raise NotAvailable(
                f"The store {self.root} does not have sha256:{digest.hex()}.",
                hint="Ask whoever recorded it to run `proml sync`, which publishes records in the workspace's stores.",
            ) from None
        except OSError as failure:
            raise self._unusable(failure, "read") from failure
        return check_document(data, digest, str(path))

    def has(self, digest: bytes) -> bool:
        """Tells whether the store has the bytes, without reading them."""
        return os.path.isfile(self._path(digest))

    def _path(self, digest: bytes) -> str:
        return f"{self.name}/{document_path(digest)}"

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return os.stat(path).st_size == len(data) and self._read(path) == data
        except (OSError, ProMLError):
            return False

    def _read(self, path: str) -> bytes:
        # Without O_NONBLOCK, a FIFO that somebody put there would hang the reader.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise VerificationError(
                    f"{path} is not a regular file.", hint="Remove it; whoever has the original can put it again."
                )
            check_size(found.st_size, self._max_bytes, str(path))
            return file.read(self._max_bytes)

    def _unusable(self, failure: OSError, what: str) -> LocalStorageError:
        why = "the disk is full" if failure.errno in (errno.ENOSPC, errno.EDQUOT) else failure.strerror or str(failure)
        return LocalStorageError(
            f"A document in the store {self.root} cannot be {what}: {why}. Nothing stored before was lost.",
            hint="Free space on the disk, or make the folder readable and writable, and try again.",
        )


def _write_all(documents: Mapping[str, bytes], *, durably: bool) -> None:
    unfinished: dict[str, str] = {}
    mine = secrets.token_hex(8)
    try:
        for number, (path, data) in enumerate(documents.items()):
            folder = os.path.dirname(path)
            unfinished[path] = f"{folder}/{_UNFINISHED}{mine}-{number}"
            with _create(unfinished[path]) as file:
                file.write(data)
        if durably:
            _each(_sync_file, list(unfinished.values()))
        for path, written in unfinished.items():
            os.replace(written, path)
    except BaseException:
        for written in unfinished.values():
            with contextlib.suppress(OSError):
                os.unlink(written)
        raise


def _create(path: str) -> BinaryIO:
    """Opens a new file, and makes its folder if there is none."""
    try:
        return open(path, "xb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "xb")


def _each(step: Callable[[str], None], paths: Sequence[str]) -> None:
    """Takes a step that waits for the disk for all paths, side by side: file systems write for many at once."""
    if len(paths) <= _FEW:
        _one_by_one(step, paths)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - capture stores few and starts sooner without

    # A share for each thread: handing paths over one by one costs more than many a file system's answer.
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for _ in pool.map(_one_by_one, [step] * _SIDE_BY_SIDE, [paths[n::_SIDE_BY_SIDE] for n in range(_SIDE_BY_SIDE)]):
            pass


def _one_by_one(step: Callable[[str], None], paths: Sequence[str]) -> None:
    for path in paths:
        step(path)


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: str | Path) -> None:
    """Makes the names in a folder durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
