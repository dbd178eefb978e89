"""What a test of networks leaves behind when it fails, or is ended: nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.network.fabric import namespaces
from tests.network.participants import lives, wanted_geth

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TEST = """
import time
from pathlib import Path
from tests.network.participants import consortium, wanted_geth

def test_that_fails():
    with consortium(wanted_geth(), ["alone"]) as made:
        (member,) = made
        with member.running("-c", "print('there', flush=True); import time; time.sleep(600)"):
            Path("there").write_text(f"{member.pid()} {member.root} {member.fabric.hub}")
            ENDING
"""

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    wanted_geth()
    yield tmp_path
    assert not [name for name in namespaces() if _owner_is_gone(name)]


def _owner_is_gone(name: str) -> bool:
    found = re.match(r"pm(\d+)n", name)
    return bool(found) and not Path(f"/proc/{found[1]}").exists()  # type: ignore[index]  # found is a match here


def start(folder: Path, ending: str) -> subprocess.Popen[str]:
    (folder / "test_it.py").write_text(TEST.replace("ENDING", ending))
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text("from tests.network.conftest import _ends_in_order\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def nothing_is_left(folder: Path) -> bool:
    pid, root, hub = (folder / "there").read_text().split()
    return not lives(int(pid)) and not Path(root).exists() and hub not in namespaces()


def test_a_failed_test_leaves_nothing_behind(folder: Path) -> None:
    run = start(folder, "assert False, 'on purpose'")
    told, _ = run.communicate(timeout=120)
    assert "on purpose" in told
    assert run.returncode == 1
    assert nothing_is_left(folder)


def test_a_run_that_is_asked_to_end_leaves_nothing_behind(folder: Path) -> None:
    run = start(folder, "time.sleep(600)")
    begun = time.monotonic()
    while not (folder / "there").exists():
        assert time.monotonic() - begun < 120
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert nothing_is_left(folder)
