from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import proml
from proml.errors import RefusedError
from proml.gate import deliver
from proml.wiring import open_participant

pytest.importorskip("eth")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of one with a dataset that was collected by a run."""
    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROML_HOME", str(folder / "home"))
        subprocess.run([sys.executable, "-m", "proml", "init"], cwd=folder, check=True, capture_output=True)
        (folder / "data.csv").write_text("1")
        patch.chdir(folder)
        with proml.start_run(wait="final", strict=True) as run:
            run.publish("tumours", "data.csv", kind="dataset", action="collect")
    return folder


@pytest.fixture(autouse=True)
def _here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROML_HOME", str(workspace / "home"))
    monkeypatch.chdir(workspace)


def states(folder: Path) -> list[str]:
    with open_participant(folder) as participant:
        return [entry.state for entry in participant.outbox.entries()]


def test_a_run_that_another_process_delivered_first_ends_as_it_went_there(workspace: Path) -> None:
    with proml.start_run() as run:
        run.publish("not-so", "data.csv", kind="dataset", action="publish")
    with open_participant(workspace) as participant:
        participant.deliver()
        (refused,) = participant.outbox.entries("refused")
        with pytest.raises(RefusedError):
            deliver(run.folder or workspace, until="confirmed")
        participant.drop(refused.number)


def test_a_run_that_waits_is_on_the_ledger_when_it_ends(workspace: Path) -> None:
    assert states(workspace)[0] == "confirmed"


def test_what_was_agreed_passes_by_path_and_by_name() -> None:
    assert proml.verify("data.csv", state="collected", name="tumours@1", final=True).ok
    assert proml.verify("tumours").ok
    assert proml.verified(Path("data.csv"), state="collected") == "data.csv"


def test_another_state_or_another_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(proml.VerificationError, match="published"):
        proml.verified("data.csv", state="published")
    other = tmp_path / "data.csv"
    other.write_text("2")
    with pytest.raises(proml.VerificationError) as caught:
        proml.verified(other)
    assert caught.value.report


def test_a_ledger_that_is_away_costs_one_warning_and_nothing_is_lost(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(states(workspace))
    monkeypatch.setenv("PROML_LEDGER", "http://127.0.0.1:9")
    with proml.start_run(wait="final") as run:
        run.publish("other", "data.csv", kind="dataset", action="collect")
    assert caplog.text.count("proml: ") == 1
    monkeypatch.delenv("PROML_LEDGER")
    assert states(workspace)[before:] == ["pending"]
