"""Processor time and memory of a process with all that it started, and of the machine.

What the standard library can tell costs microseconds and is there at once; psutil, which tells the rest, takes longer
to import than all of capture and is loaded when the first :class:`Host` is made.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TREE_SHARE = 200
"""The tree is looked through anew after this many times as long as looking took: 0.5 % of one core at most."""
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage(2) on macOS counts bytes
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TreeReading:
    """Processes, their processor time in seconds since each began, and their resident memory.

    Memory that processes share counts in each of them.
    """

    processes: int
    cpu_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class MachineReading:
    """Processor time since the machine began, in seconds of one core, and the memory that is in use."""

    busy_s: float
    total_s: float
    memory_bytes: int


def own_cpu_s() -> float:
    """Returns this process's processor time in seconds."""
    times = os.times()
    return times.user + times.system


def waited_cpu_s() -> float:
    """Returns the processor time in seconds of the processes that this one started and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def own_peak_bytes() -> int:
    """Returns the most resident memory that this process ever had."""
    # What getrusage(2) says is, after an exec, at least what the program had that was there before.
    try:
        found = _PEAK.search(Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT_BYTES


def largest_waited_bytes() -> int:
    """Returns the most memory that one of the ended children had; at least what this process had when it began."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT_BYTES


class Host:
    """Reads processes and the machine by psutil."""

    def __init__(self) -> None:
        import psutil  # noqa: PLC0415 - takes long to import

        self._psutil: Any = psutil
        self._self = self._psutil.Process()
        self._below: list[Any] = []
        self._look_again = 0.0

    def tree(self, *, own: bool) -> TreeReading:
        """Returns what the processes below this one, and this one if it is its own, have now.

        Of processes that ended, those are counted whose end was waited for by what started them.
        """
        count, cpu_s, memory_bytes = 0, waited_cpu_s(), 0
        for process in [*([self._self] if own else []), *self._descendants()]:
            try:
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
            except self._psutil.Error:
                continue  # it has ended meanwhile
            cpu_s += times.user + times.system
            if process is not self._self:
                cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            count, memory_bytes = count + 1, memory_bytes + memory.rss
        return TreeReading(count, cpu_s, memory_bytes)

    def machine(self) -> MachineReading:
        """Returns what the machine has now."""
        times, memory = self._psutil.cpu_times(), self._psutil.virtual_memory()
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # those are in user, nice
        idle = times.idle + getattr(times, "iowait", 0.0)
        return MachineReading(total - idle, total, memory.total - memory.available)

    def _descendants(self) -> list[Any]:
        now, began_s = time.monotonic(), time.thread_time()
        if now >= self._look_again:
            self._below = self._self.children(recursive=True)
            self._look_again = now + _TREE_SHARE * (time.thread_time() - began_s)
        return self._below
