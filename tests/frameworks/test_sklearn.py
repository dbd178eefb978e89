from __future__ import annotations

import copy
import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import proml
from proml import frames
from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.hashing import hash_path
from proml.integrations.arrays import content_of
from proml.integrations.sklearn import track

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.conftest import Recorded

X, Y = make_classification(n_samples=60, n_features=5, random_state=0)


def test_a_fitted_estimator_leaves_parameters_data_duration_and_score(here: Recorded) -> None:
    with proml.start_run("train") as run:
        model = track(LogisticRegression(C=0.5))
        assert model.fit(X, Y).score(X[:20], Y[:20]) > 0.5
        joblib.dump(model, "model.joblib")
        run.publish("classifier", "model.joblib", kind="model", action="train")
    record = here.record
    validate_record(record)
    assert record["parameters"]["C"] == 0.5
    assert record["parameters"]["estimator"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert (record["parameters"]["n_samples"], record["parameters"]["n_features"]) == (60, 5)
    assert record["metrics"]["fit_s"]["last"] > 0
    assert record["metrics"]["score"]["last"] == model.score(X[:20], Y[:20])
    assert [(use["role"], use["path"]) for use in record["uses"]] == [
        ("training data", "(X)"),
        ("training labels", "(y)"),
        ("evaluation data", "(X)"),
        ("evaluation labels", "(y)"),
    ]
    np.save("x.npy", X)
    assert record["uses"][0]["content"] == format_digest(hash_path("x.npy").digest)
    assert type(joblib.load("model.joblib")) is LogisticRegression


def test_fitting_outside_of_a_run_is_a_run_of_its_own(here: Recorded) -> None:
    track(LogisticRegression()).fit(X, Y)
    assert here.record["run"]["name"] == "LogisticRegression"
    assert proml.run is None


def test_a_fit_that_fails_raises_what_it_raised_and_says_so_in_its_run(here: Recorded) -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        track(LogisticRegression()).fit(X, Y[:-1])
    assert here.record["run"]["exception"]["type"] == "ValueError"


def test_copies_are_plain_estimators_and_the_estimator_is_fitted_itself(here: Recorded) -> None:
    plain = LogisticRegression(C=2)
    model = track(plain)
    assert isinstance(model, LogisticRegression)
    with proml.start_run():
        model.fit(X, Y)
    assert (plain.predict(X) == model.predict(X)).all()
    model.set_params(C=3)
    assert plain.C == 3
    for made in (clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(made) is LogisticRegression
        assert made.get_params() == plain.get_params()
    assert b"proml" not in pickle.dumps(model)


def test_parallel_cross_validation_pipelines_and_searches_work(here: Recorded) -> None:
    with proml.start_run():
        model = track(make_pipeline(StandardScaler(), LogisticRegression()), name="all")
        assert len(cross_val_score(model, X, Y, cv=3, n_jobs=2)) == 3
        search = track(GridSearchCV(LogisticRegression(), {"C": [0.1, 1, 10]}, cv=2, n_jobs=2), name="search")
        search.fit(X, Y)
    record = here.record
    assert record["metrics"]["search.mean_test_score"]["count"] == 3
    assert record["metrics"]["search.mean_test_score"]["max"] == search.best_score_
    assert record["parameters"]["search.best.C"] == search.best_params_["C"]
    assert "LogisticRegression" in record["parameters"]["search.estimator"]
    assert "all.score" not in record["metrics"]


@pytest.mark.parametrize(
    "same",
    [
        np.asfortranarray(X),
        X.astype(">f8"),
        np.repeat(X, 2, axis=0)[::2],
        X.tolist(),
    ],
    ids=["order of axes", "byte order", "gaps", "lists"],
)
def test_how_an_array_lies_in_memory_does_not_matter(same: Any) -> None:
    assert content_of(same).digest == content_of(X).digest


@pytest.mark.parametrize(
    "other",
    [X.astype("f4"), X.reshape(5, 60), X[::-1], np.where(np.arange(X.size).reshape(X.shape) == 7, 0, X), X.T],
    ids=["type", "shape", "rows", "one value", "transposed"],
)
def test_type_shape_and_every_value_matter(other: Any) -> None:
    assert content_of(other).digest != content_of(X).digest


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.array(["a", "bc"]),
        np.zeros((0, 3)),
        np.array(3.5),
        np.array(["2026-01-01"], "M8[D]"),
    ],
    ids=str,
)
def test_an_array_is_the_file_that_numpy_saves(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    assert content_of(array) == hash_path(tmp_path / "a.npy")


def test_a_sparse_matrix_is_named_by_its_values_in_whatever_form() -> None:
    matrix = sparse.random(9, 4, density=0.4, random_state=1, format="coo")
    names = [resource.name for resource in content_of(matrix).resources]
    assert names == ["data.npy", "indices.npy", "indptr.npy", "shape.npy"]
    assert content_of(matrix.tocsc()) == content_of(matrix.tocsr()) == content_of(matrix)
    assert content_of(matrix.tocsr()[::-1]) != content_of(matrix)


def test_a_data_frame_is_named_with_its_columns(here: Recorded) -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    with proml.start_run():
        track(LogisticRegression()).fit(frame, pd.Series(Y, name="class"))
    assert here.record["uses"][0]["content"] == format_digest(frames.manifest(frame).digest)
    assert content_of(frame.rename(columns={"a": "z"})) != content_of(frame)


def test_data_that_cannot_be_hashed_is_said_once_and_does_not_stop_the_fit(
    here: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        model = track(StandardScaler()).fit(X.astype(object))
        track(StandardScaler()).fit(X.astype(object))
    assert model.mean_ is not None
    assert len(caplog.records) == 1
    assert "found one of type object" in caplog.text
    assert here.record["metrics"]["fit_s"]["count"] == 2


def test_with_the_run_folder_gone_the_result_is_the_same(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = LogisticRegression().fit(X, Y).coef_
    (here.root / ".proml" / "runs").write_text("in the way")
    model = track(LogisticRegression()).fit(X, Y)
    assert json.dumps(model.coef_.tolist()) == json.dumps(expected.tolist())
