"""Processes that go on recording when their run has ended: what is in no record is never lost in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proml.capture import closing, journal
from proml.capture.closing import at_work
from proml.capture.recover import recover

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.conftest import Recorded

FORKS = """
import os, sys
import proml
ended, to_child = os.pipe()
begun, to_parent = os.pipe()
run = proml.start_run("parent")
run.log_metric("parent", 1)
if os.fork() == 0:
    if sys.argv[1] == "begins early":
        run.log_metric("child", 1)
    os.write(to_parent, b".")
    os.read(ended, 1)
    for step in range(3):
        run.log_metric("child", 2, step)
    os._exit(0)
os.read(begun, 1)
run.close()
os.write(to_child, b".")
os.wait()
"""
MEMBER = """
import os, subprocess, sys
import proml
if len(sys.argv) == 1:
    run = proml.start_run("parent")
    child = subprocess.Popen([sys.executable, __file__, "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.read(1)
    run.close()
    child.communicate(b".")
else:
    with proml.start_run() as run:
        run.log_metric("child", 1)
        os.write(1, b".")
        if os.read(0, 1):
            run.log_metric("child", 2)
"""
IN_TIME = """
import os
import proml
run = proml.start_run("parent")
if os.fork() == 0:
    for step in range(3):
        run.log_metric("child", 2, step)
    os._exit(0)
os.wait()
run.close()
"""


@pytest.mark.parametrize(("begins", "counted"), [("early", 1), ("late", 0)])
def test_a_fork_that_records_after_its_parent_ended_the_run_is_warned_once(
    here: Recorded, begins: str, counted: int
) -> None:
    done = here.python(FORKS, f"begins {begins}")
    assert done.returncode == 0
    assert done.stderr.count("after the run had ended") == 1
    assert here.record["metrics"].get("child", {"count": 0})["count"] == counted
    # Nothing is lost: the journal has it.
    assert sum(path.read_bytes().count(b'"m":"child"') for path in here.run.glob("*.jsonl")) == counted + 3


def test_a_child_that_records_after_its_parent_ended_the_run_is_warned_when_it_leaves(here: Recorded) -> None:
    done = here.python(MEMBER)
    assert done.returncode == 0
    assert done.stderr.count("after the run had ended") == 1
    assert here.record["metrics"]["child"]["count"] == 1


def test_a_fork_that_is_waited_for_is_counted_without_a_warning(here: Recorded) -> None:
    done = here.python(IN_TIME)
    assert (done.returncode, done.stderr) == (0, "")
    assert here.record["metrics"]["child"]["count"] == 3


def test_what_is_written_while_the_run_is_sealed_is_told_by_who_seals_it(
    here: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import proml  # noqa: PLC0415 - as a script does

    carry_out = closing._carry_out

    def late(folder: Path, extent: object) -> object:
        (folder / "9-another.jsonl").write_bytes(journal.observation_line("child", 1.0, None, 0))
        return carry_out(folder, extent)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(closing, "_carry_out", late)
    with proml.start_run("parent"):
        pass
    assert caplog.text.count("after the run had ended") == 1


def test_whether_ranks_are_at_work_is_asked_without_reading_their_journals(tmp_path: Path) -> None:
    left, working = (journal.Journal(tmp_path, "member", {"rank": rank}) for rank in range(2))
    for one in (left, working):
        for step in range(40_000):
            one.observe("loss", 0.5, step)
    before = read_bytes()
    assert at_work(tmp_path)
    left.write("leave", {"journal": left.token, "exit_status": 0})
    assert at_work(tmp_path)
    working.write("leave", {"journal": working.token, "exit_status": 0})
    assert not at_work(tmp_path)
    assert read_bytes() - before < sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) / 4
    left.close()
    working.close()


def read_bytes() -> int:
    from pathlib import Path  # noqa: PLC0415 - the module's is for types

    return int(Path("/proc/self/io").read_text(encoding="ascii").split()[1])


def test_a_rank_that_joins_again_in_a_fork_is_listed_once(here: Recorded) -> None:
    code = (
        "import os, proml\n"
        "run = proml.start_run('job')\n"
        "if os.fork() == 0:\n"
        "    with proml.start_run('worker') as again: again.log_metric('loss', 1)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "run.close()\n"
    )
    done = here.python(code, env={"PROML_RUN": "job-1", "RANK": "3", "WORLD_SIZE": "4"})
    assert (done.returncode, done.stderr) == (0, "")
    recover(here.root)  # the other ranks never came
    assert here.record["run"]["ranks"] == [3]
