"""Content at any URL that fsspec knows, such as ``s3:``, ``sftp:`` and ``file:``, laid out as in folders.

An object appears under its name whole or not at all: object stores get it in parts that are put together at the end,
others by a file beside it that is renamed. What was underway when the process died is sent again from the beginning.
"""

from __future__ import annotations

import contextlib
import io
import secrets
from typing import TYPE_CHECKING, Any

from proml.adapters.content_files import read_chunks
from proml.adapters.store_fsspec import OBJECT_STORES, open_url, without_password
from proml.contents import not_there
from proml.errors import LocalStorageError, NotAvailable, ProMLError, UnreachableError
from proml.filling import verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.contents import Chunks, ObjectName, OpenAt, Piece, Told

_PART_BYTES = 16 << 20
"""Length of a part of an upload: S3 takes at most 10,000 of them, so objects of up to 160 GB."""
_READ_BYTES = 8 << 20
_MOST_PARTS = 9_000


class FsspecContents:
    """The :class:`~proml.contents.Contents` below a URL.

    Args:
        url: The root, as fsspec takes it.
        options: Further arguments of the file system, such as an S3 end point.

    Raises:
        ConfigError: The URL is of no known kind.
        MissingExtra: fsspec, or the package that this kind of URL needs, is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.where = without_password(url)
        self._files, self._root = open_url(url, dict(options or {}))
        protocol = self._files.protocol
        self._protocols = frozenset([protocol] if isinstance(protocol, str) else protocol)

    def size(self, name: ObjectName) -> int | None:
        """Returns the length that the store tells; None if it has no such object."""
        with self._errors_in_words(name):
            self._forget(name)
            try:
                found = self._files.info(self._path(name))
            except (FileNotFoundError, NotADirectoryError):
                return None
            return int(found["size"]) if found["type"] == "file" else None

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields an object's bytes.

        Raises:
            NotAvailable: There is none.
            UnreachableError: No answer.
        """
        with self._errors_in_words(name):
            self._forget(name)
            if length is not None and length <= _READ_BYTES:
                data = self._files.cat_file(self._path(name), start=offset, end=offset + length)
                if data:
                    yield data
                return
            with self._files.open(self._path(name), "rb", block_size=_READ_BYTES, cache_type="readahead") as file:
                file.seek(offset)
                yield from read_chunks(file, length)

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        """Places an object.

        Raises:
            VerificationError: The bytes given have another digest; nothing is kept.
            UnreachableError: No answer.
            LocalStorageError: A local disk is full or not writable.
        """
        path = self._path(piece.name)
        with self._errors_in_words(None), contextlib.closing(verified(open_at(0), piece, told)) as chunks:
            if self._protocols & OBJECT_STORES:
                self._upload(path, chunks, piece.size_bytes)  # to a bucket that is there: a mistyped one is not made
            else:
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._write(path, chunks)

    def close(self) -> None:
        """Connections are fsspec's, which keeps them for others."""

    def _upload(self, path: str, chunks: Chunks, size_bytes: int) -> None:
        if size_bytes <= _PART_BYTES:
            whole = io.BytesIO()
            for chunk in chunks:
                whole.write(chunk)
            self._files.pipe_file(path, whole.getvalue())
            return
        part_bytes = max(_PART_BYTES, -(-size_bytes // _MOST_PARTS))
        # Not as a context manager, and committed by hand: closing such a file completes it, also after an error.
        file = self._files.open(path, "wb", block_size=part_bytes, autocommit=False)
        try:
            for chunk in chunks:
                file.write(chunk)
            file.close()
        except BaseException:
            file.closed = True
            with contextlib.suppress(Exception):
                file.discard()
            raise
        file.commit()
        self._files.invalidate_cache(path)

    def _write(self, path: str, chunks: Chunks) -> None:
        unfinished = f"{path.rpartition('/')[0]}/.unfinished-{secrets.token_hex(8)}"
        try:
            with self._files.open(unfinished, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            self._files.mv(unfinished, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(unfinished)
            raise

    def _path(self, name: ObjectName) -> str:
        return f"{self._root.rstrip('/')}/{name.path}"

    def _forget(self, name: ObjectName) -> None:
        """What somebody else placed since the last listing has to be seen."""
        self._files.invalidate_cache(self._path(name).rpartition("/")[0])

    @contextlib.contextmanager
    def _errors_in_words(self, name: ObjectName | None) -> Iterator[None]:
        try:
            yield
        except ProMLError:
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if name is None:
                raise UnreachableError(
                    f"{self.where} takes nothing: there is no such bucket or folder.",
                    hint="Make it, or correct the URL.",
                ) from error
            raise NotAvailable(not_there(self.where, name)) from None
        except OSError as failure:
            if self._protocols & {"file", "local"}:
                raise LocalStorageError(
                    f"{self.where} cannot be used: {failure.strerror or failure}.",
                    hint="Free space on the disk, or make the folder readable and writable, and try again.",
                ) from failure
            raise self._unreachable(failure) from failure
        except Exception as failure:  # Each back end has exceptions of its own, with no common base.
            raise self._unreachable(failure) from failure

    def _unreachable(self, failure: Exception) -> UnreachableError:
        return UnreachableError(
            f"{self.where} does not answer: {type(failure).__name__}: {failure}.",
            hint="Check the URL, its credentials and the network; then repeat the command: what arrived is kept.",
        )
