"""How long does the command line take to answer? Whole processes, median of several, beside a bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("cli.help_ms",)
RUNS = 15
TARGET_MS = 150


def rows() -> list[dict[str, object]]:
    """Measures ``proml --help``; the peer is a Python that does nothing, run in turn with it."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(RUNS):
        ours.append(milliseconds([sys.executable, "-m", "proml", "--help"]))
        bare.append(milliseconds([sys.executable, "-c", "pass"]))
    value = statistics.median(ours[1:])
    return [
        {
            "name": "cli.help_ms",
            "value": round(value, 1),
            "unit": "ms",
            "target": TARGET_MS,
            "met": value <= TARGET_MS,
            "peer": "python -c pass",
            "peer_value": round(statistics.median(bare[1:]), 1),
        }
    ]


def milliseconds(command: Sequence[str]) -> float:
    """Returns the wall time of one run of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000
