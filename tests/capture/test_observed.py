"""`proml run` finds out what Python programs read and write, and changes nothing about them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from tests.capture.commands import run, wrapped

from proml.capture.observed import describing
from proml.core.digest import format_digest
from proml.hashing import hash_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.conftest import Recorded

PYTHON = sys.executable


def write(here: Recorded, name: str, code: str) -> str:
    path = here.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(code))
    return name


def names(found: list[dict[str, Any]]) -> list[str]:
    return sorted(one["path"] for one in found)


def observed(here: Recorded) -> dict[str, Any]:
    facts: dict[str, Any] = here.record["facts"]["observed"]
    return facts


def outputs(here: Recorded) -> list[str]:
    return names(observed(here).get("outputs", []))


def uses(here: Recorded) -> list[str]:
    return names(here.record.get("uses", []))


def test_what_a_script_reads_and_writes_is_recorded_with_digests(here: Recorded) -> None:
    write(here, "data/in.csv", "1,2\n")
    write(here, "settings.json", "{}")
    script = write(
        here,
        "script.py",
        """
        import csv, json, pathlib
        with open("data/in.csv", newline="") as file:
            rows = list(csv.reader(file))
        json.loads(pathlib.Path("settings.json").read_text())
        pathlib.Path("out").mkdir()
        pathlib.Path("out/rows.txt").write_text(str(rows))
        with open("log.txt", "a") as log:
            log.write("done")
        """,
    )
    done = run(here, PYTHON, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert uses(here) == ["data/in.csv", "settings.json"]
    by_path = {use["path"]: use for use in here.record["uses"]}
    assert by_path["data/in.csv"] == {
        "role": describing.ROLE,
        "path": "data/in.csv",
        "size_bytes": 4,
        "content": format_digest(hash_path(here.root / "data/in.csv").digest),
    }
    assert outputs(here) == ["log.txt", "out/rows.txt"]
    rows = next(one for one in observed(here)["outputs"] if one["path"] == "out/rows.txt")
    assert rows["content"] == format_digest(hash_path(here.root / "out/rows.txt").digest)
    assert names(observed(here)["code"]) == ["script.py"]
    assert observed(here)["processes"] == 1


def test_numpy_and_joblib_are_seen_and_a_file_renamed_has_its_last_name(here: Recorded) -> None:
    script = write(
        here,
        "train.py",
        """
        import os, pathlib
        import joblib, numpy
        from sklearn.linear_model import LinearRegression
        x = numpy.load("x.npy")
        y = numpy.load("y.npy", mmap_mode="r")
        joblib.dump(LinearRegression().fit(x, y), "model.joblib.partial")
        os.replace("model.joblib.partial", "model.joblib")
        pathlib.Path("new").mkdir()
        numpy.savez("new/arrays.npz", x=x)
        os.rename("new", "final")
        """,
    )
    make = "import numpy; numpy.save('x.npy', [[1.0], [2.0]]); numpy.save('y.npy', [1.0, 2.0])"
    subprocess.run([PYTHON, "-c", make], cwd=here.root, check=True)
    done = run(here, PYTHON, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert uses(here) == ["x.npy", "y.npy"]
    assert outputs(here) == ["final/arrays.npz", "model.joblib"]


def test_a_shell_script_that_calls_python_twice_is_one_run_and_its_intermediate_file_no_input(here: Recorded) -> None:
    write(here, "first.py", "open('middle.txt', 'w').write(open('in.txt').read())")
    write(here, "second.py", "open('out.txt', 'w').write(open('middle.txt').read())")
    write(here, "in.txt", "x")
    shell = write(here, "both.sh", f"{PYTHON} first.py\n{PYTHON} second.py\n")
    assert run(here, "sh", shell).returncode == 0
    assert uses(here) == ["in.txt"]
    assert outputs(here) == ["middle.txt", "out.txt"]
    assert observed(here)["processes"] == 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_are_observed(here: Recorded, method: str) -> None:
    script = write(
        here,
        "pool.py",
        f"""
        import multiprocessing, pathlib
        def work(number):
            text = pathlib.Path(f"in{{number}}.txt").read_text()
            pathlib.Path(f"out{{number}}.txt").write_text(text)
        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                pool.map(work, range(4))
        """,
    )
    for number in range(4):
        write(here, f"in{number}.txt", str(number))
    done = run(here, PYTHON, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert uses(here) == [f"in{number}.txt" for number in range(4)]
    assert outputs(here) == [f"out{number}.txt" for number in range(4)]


def test_a_module_run_with_m_and_what_it_imports_is_code_also_when_it_was_compiled_before(here: Recorded) -> None:
    write(here, "pack/__init__.py", "")
    write(here, "pack/part.py", "open('out.txt', 'w').close()")
    write(here, "pack/__main__.py", "from pack import part")
    subprocess.run(
        [PYTHON, "-c", "import compileall; compileall.compile_dir('pack', quiet=1)"], cwd=here.root, check=True
    )
    assert run(here, PYTHON, "-m", "pack").returncode == 0
    assert names(observed(here)["code"]) == ["pack/__init__.py", "pack/__main__.py", "pack/part.py"]
    assert outputs(here) == ["out.txt"]


def test_a_script_that_fails_keeps_its_traceback_and_what_it_did_is_recorded(here: Recorded) -> None:
    write(here, "in.txt", "x")
    script = write(here, "fail.py", "open('in.txt').close(); open('out.txt', 'w').close(); open('missing')")
    alone = subprocess.run([PYTHON, script], cwd=here.root, capture_output=True, text=True, check=False)
    done = run(here, PYTHON, script)
    assert (done.returncode, done.stdout, done.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert uses(here) == ["in.txt"]
    assert here.record["run"]["exit_status"] == 1


def test_children_and_pythons_of_other_environments_are_observed(here: Recorded, tmp_path: Path) -> None:
    other = tmp_path / "other"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(other)], check=True)
    for number in range(2):
        write(here, f"in{number}.txt", "x")
    code = "import importlib.util; assert importlib.util.find_spec('proml') is None; open('in1.txt').close()"
    script = write(
        here,
        "parent.py",
        f"""
        import os, subprocess, sys
        subprocess.run([sys.executable, "-c", "open('in0.txt').close()"], check=True)
        subprocess.run([{str(other / "bin" / "python")!r}, "-c", {code!r}], check=True)
        if not os.fork():
            open("forked.txt", "w").close()
            os._exit(0)
        os.wait()
        """,
    )
    done = run(here, PYTHON, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert uses(here) == ["in0.txt", "in1.txt"]
    assert outputs(here) == ["forked.txt"]
    assert observed(here)["processes"] == 3


def test_a_file_that_was_overwritten_after_it_was_read_has_no_digest_as_input(here: Recorded) -> None:
    write(here, "state.txt", "before")
    script = write(here, "s.py", "t = open('state.txt').read(); open('state.txt', 'w').write(t + '!')")
    run(here, PYTHON, script)
    assert "uses" not in here.record
    assert observed(here)["without_digest"] == [{"path": "state.txt", "why": describing.CHANGED}]
    (output,) = observed(here)["outputs"]
    assert (output["path"], output["also_read"], output["size_bytes"]) == ("state.txt", True, 7)


def test_a_file_opened_for_both_is_an_input_while_it_stays_as_it_is(here: Recorded) -> None:
    write(here, "kept.txt", "x")
    write(here, "untouched.txt", "x")
    script = write(here, "s.py", "open('kept.txt', 'r+').read(); open('untouched.txt', 'a').close()")
    run(here, PYTHON, script)
    assert uses(here) == ["kept.txt"]
    assert outputs(here) == []


def test_a_database_is_input_or_output(here: Recorded) -> None:
    make = "import sqlite3; c = sqlite3.connect('old.db'); c.execute('create table t (x)'); c.commit(); c.close()"
    subprocess.run([PYTHON, "-c", make], cwd=here.root, check=True)
    code = "import sqlite3; c = sqlite3.connect('old.db'); c.execute('select * from t').fetchall(); c.close()\n"
    run(here, PYTHON, write(here, "s.py", code + make.replace("old.db", "new.db")))
    assert uses(here) == ["old.db"]
    assert outputs(here) == ["new.db"]


def test_declared_files_are_not_said_twice(here: Recorded) -> None:
    write(here, "data/a.txt", "a")
    write(here, "other.txt", "o")
    script = write(
        here, "s.py", "open('data/a.txt').close(); open('other.txt').close(); open('out.txt', 'w').write('1')"
    )
    done = run(here, PYTHON, script, uses=["data"], publishes=["result=out.txt"])
    assert (done.returncode, done.stderr) == (0, "")
    assert [(use["path"], use["role"]) for use in here.record["uses"]] == [("data", "input"), ("other.txt", "observed")]
    assert "outputs" not in observed(here)


def test_files_of_the_machine_temporary_files_and_caches_are_left_out(here: Recorded) -> None:
    script = write(
        here,
        "s.py",
        """
        import tempfile, pathlib, json.tool, ssl, os
        open("/etc/hosts").close()
        open("/proc/self/status").close()
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("x")
        for name in (".mypy_cache/x", "a.lock", "__pycache__/data", ".git/HEAD", ".proml/y", "kept.txt", "gone.txt"):
            pathlib.Path(name).parent.mkdir(exist_ok=True)
            pathlib.Path(name).write_text("x")
        os.remove("gone.txt")
        """,
    )
    run(here, PYTHON, script)
    assert "uses" not in here.record
    assert outputs(here) == ["kept.txt"]
    assert observed(here)["left_out"]["gone"] == 1
    assert observed(here)["left_out"]["ignored"] >= 5


def test_patterns_leave_out_and_keep(here: Recorded) -> None:
    (here.root / ".proml/config.toml").write_text('[run]\nignore = ["*.log", "scratch/", "!*.lock"]\n')
    script = write(
        here,
        "s.py",
        """
        import pathlib
        for name in ("a.log", "scratch/x/y", "poetry.lock", "b.txt", "c.txt", "keep.log"):
            pathlib.Path(name).parent.mkdir(exist_ok=True, parents=True)
            pathlib.Path(name).write_text("x")
        """,
    )
    run(here, PYTHON, script, ignore=["b.*", "!keep.log"])
    assert outputs(here) == ["c.txt", "keep.log", "poetry.lock"]


def test_a_broken_configuration_costs_one_warning_and_nothing_else(here: Recorded) -> None:
    (here.root / ".proml/config.toml").write_text("[run]\nignore = 3\n")
    done = run(here, PYTHON, write(here, "s.py", "open('out.txt', 'w').close(); raise SystemExit(5)"))
    assert (done.returncode, done.stderr.count("proml: ")) == (5, 1)
    assert outputs(here) == ["out.txt"]


def test_what_is_over_the_limits_is_counted_and_said(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    from proml.capture.run_command import run_command  # noqa: PLC0415 - patched here, in this process

    few = describing.Limits(files=2, size_bytes=5)
    monkeypatch.setattr(describing, "Limits", lambda: few)
    write(here, "a.txt", "aaa")
    write(here, "b.txt", "bbbbbb")
    script = write(here, "s.py", "[open(n).close() for n in ('a.txt', 'b.txt')]; open('c.txt', 'w').close()")
    assert run_command([PYTHON, script]) == 0
    assert uses(here) == ["a.txt"]
    assert observed(here)["without_digest"] == [{"path": "b.txt", "why": describing.OVER_LIMIT}]
    assert observed(here)["left_out"]["over_limit"] == 2


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_a_python_that_takes_no_orders_from_its_environment_is_left_alone_and_said(here: Recorded, option: str) -> None:
    done = run(here, PYTHON, f"{option}B", "-c", "open('out.txt', 'w').close(); print('done')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert observed(here) == {"processes": 0, "unobserved": {option: 1}}


def test_a_child_that_is_not_observed_is_said(here: Recorded) -> None:
    script = write(
        here,
        "s.py",
        """
        import subprocess, sys
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
        subprocess.run([sys.executable, "-c", "pass"], check=True, env={"PATH": "/usr/bin"})
        """,
    )
    run(here, PYTHON, script)
    assert observed(here)["unobserved"] == {"-I": 1, "environment": 1}


def test_observation_can_be_switched_off(here: Recorded) -> None:
    code = "import os; open('out.txt', 'w').close(); print('PROML_OBSERVE' in os.environ, 'PYTHONPATH' in os.environ)"
    done = subprocess.run(
        wrapped(PYTHON, "-c", code, observe=False),
        cwd=here.root,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False False\n"
    assert "observed" not in here.record["facts"]


def test_files_that_any_program_writes_into_a_watched_folder_are_recorded(here: Recorded) -> None:
    write(here, "out/old.txt", "old")
    write(here, "out/same.txt", "same")
    command = "echo new > out/new.txt; echo more >> out/old.txt; chmod 600 out/same.txt; mkdir made; echo x > made/y"
    run(here, "sh", "-c", command, watch=["out", "made"])
    assert outputs(here) == ["made/y", "out/new.txt", "out/old.txt"]
    assert observed(here)["processes"] == 0
    assert "uses" not in here.record


def test_a_file_is_no_folder_to_watch(here: Recorded) -> None:
    write(here, "file", "x")
    done = run(here, "sh", "-c", "exit 3", watch=["file"])
    assert (done.returncode, done.stderr.count("proml: ")) == (3, 1)
