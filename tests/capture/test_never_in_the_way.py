"""Whatever goes wrong in capture, the script has the same output, result and exit status, and one warning."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import proml
from proml.capture import closing
from proml.capture.recover import recover

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.capture.conftest import Recorded

SCRIPT = """
import sys
import proml
with proml.start_run("train") as run:
    data = run.use("data.csv")
    run.log_params({"a": 1})
    for step in range(2000):
        run.log_metric("loss", 0.5, step)
    text = open(data.path).read()
    open(sys.argv[1] if len(sys.argv) > 1 else "model.pkl", "w").write("model")
    run.publish("model", "model.pkl", action="train")
    print("result", len(text))
sys.exit(7)
"""


def assert_unharmed(done: subprocess.CompletedProcess[str], *, warnings: int = 1) -> None:
    assert done.stdout == "result 4\n", done.stderr
    assert done.returncode == 7
    assert done.stderr.count("proml: ") == warnings, done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting needs root")
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_without_a_working_folder_the_run_is_kept_here_until_init(elsewhere: Recorded) -> None:
    (elsewhere.root / "data.csv").write_text("data")
    assert_unharmed(elsewhere.python(SCRIPT))
    assert len(elsewhere.intents) == 1
    assert (elsewhere.root / ".proml" / ".gitignore").read_text().endswith("*\n")


def test_a_folder_that_cannot_be_written_costs_one_warning(elsewhere: Recorded) -> None:
    (elsewhere.root / "data.csv").write_text("data")
    (elsewhere.root / ".proml").write_text("in the way")  # works for root too, whom permissions do not stop
    assert_unharmed(elsewhere.python(SCRIPT))


def test_a_full_disk_costs_one_warning_and_what_fitted_is_recovered(here: Recorded, tiny: Path) -> None:
    (tiny / ".proml").mkdir()
    (tiny / ".proml" / "config.toml").touch()
    here.root.joinpath("data.csv").write_text("data")
    done = here.python(SCRIPT, env={"PROML_FOLDER": str(tiny)})
    assert_unharmed(done)
    subprocess.run(["mount", "-o", "remount,size=64m", tiny], check=True)
    recovery = recover(tiny)
    assert len(recovery.closed) == 1
    found = type(here)(tiny).record
    assert 0 < found["metrics"]["loss"]["count"] < 2000


def test_a_limit_on_file_size_costs_one_warning(here: Recorded) -> None:
    here.root.joinpath("data.csv").write_text("data")
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    assert_unharmed(here.python(limit + SCRIPT))


@pytest.mark.parametrize("broken", ["outbox.sqlite", "store", "runs"])
def test_a_broken_part_of_the_folder_costs_one_warning(here: Recorded, broken: str) -> None:
    here.root.joinpath("data.csv").write_text("data")
    (here.root / ".proml" / broken).write_text("not what is expected here " * 200)
    assert_unharmed(here.python(SCRIPT))


def test_what_could_not_be_closed_is_closed_once_it_can(here: Recorded) -> None:
    here.root.joinpath("data.csv").write_text("data")
    outbox = here.root / ".proml" / "outbox.sqlite"
    outbox.write_text("broken " * 1000)
    here.python(SCRIPT)
    outbox.unlink()
    assert len(recover(here.root).closed) == 1
    assert len(here.intents) == 1
    assert here.record["run"]["exit_status"] == 0


def test_a_broken_configuration_does_not_concern_capture(here: Recorded) -> None:
    here.root.joinpath("data.csv").write_text("data")
    (here.root / ".proml" / "config.toml").write_text("= broken [")
    assert_unharmed(here.python(SCRIPT), warnings=0)
    assert len(here.intents) == 1


def test_a_missing_input_costs_one_warning_and_the_rest_is_recorded(here: Recorded) -> None:
    done = here.python(
        "import proml\n"
        "with proml.start_run() as run:\n"
        "    print(run.use('no/such.csv').path, run.use('../x').path)\n"
        "    run.log_metric('loss', 'not a number')\n"
        "    run.log_metric('loss', 1)\n"
        "    print(repr(run.publish('bad name!', 'x')))\n"
    )
    assert (done.stdout, done.returncode) == ("no/such.csv ../x\n''\n", 0)
    assert done.stderr.count("proml: ") == 1
    assert here.record["metrics"]["loss"]["count"] == 1


def test_warnings_as_errors_and_a_closed_standard_error_do_not_matter(elsewhere: Recorded) -> None:
    (elsewhere.root / "data.csv").write_text("data")
    done = elsewhere.python("import sys, warnings\nwarnings.simplefilter('error')\nsys.stderr.close()\n" + SCRIPT)
    assert (done.stdout, done.returncode) == ("result 4\n", 7)


def test_an_open_run_is_closed_when_python_exits(here: Recorded) -> None:
    done = here.python("import proml\nrun = proml.start_run()\nrun.log_metric('loss', 1)\nraise ValueError('x')\n")
    assert (done.returncode, done.stderr.count("ValueError: x")) == (1, 1)
    assert here.record["run"]["exception"] == {"type": "ValueError", "message": "x"}
    assert here.record["run"]["exit_status"] == 1


def test_forks_leave_the_closing_to_the_process_that_started_the_run(here: Recorded) -> None:
    done = here.python(
        "import os, sys, proml\n"
        "with proml.start_run() as run:\n"
        "    run.log_metric('loss', 0)\n"
        "    child = os.fork()\n"
        "    run.log_metric('loss', os.getpid())\n"
        "    if child: os.waitpid(child, 0)\n"
        "    else: run.log_param('from', 'child')\n"
        "sys.exit(5)\n"
    )
    assert (done.returncode, done.stderr) == (5, "")
    assert here.record["metrics"]["loss"]["count"] == 3
    assert here.record["parameters"] == {"from": "child"}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_every_kind_record_into_the_run(here: Recorded, method: str) -> None:
    done = here.python(
        "import multiprocessing, proml\n"
        "def work(n): proml.log_metric('loss', n); return n\n"
        "if __name__ == '__main__':\n"
        "    with proml.start_run():\n"
        f"        with multiprocessing.get_context('{method}').Pool(2) as pool:\n"
        "            print(sum(pool.map(work, range(20))))\n"
    )
    assert (done.stdout, done.returncode, done.stderr) == ("190\n", 0, "")
    assert here.record["metrics"]["loss"]["count"] == 20


def test_a_signal_ends_the_script_as_it_would_without_capture(here: Recorded) -> None:
    script = here.root / "script.py"
    script.write_text(
        "import proml, time\n"
        "with proml.start_run() as r:\n"
        "  r.log_metric('a', 1)\n"
        "  print(1, flush=True)\n"
        "  time.sleep(60)\n"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, script], cwd=here.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        process.communicate()
        assert process.returncode == -number
    recover(here.root)
    ended = [(record["run"].get("exit_status"), record["facts"].get("interrupted")) for record in here.records]
    assert ended == [(None, True), (130, None)]


def test_a_clock_that_jumps_back_does_not_matter(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.root / "data.csv").write_text("x")
    now = time.time_ns()
    with proml.start_run() as run:
        run.use("data.csv")
        for name in ("proml.capture.journal._time_ns", "time.time_ns"):
            monkeypatch.setattr(name, lambda: now - 10**15)
        run.publish("model", "data.csv", kind="model", action="train")
    assert len(here.record["uses"]) == 1


def test_no_bug_of_capture_reaches_the_script(
    here: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(closing, "close", broken)
    with proml.start_run() as run:
        monkeypatch.setattr(run._journal, "write", broken)
        run.log_params({"a": 1})
        run.note("x")
    assert caplog.text.count("RuntimeError") == 1


def test_strict_turns_every_failure_into_an_error(here: Recorded) -> None:
    with proml.start_run(strict=True) as run:
        with pytest.raises(proml.UsageError, match="no/such"):
            run.use("no/such.csv")
        with pytest.raises(proml.ProMLError, match="metric 'loss'"):
            run.log_metric("loss", "x")
    with pytest.raises(proml.UsageError, match="ended"):
        run.log_metric("loss", 1)


def test_strict_refuses_to_start_outside_of_a_working_folder(elsewhere: Recorded) -> None:
    with pytest.raises(proml.UsageError, match="no working folder"):
        proml.start_run(strict=True)
    assert elsewhere.runs == []


def test_strict_never_hides_the_exception_of_the_script(here: Recorded) -> None:
    (here.root / ".proml" / "outbox.sqlite").write_text("broken " * 1000)
    with pytest.raises(ZeroDivisionError), proml.start_run(strict=True):
        raise ZeroDivisionError
