"""Trains once and prints what it took, as JSON: in all, to start and end the recording, and to log.

``python training_script.py sklearn|torch none|proml|mlflow SHARE``. The clocks run from before a run is started until
it is closed, so they include all that recording adds but the import of its package. Run by :mod:`bench.training` in the
environments that have the frameworks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# With a share of 1, about twenty seconds of one processor each.
ROWS, EPOCHS = 200_000, 36
STEPS, STEPS_LOGGED = 5_000, 20
Log = tuple["Callable[[dict[str, Any]], object]", "Callable[[str, float, int], object]"]


def now() -> tuple[float, float]:
    """Returns the clock's seconds and the processor's."""
    return time.perf_counter(), time.process_time()


@dataclass
class Clock:
    """Adds up, by both clocks, what was spent on recording."""

    fixed: list[float] = field(default_factory=lambda: [0.0, 0.0])
    log: list[float] = field(default_factory=lambda: [0.0, 0.0])
    logged: int = 0

    @contextlib.contextmanager
    def adding(self, to: list[float]) -> Iterator[None]:
        """Adds what the block takes."""
        before = now()
        yield
        for index, (start, end) in enumerate(zip(before, now(), strict=True)):
            to[index] += end - start


@contextlib.contextmanager
def recording(with_what: str, clock: Clock) -> Iterator[Log]:
    """Yields what logs parameters and a metric."""
    with contextlib.ExitStack() as stack:
        with clock.adding(clock.fixed):
            log_params, log_metric = begin(with_what, stack)

        def timed(name: str, value: float, step: int) -> None:
            clock.logged += 1
            with clock.adding(clock.log):
                log_metric(name, value, step)

        def params(values: dict[str, Any]) -> None:
            with clock.adding(clock.fixed):
                log_params(values)

        yield params, timed
        with clock.adding(clock.fixed):
            stack.close()


def begin(with_what: str, stack: contextlib.ExitStack) -> Log:
    """Starts a run that ends with the stack."""
    if with_what == "none":
        return (lambda _: None), (lambda *_: None)
    if with_what == "proml":
        run: Any = stack.enter_context(importlib.import_module("proml").start_run("bench"))
        return run.log_params, run.log_metric
    mlflow = importlib.import_module("mlflow")
    stack.enter_context(mlflow.start_run(run_name="bench"))
    return mlflow.log_params, lambda name, value, step: mlflow.log_metric(name, value, step=step)


def train_sklearn(with_what: str, share: float, clock: Clock) -> None:
    """Fits a perceptron on numbers in memory; ours also hashes the data and tracks the model, as `track` does."""
    from sklearn.datasets import make_classification
    from sklearn.neural_network import MLPClassifier

    epochs = max(2, round(EPOCHS * share))
    x, y = make_classification(ROWS, 50, random_state=0)
    model: Any = MLPClassifier((64,), random_state=0, batch_size=200, max_iter=epochs, tol=0, n_iter_no_change=epochs)
    start = now()
    with recording(with_what, clock) as (log_params, log_metric):
        if with_what == "proml":
            model = importlib.import_module("proml.integrations.sklearn").track(model)
        else:
            log_params({name: str(value) for name, value in model.get_params().items()})
        model.fit(x, y)
        for epoch, loss in enumerate(model.loss_curve_):
            log_metric("loss", loss, epoch)
    tell(start, clock)


def train_torch(with_what: str, share: float, clock: Clock) -> None:
    """Trains a small network; every 20th step logs its loss."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = [torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters())
    x, y = torch.randn(512, 256), torch.randint(10, (512,))
    start = now()
    with recording(with_what, clock) as (log_params, log_metric):
        log_params({"layers": "256-512-10", "optimizer": "Adam"})
        for step in range(round(STEPS * share)):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % STEPS_LOGGED == 0:
                log_metric("loss", loss.item(), step)
    tell(start, clock)


def tell(start: tuple[float, float], clock: Clock) -> None:
    """Prints what was taken."""
    total = [after - before for before, after in zip(start, now(), strict=True)]
    print(json.dumps({"total": total, "fixed": clock.fixed, "log": clock.log, "logged": clock.logged}))


if __name__ == "__main__":
    framework, way, asked = sys.argv[1:]
    if way != "none":
        importlib.import_module(way)
    if (framework, way) == ("sklearn", "proml"):
        importlib.import_module("proml.integrations.sklearn")
    {"sklearn": train_sklearn, "torch": train_torch}[framework](way, float(asked), Clock())
