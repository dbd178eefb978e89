"""What a run used of processor and memory is in its record, also if it was killed; sampling never shows otherwise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.capture.conftest import PACKAGE

from proml import start_run
from proml.capture import resources, sampling
from proml.capture.recover import recover
from proml.capture.resources import Account, Range, Scope, joined

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.conftest import Recorded

BUSY = """
import os, proml, sys, threading, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
"""
OFTEN = {"PROML_SAMPLE_S": "0.2"}


def resources_of(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record["facts"]["resources"]
    return found


def facts(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for path in run.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [fact for fact in lines if fact.get("f") == "resources"]


def test_a_short_run_tells_time_and_memory_and_loads_nothing_for_it(here: Recorded) -> None:
    script = (
        "import proml.capture.sampling\nproml.capture.sampling._FIRST_S = 60\n"  # this machine may be slow
        + BUSY
        + "with proml.start_run():\n    burn(0.1)\nassert 'psutil' not in sys.modules, 'loaded'\n"
    )
    done = here.python(script, env={"PROML_SAMPLE_S": "60"})
    assert (done.returncode, done.stderr) == (0, "")
    found = resources_of(here.record)
    assert found.keys() == {"processes"}
    (process,) = found["processes"]
    assert process.keys() == {"seconds", "samples", "period_s", "cpu_s", "cpu_percent", "peak_memory_bytes"}
    assert 0.05 <= process["cpu_s"] <= process["seconds"] + 0.05
    assert process["peak_memory_bytes"] > 5_000_000


def test_a_longer_run_is_read_again_and_again(here: Recorded) -> None:
    script = (
        BUSY + "outer = sum(os.times()[:4])\n"
        "with proml.start_run() as run:\n"
        "    inner = sum(os.times()[:4])\n"
        "    block = bytearray(b'x') * 150_000_000\n"
        "    burn(0.8); time.sleep(1)\n"
        "    del block\n"
        "    time.sleep(0.5)\n"
        "    inner = sum(os.times()[:4]) - inner\n"
        "    assert [one.name for one in threading.enumerate()][1:] == ['proml-sampling']\n"
        "assert threading.active_count() == 1\n"
        "print(inner, sum(os.times()[:4]) - outer)\n"
    )
    done = here.python(script, env=OFTEN)
    assert (done.returncode, done.stderr) == (0, "")
    found = resources_of(here.record)
    (process,), (machine,) = found["processes"], found["machines"]
    inner, outer = map(float, done.stdout.split())
    assert inner - 0.05 <= process["cpu_s"] <= outer + 0.05
    assert process["cpu_percent"]["min"] < process["cpu_percent"]["mean"] < process["cpu_percent"]["max"]
    assert process["memory_bytes"]["max"] > 150_000_000 > process["memory_bytes"]["last"]
    assert process["peak_memory_bytes"] >= process["memory_bytes"]["max"]
    assert process["samples"] == len(facts(here.run)) >= 4
    assert 0 <= machine["cpu_percent"]["mean"] <= 100
    assert machine["memory_bytes"]["max"] > 0
    assert os.uname().nodename not in json.dumps(found)


def test_a_killed_run_keeps_what_was_read_last(here: Recorded) -> None:
    done = here.python(BUSY + "proml.start_run()\nburn(0.3); time.sleep(1.5)\nos.kill(os.getpid(), 9)\n", env=OFTEN)
    assert done.returncode == -signal.SIGKILL
    recover(here.root)
    assert here.record["facts"]["interrupted"]
    (process,) = resources_of(here.record)["processes"]
    assert process["samples"] == len(facts(here.run)) >= 2
    assert process["cpu_s"] >= 0.25


@pytest.mark.parametrize(("env", "config"), [("0", ""), ("", "[run]\nsample_s = 0\n")], ids=["variable", "setting"])
def test_sampling_can_be_switched_off(here: Recorded, env: str, config: str) -> None:
    (here.root / ".proml/config.toml").write_text(config)
    done = here.python(
        BUSY + "with proml.start_run():\n    assert threading.active_count() == 1\n", env={"PROML_SAMPLE_S": env}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "facts" not in here.record


@pytest.mark.parametrize("strict", [False, True])
def test_a_failure_is_one_warning_and_the_run_goes_on(here: Recorded, *, strict: bool) -> None:
    (here.root / "psutil.py").write_text("raise RuntimeError('broken')\n")
    script = (
        BUSY + f"with proml.start_run(strict={strict}) as run:\n"
        "    time.sleep(1.3)\n    run.log_metric('m', 1)\n    assert threading.active_count() == 1\n"
    )
    done = here.python(script, env=OFTEN)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("proml: ") == 1
    assert "broken" in done.stderr
    assert here.record["metrics"]["m"]["count"] == 1


def test_a_period_that_is_no_number_is_a_warning(here: Recorded) -> None:
    done = here.python(BUSY + "with proml.start_run(): pass\n", env={"PROML_SAMPLE_S": "often"})
    assert done.returncode == 0
    assert "PROML_SAMPLE_S; found 'often'" in done.stderr
    assert "facts" not in here.record


FORK = """
import os
seen = []
os.register_at_fork(before=lambda: seen.append(len(os.listdir("/proc/self/task"))))
import proml, sys, threading, time
with proml.start_run() as run:
    time.sleep(1.3)
    if len(sys.argv) > 1:
        other = threading.Thread(target=time.sleep, args=(3,)); other.start()
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        os._exit(len(os.listdir("/proc/self/task")))
    left = len(os.listdir("/proc/self/task"))
    run.log_metric("m", 1.0)
    print(*seen, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), left, len(os.listdir("/proc/self/task")))
    time.sleep(0.5)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads of other languages are counted in /proc")
