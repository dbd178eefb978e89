"""What does one metric cost, beside the peers? All in turn on the same machine, each in processes of its own.

The peers live in an environment of their own (``make peers``); without it there is nothing to compare with.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("peers.metric_mlflow", "peers.metric_mlflow_async")
ROUNDS = 5
# A script prints the median time of a call in µs, and the version measured.
MEASURE = """
taken = []
for step in range(calls):
    start = clock()
    log_metric("loss", 0.123456789 * step, step=step)
    taken.append(clock() - start)
end()
taken.sort()
print(json.dumps([taken[calls // 2] / 1000, version]))
"""
OURS = (
    """
import json, time
import proml
calls, clock, version = 20_000, time.perf_counter_ns, proml.__version__
run = proml.start_run("bench")
log_metric, end = run.log_metric, run.close
"""
    + MEASURE
)
_MLFLOW = """
import json, logging, time
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.sqlite")
mlflow.start_run()
clock, version = time.perf_counter_ns, mlflow.__version__
"""
SYNCHRONOUS = _MLFLOW + "calls, log_metric, end = 100, mlflow.log_metric, mlflow.end_run\n" + MEASURE
ASYNCHRONOUS = (
    _MLFLOW
    + """
calls = 500
def log_metric(name, value, step):
    mlflow.log_metric(name, value, step=step, synchronous=False)
def end():
    mlflow.flush_async_logging()
    mlflow.end_run()
"""
    + MEASURE
)
PEERS = {
    "peers.metric_mlflow": ("MLflow {} SQLite", SYNCHRONOUS),
    "peers.metric_mlflow_async": ("MLflow {} SQLite, asynchronous", ASYNCHRONOUS),
}


def rows() -> list[dict[str, object]]:
    """Measures a call of each in turn, so that what else the machine does meets all alike."""
    python = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
    if not python.exists():
        print(f"left out: {', '.join(NAMES)}; `make peers` sets up what they compare with", file=sys.stderr)
        return []
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in PEERS}
    labels: dict[str, str] = {}
    for _ in range(ROUNDS):
        ours.append(measure(Path(sys.executable), OURS)[0])
        for name, (label, code) in PEERS.items():
            call_us, version = measure(python, code)
            theirs[name].append(call_us)
            labels[name] = label.format(version)
    return [row(name, ours, theirs[name], labels[name]) for name in PEERS]


def measure(python: Path, code: str) -> tuple[float, str]:
    """Returns the median of a call in µs, and the version."""
    with tempfile.TemporaryDirectory() as folder:
        dot = Path(folder) / ".proml"
        dot.mkdir()
        (dot / "config.toml").touch()
        done = subprocess.run([python, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    call_us, version = json.loads(done.stdout.splitlines()[-1])
    return float(call_us), str(version)


def row(name: str, ours: list[float], theirs: list[float], label: str) -> dict[str, object]:
    """Returns a row of the table; the ratio is the median over the rounds."""
    ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    return {
        "name": name,
        "value": round(statistics.median(ours), 2),
        "unit": "µs",
        "target": None,
        "met": None,
        "peer": f"{label} ({ratio:,.3g}x)",
        "peer_value": round(statistics.median(theirs), 2),
    }
