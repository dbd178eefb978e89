"""What recording adds to the time that training takes: a script of scikit-learn and one of PyTorch.

Each is run with nothing, with ProML, and with MLflow where its environment has it (SQLite store), in fresh processes,
in turn, so that what else the machine does falls on all alike. The overhead is that of the median of the ratios within
one turn, by the clock; that of the processor's time, on which other work tells less, is in a row of its own.
``make test-frameworks`` and ``make test-torch`` set up the environments; without one its row is left out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from pathlib import Path

FRAMEWORKS = {"sklearn": ".venv-frameworks", "torch": ".venv-torch"}
KINDS = ("overhead_percent", "cpu_overhead_percent")
NAMES = tuple(f"training.{framework}_{kind}" for framework in FRAMEWORKS for kind in KINDS)
ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("training_script.py")
TURNS = 11
TARGET_PERCENT = 1.0

Taken = dict[str, list[tuple[float, float]]]


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
            taken[way].append(seconds(python, framework, way))
    return [row(f"training.{framework}_{kind}", taken, clock) for clock, kind in enumerate(KINDS)]


def row(name: str, taken: Taken, clock: int) -> dict[str, object]:
    """Returns a row of the table; the clock is 0 for the wall's, 1 for the processor's."""
    ours = overhead(taken, "proml", clock)
    bare = statistics.median(one[clock] for one in taken["none"])
    return {
        "name": name,
        "value": round(ours, 2),
        "unit": f"% of {bare:.2f} s",
        "target": TARGET_PERCENT,
        "met": ours < TARGET_PERCENT,
        "peer": "MLflow" if "mlflow" in taken else None,
        "peer_value": round(overhead(taken, "mlflow", clock), 2) if "mlflow" in taken else None,
    }


def has_mlflow(python: Path) -> bool:
    """Tells whether an environment has MLflow."""
    return subprocess.run([python, "-c", "import mlflow"], check=False, capture_output=True).returncode == 0


def overhead(taken: Taken, way: str, clock: int) -> float:
    """Returns the median of what a way took more than nothing in the same turn, in percent."""
    ratios = [one[clock] / bare[clock] for one, bare in zip(taken[way], taken["none"], strict=True)]
    return 100 * (statistics.median(ratios) - 1)


def seconds(python: Path, framework: str, way: str) -> tuple[float, float]:
    """Returns the seconds that one training took, by both clocks, in a working folder of its own."""
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
        command = [str(python), str(SCRIPT), framework, way]
        done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    wall, processor = done.stdout.splitlines()[-1].split()
    return float(wall), float(processor)
