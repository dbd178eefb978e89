from __future__ import annotations

import copy
import logging
import pickle
from typing import TYPE_CHECKING

import pytest
import torch
from tests.torch.lightning_model import Line, data, trainer

import proml
from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.hashing import hash_path
from proml.integrations.lightning import Callback, Logger

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded


def steps(here: Recorded, metric: str) -> list[str]:
    lines = [line for path in here.run.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [line.partition('"s":')[2].partition(",")[0] for line in lines if f'"m":"{metric}"' in line]


def test_training_leaves_parameters_metrics_at_their_steps_and_the_checkpoint(here: Recorded) -> None:
    with proml.start_run("fit"):
        lightning = trainer(logger=Logger(), callbacks=[Callback("line", action="train")])
        lightning.fit(Line(), data())
    record = here.record
    validate_record(record)
    assert record["parameters"]["rate"] == 0.125
    assert record["metrics"]["loss"]["count"] == 8
    assert steps(here, "loss") == [str(step) for step in range(8)]
    best = lightning.checkpoint_callback.best_model_path
    assert here.intents[0][2]["content"] == format_digest(hash_path(best).digest)
    assert torch.load(best, weights_only=True)["global_step"] == 8


def test_training_outside_of_a_run_is_one_run_of_its_own(here: Recorded) -> None:
    lightning = trainer(
        logger=Logger("alone"), callbacks=[Callback("line", action="train")], enable_checkpointing=False
    )
    lightning.fit(Line(), data())
    assert proml.run is None
    assert len(here.runs) == 1
    assert here.record["metrics"]["loss"]["count"] == 8
    assert here.intents[0][2]["content"] == format_digest(hash_path("line.ckpt").digest)


@pytest.mark.parametrize("callbacks", [[], [Callback("line")]], ids=["logger", "both"])
def test_a_training_that_fails_raises_and_its_run_says_so(here: Recorded, callbacks: list[Callback]) -> None:
    with pytest.raises(ZeroDivisionError):
        trainer(logger=Logger(), callbacks=callbacks, enable_checkpointing=False).fit(Line(fails=True), data())
    assert here.record["run"]["exception"]["type"] == "ZeroDivisionError"
    assert here.record["type"] == "run"


def test_failures_of_capture_do_not_reach_training(here: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(1)
    expected = Line()
    trained = copy.deepcopy(expected)
    trainer(logger=False, enable_checkpointing=False).fit(expected, data())
    (here.root / "file").touch()
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        made = trainer(logger=Logger(), callbacks=[Callback("line", path="file/x.ckpt")], enable_checkpointing=False)
        made.fit(trained, data())
    assert all(torch.equal(a, b) for a, b in zip(expected.parameters(), trained.parameters(), strict=True))
    assert len([one for one in caplog.records if one.name == "proml"]) == 1
    assert "could not publish the checkpoint of Lightning" in caplog.text
    assert here.record["metrics"]["loss"]["count"] == 8


def test_logger_and_callback_can_be_copied_and_pickled(here: Recorded) -> None:
    for made in (pickle.loads(pickle.dumps(Logger("one"))), copy.deepcopy(Logger("one"))):
        trainer(logger=made, max_epochs=1, enable_checkpointing=False).fit(Line(), data())
    assert [record["run"]["name"] for record in here.records] == ["one", "one"]
    assert pickle.loads(pickle.dumps(Callback("line"))).publish == "line"
