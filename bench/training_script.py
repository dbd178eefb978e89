"""Trains once and prints the seconds it took, by the clock and of the processor.

``python training_script.py sklearn|torch none|proml|mlflow``. The clock runs from before a run is
started until it is closed, so it includes all that recording adds but the import of its package. Run by
:mod:`bench.training` in the environments that have the frameworks.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPOCHS = 40
Log = tuple["Callable[[dict[str, Any]], object]", "Callable[[str, float, int], object]"]


@contextlib.contextmanager
def recording(with_what: str) -> Iterator[Log]:
    """Yields what logs parameters and a metric."""
    if with_what == "none":
        yield (lambda _: None), (lambda *_: None)
    elif with_what == "proml":
        with importlib.import_module("proml").start_run("bench") as run:
            yield run.log_params, run.log_metric
    else:
        mlflow = importlib.import_module("mlflow")
        with mlflow.start_run(run_name="bench"):
            yield mlflow.log_params, lambda name, value, step: mlflow.log_metric(name, value, step=step)


def train_sklearn(with_what: str) -> None:
    """Fits a perceptron on 20,000 rows of 50 numbers; ours also hashes the data, as `track` does."""
    from sklearn.datasets import make_classification
    from sklearn.neural_network import MLPClassifier

    x, y = make_classification(20_000, 50, random_state=0)
    model: Any = MLPClassifier((64,), random_state=0, batch_size=200, max_iter=EPOCHS, tol=0, n_iter_no_change=EPOCHS)
    start = (time.perf_counter(), time.process_time())
    with recording(with_what) as (log_params, log_metric):
        if with_what == "proml":
            model = importlib.import_module("proml.integrations.sklearn").track(model)
        else:
            log_params({name: str(value) for name, value in model.get_params().items()})
        model.fit(x, y)
        for epoch, loss in enumerate(model.loss_curve_):
            log_metric("loss", loss, epoch)
    print(time.perf_counter() - start[0], time.process_time() - start[1])


def train_torch(with_what: str) -> None:
    """Trains a small network; each of 800 steps logs its loss."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = [torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(512, 256), torch.randint(10, (512,))
    start = (time.perf_counter(), time.process_time())
    with recording(with_what) as (log_params, log_metric):
        log_params({"layers": "256-512-10", "optimizer": "Adam"})
        for step in range(EPOCHS * 20):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log_metric("loss", loss.item(), step)
    print(time.perf_counter() - start[0], time.process_time() - start[1])


if __name__ == "__main__":
    framework, way = sys.argv[1:]
    if way != "none":
        importlib.import_module(way)
    if (framework, way) == ("sklearn", "proml"):
        importlib.import_module("proml.integrations.sklearn")
    {"sklearn": train_sklearn, "torch": train_torch}[framework](way)
