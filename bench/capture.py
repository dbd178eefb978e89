"""What does capture cost? Microseconds for an observation, milliseconds for ``import proml``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = (
    "capture.log_metric_us",
    "capture.log_metric_p99_us",
    "capture.close_us_per_metric",
    "capture.first_run_ms",
    "cli.import_ms",
)
OBSERVATIONS = 100_000
PROCESSES = 21
MEDIAN_TARGET_US = 10
P99_TARGET_US = 50
IMPORT_TARGET_MS = 80
# Loading what a run needs and starting one, in a script that has loaded nothing before.
FIRST_RUN = "import time; t = time.perf_counter(); import proml; proml.start_run(); print(time.perf_counter() - t)"


def rows() -> list[dict[str, object]]:
    """Measures a run of 100,000 observations, and fresh processes that import the package."""
    median_us, p99_us, close_us = observe()
    import_ms, bare_ms = import_times()
    return [
        row("capture.log_metric_us", median_us, "µs", MEDIAN_TARGET_US),
        row("capture.log_metric_p99_us", p99_us, "µs", P99_TARGET_US),
        row("capture.close_us_per_metric", close_us, "µs", None),
        row("capture.first_run_ms", first_run_ms(), "ms", None),
        row("cli.import_ms", import_ms, "ms", IMPORT_TARGET_MS)
        | {"peer": f"python -c pass ({import_ms / bare_ms:.2f}x)", "peer_value": round(bare_ms, 1)},
    ]


def observe() -> tuple[float, float, float]:
    """Returns median and 99th percentile of a call, and the time that closing takes for each observation, all in µs."""
    import proml

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        dot = Path(folder) / ".proml"
        dot.mkdir()
        (dot / "config.toml").touch()
        os.chdir(folder)
        try:
            run = proml.start_run("bench")
            log_metric, clock = run.log_metric, time.perf_counter_ns
            taken = []
            for step in range(OBSERVATIONS):
                start = clock()
                log_metric("loss", 0.123456789 * step, step)
                taken.append(clock() - start)
            start = clock()
            run.close()
            close_us = (clock() - start) / OBSERVATIONS / 1000
        finally:
            os.chdir(before)
    taken.sort()
    return taken[len(taken) // 2] / 1000, taken[len(taken) * 99 // 100] / 1000, close_us


def first_run_ms() -> float:
    """Returns the median time from before ``import proml`` until a run has started, in fresh processes, in ms."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".proml").mkdir()
        (Path(folder) / ".proml" / "config.toml").touch()
        for _ in range(PROCESSES):
            done = subprocess.run([sys.executable, "-c", FIRST_RUN], cwd=folder, check=True, capture_output=True)
            taken.append(1000 * float(done.stdout))
    return statistics.median(taken)


def import_times() -> tuple[float, float]:
    """Returns medians in ms of whole processes, taken in turn: one that imports the package, one that does nothing."""
    ours, bare = [], []
    for _ in range(PROCESSES):
        ours.append(process_ms("import proml"))
        bare.append(process_ms("pass"))
    return statistics.median(ours), statistics.median(bare)


def process_ms(code: str) -> float:
    """Returns the wall time of a fresh interpreter that runs the code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1000 * (time.perf_counter() - start)


def row(name: str, value: float, unit: str, target: float | None) -> dict[str, object]:
    """Returns a row of the table."""
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "target": target,
        "met": None if target is None else value <= target,
        "peer": None,
        "peer_value": None,
    }
