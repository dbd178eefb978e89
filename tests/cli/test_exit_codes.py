"""The documented exit codes, and what is said with each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import failure, sync
from proml.cli.group import Command
from proml.cli.session import Session
from proml.core.intent import RegisterIntent
from proml.errors import ProMLError, RefusedError, UnreachableError
from proml.ports import Entry
from proml.submit.report import DeliveryReport

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from tests.cli.conftest import Person


NOWHERE = "http://127.0.0.1:9"


def test_usage_is_2_and_points_to_help(alone: Person) -> None:
    answer = alone("act", code=2)
    assert answer.err.startswith("error: ")
    assert "hint: See `proml act --help`." in answer.err


def test_an_unknown_command_suggests_the_nearest(alone: Person) -> None:
    assert "Did you mean lineage?" in alone("linage", code=2).err


def test_no_command_prints_the_help(alone: Person) -> None:
    assert "Commands:" in alone(code=2).err


def test_refused_is_3_says_why_and_leaves_nothing_in_the_outbox(alone: Person) -> None:
    alone.write("r", "1")
    alone("act", "refused-data", "collect", "r", "--kind", "source")
    alone("act", "refused", "train", "r", "--kind", "model", "--use", "refused-data")
    answer = alone.json("act", "refused", "release", code=3)
    assert answer["error"]["rule"] == "WrongState"
    assert "trained" in answer["error"]["message"]
    assert alone.json("status", "refused")["outbox"] == []
    alone.write("r", "2")
    alone("act", "refused", "train", "r", "--use", "refused-data")


def test_a_command_is_not_held_back_by_another_that_is_refused_in_the_same_delivery(alone: Person) -> None:
    alone.write("b", "1")
    alone("act", "beside-data", "collect", "b", "--kind", "source")
    alone("act", "beside", "train", "b", "--kind", "model", "--use", "beside-data")
    number = alone.json("act", "beside", "release", code=5, PROML_LEDGER=NOWHERE)["entry"]
    alone.write("b", "2")
    alone("act", "beside", "train", "b", "--use", "beside-data")
    (left,) = alone.json("status", "beside")["outbox"]
    assert (left["number"], left["state"]) == (number, "refused")
    assert f"--drop {number}" in alone.json("sync", code=3)["error"]["hint"]
    alone("sync", "--drop", number)


def test_an_unreachable_ledger_is_5_and_loses_nothing(alone: Person) -> None:
    alone.write("u", "1")
    alone("act", "offline", "collect", "u", "--kind", "source")
    alone.write("u", "2")
    answer = alone.json("act", "offline", "collect", "u", code=5, PROML_LEDGER=NOWHERE)
    assert f"entry {answer['entry']}" in answer["error"]["message"]
    assert "proml sync" in answer["error"]["hint"]
    alone.json("sync", code=5, PROML_LEDGER=NOWHERE)
    sent = alone.json("sync")
    assert [entry["state"] for entry in sent["entries"]] == ["confirmed"]
    assert alone.json("status", "offline")["artefacts"][0]["version"] == 2


def test_reading_goes_on_while_the_ledger_is_unreachable_and_says_so(alone: Person) -> None:
    alone("status")
    answer = alone("status", PROML_LEDGER=NOWHERE)
    assert "the ledger does not answer" in answer.err
    assert "unreachable" in alone.json("status", PROML_LEDGER=NOWHERE)["following"]


def test_a_gate_does_not_pass_while_the_ledger_is_unreachable(alone: Person) -> None:
    alone.write("gate", "1")
    alone("act", "gated", "collect", "gate", "--kind", "source")
    alone("verify", "gate", code=5, PROML_LEDGER=NOWHERE)


def test_what_is_not_final_when_that_was_waited_for_is_5() -> None:
    intent = RegisterIntent("a", "source", bytes(32)).intent("k")
    report = DeliveryReport((Entry(1, intent, "confirmed", block_number=7),))
    assert sync._problem(report, "included") is None
    problem = sync._problem(report, "final")
    assert isinstance(problem, UnreachableError)
    assert "block 7 is not final yet" in problem.message


def test_a_conflict_is_6_and_can_be_rebased_or_dropped(alone: Person) -> None:
    alone.write("c", "1")
    alone("act", "raced", "collect", "c", "--kind", "source")
    for text in ("2", "3"):
        alone.write("c", text)
        alone("act", "raced", "collect", "c", code=5, PROML_LEDGER=NOWHERE)
    # The first is bound to the head that was seen; a copy of this folder's key moves the artefact on meanwhile.
    other = alone.folder / "other"
    other.mkdir()
    alone("-C", other, "init", "--workspace", alone.folder / ".proml/workspace.json")
    alone("-C", other, "act", "raced", "collect", alone.write("c4", "4"))
    stuck = alone.json("sync", code=6)
    number = next(entry["number"] for entry in stuck["entries"] if entry["state"] == "conflict")
    assert f"--rebase {number}" in stuck["error"]["hint"]
    assert "conflict" in alone("status", "raced").out
    assert alone.json("sync", "--rebase", number)["rebased"] == [number]
    assert alone.json("status", "raced")["artefacts"][0]["version"] == 4


def test_a_dropped_entry_is_not_sent(alone: Person) -> None:
    alone.write("d", "1")
    alone("act", "dropped", "collect", "d", "--kind", "source")
    answer = alone.json("act", "dropped", "collect", "d", code=5, PROML_LEDGER=NOWHERE)
    assert alone.json("sync", "--drop", answer["entry"])["entries"] == []
    assert alone.json("status", "dropped")["artefacts"][0]["seq"] == 1
    alone("sync", "--drop", 99_999, code=2)


def answer_of(capsys: pytest.CaptureFixture[str], raised: BaseException, *words: str) -> tuple[int, str, str]:
    def callback(**_: object) -> None:
        raise raised

    code = failure.guarded(Command("x", callback=callback), words)
    return code, *capsys.readouterr()


def test_a_bug_is_1_and_says_how_to_report_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = answer_of(capsys, ZeroDivisionError("oh"))
    assert code == 1
    assert "bug in ProML" in err
    assert "Traceback" not in err


def test_a_traceback_is_written_into_the_working_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".proml").mkdir()
    (tmp_path / ".proml/config.toml").touch()
    monkeypatch.chdir(tmp_path)
    _, _, err = answer_of(capsys, ZeroDivisionError("oh"))
    assert str(tmp_path / ".proml/traceback.txt") in err
    assert "ZeroDivisionError: oh" in (tmp_path / ".proml/traceback.txt").read_text()


def test_a_traceback_is_shown_on_demand(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROML_TRACEBACK", "1")
    assert "Traceback" in answer_of(capsys, ZeroDivisionError("oh"))[2]


def test_the_base_error_counts_as_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer_of(capsys, ProMLError("should not be"))[0] == 1


def test_interruption_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer_of(capsys, KeyboardInterrupt())[0] == 130


def test_an_error_is_one_line_and_a_hint_one_more(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer_of(capsys, RefusedError("a\nb\x1b[31m", hint="do\nthis"))
    assert (code, out) == (3, "")
    assert err == "error: a b\\x1b[31m\nhint: do this\n"


def test_with_json_an_error_is_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = answer_of(capsys, RefusedError("no", rule="FourEyes", arguments={"a": b"\1"}, hint="h"), "--json")
    assert json.loads(out)["error"] == {
        "code": 3, "type": "RefusedError", "message": "no", "hint": "h", "rule": "FourEyes", "arguments": {"a": "0x01"},
    }  # fmt: skip


def test_facts_known_before_the_error_are_in_its_document(capsys: pytest.CaptureFixture[str]) -> None:
    def callback(**_: object) -> None:
        click.get_current_context().ensure_object(Session).facts["entry"] = 7
        raise RefusedError("no")

    failure.guarded(Command("x", callback=callback), ["--json"])
    assert json.loads(capsys.readouterr().out)["entry"] == 7


def start(person: Person, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "proml", *words],
        cwd=person.folder,
        env={**os.environ, "PROML_HOME": str(person.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_closed_pipe_is_quiet(alone: Person) -> None:
    for n in range(3):
        alone("register", f"piped-{n}", "--kind", "source")
    process = start(alone, "status", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def wait_until_open(pid: int, path: Path) -> None:
    """Waits until a process has opened a file."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):  # the process opens and closes others meanwhile
            if path in [descriptor.readlink() for descriptor in Path(f"/proc/{pid}/fd").iterdir()]:
                return
        time.sleep(0.02)
    raise AssertionError(f"{path} was not opened within 120 s")


def test_ctrl_c_ends_a_real_process_with_130_and_no_traceback(newcomer: Callable[[str], Person]) -> None:
    person = newcomer("patient")
    person("init")
    (person.folder / "big").write_bytes(b"")
    os.truncate(person.folder / "big", 40 << 30)
    process = start(person, "act", "big", "collect", "big", "--kind", "source")
    wait_until_open(process.pid, person.folder / "big")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert b"Traceback" not in err
