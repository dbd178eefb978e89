"""Which process is this, and is that one still running?

A process id alone is reused; together with the machine's boot, the process's start and the process-id namespace it is
not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_START_FIELD = 19  # start time in clock ticks after boot: field 22 of proc(5) stat, counted after the command's name


def identity() -> dict[str, object]:
    """Returns what tells this process from all others, as JSON-compatible values: pid, start, boot, namespace, host."""
    pid = os.getpid()
    return {
        "pid": pid,
        "started": _state_and_start(pid)[1],
        "boot": _boot(),
        "namespace": _namespace(),
        "host": os.uname().nodename,
    }


def is_alive(process: Mapping[str, object]) -> bool | None:
    """Tells whether a process is running.

    Args:
        process: What :func:`identity` returned in that process.

    Returns:
        True or False; None if it belongs to another machine or container, so that it cannot be told from here.
    """
    pid = process.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if process.get("boot") != _boot():
        # The same machine after a restart has the same name and another boot; its processes are gone.
        return False if process.get("host") == os.uname().nodename else None
    if process.get("namespace") != _namespace():
        return None
    state, started = _state_and_start(pid)
    return state not in {"", "Z", "X"} and started == process.get("started")


def _state_and_start(pid: int) -> tuple[str, str]:
    """Returns the state's letter and the start; empty if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ("", "") if Path("/proc/self").exists() else _ask_psutil(pid)
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[_START_FIELD]


def _ask_psutil(pid: int) -> tuple[str, str]:
    import psutil  # noqa: PLC0415 - only where there is no /proc

    try:
        process = psutil.Process(pid)  # type: ignore[no-untyped-call]  # psutil has no types
        state, created = process.status(), process.create_time()  # type: ignore[no-untyped-call]  # as above
        return "Z" if state == psutil.STATUS_ZOMBIE else "R", repr(created)
    except psutil.Error:
        return "", ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
