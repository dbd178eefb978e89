"""Clocks: the system's, and one that is set by hand."""

from __future__ import annotations

import time

_NANOSECONDS = 1_000_000_000


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Returns Unix time in nanoseconds."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Waits; a negative time is no wait."""
        time.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that moves only when it is told to, or slept on.

    Args:
        start_s: Unix time in seconds that it shows first.
    """

    def __init__(self, start_s: int) -> None:
        self._now_ns = start_s * _NANOSECONDS

    def now_ns(self) -> int:
        """Returns Unix time in nanoseconds."""
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        """Moves on by this much, without waiting."""
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Moves on, or back if ``seconds`` is negative."""
        self._now_ns += round(seconds * _NANOSECONDS)
