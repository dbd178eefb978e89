"""Each fault, in a process of its own: the same script with capture and without has the same output and exit status.

"Without" is a stand-in module that records nothing, so that the comparison does not lean on capture itself.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.capture.conftest import PACKAGE

from proml.capture.recover import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.capture.conftest import Recorded

STAND_IN = """
class Run:
    def __enter__(self): return self
    def __exit__(self, *_): return False
    def use(self, path, **_): self.path = path; return self
    def log_metric(self, *_): pass
    def publish(self, *_, **__): return ""
def start_run(*_, **__): return Run()
def log_metric(*_): pass
class ProMLError(Exception): pass
"""
TRAIN = """
with proml.start_run("train", **OPTIONS) as run:
    text = open(run.use("data.csv").path).read()
    for step in range(2000):
        run.log_metric("loss", 0.5, step)
    open("model.pkl", "w").write("model")
    run.publish("model", "model.pkl", kind="model", action="train")
    print("result", len(text), flush=True)
    sys.exit(7)
"""
# Python 3.12 and later warn of what the scripts do on purpose, by a number that differs each time.
MULTITHREADED_FORK = "ignore:This process:DeprecationWarning"
_WARNING = re.compile(r"^proml: .*?(?:this is the only warning of this run\.\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Outcome:
    """What a process showed to the outside."""

    stdout: str
    stderr: str
    status: int

    @property
    def warnings(self) -> int:
        return self.stderr.count("proml: ")

    @property
    def own_stderr(self) -> str:
        """What the script itself said."""
        return _WARNING.sub("", self.stderr)


@dataclass(frozen=True)
class Script:
    """A script, run with capture and without."""

    here: Recorded
    code: str
    env: Mapping[str, str] = field(default_factory=dict)
    send: int = 0

    def run(self, *, captured: bool, strict: bool = False) -> Outcome:
        stand_in = self.here.root / "stand-in"
        stand_in.mkdir(exist_ok=True)
        (stand_in / "proml.py").write_text(STAND_IN)
        (self.here.root / "data.csv").write_text("data")
        script = self.here.root / "script.py"
        script.write_text(
            f"import os, sys, threading, time\nimport proml\nOPTIONS = {{'strict': {strict}}}\n{self.code}"
        )
        process = subprocess.Popen(
            [sys.executable, script],
            cwd=self.here.root,
            env={
                **os.environ,
                "PYTHONPATH": str(PACKAGE if captured else stand_in),
                "PYTHONWARNINGS": MULTITHREADED_FORK,
                **self.env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun = ""
        if self.send:
            assert process.stdout
            begun = process.stdout.readline()
            process.send_signal(self.send)
        stdout, stderr = process.communicate(timeout=120)
        return Outcome(begun + stdout, stderr, process.returncode)

    def compare(self, *, warnings: int) -> None:
        without, captured = self.run(captured=False), self.run(captured=True)
        assert (captured.stdout, captured.status) == (without.stdout, without.status), captured.stderr
        assert captured.warnings == warnings, captured.stderr
        if self.send:  # where in the script the signal arrives is chance
            assert captured.own_stderr.splitlines()[-1:] == without.own_stderr.splitlines()[-1:]
        else:
            assert captured.own_stderr == without.own_stderr

    def assert_strict(self) -> None:
        code = "\n".join(f"    {line}" for line in self.code.splitlines())
        caught = (
            f"try:\n{code}\nexcept proml.ProMLError as error:\n    print('strict', bool(str(error)))\n    sys.exit(9)\n"
        )
        strict = Script(self.here, caught, self.env).run(captured=True, strict=True)
        assert (strict.stdout.splitlines()[-1], strict.status) == ("strict True", 9), strict


@dataclass(frozen=True)
class Disk:
    """A small file system of its own, with a working folder."""

    here: Recorded
    env: Mapping[str, str]
    remount: Callable[[str], None]


@pytest.fixture
def disk(tmp_path: Path, here: Recorded) -> Iterator[Disk]:
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (place / ".proml").mkdir(mode=0o700)
        (place / ".proml" / "config.toml").touch()

        def remount(options: str) -> None:
            subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)

        yield Disk(type(here)(place), {"PROML_FOLDER": str(place)}, remount)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk(here: Recorded, disk: Disk) -> None:
    Script(here, TRAIN, disk.env).compare(warnings=1)
    disk.remount("size=64m")
    assert len(recover(disk.here.root).closed) == 1
    assert 0 < disk.here.record["metrics"]["loss"]["count"] < 2000
    assert [use["path"] for use in disk.here.record["uses"]] == ["data.csv"]


def test_a_full_disk_when_strict(here: Recorded, disk: Disk) -> None:
    Script(here, TRAIN, disk.env).assert_strict()


def test_a_read_only_folder(here: Recorded, disk: Disk) -> None:
    disk.remount("ro")
    script = Script(here, TRAIN, disk.env)
    script.compare(warnings=1)
    script.assert_strict()
    assert disk.here.runs == []


def test_a_folder_without_permission_to_write(here: Recorded) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not stop root")
    dot = here.root / ".proml"
    dot.chmod(0o500)
    try:
        script = Script(here, TRAIN)
        script.compare(warnings=1)
        script.assert_strict()
    finally:
        dot.chmod(0o700)


def test_a_broken_configuration_does_not_concern_a_run_that_sends_nothing(here: Recorded) -> None:
    (here.root / ".proml" / "config.toml").write_text("= broken [")
    Script(here, TRAIN).compare(warnings=0)
    assert here.record["metrics"]["loss"]["count"] == 2000


SENDS = TRAIN.replace("**OPTIONS", "wait='sent', **OPTIONS").replace("    sys.exit(7)\n", "sys.exit(7)\n")


def test_a_broken_configuration_when_the_run_is_to_be_sent(here: Recorded) -> None:
    (here.root / ".proml" / "config.toml").write_text("= broken [")
    script = Script(here, SENDS)
    script.compare(warnings=1)
    assert [kind for _, kind, _ in here.intents] == ["transition"]
    assert here.record["metrics"]["loss"]["count"] == 2000
    script.assert_strict()


def test_a_ledger_that_is_away(here: Recorded) -> None:
    (here.root / ".proml" / "config.toml").write_text('ledger = "http://127.0.0.1:9"\n')
    Script(here, TRAIN).compare(warnings=0)
    assert [kind for _, kind, _ in here.intents] == ["transition"]


def test_a_ledger_that_is_away_when_the_run_is_to_be_sent(here: Recorded) -> None:
    (here.root / ".proml" / "config.toml").write_text('ledger = "http://127.0.0.1:9"\n')
    script = Script(here, SENDS)
    script.compare(warnings=1)
    assert [kind for _, kind, _ in here.intents] == ["transition"]
    script.assert_strict()


@pytest.mark.parametrize("jump_s", [-86_400, 86_400, -(2**31)])
def test_a_clock_that_jumps(here: Recorded, jump_s: int) -> None:
    jump = (
        "if hasattr(proml, '__version__'):\n"
        "    import proml.capture.journal as journal\n"
        "    real = time.time_ns\n"
        "    calls = iter(range(10**9))\n"
        f"    time.time_ns = journal._time_ns = lambda: real() + ({jump_s} * 10**9 if next(calls) > 100 else 0)\n"
    )
    Script(here, jump + TRAIN.replace("**OPTIONS", "strict=True")).compare(warnings=0)
    assert here.record["metrics"]["loss"]["count"] == 2000
    assert [use["path"] for use in here.record["uses"]] == ["data.csv"]
    assert here.record["run"]["exit_status"] == 7


LOOP = """
with proml.start_run("train") as run:
    run.use("data.csv")
    run.log_metric("loss", 0.5, 0)
    print("begun", flush=True)
    for _ in range(600):
        time.sleep(0.1)
