from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.capture.commands import run, wrapped

import proml
from proml.capture.recover import recover
from proml.capture.run_command import run_command

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded


def test_streams_and_exit_status_pass_through(here: Recorded) -> None:
    done = run(here, "sh", "-c", "cat; echo err >&2; exit 9", given="in")
    assert (done.stdout, done.stderr, done.returncode) == ("in", "err\n", 9)
    assert here.record["run"]["exit_status"] == 9
    assert here.record["run"]["command"] == ["sh", "-c", "cat; echo err >&2; exit 9"]
    assert here.record["run"]["entry_point"]["path"].endswith("sh")


def test_declared_inputs_and_outputs_are_recorded(here: Recorded) -> None:
    (here.root / "in.csv").write_text("1")
    done = run(here, "sh", "-c", "cp in.csv out.csv", uses=["in.csv", "tumours@1"], publishes=["copy=out.csv"])
    assert (done.returncode, done.stderr) == (0, "")
    assert [use["path"] for use in here.record["uses"]] == ["in.csv", "tumours@1"]
    ((_, kind, body),) = here.intents
    assert (kind, body["name"], body["kind"], body["action"]) == ("transition", "copy", "dataset", "collect")


def test_inputs_are_hashed_before_the_command_changes_them(here: Recorded) -> None:
    (here.root / "data").write_text("before")
    run(here, "sh", "-c", "echo after > data", uses=["data"], publishes=[("data", "data")])
    assert here.record["uses"][0]["size_bytes"] == 6
    assert here.record["content"]["resources"][0]["size_bytes"] == 6
    assert here.record["uses"][0]["content"] != here.intents[0][2]["content"]


def test_a_command_that_fails_publishes_nothing(here: Recorded) -> None:
    (here.root / "out").write_text("stale")
    assert run(here, "false", publishes=["x=out"]).returncode == 1
    assert [kind for _, kind, _ in here.intents] == ["anchor"]


def test_a_missing_output_is_said_and_the_exit_status_stays(here: Recorded) -> None:
    done = run(here, "true", publishes=["x=missing.csv"])
    assert (done.returncode, done.stderr.count("proml: ")) == (0, 1)


@pytest.mark.parametrize(("command", "status"), [("no-such-program", 127), ("./plain.txt", 126)])
def test_a_command_that_cannot_run_has_the_status_that_a_shell_gives(here: Recorded, command: str, status: int) -> None:
    (here.root / "plain.txt").write_text("x")
    done = run(here, command)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert here.record["run"]["exit_status"] == status


def test_a_command_killed_by_a_signal_has_128_and_its_number(here: Recorded) -> None:
    assert run(here, "sh", "-c", "kill -9 $$").returncode == 137
    assert here.record["run"]["exit_status"] == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command_which_decides(here: Recorded, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 3' {name}; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        wrapped("sh", "-c", script), cwd=here.root, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate()[0] == f"got {name}\n"
    assert process.returncode == 3


def test_an_interrupt_from_the_terminal_reaches_the_command_once(here: Recorded) -> None:
    script = (
        "import signal, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\n"
        "end = time.time() + 1\n"
        "while time.time() < end: time.sleep(0.05)\n"
        "print('interrupts', len(seen), flush=True)\n"
    )
    child, terminal = pty.fork()
    if not child:
        os.chdir(here.root)
        os.execv(sys.executable, wrapped(sys.executable, "-c", script))
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    while b"interrupts" not in seen or not seen.endswith(b"\n"):
        seen += os.read(terminal, 1024)
    os.waitpid(child, 0)
    assert b"interrupts 1" in seen


def signals_of(status: str) -> list[int]:
    """Returns the sets of signals without 32 and 33, which the C library keeps to itself."""
    return [int(line.split()[1], 16) & ~(3 << 31) for line in status.splitlines()]


def test_the_command_has_no_blocked_or_ignored_signals_that_it_would_not_have_alone(here: Recorded) -> None:
    show = "grep -E 'Sig(Blk|Ign)' /proc/self/status"
    alone = subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=True).stdout
    assert signals_of(run(here, "sh", "-c", show).stdout) == signals_of(alone)


def test_a_python_program_joins_and_adds_what_it_knows(here: Recorded) -> None:
    script = here.root / "train.py"
    script.write_text(
        "import proml\n"
        "with proml.start_run('train') as run:\n"
        "    run.log_metric('loss', 0.5)\n"
        "    open('m.pkl', 'w').write('m')\n"
        "    run.publish('model', 'm.pkl', action='train')\n"
    )
    assert run(here, sys.executable, "train.py", publishes=["model=m.pkl"], action="train").returncode == 0
    assert here.record["run"]["name"] == "train"
    assert here.record["run"]["entry_point"]["path"] == "train.py"
    assert here.record["run"]["environment"]["packages"]
    assert here.record["metrics"]["loss"]["last"] == 0.5
    assert len(here.intents) == 1


def test_killing_the_recorder_leaves_a_run_that_is_recovered(here: Recorded) -> None:
    process = subprocess.Popen(wrapped("sh", "-c", "echo $$; sleep 0.3"), cwd=here.root, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert len(recover(here.root).closed) == 1
    assert here.record["facts"]["interrupted"]


def test_without_a_place_to_record_the_command_still_runs(elsewhere: Recorded) -> None:
    (elsewhere.root / ".proml").write_text("in the way")
    done = run(elsewhere, "sh", "-c", "echo out; exit 4")
    assert (done.stdout, done.returncode, done.stderr.count("proml: ")) == ("out\n", 4, 1)


def test_the_working_environment_is_restored(here: Recorded) -> None:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert run_command(["true"]) == 0
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    assert "PROML_RUN" not in os.environ


@pytest.mark.parametrize(("argv", "publishes"), [([], []), (["true"], ["nameless"]), (["true"], ["=x"])])
def test_a_request_that_makes_no_sense_is_refused_before_anything_runs(
    here: Recorded, argv: list[str], publishes: list[str | tuple[str, str]]
) -> None:
    with pytest.raises(proml.UsageError):
        run_command(argv, publishes=publishes)
    assert here.runs == []


def test_secrets_in_the_command_line_are_not_recorded(here: Recorded) -> None:
    run(here, "sh", "-c", "exit", "--token", "s3cret", "postgres://u:s3cret@host/db")
    assert "s3cret" not in str(here.record)
    assert "s3cret" not in (here.run / "run.json").read_text()


LOST = """
import os, threading, time
from proml.capture import run_command
threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
waitpid = os.waitpid
def slow(pid, options):
    found = waitpid(pid, options)
    time.sleep(0 if found[0] else 0.5)  # the command ends in the meantime
    return found
os.waitpid = slow
print(run_command._run(["sh", "-c", "sleep 0.2; exit 3"], os.environ))
"""


def test_the_end_of_a_command_is_noticed_if_the_signal_was_lost_to_another_thread(here: Recorded) -> None:
    done = here.python(LOST)
    assert (done.stdout, done.stderr) == ("3\n", "")