def test_a_fork_sees_a_process_of_one_thread_if_sampling_has_the_only_other(here: Recorded) -> None:
    done = here.python("import warnings\nwarnings.simplefilter('error')\n" + FORK, env=OFTEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1", "1", "1", "2"], "before the fork, in the child, in the parent, after writing"
    tokens = {fact["journal"] for fact in facts(here.run)}
    assert len(tokens) == 1, "the child accounts for nothing"
    assert resources_of(here.record)["processes"][0]["samples"] >= 4


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_a_fork_beside_other_threads_leaves_sampling_as_it_is(here: Recorded) -> None:
    done = here.python(FORK, "more", env={**OFTEN, "PYTHONWARNINGS": "ignore"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["3", "1", "3", "3"]


def test_a_child_does_not_begin_to_sample_when_it_forks_itself(here: Recorded) -> None:
    script = (
        BUSY + "def other(): threading.Thread(target=time.sleep, args=(3,), daemon=True).start()\n"
        "with proml.start_run() as run:\n"
        "    other()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        other()\n"
        "        if os.fork() == 0: os._exit(0)\n"
        "        run.log_metric('m', 1.0)\n"
        "        os._exit(threading.active_count())\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = here.python(script, env={**OFTEN, "PYTHONWARNINGS": "ignore"})
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_a_fork_does_not_wait_for_a_reading_that_hangs(here: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, entered = threading.Event(), threading.Event()

    def hang(_: Account, *, full: bool = True) -> None:
        entered.set()
        let_go.wait(60)

    monkeypatch.setattr(Account, "sample", hang)
    monkeypatch.setattr(sampling, "_PATIENCE_S", 0.2)
    monkeypatch.setenv("PROML_SAMPLE_S", "0.1")
    run = start_run()
    assert entered.wait(10)
    sampling._before_fork()
    sampling._after_fork(in_child=False)
    run.close()
    assert here.record["run"]["id"] == run.id
    let_go.set()


def test_signals_go_to_the_program_and_not_to_the_thread(here: Recorded) -> None:
    script = (
        BUSY + "with proml.start_run():\n"
        "    (thread,) = threading.enumerate()[1:]\n"
        "    status = open(f'/proc/self/task/{thread.native_id}/status').read()\n"
        "    print(status.partition('SigBlk:')[2].split()[0])\n"
    )
    done = here.python(script, env={})
    assert done.returncode == 0, done.stderr
    blocked = int(done.stdout, 16)
    assert all(
        blocked >> (number - 1) & 1 for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1)
    )


def test_a_command_is_accounted_for_with_all_that_it_starts(here: Recorded) -> None:
    burn = "import time\nblock = bytearray(b'x') * 90_000_000\nend = time.process_time() + 0.6\n"
    (here.root / "below.py").write_text(burn + "while time.process_time() < end: pass\ntime.sleep(2.5)\n")
    (here.root / "joins.py").write_text(
        "import proml, subprocess, sys\nwith proml.start_run():\n    subprocess.run([sys.executable, 'below.py'])\n"
    )
    command = [sys.executable, "-m", "proml", "run", "--no-observe", "--", sys.executable, "joins.py"]
    environment = {**os.environ, **OFTEN, "PYTHONPATH": str(PACKAGE)}
    subprocess.run(command, cwd=here.root, env=environment, check=True, timeout=60)
    (process,) = resources_of(here.record)["processes"]
    assert 0.55 <= process["cpu_s"] <= 3
    assert process["peak_memory_bytes"] > 90_000_000
    assert process["processes"] == 2


def test_each_rank_accounts_for_itself_and_the_first_for_the_machine(here: Recorded) -> None:
    script = BUSY + "with proml.start_run():\n    burn(float(sys.argv[1])); time.sleep(1.5)\n"
    (here.root / "train.py").write_text(script)
    ranks = []
    for rank in range(2):
        environment = {**os.environ, **OFTEN, "PYTHONPATH": str(PACKAGE), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        environment |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29555"}
        command = [sys.executable, "train.py", str(0.2 + 0.4 * rank)]
        ranks.append(subprocess.Popen(command, cwd=here.root, env=environment))
    assert [one.wait(60) for one in ranks] == [0, 0]
    found = resources_of(here.record)
    assert [process["rank"] for process in found["processes"]] == [0, 1]
    assert found["processes"][0]["cpu_s"] + 0.2 < found["processes"][1]["cpu_s"]
    assert len(found["machines"]) == 1


def test_energy_is_in_the_summary_where_the_machine_tells_it(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    for name, value in (("name", "package-0"), ("max_energy_range_uj", "1000000000"), ("energy_uj", "0")):
        (zone / name).write_text(value)
    account = Account(Scope(powercap=tmp_path), 10)
    account.sample()
    (zone / "energy_uj").write_text("12500000")
    account.sample()
    machine = account.summary()["machine"]
    assert machine["energy_j"] == {"cpu": 12.5}
    assert 0 < machine["energy_seconds"] < 60
    account.close()


def test_what_a_range_says() -> None:
    values = Range()
    assert values.to_json() is None
    values.add(10, weight=3)
    values.add(2, weight=1)
    assert values.to_json() == {"min": 2, "mean": 8, "max": 10, "last": 2}


def test_a_machine_that_several_tell_of_counts_once() -> None:
    first = {"process": {"rank": 1}, "machine": {"seconds": 2.0}, "host": "a"}
    second = {"process": {"rank": 0}, "machine": {"seconds": 3.0}, "host": "a"}
    third = {"process": {"rank": 2}, "machine": {"seconds": 1.0}, "host": "b"}
    assert joined([first, second, third, {"process": {"rank": 3}}]) == {
        "processes": [{"rank": 0}, {"rank": 1}, {"rank": 2}, {"rank": 3}],
        "machines": [{"seconds": 3.0}, {"seconds": 1.0}],
    }
    assert joined([]) == {}


def test_the_summary_has_the_documented_fields_only() -> None:
    account = Account(Scope(rank=0), 10)
    account.sample()
    told = account.summary()
    assert told["process"].keys() <= set(resources.PROCESS_FIELDS)
    assert told["machine"].keys() <= set(resources.MACHINE_FIELDS)
    account.close()
