"""Content-addressed stores at any URL that fsspec knows, such as ``file:``, ``memory:``, ``s3:`` and ``sftp:``.

The layout is that of :mod:`proml.adapters.store_folder`. :func:`open_store` chooses between the two.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from proml.adapters.store_folder import (
    DEFAULT_MAX_BYTES,
    FolderStore,
    check_document,
    check_size,
    document_path,
)
from proml.core.digest import sha256
from proml.errors import ConfigError, LocalStorageError, MissingExtra, NotAvailable, ProMLError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proml.ports import Store

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")

OBJECT_STORES = frozenset({"abfs", "adl", "az", "gcs", "gs", "oci", "oss", "s3", "s3a"})
"""Where a write is all or nothing already, and where renaming means copying."""
_WHOLE_WRITES = OBJECT_STORES | {"memory"}
_LOCAL = frozenset({"file", "local"})
_SIDE_BY_SIDE = 8


def open_store(url: str, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Store:
    """Opens the store at a path or URL; local folders need no fsspec.

    Raises:
        ConfigError: The URL is of no known kind.
        MissingExtra: The package that its kind needs is not installed.
    """
    if not _SCHEME.match(url):
        return FolderStore(url, max_bytes=max_bytes)
    if url.startswith("file://"):
        return FolderStore(url.removeprefix("file://"), max_bytes=max_bytes)
    return FsspecStore(url, max_bytes=max_bytes)


class FsspecStore:
    """The :class:`~proml.ports.Store` below a URL.

    Args:
        url: The root, as fsspec takes it; a plain path is a local folder.
        max_bytes: Largest document taken or read, in bytes.
        options: Further arguments of the file system, such as an S3 end point.

    Raises:
        ConfigError: The URL is of no known kind.
        MissingExtra: fsspec, or the package that this kind of URL needs, is not installed.
    """

    def __init__(
        self, url: str, *, max_bytes: int = DEFAULT_MAX_BYTES, options: Mapping[str, Any] | None = None
    ) -> None:
        self.name = without_password(url)
        self._max_bytes = max_bytes
        self._files, self._root = open_url(url, dict(options or {}))
        protocol = self._files.protocol
        self._protocols = frozenset([protocol] if isinstance(protocol, str) else protocol)

    def put(self, data: bytes) -> bytes:
        """Stores the bytes and returns their digest; storing them again has no effect.

        A document that was damaged in the meantime is replaced.

        Raises:
            ContentError: They are more than the store takes.
            UnreachableError: No answer.
            LocalStorageError: A local disk is full or not writable.
        """
        check_size(len(data), self._max_bytes, "The document")
        digest = sha256(data)
        path = self._path(digest)
        with self._errors_in_words(digest):
            if not self._holds(path, data):
                self._write(path, data)
        return digest

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        """Stores documents side by side and returns their digests; raises as :meth:`put`."""
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            return list(pool.map(self.put, documents))

    def get(self, digest: bytes) -> bytes:
        """Returns the bytes.

        Raises:
            NotAvailable: The store does not have them.
            VerificationError: The stored bytes do not have this digest.
            ContentError: They are more than this store reads.
            UnreachableError: No answer.
        """
        path = self._path(digest)
        with self._errors_in_words(digest), self._files.open(path, "rb") as file:
            # One byte more than allowed tells a document that is too large, whatever the store says of its size.
            data: bytes = file.read(self._max_bytes + 1)
        check_size(len(data), self._max_bytes, f"sha256:{digest.hex()} in {self.name}")
        return check_document(data, digest, f"{self.name}/{document_path(digest)}")

    def has(self, digest: bytes) -> bool:
        """Tells whether the store has the bytes, without reading them."""
        path = self._path(digest)
        with self._errors_in_words(digest):
            return bool(self._files.isfile(path))

    def _path(self, digest: bytes) -> str:
        return f"{self._root.rstrip('/')}/{document_path(digest)}"

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            size = self._files.info(path)["size"]
        except FileNotFoundError:
            return False
        return bool(size == len(data) and self._files.cat_file(path) == data)

    def _write(self, path: str, data: bytes) -> None:
        folder = path.rpartition("/")[0]
        self._files.makedirs(folder, exist_ok=True)
        if self._protocols & _WHOLE_WRITES:
            self._files.pipe_file(path, data)
            return
        unfinished = f"{folder}/.unfinished-{secrets.token_hex(8)}"
        try:
            with self._files.open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                if self._protocols & _LOCAL:
                    os.fsync(file.fileno())
            self._files.mv(unfinished, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(unfinished)
            raise

    @contextlib.contextmanager
    def _errors_in_words(self, digest: bytes) -> Iterator[None]:
        try:
            yield
        except ProMLError:
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotAvailable(
                f"The store {self.name} does not have sha256:{digest.hex()}.",
                hint="Ask whoever recorded it to run `proml sync`, which publishes records in the workspace's stores.",
            ) from None
        except OSError as failure:
            if self._protocols & _LOCAL:
                raise LocalStorageError(
                    f"The store {self.name} cannot be used: {failure.strerror or failure}. "
                    "Nothing stored before was lost.",
                    hint="Free space on the disk, or make the folder readable and writable, and try again.",
                ) from failure
            raise self._unreachable(failure) from failure
        except Exception as failure:  # Each back end has exceptions of its own, with no common base.
            raise self._unreachable(failure) from failure

    def _unreachable(self, failure: Exception) -> UnreachableError:
        return _does_not_answer(self.name, failure)


def open_url(url: str, options: dict[str, Any]) -> tuple[Any, str]:
    """Returns fsspec's file system for a URL, and the root in it.

    Raises:
        ConfigError: The URL is of no known kind.
        MissingExtra: fsspec, or the package that this kind of URL needs, is not installed.
        UnreachableError: It does not answer.
    """
    name = without_password(url)
    try:
        import fsspec  # noqa: PLC0415 - 40 ms to import, and an optional dependency
    except ImportError as missing:
        raise MissingExtra(
            f"The store {name} needs the Python package fsspec, which is not installed.",
            hint="Install it with `pip install 'proml[ledger]'`.",
        ) from missing
    try:
        files, root = fsspec.core.url_to_fs(url, **options)  # type: ignore[no-untyped-call]
    except ImportError as missing:
        raise MissingExtra(
            f"The store {name} needs a Python package that is not installed: {missing}.",
            hint="Install the package that the message names.",
        ) from missing
    except (ValueError, TypeError) as wrong:
        raise ConfigError(
            f"{name!r} is not the URL of a store: {wrong}.",
            hint="Name a folder, or a URL such as file:///srv/store or s3://bucket/folder.",
        ) from wrong
    except Exception as failure:
        raise _does_not_answer(name, failure) from failure
    return files, str(root)


def _does_not_answer(name: str, failure: Exception) -> UnreachableError:
    return UnreachableError(
        f"The store {name} does not answer: {type(failure).__name__}: {failure}. Nothing recorded was lost.",
        hint="Check the URL, its credentials and the network; `proml sync` tries again.",
    )


def without_password(url: str) -> str:
    """Returns a URL as it may be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2]))
