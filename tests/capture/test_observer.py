"""The observer in somebody else's program: nothing about the program changes, and no report breaks the reader."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.capture.observed import injecting, reading
from proml.capture.observed.filtering import Filter

if TYPE_CHECKING:
    from pathlib import Path


def observe(
    log: Path, code: str, *options: str, python: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    log.touch()
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, *options, "-c", textwrap.dedent(code)],
        env=injecting.environment_with(log, {**own, **environment}),
        cwd=log.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def alone(
    folder: Path, code: str, *options: str, python: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, *options, "-c", textwrap.dedent(code)],
        env={**own, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "observed.log"


SURROUNDINGS = """
    import sys, warnings, threading, os
    print(sys.path, sys.argv, sys.flags, "sitecustomize" in sys.modules, warnings.filters, threading.active_count())
    print(os.listdir("/proc/self/fd"), sorted(sys.modules))
    try:
        import sitecustomize
    except ImportError as error:
        print(error)
"""


def test_a_program_sees_the_same_path_modules_and_descriptors_as_without(log: Path) -> None:
    assert observe(log, SURROUNDINGS).stdout == alone(log.parent, SURROUNDINGS).stdout
    assert reading.read_log(log).processes == 1


def test_a_sitecustomize_of_the_programs_own_runs_as_without(log: Path) -> None:
    mine = log.parent / "mine"
    mine.mkdir()
    (mine / "sitecustomize.py").write_text("import sys; sys.mark = __file__; print('mine')")
    (mine / "usercustomize.py").write_text("print('user')")
    code = "import sys, sitecustomize; print(sys.mark, sitecustomize.__file__, sys.path)"
    seen = observe(log, code, PYTHONPATH=str(mine))
    assert (seen.stdout, seen.stderr) == (
        alone(log.parent, code, PYTHONPATH=str(mine)).stdout,
        "",
    )
    assert seen.stdout.startswith("mine\n")


@pytest.mark.parametrize("fault", ["1 / 0", "import no_such_module"])
def test_a_broken_sitecustomize_of_the_programs_own_says_so_as_without(log: Path, fault: str) -> None:
    mine = log.parent / "mine"
    mine.mkdir()
    (mine / "sitecustomize.py").write_text(fault)
    seen = observe(log, "print('on')", PYTHONPATH=str(mine))
    without = alone(log.parent, "print('on')", PYTHONPATH=str(mine))
    assert (seen.stdout, seen.stderr, seen.returncode) == (without.stdout, without.stderr, without.returncode)


def test_an_exception_from_a_signal_handler_is_never_swallowed(log: Path) -> None:
    code = """
        import itertools, os, signal
        class Alarm(Exception): pass
        def handler(number, frame): raise Alarm
        signal.signal(signal.SIGALRM, handler)
        caught = 0
        while caught < 200:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005)
                for number in itertools.count():
                    try:
                        open(f"{caught}-{number}")
                    except FileNotFoundError:
                        pass
            except Alarm:
                caught += 1
        print(caught)
    """
    seen = observe(log, code)
    assert (seen.stdout, seen.stderr) == ("200\n", "")


def test_errors_are_those_of_the_program_without_a_trace_of_the_observer(log: Path) -> None:
    code = """
        import traceback, os
        for given in ("/no/such", "nul\\0byte", b"/no/such", 99, "", 3.5, "x" * 5000):
            try:
                open(given)
            except Exception:
                traceback.print_exc()
        try:
            os.rename("/no/such", "/no/other")
        except OSError:
            traceback.print_exc()
    """
    assert observe(log, code).stderr == alone(log.parent, code).stderr


@pytest.mark.parametrize("obstacle", ["missing", "folder"])
def test_a_log_that_cannot_be_written_is_no_ones_trouble(log: Path, obstacle: str) -> None:
    log.touch()
    code = f"import os; os.remove({str(log)!r}); {f'os.mkdir({str(log)!r});' if obstacle == 'folder' else ''}"
    code += "open('x', 'w').write('1'); print(open('x').read())"
    seen = observe(log, code)
    assert (seen.stdout, seen.stderr) == ("1\n", "")


def test_a_program_that_has_no_descriptor_left_is_not_disturbed(log: Path) -> None:
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        files = []
        try:
            while True:
                files.append(open("/etc/passwd"))
        except OSError as error:
            print(len(files), error)
    """
    assert observe(log, code).stdout == alone(log.parent, code).stdout


