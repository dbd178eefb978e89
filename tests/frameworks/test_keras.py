from __future__ import annotations

import logging
import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "jax"
import keras

import proml
from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.hashing import hash_path
from proml.integrations.keras import Callback

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1)


def train(*callbacks: Any, epochs: int = 3) -> tuple[Any, dict[str, Any]]:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.05), loss="mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=epochs, validation_split=0.25, verbose=0, callbacks=list(callbacks))
    return model, history.history


def test_training_leaves_settings_metrics_at_their_epochs_and_the_model(here: Recorded) -> None:
    with proml.start_run("fit"):
        model, seen = train(Callback(publish="network", action="train"))
    record = here.record
    validate_record(record)
    parameters = record["parameters"]
    assert (parameters["backend"], parameters["loss"], parameters["epochs"]) == ("jax", "mse", 3)
    assert parameters["count_params"] == 3 * 2 + 2 + 2 + 1
    assert parameters["optimizer.learning_rate"] == pytest.approx(0.05)
    assert set(record["metrics"]) == {"loss", "mae", "val_loss", "val_mae"}
    for name, values in seen.items():
        assert record["metrics"][name]["last"] == pytest.approx(values[-1])
        assert record["metrics"][name]["count"] == 3
    lines = [line for path in here.run.glob("*.jsonl") for line in path.read_text().splitlines() if '"val_mae"' in line]
    assert [line.partition('"s":')[2][0] for line in lines] == ["0", "1", "2"]
    assert here.intents[0][2]["content"] == format_digest(hash_path("network.keras").digest)
    loaded = keras.saving.load_model("network.keras")
    assert np.allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_training_outside_of_a_run_is_a_run_of_its_own(here: Recorded) -> None:
    train(pickle.loads(pickle.dumps(Callback())), epochs=1)
    assert here.record["run"]["name"] == "keras"
    assert proml.run is None


def test_failures_of_capture_do_not_reach_training(here: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    expected, _ = train()
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        model, _ = train(Callback(publish="network", path="no-such-folder/model.keras"))
    assert all((a == b).all() for a, b in zip(model.get_weights(), expected.get_weights(), strict=True))
    assert len(caplog.records) == 1
    assert "could not publish the model of Keras" in caplog.text
    assert here.record["metrics"]["loss"]["count"] == 3
