"""A lock that one process holds, on a file, and that the kernel releases when the process ends in whatever way."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING

from proml.errors import ConflictError, LocalStorageError

if TYPE_CHECKING:
    from pathlib import Path

_PAUSE_S = 0.02

# POSIX record locks do not keep threads of one process apart, and are not handed on by fork (which is why they are
# used: a forked worker that outlives its parent would keep a ``flock``). Threads are kept apart by these.
_threads: dict[tuple[int, str], threading.Lock] = {}


class ProcessLock:
    """A lock on a file: between processes by ``fcntl``, between threads of this one by a mutex.

    Args:
        path: The lock file; made when it does not exist, and left there.
        what: What is being done, as a noun phrase for messages.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        self.path = path
        self._what = what
        self._descriptor = -1
        self._mutex: threading.Lock | None = None

    def acquire(self, *, timeout_s: float) -> None:
        """Takes the lock.

        Raises:
            ConflictError: Another process or thread holds it for longer than ``timeout_s``.
            LocalStorageError: The lock file cannot be made.
        """
        deadline = time.monotonic() + timeout_s
        mutex = self._thread_mutex()
        if not mutex.acquire(timeout=max(timeout_s, 0)):
            raise self._held()
        try:
            self._descriptor = self._lock_file(deadline)
        except BaseException:
            mutex.release()
            raise
        self._mutex = mutex

    def release(self) -> None:
        """Releases the lock; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)  # which releases the lock
            self._descriptor = -1
        if self._mutex is not None:
            self._mutex.release()
            self._mutex = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def _thread_mutex(self) -> threading.Lock:
        # By process too: after a fork, the parent's mutex may be held by a thread that is not here.
        return _threads.setdefault((os.getpid(), str(self.path)), threading.Lock())

    def _lock_file(self, deadline: float) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            raise LocalStorageError(
                f"The lock file {self.path} cannot be made: {failure.strerror}. Nothing recorded was lost.",
                hint="Make its folder writable, and try again.",
            ) from failure
        try:
            while True:
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as failure:
                    if failure.errno not in (errno.EACCES, errno.EAGAIN):
                        raise LocalStorageError(
                            f"The file {self.path} cannot be locked: {failure.strerror}. Nothing recorded was lost.",
                            hint="Keep .proml on a file system that knows POSIX locks.",
                        ) from failure
                    if time.monotonic() >= deadline:
                        raise self._held() from None
                    time.sleep(_PAUSE_S)
                else:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise

    def _held(self) -> ConflictError:
        return ConflictError(
            f"Another process is {self._what} (it holds {self.path}). Nothing recorded was lost.",
            hint="Wait until it is done; what is in the outbox goes with the next `proml sync`.",
        )
