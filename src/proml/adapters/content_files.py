"""A participant's own files as a place that has content: read where they are, and checked by whoever receives them."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from proml.contents import CHUNK_BYTES, ObjectName, not_there, read_only
from proml.errors import LocalStorageError, NotAvailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.contents import Chunks, OpenAt, Piece, Told
    from proml.core.manifest import Manifest


class LocalFiles:
    """The files of one content, and its manifest; a :class:`~proml.contents.Contents` to read from.

    Args:
        manifest: What they are.
        paths: Where they are, by their names in the manifest; those that are left out cannot be had.
        where: The file or folder, for messages.
    """

    def __init__(self, manifest: Manifest, paths: Mapping[str, str], where: str) -> None:
        self.where = where
        self._manifest = manifest
        self._paths = {
            ObjectName(one.algorithm, one.digest): paths[one.name] for one in manifest.resources if one.name in paths
        }

    def size(self, name: ObjectName) -> int | None:
        """Returns the length of a file as it is now; None if it is none of this content."""
        if self._is_manifest(name):
            return len(self._manifest.bytes)
        path = self._paths.get(name)
        if path is None:
            return None
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(path, error) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields a file's bytes; raises NotAvailable."""
        if self._is_manifest(name):
            yield self._manifest.bytes[offset:][:length]
            return
        path = self._paths.get(name)
        if path is None:
            raise NotAvailable(not_there(self.where, name))
        yield from read_file(path, name, self.where, offset, length)

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:  # noqa: ARG002 - the port's
        """Refuses: these files are their owner's."""
        raise read_only(self.where)

    def close(self) -> None:
        """Nothing is held."""

    def _is_manifest(self, name: ObjectName) -> bool:
        return name == ObjectName("sha256", self._manifest.digest)


def read_file(path: str | Path, name: ObjectName, where: str, offset: int = 0, length: int | None = None) -> Chunks:
    """Yields a file's bytes.

    Args:
        path: The file; nothing else there is read, and no symbolic link is followed.
        name: What it should be, for messages.
        where: Whose it is, for messages.
        offset: Where to begin.
        length: How many bytes at most; None is all.

    Raises:
        NotAvailable: There is no such file.
        LocalStorageError: It cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with closing(open(descriptor, "rb", buffering=0)) as file:  # noqa: PTH123 - by descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotAvailable(not_there(where, name), hint=f"{path} is no file any more.")
            file.seek(offset)
            yield from read_chunks(file, length)
    except (FileNotFoundError, NotADirectoryError):
        raise NotAvailable(not_there(where, name)) from None
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: OSError) -> LocalStorageError:
    """Returns the error for a file that the system does not let us read."""
    return LocalStorageError(
        f"{path} cannot be read: {error.strerror or error}.", hint="Correct its permissions, or check the disk."
    )


def read_chunks(file: BinaryIO, length: int | None) -> Iterator[bytes]:
    """Yields what follows in an open file: so many bytes, or all, in chunks."""
    left = length
    while left is None or left > 0:
        data = file.read(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
        if not data:
            return
        left = None if left is None else left - len(data)
        yield data
