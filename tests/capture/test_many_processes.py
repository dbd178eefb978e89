"""Many processes record at once, and nothing is lost, mixed or doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.capture.conftest import PACKAGE

import proml
from proml.capture.recover import recover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.capture.conftest import Recorded

PROCESSES = 64
EACH = 200
WRITER = f"""
import os, sys
import proml
sys.stdin.readline()  # all begin together
with proml.start_run() as run:
    for step in range({EACH}):
        run.log_metric("m" + sys.argv[1], step, step)
    run.log_param("p" + sys.argv[1], os.getpid())
"""
RANK = """
import os, signal, sys, time
import proml
rank = int(os.environ["RANK"])
with proml.start_run("job") as run:
    run.use("data.csv")
    run.log_metric(f"loss-{rank}", rank, 0)
    print("joined", flush=True)
    if sys.stdin.readline() == "die\\n":
        os.kill(os.getpid(), signal.SIGKILL)
    run.publish("model", "model.pt")
"""


def start(here: Recorded, code: str, arguments: Sequence[str] = (), **extra: str) -> subprocess.Popen[str]:
    script = here.root / "script.py"
    if not script.exists() or script.read_text() != code:  # others may be reading it
        script.write_text(code)
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        cwd=here.root,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **extra},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes: Sequence[subprocess.Popen[str]], word: str = "") -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert (process.returncode, errors) == (0, "")


def counts(record: dict[str, Any]) -> dict[str, int]:
    return {name: metric["count"] for name, metric in record["metrics"].items()}


@pytest.mark.slow
@pytest.mark.timeout(600)  # 64 processes at once, on whatever machine
def test_64_processes_with_a_run_each_lose_no_line_in_one_folder(here: Recorded) -> None:
    finish([start(here, WRITER, [str(number)]) for number in range(PROCESSES)])
    assert len(here.runs) == len(here.records) == len(here.intents) == PROCESSES
    assert {key for record in here.records for key in counts(record)} == {f"m{n}" for n in range(PROCESSES)}
    assert all(list(counts(record).values()) == [EACH] for record in here.records)
    digests = sorted(json.loads((run / "closed.json").read_text())["records"][0] for run in here.runs)
    assert digests == sorted(body["record"] for _, _, body in here.intents)


@pytest.mark.slow
@pytest.mark.timeout(600)  # 64 processes at once, on whatever machine
def test_64_processes_of_one_run_lose_no_line_and_the_last_closes_it(here: Recorded) -> None:
    finish([start(here, WRITER, [str(number)], PROML_RUN="job-1") for number in range(PROCESSES)])
    recover(here.root)  # a process that came after the others had left makes the run of its own; none is left open
    assert len(here.records) == len(here.intents) == len(here.runs)
    found = {name: count for record in here.records for name, count in counts(record).items()}
    assert found == {f"m{n}": EACH for n in range(PROCESSES)}
    assert sum(len(record["parameters"]) for record in here.records) == PROCESSES


def test_children_of_one_run_record_into_it_alone(here: Recorded) -> None:
    with proml.start_run("parent"):
        finish([start(here, WRITER, [str(number)]) for number in range(8)])
    assert counts(here.record) == {f"m{n}": EACH for n in range(8)}
    assert len(here.record["parameters"]) == 8
    assert len(here.intents) == 1


def test_threads_of_forked_workers_and_tasks_lose_and_mix_nothing(here: Recorded) -> None:
    done = here.python(
        "import asyncio, os, threading, proml\n"
        "def many(name):\n"
        "    for step in range(200): proml.log_metric(name, step, step)\n"
        "async def task(name):\n"
        "    for step in range(200):\n"
        "        proml.log_metric(name, step, step)\n"
        "        if step % 50 == 0: await asyncio.sleep(0)\n"
        "async def tasks(): await asyncio.gather(*(task(f'task-{n}') for n in range(4)))\n"
        "with proml.start_run():\n"
        "    children = []\n"
        "    for child in range(4):\n"
        "        pid = os.fork()\n"
        "        if pid == 0:\n"
        "            threads = [threading.Thread(target=many, args=(f'{child}-{n}',)) for n in range(4)]\n"
        "            for t in threads: t.start()\n"
        "            for t in threads: t.join()\n"
        "            os._exit(0)\n"
        "        children.append(pid)\n"
        "    asyncio.run(tasks())\n"
        "    print([os.waitpid(pid, 0)[1] for pid in children])\n"
    )
    assert (done.stdout, done.returncode, done.stderr) == ("[0, 0, 0, 0]\n", 0, "")
    expected = {f"{child}-{n}": 200 for child in range(4) for n in range(4)} | {f"task-{n}": 200 for n in range(4)}
    assert counts(here.record) == expected


def test_tasks_of_one_run_record_into_it_from_executors_too(here: Recorded) -> None:
    async def main() -> None:
        with proml.start_run():
            await asyncio.gather(*(asyncio.to_thread(proml.log_metric, f"m{n}", n) for n in range(20)))

    asyncio.run(main())
    assert counts(here.record) == {f"m{n}": 1 for n in range(20)}


def launch(here: Recorded, restart: int = 0, size: int = 4) -> list[subprocess.Popen[str]]:
    """Starts ranks as torchrun does, from one agent, and waits until all have joined."""
    (here.root / "data.csv").write_text("data")
    (here.root / "model.pt").write_text("model")
    job = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29512", "TORCHELASTIC_RUN_ID": "none"}
    job |= {"PROML_NO_CACHE": "1"}  # else it depends on how long the ranks take whether the cache knows the data
    job |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "TORCHELASTIC_RESTART_COUNT": str(restart)}
    ranks = [start(here, RANK, **job, RANK=str(n), LOCAL_RANK=str(n)) for n in range(size)]
    for rank in ranks:
        assert rank.stdout
        assert rank.stdout.readline() == "joined\n"
    return ranks


def test_ranks_at_work_together_make_one_run_with_one_publication(here: Recorded) -> None:
    finish(launch(here))
    record = here.record
    assert (record["run"]["ranks"], record["run"]["world_size"]) == ([0, 1, 2, 3], 4)
    assert counts(record) == {f"loss-{n}": 1 for n in range(4)}
    assert record["run"]["exit_status"] == 0
    assert len(record["uses"]) == 1
    ((_, kind, body),) = here.intents
    assert (kind, body["name"], body["register"]) == ("transition", "model", True)
    assert recover(here.root).closed == ()


@pytest.mark.parametrize("victim", [0, 3])
def test_a_rank_that_is_killed_leaves_one_run_that_says_so(here: Recorded, victim: int) -> None:
    ranks = launch(here)
    dying = ranks.pop(victim)
    _, errors = dying.communicate("die\n")
    assert (dying.returncode, errors) == (-signal.SIGKILL, "")
    finish(ranks)
    recover(here.root)
    assert here.record["facts"]["interrupted"]
    assert "exit_status" not in here.record["run"]
    assert here.record["run"]["ranks"] == [0, 1, 2, 3]
    assert counts(here.record) == {f"loss-{n}": 1 for n in range(4)}
    assert len(here.intents) == 1


def test_a_restarted_job_is_a_second_run_and_the_first_is_recovered(here: Recorded) -> None:
    first = launch(here)
    for rank in first:
        rank.kill()
        rank.communicate()
    finish(launch(here, restart=1))
    assert len(here.records) == 1
    assert len(recover(here.root).closed) == 1
    interrupted, whole = sorted(here.records, key=lambda record: "interrupted" not in record["facts"])
    assert (interrupted["type"], interrupted["facts"]["interrupted"]) == ("run", True)
    assert (whole["type"], whole["run"]["exit_status"]) == ("transition", 0)
    assert sorted(kind for _, kind, _ in here.intents) == ["anchor", "transition"]
