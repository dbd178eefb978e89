"""Whose turn it is to take what waits in an outbox: one process at a time, and others while a block is waited for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from proml.errors import ConflictError, UnreachableError

if TYPE_CHECKING:
    from types import TracebackType

    from proml.ports import Clock, Outbox, SenderLock

LOCK_TIMEOUT_S = 30.0
DECIDED = ("confirmed", "refused", "conflict", "dropped")


class AtWork(UnreachableError):
    """Another process is sending from this outbox, and does not come to an end."""


class Turn:
    """The sender's lock, had until the end of a ``with`` block, but for when something is waited for.

    Args:
        outbox: Whose.
        address: Who sends, for messages.
        clock: Sleeps.

    Raises:
        AtWork: Another process has it, and brings nothing on.
    """

    def __init__(self, outbox: Outbox, address: str, clock: Clock) -> None:
        self._outbox = outbox
        self._address = address
        self._clock = clock
        self._lock = self._take()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._release()

    def wait(self, seconds: float) -> None:
        """Waits without the lock; when it is had again, the outbox may be another."""
        self._release()
        self._clock.sleep(seconds)
        self._lock = self._take()

    def _release(self) -> None:
        self._lock.__exit__(None, None, None)

    def _take(self) -> SenderLock:
        """Takes the lock; waits for others as long as they bring the outbox on."""
        with suppress(ConflictError):
            return self._outbox.lock_sender(self._address, timeout_s=0)
        done = self._outbox.count(*DECIDED)
        while True:
            try:
                return self._outbox.lock_sender(self._address, timeout_s=LOCK_TIMEOUT_S)
            except ConflictError as error:
                before, done = done, self._outbox.count(*DECIDED)
                if done == before:
                    raise AtWork(error.message, hint=error.hint) from error
