from __future__ import annotations

import copy
import logging
import pickle
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest

import proml
from proml.core.record import validate_record
from proml.integrations.lightgbm import Callback

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
PARAMETERS = {
    "objective": "binary",
    "num_leaves": 4,
    "metric": ["auc", "binary_logloss"],
    "verbose": -1,
    "num_threads": 1,
}


def train(*callbacks: Any) -> tuple[Any, dict[str, Any]]:
    data = lightgbm.Dataset(X, Y)
    seen: dict[str, Any] = {}
    booster = lightgbm.train(
        PARAMETERS,
        data,
        num_boost_round=4,
        valid_sets=[data.create_valid(X, Y)],
        valid_names=["valid"],
        callbacks=[lightgbm.record_evaluation(seen), *callbacks],
    )
    return booster, seen


def test_training_leaves_parameters_metrics_at_their_rounds_and_the_model(here: Recorded) -> None:
    with proml.start_run("boost") as run:
        booster, seen = train(Callback())
        booster.save_model("model.txt")
        content = run.publish("booster", "model.txt", kind="model", action="train")
    record = here.record
    validate_record(record)
    assert record["parameters"]["num_leaves"] == 4
    assert record["parameters"]["num_boost_round"] == 4
    for metric in ("auc", "binary_logloss"):
        values = seen["valid"][metric]
        assert record["metrics"][f"valid-{metric}"] == {
            "last": values[-1], "min": min(values), "max": max(values), "count": 4
        }  # fmt: skip
    lines = [
        line for path in here.run.glob("*.jsonl") for line in path.read_text().splitlines() if '"m":"valid-auc"' in line
    ]
    assert [line.partition('"s":')[2][0] for line in lines] == ["0", "1", "2", "3"]
    assert here.intents[0][2]["content"] == content


def test_the_round_that_stops_early_is_recorded_too(here: Recorded) -> None:
    stops = lightgbm.early_stopping(1, min_delta=1.0, verbose=False)
    with proml.start_run():
        _, seen = train(stops, Callback())
    assert here.record["metrics"]["valid-auc"]["count"] == len(seen["valid"]["auc"]) < 4


def test_cross_validation_records_means_and_deviations(here: Recorded) -> None:
    with proml.start_run():
        seen = lightgbm.cv(PARAMETERS, lightgbm.Dataset(X, Y), 3, nfold=2, seed=1, callbacks=[Callback()])
    metrics = here.record["metrics"]
    assert metrics["valid-auc"]["last"] == pytest.approx(seen["valid auc-mean"][-1])
    assert metrics["valid-auc-std"]["last"] == pytest.approx(seen["valid auc-stdv"][-1])


def test_without_a_run_training_goes_on_and_nothing_is_recorded(here: Recorded) -> None:
    booster, _ = train(Callback())
    assert booster.num_trees() == 4
    assert not here.runs


def test_failures_of_capture_do_not_reach_training(
    here: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = train()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("proml.capture.active.log_metric", broken)
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        booster, _ = train(Callback())
    assert booster.model_to_string() == expected.model_to_string()
    assert len(caplog.records) == 1


def test_the_callback_can_be_copied_and_pickled(here: Recorded) -> None:
    for callback in (copy.deepcopy(Callback()), pickle.loads(pickle.dumps(Callback()))):
        with proml.start_run():
            train(callback)
    assert [record["metrics"]["valid-auc"]["count"] for record in here.records] == [4, 4]
