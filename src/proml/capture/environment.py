"""Where a run runs: interpreter, installed packages, machine, place in a distributed job.

All of it is read from files in a few milliseconds, so that it is known from a run's first instant and not lost when the
process is killed. No environment variable's value is recorded but the two numbers RANK and WORLD_SIZE.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture.values import label
from proml.core.digest import format_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

_PACKAGE = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+?)(?:-py[\d.]+)?\.(?:dist|egg)-info")
_PACKAGES_LIMIT = 5_000
_CPU_BYTES = 8192


def describe_environment() -> dict[str, object]:
    """Returns the fields ``python``, ``platform``, ``environment`` and ``hardware`` of a record's run."""
    system = os.uname()
    python = {"version": ".".join(map(str, sys.version_info[:3])), "implementation": sys.implementation.name}
    return {
        "python": python,
        "platform": label(f"{system.sysname} {system.release} {system.machine}"),
        "environment": describe_packages(sys.path),
        "hardware": describe_hardware(),
    }


def describe_packages(search_path: Iterable[str]) -> dict[str, object]:
    """Returns the installed packages and their lock's digest: SHA-256 over sorted lines ``name==version``.

    Names and versions are those of the folders that installers leave (``NAME-VERSION.dist-info``); reading the
    metadata in them would take a hundred times as long. The first package of a name on the search path counts, as for
    ``import``.

    Args:
        search_path: Folders, as ``sys.path``.
    """
    packages: dict[str, str] = {}
    for folder in search_path:
        try:
            names = sorted(os.listdir(folder or "."))  # noqa: PTH208 - names only; paths cost five times as much
        except OSError:
            continue  # a missing folder or a zip file
        for name in names:
            match = _PACKAGE.fullmatch(name)
            if match:
                normal = re.sub(r"[-_.]+", "-", match["name"]).lower()
                packages.setdefault(label(normal), label(match["version"]))
    lock = "".join(f"{name}=={version}\n" for name, version in sorted(packages.items()))
    kept = dict(sorted(packages.items())[:_PACKAGES_LIMIT])
    return {"lock_digest": format_digest(hashlib.sha256(lock.encode()).digest()), "packages": kept}


def describe_hardware() -> dict[str, object]:
    """Returns processor, usable cores, memory and graphics processors, as far as they can be told."""
    hardware: dict[str, object] = {"cores": _usable_cores(), "memory_bytes": _memory_bytes()}
    cpu = _processor()
    gpus = [name for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")) for name in [_gpu(path)]]
    return hardware | ({"cpu": cpu} if cpu else {}) | ({"gpus": gpus} if gpus else {})


def distributed_place() -> dict[str, int]:
    """Returns ``rank`` and ``world_size`` in a distributed job, as torchrun and its like tell; empty outside of one."""
    try:
        rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return {}
    return {"rank": rank, "world_size": world_size} if 0 <= rank < world_size else {}


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        import psutil  # noqa: PLC0415 - takes long to import; needed on few systems

        return int(psutil.virtual_memory().total)  # type: ignore[no-untyped-call]  # psutil has no types


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            match = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", file.read(_CPU_BYTES), re.MULTILINE)
    except OSError:
        match = None
    return label(match[1].strip()) if match else os.uname().machine


def _gpu(information: Path) -> str:
    try:
        match = re.search(r"^Model:\s*(.+)$", information.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        match = None
    return label(match[1].strip()) if match else "NVIDIA"
