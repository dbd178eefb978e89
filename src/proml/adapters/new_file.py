"""Writes secret files: whole or not at all, for their owner only, and never over another."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from proml.errors import IdentityError, LocalStorageError

if TYPE_CHECKING:
    from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_new_file(path: Path, data: bytes) -> None:
    """Writes a file that did not exist, mode 0600, durably; its folder is made, mode 0700, if it is missing.

    Whoever looks sees no file or the whole file, even after a crash.

    Raises:
        IdentityError: The file exists.
        LocalStorageError: It cannot be written: disk full, read-only, or no permission.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write(temporary, data)
            _name(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise IdentityError(
            f"{path} exists already and is not overwritten: it may hold the only copy of a key",
            hint="Choose another name, or move the file away yourself.",
        ) from error
    except OSError as error:
        raise LocalStorageError(
            f"{path} cannot be written: {error.strerror}", hint="Free space, or correct the folder's permissions."
        ) from error


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _name(temporary: Path, path: Path) -> None:
    """Gives the file its name, unless the name is taken: a link fails where a rename would overwrite."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: reserve the name, then rename over the reservation.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some systems cannot open folders; the file itself is safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
