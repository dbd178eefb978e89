"""What do ten million observations cost? Memory, disk, time to close and to anchor, gas for each observation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.gas import Bench, digest
from proml.adapters.embedded import EmbeddedLedger
from proml.core.heads import anchor_head
from proml.core.operation import ZERO, Anchor

NAMES = (
    "observations.peak_mib_1e6",
    "observations.peak_mib_1e7",
    "observations.recover_peak_mib_1e7",
    "observations.disk_bytes_each",
    "observations.log_s_1e7",
    "observations.close_s_1e7",
    "observations.anchor_s",
    "observations.gas_each_1000",
    "observations.gas_each_50000",
)
MINUTES = 10
MILLION = 10**6
GROWTH_TARGET = 1.05  # ten times the observations, and no more memory but for what the allocator does
GAS_TARGETS = {1_000: 31, 50_000: 1}
LOG = """
import resource, sys, time
import proml
start = time.perf_counter()
run = proml.start_run("bench")
log_metric = run.log_metric
for step in range(int(sys.argv[1])):
    log_metric("loss", 0.123456789 * step, step)
logged = time.perf_counter()
{end}
ended = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import json
print(json.dumps([peak, logged - start, ended - logged]), flush=True)
"""
CLOSE = LOG.format(end="run.close()")
KILLED = LOG.format(end="import os, signal; print('[0, 0, 0]', flush=True); os.kill(os.getpid(), signal.SIGKILL)")
RECOVER = """
import json, resource, time
from proml.capture.recover import recover
start = time.perf_counter()
assert len(recover(".").closed) == 1
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0, time.perf_counter() - start]))
"""
ANCHOR = """
import json, pathlib, time
from proml.gate import deliver
(run,) = (path for path in pathlib.Path(".proml/runs").iterdir() if not path.name.startswith("."))
start = time.perf_counter()
deliver(run, until="confirmed")
print(json.dumps([0, 0, time.perf_counter() - start]))
"""


def rows() -> list[dict[str, object]]:
    """Measures runs of a million and of ten million observations, each in a process of its own."""
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        few_kib, _, _ = python(small, CLOSE, str(MILLION))
        subprocess.run(
            [sys.executable, "-m", "proml", "init"], cwd=large, env=environment(large), check=True, capture_output=True
        )
        many_kib, log_s, close_s = python(large, CLOSE, str(10 * MILLION))
        size_bytes = sum(path.stat().st_size for path in Path(large, ".proml", "runs").rglob("*") if path.is_file())
        _, _, anchor_s = python(large, ANCHOR)
    with tempfile.TemporaryDirectory() as killed:
        python(killed, KILLED, str(10 * MILLION))
        recover_kib, _, _ = python(killed, RECOVER)
    grown = GROWTH_TARGET * few_kib / 1024
    return [
        row("observations.peak_mib_1e6", few_kib / 1024, "MiB"),
        row("observations.peak_mib_1e7", many_kib / 1024, "MiB", grown),
        row("observations.recover_peak_mib_1e7", recover_kib / 1024, "MiB", grown),
        row("observations.disk_bytes_each", size_bytes / (10 * MILLION), "bytes"),
        row("observations.log_s_1e7", log_s, "s"),
        row("observations.close_s_1e7", close_s, "s"),
        row("observations.anchor_s", anchor_s, "s"),
        *(row(f"observations.gas_each_{size}", gas, "gas", GAS_TARGETS[size]) for size, gas in gas_each().items()),
    ]


def gas_each() -> dict[int, float]:
    """Returns the exact gas of an anchor in steady state, divided by the observations it commits to."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(EmbeddedLedger.create(Path(folder) / "chain.sqlite"))
        last = Anchor(ZERO, digest("root 0"), 1)
        bench.send(last)
        figures = {}
        for size in GAS_TARGETS:
            last = Anchor(anchor_head(last, bench.first.address), digest(f"root {size}"), size)
            figures[size] = bench.send(last) / size
    return figures


def python(folder: str, code: str, *arguments: str) -> list[float]:
    """Runs the code there and returns the figures that it prints: peak memory in KiB, two times in seconds."""
    dot = Path(folder) / ".proml"
    if not dot.exists():
        dot.mkdir(mode=0o700)
        (dot / "config.toml").touch()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    figures: list[float] = json.loads(done.stdout)
    return figures


def environment(folder: str) -> dict[str, str]:
    """Returns an environment in which identities are made in the folder, not among the user's own."""
    return {**os.environ, "PROML_HOME": str(Path(folder) / "home"), "PROML_PASSPHRASE": "bench"}


def row(name: str, value: float, unit: str, target: float | None = None) -> dict[str, object]:
    """Returns a row of the table."""
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "target": None if target is None else round(target, 1),
        "met": None if target is None else value <= target,
        "peer": None,
        "peer_value": None,
    }
