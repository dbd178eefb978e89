"""What does `proml run` cost a Python program that it observes? Times of opening files, and of starting."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proml.capture.observed.injecting import environment_with

NAMES = (
    "run.observe_open_10k_ratio",
    "run.observe_open_again_ratio",
    "run.observe_us_per_new_file",
    "run.observe_us_per_open_again",
    "run.observe_start_ms",
)
FILES = 10_000
ROUNDS = 7
# Each reads its files once, or one of them as often.
OPEN = """
import time
names = {names}
start = time.perf_counter()
for name in names:
    with open(name, "rb") as file:
        file.read()
print(time.perf_counter() - start)
"""


def rows() -> list[dict[str, object]]:
    """Measures in turn with and without the observer; ratios of medians."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            (Path(folder) / str(number)).write_bytes(b"x" * 1000)
        new = _compare(folder, OPEN.format(names=f"[str(n) for n in range({FILES})]"))
        again = _compare(folder, OPEN.format(names=f"['0'] * {FILES}"))
        started = _compare(folder, "", whole=True)
    return [
        _row(NAMES[0], new[0] / new[1], "x"),
        _row(NAMES[1], again[0] / again[1], "x"),
        _row(NAMES[2], 1e6 * (new[0] - new[1]) / FILES, "µs"),
        _row(NAMES[3], 1e6 * (again[0] - again[1]) / FILES, "µs"),
        _row(NAMES[4], 1e3 * (started[0] - started[1]), "ms"),
    ]


def _compare(folder: str, code: str, *, whole: bool = False) -> tuple[float, float]:
    """Returns median seconds with the observer and without; of the whole process, or as the code prints them."""
    taken: tuple[list[float], list[float]] = ([], [])
    log = Path(folder) / "observed.log"
    for _ in range(ROUNDS if not whole else 3 * ROUNDS):
        log.write_bytes(b"")
        for times, environment in zip(taken, (environment_with(log, os.environ), dict(os.environ)), strict=True):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, check=True
            )
            times.append(time.perf_counter() - start if whole else float(done.stdout))
    return statistics.median(taken[0]), statistics.median(taken[1])


def _row(name: str, value: float, unit: str) -> dict[str, object]:
    row = {"name": name, "value": round(value, 2), "unit": unit, "target": None, "met": None}
    return {**row, "peer": None, "peer_value": None}
