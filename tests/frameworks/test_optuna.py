from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import optuna

import proml
from proml.core.record import validate_record
from proml.integrations.optuna import Callback

if TYPE_CHECKING:
    import pytest
    from tests.capture.conftest import Recorded

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: Any) -> float:
    x = trial.suggest_float("x", -1, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    if trial.number == 2:
        raise optuna.TrialPruned
    return float(x * x + (kind == "a"))


def study_of(**options: Any) -> Any:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1), **options)


def test_a_study_leaves_each_trial_and_the_best(here: Recorded) -> None:
    study = study_of()
    with proml.start_run("search"):
        study.optimize(objective, n_trials=6, callbacks=[Callback()])
    record = here.record
    validate_record(record)
    parameters = record["parameters"]
    for trial in study.trials:
        fact = parameters[f"trial.{trial.number}"]
        assert fact["params"] == trial.params
        assert fact["state"] == trial.state.name
        assert fact["values"] == trial.values
        assert fact["duration_s"] >= 0
    assert parameters["trial.2"]["state"] == "PRUNED"
    assert parameters["best.trial"] == study.best_trial.number
    assert parameters["best.params"] == study.best_params
    assert record["metrics"]["value"] == {
        "last": study.trials[-1].value,
        "min": study.best_value,
        "max": max(trial.value for trial in study.trials if trial.value is not None),
        "count": 5,
    }
    lines = [
        line for path in here.run.glob("*.jsonl") for line in path.read_text().splitlines() if '"m":"value"' in line
    ]
    assert [line.partition('"s":')[2][0] for line in lines] == ["0", "1", "3", "4", "5"]


def test_several_objectives_leave_their_pareto_front(here: Recorded) -> None:
    study = study_of(directions=["minimize", "maximize"])
    with proml.start_run():
        study.optimize(
            lambda trial: (trial.suggest_float("x", 0, 1), 1.0 - trial.number), n_trials=3, callbacks=[Callback()]
        )
    assert here.record["parameters"]["best.trials"] == [trial.number for trial in study.best_trials]
    assert here.record["metrics"]["value.1"]["last"] == -1


def test_trials_in_threads_are_all_recorded(here: Recorded) -> None:
    with proml.start_run():
        study_of().optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=20, n_jobs=4, callbacks=[Callback()])
    assert here.record["metrics"]["value"]["count"] == 20
    assert sum(name.startswith("trial.") for name in here.record["parameters"]) == 20


def test_failures_of_capture_do_not_reach_the_study(
    here: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("proml.capture.active.log_metrics", broken)
    study = study_of()
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        study.optimize(objective, n_trials=3, callbacks=[Callback()])
    assert len(study.trials) == 3
    assert len(caplog.records) == 1
