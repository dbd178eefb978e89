"""An observed program has the streams, terminal, signals and exit status that it has alone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.capture.commands import wrapped

from proml.capture import run_command

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

PYTHON = sys.executable
READY = "print('ready', flush=True); import time; time.sleep(30)"


def test_every_exit_status_passes_through() -> None:
    for status in range(256):
        assert run_command._run(["sh", "-c", f"exit {status}"], os.environ) == status


@pytest.mark.parametrize("status", [0, 1, 127, 128, 255])
def test_the_exit_status_of_an_observed_program_passes_through(here: Recorded, status: int) -> None:
    done = subprocess.run(wrapped(PYTHON, "-c", f"import sys; sys.exit({status})"), cwd=here.root, check=False)
    assert done.returncode == status
    assert here.record["run"]["exit_status"] == status


def test_binary_input_and_output_pass_through_pipes(here: Recorded) -> None:
    data = bytes(range(256)) * 8192
    copy = (
        "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer); sys.stderr.buffer.write(b'\\xff')"
    )
    done = subprocess.run(wrapped(PYTHON, "-c", copy), cwd=here.root, input=data, capture_output=True, check=True)
    assert done.stdout == data
    assert done.stderr == b"\xff"


def test_a_reader_that_goes_away_ends_the_program_as_without(here: Recorded) -> None:
    code = "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: print('y' * 1000)"
    process = subprocess.Popen(wrapped(PYTHON, "-c", code), cwd=here.root, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.read(1000)
    process.stdout.close()
    assert process.wait(timeout=60) == 128 + signal.SIGPIPE


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)]
)
def test_a_signal_to_the_recorder_ends_the_program(here: Recorded, sent: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        wrapped(PYTHON, "-c", READY), cwd=here.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert ("KeyboardInterrupt" in errors) == (sent == signal.SIGINT)
    assert here.record["run"]["exit_status"] == status


def test_a_program_that_is_killed_is_recorded_with_what_it_did(here: Recorded) -> None:
    code = "import os, signal; open('out.txt', 'w').close(); os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run(wrapped(PYTHON, "-c", code), cwd=here.root, check=False)
    assert done.returncode == 137
    assert [one["path"] for one in here.record["facts"]["observed"]["outputs"]] == ["out.txt"]


def in_terminal(here: Recorded, code: str, keys: bytes = b"") -> tuple[bytes, int]:
    """Runs a program through capture in a terminal, types keys once it says ready; returns what it showed."""
    terminal, inner = pty.openpty()
    # The new session's leader takes the terminal, then becomes the recorder.
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    command = [PYTHON, "-c", take, *wrapped(PYTHON, "-c", code)]
    process = subprocess.Popen(command, cwd=here.root, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
    os.close(inner)
    seen = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # Linux: the terminal has no other end any more
            break
        if not chunk:
            break
        seen += chunk
        if keys and b"ready" in seen:
            os.write(terminal, keys)
            keys = b""
    os.close(terminal)
    return seen, process.wait(timeout=60)


def test_a_program_in_a_terminal_sees_the_terminal(here: Recorded) -> None:
    code = "import os; print([os.isatty(n) for n in range(3)], os.tcgetpgrp(0) == os.getpgrp(), os.ttyname(1)[:5])"
    seen, status = in_terminal(here, code)
    assert (seen.strip(), status) == (b"[True, True, True] True /dev/", 0)


def test_a_line_typed_in_the_terminal_reaches_the_program(here: Recorded) -> None:
    seen, status = in_terminal(here, "print('got', input('ready '))", b"hello\n")
    assert (b"got hello" in seen, status) == (True, 0)


def test_ctrl_c_in_the_terminal_interrupts_the_program_which_is_recorded(here: Recorded) -> None:
    seen, status = in_terminal(here, READY, b"\x03")
    assert (seen.count(b"Traceback"), seen.count(b"KeyboardInterrupt"), status) == (1, 1, 130)
    assert here.record["run"]["exit_status"] == 130
