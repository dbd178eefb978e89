"""Killed at any instant, nothing is lost and nothing doubled."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import proml
from proml.capture import closing, processes, run_folder
from proml.capture.recover import recover

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.conftest import Recorded

LOOP = """
import itertools, os, sys
import proml
for number in itertools.count():
    with proml.start_run(f"run-{number}") as run:
        for step in range(20):
            run.log_metric("loss", number, step)
        with open("data.csv", "w") as file:
            file.write(str(number))
        run.publish(f"data-{os.getpid()}-{number}", "data.csv")
        os.write(1, b"published %d\\n" % number)
"""


def kill_soon(here: Recorded, delay_s: float) -> int:
    """Runs the loop, kills it after a while, and returns how many publications had returned."""
    script = here.root / "script.py"
    script.write_text(LOOP)
    process = subprocess.Popen([sys.executable, script], cwd=here.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    first = process.stdout.readline()
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    rest, errors = process.communicate()
    assert errors == b""
    return (first + rest).count(b"\n")


def test_a_loop_of_runs_killed_at_random_instants_loses_and_doubles_nothing(here: Recorded) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201 - shown when it fails
    chance = random.Random(seed)
    published = 0
    for _ in range(6):
        published += kill_soon(here, chance.uniform(0, 0.25))
        recover(here.root)
        names = [body.get("name") for _, kind, body in here.intents if kind == "transition"]
        assert len(names) == len(set(names)) >= published
        published = len(names)  # a publication that was killed before it returned may count or not
    assert len({key for key, _, _ in here.intents}) == len(here.intents)
    assert all(run_folder.is_closed(run) for run in here.runs)
    digests = {body["record"] for _, _, body in here.intents}
    assert len(digests) == len(here.records)


class Crash(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("publishes", [True, False])
def test_closing_may_be_cut_off_before_any_of_its_steps(
    here: Recorded,
    publishes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    outcomes = set()
    for cut in itertools.count(1):
        with pytest.MonkeyPatch.context() as patch:
            crashed = close_with_crash(here, patch, cut, publishes=publishes)
        recover(here.root)
        outcomes.add((len(here.intents), len(here.records), len(here.runs)))
        assert len(here.intents) == len(here.records) == len(here.runs) == cut
        if not crashed:
            break
    assert cut > 5


def close_with_crash(here: Recorded, patch: pytest.MonkeyPatch, cut: int, *, publishes: bool) -> bool:
    """Runs once, crashes before the n-th step of closing that changes the disk, and returns whether it came so far."""
    steps = itertools.count(1)

    def before(name: str) -> None:
        module, _, attribute = name.rpartition(".")
        real = getattr(sys.modules[module], attribute) if module in sys.modules else None
        owner = module
        if real is None:
            owner, _, cls = module.rpartition(".")
            real = getattr(getattr(sys.modules[owner], cls), attribute)

        def step(*args: object, **kwargs: object) -> object:
            if next(steps) == cut:
                raise Crash
            return real(*args, **kwargs)

        patch.setattr(name, step)

    run = proml.start_run()
    run.log_metric("loss", 1)
    if publishes:
        (here.root / "data.csv").write_text(str(cut))
        run.publish("data", "data.csv")
    for name in (
        "proml.capture.run_folder.write_whole",
        "proml.capture.run_folder.seal",
        "proml.adapters.store_folder.FolderStore.put",
        "proml.adapters.outbox_sqlite.SqliteOutbox.add",
        "proml.capture.closing.read_closed",
        "proml.capture.journal.Journal.close",
    ):
        before(name)
    patch.setattr(processes, "is_alive", lambda process: False)
    try:
        run.close()
    except Crash:
        return True
    return False


def test_closing_twice_makes_the_same_records(here: Recorded) -> None:
    with proml.start_run() as run:
        run.log_metric("loss", 1)
    first = here.intents, here.record
    (here.run / "closed.json").unlink()
    closing.close(here.run, run_folder.Ending(0))
    assert (here.intents, here.record) == first


def test_many_processes_may_recover_at_once(here: Recorded) -> None:
    kill_soon(here, 0.1)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(recover(here.root).closed)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) <= 1
    assert all(run_folder.is_closed(run) for run in here.runs)


def test_a_run_at_work_is_left_alone(here: Recorded) -> None:
    with proml.start_run() as run:
        recovery = recover(here.root)
        assert recovery.at_work == (run.folder,)
        run.log_metric("loss", 1)
    assert here.record["metrics"]["loss"]["count"] == 1


def test_a_run_whose_worker_is_at_work_is_left_alone(here: Recorded) -> None:
    code = (
        "import os, sys, time, proml\n"
        "run = proml.start_run()\n"
        "if os.fork() == 0:\n"
        "    run.log_metric('a', 1); os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    script = here.root / "script.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script], cwd=here.root, stdout=subprocess.PIPE)
    assert process.stdout
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert len(recover(here.root).at_work) == 1
    os.kill(worker, signal.SIGKILL)
    process.communicate()
    for _ in range(100):
        if recover(here.root).closed:
            break
        time.sleep(0.05)
    assert here.record["facts"]["interrupted"]


def change_writer(run: Path, **changes: object) -> None:
    for segment in run.glob("*.jsonl"):
        first, _, rest = segment.read_text().partition("\n")
        segment.write_text(json.dumps({**json.loads(first), **changes}, separators=(",", ":")) + "\n" + rest)


@pytest.mark.parametrize(
    ("changes", "closed"),
    [
        ({"started": "1"}, 1),  # the process id was given to another process
        ({"boot": "earlier"}, 1),  # the machine was restarted
        ({"pid": 2**22 + 1}, 1),
        ({"boot": "other", "host": "other"}, 0),  # another machine
        ({"namespace": "pid:[1]"}, 0),  # another container
    ],
)
def test_a_process_is_known_by_more_than_its_number(here: Recorded, changes: dict[str, object], closed: int) -> None:
    run = proml.start_run()
    assert run.folder
    change_writer(run.folder, **changes)
    assert len(recover(here.root).closed) == closed
    assert len(recover(here.root, include_unknown=True).closed) == 1 - closed
    run.close()


@pytest.mark.parametrize("name", ["run.json", "closing.json"])
def test_a_damaged_run_is_named_and_does_not_stop_the_others(here: Recorded, name: str) -> None:
    kill_soon(here, 0)
    broken = here.runs[-1]
    (broken / name).write_text("{")
    kill_soon(here, 0)
    recovery = recover(here.root)
    assert [path for path, _ in recovery.failed] == [broken]
    assert len(recovery.closed) >= 1


def test_a_folder_without_runs_has_nothing_to_recover(tmp_path: Path) -> None:
    assert recover(tmp_path) == type(recover(tmp_path))()