"""
HANDLED = """
import signal
def stop(number, frame):
    print("stopping", flush=True)
    sys.exit(number + 100)
signal.signal(signal.SIGTERM, stop)
"""


@pytest.mark.parametrize(
    ("number", "before", "status"),
    [
        (signal.SIGTERM, "", None),
        (signal.SIGINT, "", 130),
        (signal.SIGHUP, "", None),
        (signal.SIGTERM, HANDLED, 115),
    ],
)
def test_a_signal(here: Recorded, number: int, before: str, status: int | None) -> None:
    Script(here, before + LOOP, send=number).compare(warnings=0)
    recover(here.root)
    assert here.record["run"].get("exit_status") == status
    assert here.record["metrics"]["loss"]["count"] == 1
    assert here.record["facts"].get("interrupted") == (True if status is None else None)


BEGIN = "run = proml.start_run('exit')\nrun.log_metric('loss', 1, 0)\nprint('begun', flush=True)\n"
WITH = "with proml.start_run('exit') as run:\n    run.log_metric('loss', 1, 0)\n    print('begun', flush=True)\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (BEGIN + "sys.exit(5)", None),
        (WITH + "    sys.exit(5)", 5),
        (WITH + "    sys.exit('a message')", 1),
        (BEGIN + "os._exit(6)", None),
        (WITH + "    os._exit(6)", None),
        (BEGIN + "raise LookupError('x')", 1),
        (WITH + "    raise LookupError('x')", 1),
        (WITH + "    t = threading.Thread(target=sys.exit, args=(4,)); t.start(); t.join()", 0),
        (WITH + "    t = threading.Thread(target=os._exit, args=(4,)); t.start(); t.join()", None),
        (WITH + "    t = threading.Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join()", 0),
        (BEGIN + "threading.Thread(target=lambda: (time.sleep(0.2), run.log_metric('loss', 2, 1))).start()", None),
        (BEGIN + "import atexit\natexit.register(print, 'last')", None),
        (WITH + "    os.abort()", None),
        (WITH + "    os.execv(sys.executable, [sys.executable, '-c', 'print(3); raise SystemExit(8)'])", None),
    ],
)
def test_an_exit_of_the_interpreter(here: Recorded, code: str, status: int | None) -> None:
    Script(here, code).compare(warnings=0)
    recover(here.root)
    assert here.record["run"].get("exit_status") == status
    assert here.record["metrics"]["loss"]["count"] == (2 if "log_metric('loss', 2" in code else 1)
    assert len(here.intents) == 1


FORK = """
stop = threading.Event()
def busy(name):
    while not stop.is_set():
        proml.log_metric(name, 1)
