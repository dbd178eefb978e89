"""What recording adds to the time that training takes: a script of scikit-learn and one of PyTorch.

Each trains for about twenty seconds of one processor with nothing, with ProML, and with MLflow (SQLite store), in fresh
processes, in turn, so that what else the machine does falls on all alike; many short turns say more than a few long
ones. Two figures that check each other:

- the overhead in all, of the median of the ratios within one turn, by the clock and by the processor's time, which
  carries the noise of whole trainings;
- what recording took where it is called: to start and end a run, and for each value logged; both are precise, and tell
  the overhead of a training of any length. The former is a cost of every run, however short.

``make test-frameworks`` and ``make test-torch`` set up the environments; without one its rows are left out.
PROML_BENCH_SHARE=0.1 trains a tenth as long, for trying the bench out.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

FRAMEWORKS = {"sklearn": ".venv-frameworks", "torch": ".venv-torch"}
KINDS = ("overhead_percent", "cpu_overhead_percent", "in_calls_percent", "fixed_cpu_ms", "log_us")
NAMES = tuple(f"training.{framework}_{kind}" for framework in FRAMEWORKS for kind in KINDS)
MINUTES = 35
ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("training_script.py")
TURNS = 9
TARGET_PERCENT = 1.0
WALL, CPU = 0, 1

Answer = dict[str, list[float]]
Taken = dict[str, list[Answer]]


def rows() -> list[dict[str, object]]:
    """Measures both scripts, as far as their environments are there."""
    return [row for framework in FRAMEWORKS for row in measure(framework)]


def measure(framework: str) -> list[dict[str, object]]:
    """Returns a framework's rows; none if its environment is missing."""
    python = ROOT / FRAMEWORKS[framework] / "bin" / "python"
    if not python.exists():
        print(f"left out: training.{framework}; there is no {python}")
        return []
    ways = ["none", "proml"] + (["mlflow"] if has_mlflow(python) else [])
    taken: Taken = {way: [] for way in ways}
    for turn in range(TURNS):
        first = turn % len(ways)
        for way in ways[first:] + ways[:first]:
            taken[way].append(train(python, framework, way))
    return figures(f"training.{framework}", taken)


def figures(name: str, taken: Taken) -> list[dict[str, object]]:
    """Returns the rows of what was taken."""
    bare = statistics.median(one["total"][CPU] for one in taken["none"])
    of = f"% of {bare:.0f} s CPU"
    measured = {
        "overhead_percent": (
            f"% of {statistics.median(one['total'][WALL] for one in taken['none']):.0f} s",
            overhead,
            WALL,
        ),
        "cpu_overhead_percent": (of, overhead, CPU),
        "in_calls_percent": (of, in_calls, CPU),
        "fixed_cpu_ms": ("ms", fixed_ms, CPU),
        "log_us": ("µs", log_us, WALL),
    }
    made: list[dict[str, object]] = []
    for kind, (unit, figure, clock) in measured.items():
        ours, peer = figure(taken, "proml", clock), figure(taken, "mlflow", clock) if "mlflow" in taken else None
        target = TARGET_PERCENT if kind.endswith("percent") else None
        made.append({
            "name": f"{name}_{kind}", "value": round(ours, 2), "unit": unit, "target": target,
            "met": None if target is None else ours < target,
            "peer": None if peer is None else "MLflow", "peer_value": None if peer is None else round(peer, 2),
        })  # fmt: skip
    return made


def overhead(taken: Taken, way: str, clock: int) -> float:
    """Returns the median of what a way took more than nothing in the same turn, in percent."""
    pairs = zip(taken[way], taken["none"], strict=True)
    return 100 * (statistics.median(one["total"][clock] / bare["total"][clock] for one, bare in pairs) - 1)


def in_calls(taken: Taken, way: str, clock: int) -> float:
    """Returns how much of a bare training the calls of a way took, in percent."""
    bare = statistics.median(one["total"][clock] for one in taken["none"])
    return 100 * statistics.median(one["fixed"][clock] + one["log"][clock] for one in taken[way]) / bare


def fixed_ms(taken: Taken, way: str, clock: int) -> float:
    """Returns what it took to start a run, log its parameters and end it, in ms."""
    return 1000 * statistics.median(one["fixed"][clock] for one in taken[way])


def log_us(taken: Taken, way: str, clock: int) -> float:
    """Returns the mean of what a logged value took, in µs."""
    return 1e6 * statistics.median(one["log"][clock] / one["logged"][0] for one in taken[way])


def has_mlflow(python: Path) -> bool:
    """Tells whether an environment has MLflow."""
    return subprocess.run([python, "-c", "import mlflow"], check=False, capture_output=True).returncode == 0


def train(python: Path, framework: str, way: str) -> Answer:
    """Trains once, in a working folder of its own; returns seconds by both clocks."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".proml").mkdir()
        (Path(folder) / ".proml" / "config.toml").touch()
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [str(python), str(SCRIPT), framework, way, os.environ.get("PROML_BENCH_SHARE", "1")]
        done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "logged": [float(answer["logged"])]}
