from __future__ import annotations

import copy
import logging
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import proml
from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.hashing import hash_path
from proml.integrations.xgboost import Callback

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(80, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
PARAMETERS = {
    "max_depth": 2,
    "eta": 0.25,
    "objective": "binary:logistic",
    "eval_metric": ["logloss", "error"],
    "nthread": 1,
}


def train(**options: Any) -> tuple[Any, dict[str, Any]]:
    data = xgboost.DMatrix(X, Y)
    seen: dict[str, Any] = {}
    booster = xgboost.train(
        PARAMETERS, data, num_boost_round=3, evals=[(data, "train")], evals_result=seen, verbose_eval=False, **options
    )
    return booster, seen


def test_training_leaves_settings_metrics_at_their_rounds_and_the_model(here: Recorded) -> None:
    with proml.start_run("boost"):
        booster, seen = train(callbacks=[Callback(publish="booster", action="train")])
    record = here.record
    validate_record(record)
    assert record["parameters"]["gradient_booster.tree_train_param.max_depth"] == "2"
    assert record["parameters"]["objective.name"] == "binary:logistic"
    for metric in ("logloss", "error"):
        values = seen["train"][metric]
        assert record["metrics"][f"train-{metric}"] == {
            "last": values[-1], "min": min(values), "max": max(values), "count": 3
        }  # fmt: skip
    lines = [
        line
        for path in here.run.glob("*.jsonl")
        for line in path.read_text().splitlines()
        if '"m":"train-logloss"' in line
    ]
    assert [line.partition('"s":')[2][0] for line in lines] == ["0", "1", "2"]
    assert here.intents[0][2]["content"] == format_digest(hash_path("booster.ubj").digest)
    loaded = xgboost.Booster(model_file="booster.ubj")
    assert (loaded.predict(xgboost.DMatrix(X)) == booster.predict(xgboost.DMatrix(X))).all()


def test_training_outside_of_a_run_is_a_run_of_its_own(here: Recorded) -> None:
    train(callbacks=[Callback()])
    assert here.record["run"]["name"] == "xgboost"
    assert proml.run is None


def test_cross_validation_records_means_and_deviations(here: Recorded) -> None:
    with proml.start_run():
        seen = xgboost.cv(PARAMETERS, xgboost.DMatrix(X, Y), 3, nfold=2, callbacks=[Callback()], as_pandas=False)
    metrics = here.record["metrics"]
    assert metrics["test-logloss"]["last"] == pytest.approx(seen["test-logloss-mean"][-1])
    assert metrics["test-logloss-std"]["last"] == pytest.approx(seen["test-logloss-std"][-1])


def test_an_estimator_with_the_callback_is_copied_and_validated_in_parallel(here: Recorded) -> None:
    estimator = xgboost.XGBClassifier(n_estimators=2, n_jobs=1, callbacks=[Callback()])
    with proml.start_run():
        assert len(cross_val_score(estimator, X, Y, cv=3, n_jobs=2)) == 3
        fitted = clone(estimator).fit(X, Y, eval_set=[(X, Y)], verbose=False)
    assert here.record["metrics"]["validation_0-logloss"]["count"] == 2
    for copied in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert (copied.predict(X) == fitted.predict(X)).all()


def test_failures_of_capture_do_not_reach_training(here: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    expected, _ = train()
    (here.root / "no.ubj").mkdir()
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        booster, _ = train(callbacks=[Callback(publish="booster", path="no.ubj")])
    assert booster.get_dump() == expected.get_dump()
    assert len(caplog.records) == 1
    assert "could not publish the model of XGBoost" in caplog.text
    assert here.record["metrics"]["train-error"]["count"] == 3