with proml.start_run("fork") as run:
    threads = [threading.Thread(target=busy, args=(f"busy-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    codes = []
    for child in range(8):
        pid = os.fork()
        if pid == 0:
            proml.log_metric("child", child, child)
            if child % 2:
                sys.exit(child)
            os._exit(child)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    print(codes)
sys.exit(3)
"""


def test_a_fork_while_threads_write(here: Recorded) -> None:
    Script(here, FORK).compare(warnings=0)
    assert here.record["metrics"]["child"]["count"] == 8
    assert here.record["run"]["exit_status"] == 0
    assert len(here.intents) == 1


def test_a_fork_while_another_thread_holds_the_locks_of_capture(here: Recorded) -> None:
    """The child inherits locks that nobody there will ever release."""
    code = """
def hold():
    with run._journal._lock:
        held.set()
        done.wait()
held, done = threading.Event(), threading.Event()
with proml.start_run("fork") as run:
    if hasattr(run, "_journal"):
        threading.Thread(target=hold).start()
        held.wait()
    pid = os.fork()
    if pid == 0:
        proml.log_metric("child", 1)
        run.log_metric("child", "no number")
        os._exit(4)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    done.set()
    print(code)
"""
    Script(here, code).compare(warnings=1)
    assert here.record["metrics"]["child"]["count"] == 1


def test_a_fork_on_a_full_disk(here: Recorded, disk: Disk) -> None:
    """The parent has filled the disk, so the child's own segment cannot be made: one warning from each of them."""
    code = """
with proml.start_run("fork") as run:
    for step in range(2000):
        run.log_metric("loss", 0.5, step)
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        run.log_metric("child", 1)
        os._exit(2)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    Script(here, code, disk.env).compare(warnings=1)
