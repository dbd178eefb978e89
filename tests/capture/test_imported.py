"""Runs that something else recorded are taken over whole, once, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proml.capture import closing
from proml.capture.imported import ForeignRun, Input, Observation, Output, is_known, take_over
from proml.capture.recover import recover
from proml.cli import main
from proml.config import Folder
from proml.errors import ProMLError
from proml.hashing import hash_path

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

NOW_NS = 1_700_000_000 * 10**9
RUN = ForeignRun(
    id="other-17",
    name="first",
    started_ns=NOW_NS,
    ended_ns=NOW_NS + 10**9,
    tags={"ticket": 17},
    stated={"format": "other"},
    parameters={"depth": "3"},
    observations=[Observation("loss", 0.5, 1, NOW_NS + 5), Observation("loss", float("nan"), None, NOW_NS + 6)],
)


def with_content(here: Recorded) -> ForeignRun:
    (here.root / "data.csv").write_text("1")
    (here.root / "model.bin").write_text("2")
    data, model = hash_path(here.root / "data.csv"), hash_path(here.root / "model.bin")
    used, made = Input("training", data, path="data.csv"), Output("adder", here.root / "model.bin", model)
    return replace(RUN, inputs=[used], outputs=[made])


def test_all_that_it_has_is_in_the_record(here: Recorded) -> None:
    take_over(Folder(here.root), with_content(here))
    record = here.record
    assert (record["run"]["id"], record["run"]["started"]) == ("other-17", "2023-11-14T22:13:20.000000Z")
    assert record["created"] == record["run"]["ended"] == "2023-11-14T22:13:21.000000Z"
    assert record["metrics"] == {"loss": {"count": 2, "last": "NaN", "min": 0.5, "max": 0.5}}
    assert record["facts"]["imported"]["format"] == "other"
    assert record["artefact"] == {"name": "adder", "kind": "model"}
    assert [used["path"] for used in record["uses"]] == ["data.csv"]


def test_taking_over_twice_changes_nothing(here: Recorded) -> None:
    folder, run = Folder(here.root), with_content(here)
    assert not is_known(folder, run.id)
    first = take_over(folder, run)
    before = here.records, here.intents
    assert take_over(folder, replace(run, name="another")) == first
    assert is_known(folder, run.id)
    assert (here.records, here.intents) == before


def test_what_is_cut_off_is_finished_later(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> Any:
        raise KeyboardInterrupt

    folder, run = Folder(here.root), with_content(here)
    with monkeypatch.context() as patch:
        patch.setattr(closing, "close", killed)
        with pytest.raises(KeyboardInterrupt):
            take_over(folder, run)
    assert here.records == []
    assert recover(here.root).closed == ("other-17",)
    assert here.record["metrics"]["loss"]["count"] == 2
    assert not here.record["facts"].get("interrupted")


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "../other"},
        {"ended_ns": 1 << 90},
        {"observations": [Observation("loss", "high", 1, NOW_NS)]},
        {"surroundings": {"git": {"commit": 17}}},
    ],
)
def test_a_run_that_cannot_be_recorded_leaves_nothing(here: Recorded, wrong: dict[str, Any]) -> None:
    with pytest.raises((ProMLError, TypeError, ValueError)):
        take_over(Folder(here.root), replace(RUN, **wrong))
    assert here.runs == []
    assert here.intents == []


def test_a_missing_extra_is_named(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    (here.root / "mlruns" / "0").mkdir(parents=True)
    (here.root / "mlruns" / "0" / "meta.yaml").write_text("name: Default")
    try:
        import mlflow  # noqa: F401, PLC0415 - is it there?
    except ImportError:
        assert main(["import", "--format", "mlflow", "mlruns"]) == 2
        assert "pip install 'proml[mlflow]'" in capsys.readouterr().err
