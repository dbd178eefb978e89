from __future__ import annotations

import copy
import json
import logging
import pickle
from typing import TYPE_CHECKING

import torch
from tests.torch.transformers_model import model, trainer
from transformers import GPT2LMHeadModel

import proml
from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.hashing import hash_path
from proml.integrations.transformers import Callback

if TYPE_CHECKING:
    import pytest
    from tests.capture.conftest import Recorded


def test_training_leaves_arguments_logs_at_their_steps_and_the_model(here: Recorded) -> None:
    with proml.start_run("fine-tune"):
        trained = trainer(model(), Callback(publish="gpt", action="train"), hub_token="hf_secret")
        trained.train()
    record = here.record
    validate_record(record)
    assert record["parameters"]["max_steps"] == 4
    assert record["parameters"]["model.n_embd"] == 4
    assert "hf_secret" not in json.dumps(record)
    losses = [entry["loss"] for entry in trained.state.log_history if "loss" in entry]
    assert record["metrics"]["loss"] == {"last": losses[-1], "min": min(losses), "max": max(losses), "count": 4}
    assert record["metrics"]["train_loss"]["count"] == 1
    lines = [
        line for path in here.run.glob("*.jsonl") for line in path.read_text().splitlines() if '"m":"loss"' in line
    ]
    assert [line.partition('"s":')[2][0] for line in lines] == ["1", "2", "3", "4"]
    assert here.intents[0][2]["content"] == format_digest(hash_path("out/gpt").digest)
    loaded = GPT2LMHeadModel.from_pretrained("out/gpt")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), trained.model.parameters(), strict=True))


def test_training_outside_of_a_run_is_a_run_of_its_own(here: Recorded) -> None:
    trainer(model(), pickle.loads(pickle.dumps(Callback()))).train()
    assert here.record["run"]["name"] == "transformers"
    assert proml.run is None


def test_failures_of_capture_do_not_reach_training(here: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    expected = model()
    trained = copy.deepcopy(expected)
    trainer(expected).train()
    (here.root / "file").touch()
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        trainer(trained, Callback(publish="gpt", path="file/x")).train()
    assert all(torch.equal(a, b) for a, b in zip(expected.parameters(), trained.parameters(), strict=True))
    assert here.record["type"] == "run"
    assert here.record["metrics"]["loss"]["count"] == 4
    assert len([one for one in caplog.records if one.name == "proml"]) == 1
