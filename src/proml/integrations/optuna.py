"""Optuna: a callback that records each trial of a study, and the best one.

    study.optimize(objective, n_trials=50, callbacks=[Callback()])

A study has no end that Optuna would tell callbacks of, so it needs an active run.
"""

from __future__ import annotations

from typing import Any

from proml.capture import active
from proml.integrations.session import careful


class Callback:
    """Records the trials of a study in the active run.

    Each trial is a parameter ``trial.NUMBER`` with its state, parameters, values and duration; its value is an
    observation ``value`` with the trial's number as step, as are its parameters that are numbers (``trial.NAME``). The
    best trial so far is ``best.trial``, ``best.value`` and ``best.params``; with several objectives the values are
    ``value.0``, ``value.1`` and so on, and ``best.trials`` are the numbers of those on the Pareto front.
    """

    def __call__(self, study: Any, trial: Any) -> None:
        """Records a trial; called by Optuna, from any of its threads."""
        self._record(study, trial)

    @careful("record a trial of Optuna")
    def _record(self, study: Any, trial: Any) -> None:
        duration = trial.duration
        fact = {"state": trial.state.name, "params": trial.params, "values": trial.values}
        fact |= {"duration_s": duration.total_seconds()} if duration is not None else {}
        active.log_params({f"trial.{trial.number}": fact})
        values = trial.values or []
        names = ["value"] if len(values) == 1 else [f"value.{index}" for index in range(len(values))]
        given = {f"trial.{name}": value for name, value in trial.params.items() if isinstance(value, int | float)}
        active.log_metrics({**dict(zip(names, values, strict=True)), **given}, step=trial.number)
        if values:
            active.log_params(_best(study))


def _best(study: Any) -> dict[str, object]:
    if len(study.directions) > 1:
        return {"best.trials": [trial.number for trial in study.best_trials]}
    best = study.best_trial
    return {"best.trial": best.number, "best.value": best.value, "best.params": best.params}
