"""PyTorch Lightning: a logger for parameters and metrics, and a call-back that publishes the trained model.

    Trainer(logger=Logger(), callbacks=[Callback(publish="my-model")])

Each works without the other. Of several processes the first one records and publishes; under torchrun all of them are
ranks of one run.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from proml.integrations.session import Session, careful, flat, missing, numbers

try:
    from lightning.pytorch import callbacks, loggers
    from lightning.pytorch.utilities import rank_zero_only
except ImportError as error:
    raise missing("lightning", error) from error

if TYPE_CHECKING:
    from collections.abc import Mapping


class Logger(loggers.Logger):  # type: ignore[misc]  # mypy runs without the frameworks
    """Records what Lightning logs in the active run, or in one of its own, which ends when the trainer is done.

    Recorded are the hyper-parameters that the model and the data module save, and every metric with Lightning's step.

    Args:
        name: What the run is called, if it is one of its own.
    """

    def __init__(self, name: str = "lightning") -> None:
        super().__init__()
        self._name = name
        self._session = Session()

    @property
    def name(self) -> str:
        """The name of the run; Lightning puts checkpoints into a folder of this name."""
        run = self._session.run
        return (run.name if run is not None else "") or self._name

    @property
    def version(self) -> str:
        """The run's id; Lightning puts checkpoints into a folder of this name, in the one above."""
        self._begin()
        run = self._session.run
        return (run.id if run is not None else "") or "unrecorded"

    @careful("record the metrics of Lightning")
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Records metrics; called by Lightning."""
        self._begin()
        run = self._session.run
        if run is not None and _rank() == 0:
            run.log_metrics(numbers(metrics), step=step)

    @careful("record the parameters of Lightning")
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Records parameters; called by Lightning."""
        self._begin()
        run = self._session.run
        if run is not None and _rank() == 0 and params is not None:
            run.log_params(flat(params if isinstance(params, dict) else vars(params)))

    def save(self) -> None:
        """Every rank joins the run; called by Lightning in all of them when training begins."""
        self._begin()

    @careful("end the run of Lightning")
    def finalize(self, status: str) -> None:
        """Ends the run; called by Lightning."""
        error = sys.exc_info()[1] or RuntimeError(f"Lightning ended with status {status}")
        self._session.end(None if status == "success" else error)

    @careful("start a run for Lightning")
    def _begin(self) -> None:
        self._session.begin(self._name, rank=_rank())


class Callback(callbacks.Callback):  # type: ignore[misc]  # as above
    """Publishes what was trained when fitting ends: the best checkpoint if the trainer keeps some, else the end.

    Args:
        publish: Name of the artefact that the checkpoint becomes a version of.
        path: Where the last state is saved, if the trainer keeps no checkpoints; by default ``NAME.ckpt``.
        action: Transition of the artefact, as for :meth:`proml.Run.publish`.
    """

    def __init__(self, publish: str, *, path: str | None = None, action: str | None = None) -> None:
        super().__init__()
        self.publish = publish
        self.path = path or f"{publish}.ckpt"
        self.action = action
        self._session = Session()

    @careful("start a run for Lightning")
    def setup(self, trainer: Any, *_: Any, **__: Any) -> None:
        """Joins the active run or starts one."""
        self._session.begin("lightning", rank=trainer.global_rank)

    @careful("publish the checkpoint of Lightning")
    def on_fit_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """Publishes the checkpoint."""
        kept = trainer.checkpoint_callback
        path = kept and (kept.best_model_path or kept.last_model_path)
        if not path:
            path = self.path
            trainer.save_checkpoint(path)  # every rank takes part
        run = self._session.run
        if run is not None and trainer.is_global_zero:
            run.publish(self.publish, path, kind="model", action=self.action)

    @careful("end the run of Lightning")
    def on_exception(self, _trainer: Any, _module: Any, exception: BaseException) -> None:
        """Ends the run as one that failed."""
        self._session.end(exception)

    @careful("end the run of Lightning")
    def teardown(self, *_: Any, **__: Any) -> None:
        """Ends the run."""
        self._session.end()


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", None) or 0)
