"""What does one metric cost, beside the peers? All in turn on the same machine, each in processes of its own.

The peers live in environments of their own (``make peers``); without one there is nothing to compare with. They do not
promise the same. When a call returns, ProML has appended the value to a file and MLflow has committed it to a database:
a killed process loses none. Asynchronous MLflow has queued it. yProv4ML holds values in memory, and appends them to a
CSV file at each metric's hundredth call and at the end: a killed process loses up to 99 of each metric. Its median thus
tells what memory costs, which is why the means are compared too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

NAMES = ("peers.metric_mlflow", "peers.metric_mlflow_async", "peers.metric_yprov")
ROUNDS = 5
ROOT = Path(__file__).parents[1]
# A script prints the median and the mean time of a call in µs, and the version measured.
MEASURE = """
taken = []
for step in range(calls):
    start = clock()
    log_metric("loss", 0.123456789 * step, step=step)
    taken.append(clock() - start)
end()
taken.sort()
print(json.dumps([taken[calls // 2] / 1000, sum(taken) / calls / 1000, version]))
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
# yProv4ML imports PyTorch and fvcore, 5 GB with what they need, for models and data sets; starting a run asks PyTorch
# whether training is distributed, and logging a metric asks nothing. Modules that hold the imported names alone take
# their place: whatever else is asked of them ends the script.
YPROV = (
    """
import json, sys, time
from importlib.metadata import version as version_of
from types import ModuleType

class Unused:
    pass

def stand_in(name, **names):
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(names)
    return module

data = stand_in("torch.utils.data", **dict.fromkeys(("DataLoader", "Dataset", "RandomSampler", "Subset"), Unused))
stand_in(
    "torch",
    distributed=stand_in("torch.distributed", is_available=lambda: False),
    nn=stand_in("torch.nn", Module=Unused),
    utils=stand_in("torch.utils", data=data),
)
stand_in("fvcore", nn=stand_in("fvcore.nn", FlopCountAnalysis=Unused))
import yprov4ml
calls, clock, version = 20_000, time.perf_counter_ns, version_of("yprov4ml")
yprov4ml.start_run("bench")
log_metric, end = yprov4ml.log_metric, yprov4ml.end_run
"""
    + MEASURE
)


class Peer(NamedTuple):
    """A way to log a metric: what the table calls it, the environment it lives in, and the script."""

    label: str
    environment: str
    code: str


class Cost(NamedTuple):
    """What a call took in µs."""

    median: float
    mean: float


PEERS = {
    "peers.metric_mlflow": Peer("MLflow {} SQLite", ".venv-peers", SYNCHRONOUS),
    "peers.metric_mlflow_async": Peer("MLflow {} SQLite, asynchronous", ".venv-peers", ASYNCHRONOUS),
    "peers.metric_yprov": Peer("yProv4ML {} CSV, each 100th call writes", ".venv-yprov", YPROV),
}


def rows() -> list[dict[str, object]]:
    """Measures a call of each in turn, so that what else the machine does meets all alike."""
    pythons = {name: ROOT / peer.environment / "bin" / "python" for name, peer in PEERS.items()}
    if absent := [name for name, python in pythons.items() if not python.exists()]:
        print(f"left out: {', '.join(absent)}; `make peers` sets up what they compare with", file=sys.stderr)
    present = [name for name in PEERS if name not in absent]
    ours: list[Cost] = []
    theirs: dict[str, list[Cost]] = {name: [] for name in present}
    labels: dict[str, str] = {}
    for _ in range(ROUNDS if present else 0):
        ours.append(measure(Path(sys.executable), OURS)[0])
        for name in present:
            cost, version = measure(pythons[name], PEERS[name].code)
            theirs[name].append(cost)
            labels[name] = PEERS[name].label.format(version)
    return [row(name, ours, theirs[name], labels[name]) for name in present]


def measure(python: Path, code: str) -> tuple[Cost, str]:
    """Returns what a call took, and the version."""
    with tempfile.TemporaryDirectory() as folder:
        dot = Path(folder) / ".proml"
        dot.mkdir()
        (dot / "config.toml").touch()
        done = subprocess.run([python, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    median_us, mean_us, version = json.loads(done.stdout.splitlines()[-1])
    return Cost(float(median_us), float(mean_us)), str(version)


def row(name: str, ours: list[Cost], theirs: list[Cost], label: str) -> dict[str, object]:
    """Returns a row of the table: medians, and how they and the means compare in the middle one of the rounds."""
    medians = statistics.median(their.median / our.median for our, their in zip(ours, theirs, strict=True))
    means = statistics.median(their.mean / our.mean for our, their in zip(ours, theirs, strict=True))
    return {
        "name": name,
        "value": round(statistics.median(our.median for our in ours), 2),
        "unit": "µs",
        "target": None,
        "met": None,
        "peer": f"{label} ({medians:,.3g}x, means {means:,.3g}x)",
        "peer_value": round(statistics.median(their.median for their in theirs), 2),
    }
