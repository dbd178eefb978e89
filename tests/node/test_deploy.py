"""What runs a node for good: the systemd unit and the container file, as far as they can be checked here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.node.conftest import RunningNode

DEPLOY = Path(__file__).parents[2] / "deploy"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the program and the account of this machine."""
    text = (DEPLOY / "proml-node.service").read_text()
    placed = tmp_path / "proml-node.service"
    placed.write_text(text.replace("/opt/proml/bin/proml", sys.executable).replace("=proml\n", "=root\n"))
    return placed


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    mine = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, mine) == (0, []), done.stderr


@needs_systemd
def test_the_unit_leaves_the_node_little_to_do_harm_with(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("=root\n", "=nobody\n"))
    words = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < 3, done.stdout


def test_the_container_runs_as_nobody_special_and_says_how_it_is() -> None:
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert lines.index("USER 10001:10001") < next(i for i, line in enumerate(lines) if line.startswith("CMD"))
    check = next(line for line in lines if "urlopen" in line)
    code = re.search(r'"-c", "(.*)"\]', check)
    assert code
    compile(code[1], "Containerfile", "exec")


def test_the_containers_check_tells_a_node_that_answers_from_one_that_does_not(node: RunningNode) -> None:
    text = (DEPLOY / "Containerfile").read_text()
    check = re.search(r'"-c", "(.*)"\]', text)
    assert check

    def healthy(url: str) -> bool:
        words = [sys.executable, "-c", check[1]]
        return subprocess.run(words, env={"HEALTH_URL": url}, capture_output=True, check=False).returncode == 0

    node.until(lambda: node.ask("GET", "/health", token=None)[0] == 200)
    assert healthy(f"{node.url}/health")
    assert not healthy("http://127.0.0.1:1/health")
    assert not healthy(f"{node.url}/v1/status"), "it takes an answer that is no 200"


def test_what_the_container_copies_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert [name for line in copied for name in line.split() if not (DEPLOY.parent / name).exists()] == []
