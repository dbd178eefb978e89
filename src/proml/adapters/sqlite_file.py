"""Makes SQLite files that only their owner reads, without harm to connections that this process has to them.

A POSIX lock belongs to a process and a file, not to a descriptor: closing *any* descriptor of a file gives up all locks
that the process has on it (fcntl(2)), those of SQLite's connections included. Another process would then take itself
for the last user of a write-ahead log and delete it, with what is written to it afterwards ("How To Corrupt An SQLite
Database File", section 2.2, sqlite.org). So a file is opened here only when it does not exist, and nobody connects to
it before it is closed again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_making = threading.Lock()


@contextlib.contextmanager
def private_file(path: Path) -> Iterator[None]:
    """Makes an empty file with mode 0600 if there is none; connect to it within.

    SQLite gives the log and the shared memory beside it the same mode.

    Raises:
        OSError: It cannot be made.
    """
    with _making:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) from None
        yield


def _renew() -> None:
    global _making  # noqa: PLW0603 - another thread of the parent may have held it
    _making = threading.Lock()


os.register_at_fork(after_in_child=_renew)