def test_a_fact_is_reported_once(log: Path) -> None:
    observe(log, "for _ in range(1000): open('x', 'w').close(); open('x').close()")
    assert len(log.read_bytes().splitlines()) == 3


def test_threads_and_forks_report_whole_lines(log: Path) -> None:
    code = """
        import os, threading
        def work(name):
            for number in range(200):
                open(f"{name}-{number}", "w").close()
        for _ in range(3):
            os.fork()
        threads = [threading.Thread(target=work, args=(f"{os.getpid()}-{n}",)) for n in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        try:
            while True: os.wait()
        except ChildProcessError:
            pass
    """
    assert observe(log, code).stderr == ""
    assert len(reading.read_log(log).writes) == 8 * 3 * 200


def test_names_of_any_bytes_are_reported(log: Path) -> None:
    given = [b"new\nline", b"back\\slash\\n", b"\xff\xfe", "ö ü".encode(), b" two  spaces "]
    observe(log, f"for name in {given!r}: open(name, 'w').close()")
    expected = {os.fsencode(log.parent) + b"/" + name for name in given}
    assert {os.fsencode(path) for path in reading.read_log(log).writes} == expected


@given(st.binary(max_size=300))
def test_any_log_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Law: what a full disk or another program left in the log never stops its reader."""
    log = tmp_path_factory.getbasetemp() / "any.log"
    log.write_bytes(b"r 1 2 3 4 /a\n" + data + b"\nw - - - - /b\n")
    seen = reading.read_log(log)
    assert "/a" in seen.reads
    assert "/b" in seen.writes


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (["python3", "-I", "x.py"], "-I"),
        (["/usr/bin/python3.12", "-uBE", "-c", "pass"], "-E"),
        (["python", "-S"], "-S"),
        (["python", "-m", "pip", "-I"], ""),
        (["python", "-c", "-I"], ""),
        (["python", "-WIgnore", "x"], ""),
        (["python", "x.py", "-I"], ""),
        (["sh", "-I"], ""),
        ([], ""),
    ],
)
def test_options_that_keep_the_observer_out_are_told(argv: list[str], option: str) -> None:
    assert injecting.out_of_reach(argv) == option


def test_an_empty_search_path_does_not_become_the_current_folder(tmp_path: Path) -> None:
    assert not injecting.environment_with(tmp_path, {"PYTHONPATH": ""})["PYTHONPATH"].endswith(os.pathsep)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/home/me/work/data/x.csv", True),
        ("/home/me/other/x.csv", True),
        ("/data/x.csv", True),
        ("/usr/share/x", False),
        ("/opt/conda/lib/x", False),
        ("/home/me/work/.venv/share/x", False),
        ("/home/me/work/lib/site-packages/x.py", False),
        ("/home/me/work/.git/HEAD", False),
        ("/tmp/x", False),
        ("/home/me/.cache/x", False),
    ],
)
def test_files_of_the_work_are_told_from_files_of_the_machine(path: str, kept: bool) -> None:  # noqa: FBT001
    from pathlib import Path  # noqa: PLC0415 - typing needs it above

    chosen = Filter(Path("/home/me/work"), ["/opt/conda", "/home/me/work/.venv"])
    assert chosen.keeps(path) is kept


@pytest.mark.parametrize("root", ["/tmp/study", "/opt/conda/study", "/opt/conda"])
def test_a_working_folder_within_a_folder_that_is_left_out_counts(root: str) -> None:
    from pathlib import Path  # noqa: PLC0415 - as above

    assert Filter(Path(root), ["/opt/conda"]).keeps(f"{root}/data.csv")
