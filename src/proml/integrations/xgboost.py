"""XGBoost: a callback that records parameters and metrics, and publishes the model when training ends.

    xgboost.train(params, data, evals=[(test, "test")], callbacks=[Callback()])

It works the same in `XGBClassifier(callbacks=[…])`, whose copies and pickles keep it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proml.integrations.session import Session, careful, flat, missing

if TYPE_CHECKING:
    from collections.abc import Mapping

try:
    from xgboost import collective
    from xgboost.callback import TrainingCallback
except ImportError as error:
    raise missing("xgboost", error) from error


class Callback(TrainingCallback):  # type: ignore[misc]  # mypy runs without the frameworks
    """Records what XGBoost trains in the active run, or in one of its own.

    Recorded are all settings of the booster, as XGBoost itself writes them, and each metric of each evaluation set as
    ``SET-METRIC``, with the round as step. In a distributed training the first worker records.

    Args:
        publish: Name of the artefact that the trained model becomes a version of; by default it is not published.
        path: Where the model is saved for that; by default ``NAME.ubj``.
        action: Transition of the artefact, as for :meth:`proml.Run.publish`.
    """

    def __init__(self, *, publish: str | None = None, path: str | None = None, action: str | None = None) -> None:
        super().__init__()
        self.publish = publish
        self.path = path or f"{publish}.ubj"
        self.action = action
        self._session = Session()

    def before_training(self, model: Any) -> Any:
        """Records the settings."""
        self._before(model)
        return model

    def after_iteration(self, _model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Any]]) -> bool:
        """Records the round's metrics."""
        self._after_iteration(epoch, evals_log)
        return False

    def after_training(self, model: Any) -> Any:
        """Publishes the model, if asked to."""
        self._after(model)
        self._session.end()
        return model

    @careful("record the settings of XGBoost")
    def _before(self, model: Any) -> None:
        self._session.begin("xgboost", rank=_rank())
        run = self._session.run
        if run is not None and _rank() == 0 and hasattr(model, "save_config"):  # in cross-validation there is no model
            run.log_params(flat(json.loads(model.save_config())["learner"]))

    @careful("record the metrics of XGBoost")
    def _after_iteration(self, epoch: int, evals_log: Mapping[str, Mapping[str, Any]]) -> None:
        run = self._session.run
        if run is None or _rank() != 0:
            return
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                last = values[-1]
                mean, deviation = last if isinstance(last, tuple) else (last, None)
                run.log_metric(f"{data}-{metric}", mean, step=epoch)
                if deviation is not None:
                    run.log_metric(f"{data}-{metric}-std", deviation, step=epoch)

    @careful("publish the model of XGBoost")
    def _after(self, model: Any) -> None:
        run = self._session.run
        if run is not None and self.publish and _rank() == 0:
            model.save_model(self.path)
            run.publish(self.publish, self.path, kind="model", action=self.action)


def _rank() -> int:
    return int(collective.get_rank())
