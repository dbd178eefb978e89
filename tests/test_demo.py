"""``proml demo``: the whole story and every attack, by the command line alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def demo(folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROML_")}
    return subprocess.run(
        [sys.executable, "-m", "proml", "demo", "--into", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        cwd=folder.parent,
        env={**environment, "HOME": str(home)},
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_story_is_told_and_every_attack_is_stopped(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "demonstration"
    home.mkdir()
    told = demo(folder, home)
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr
    attacks = told.stdout.split("What was tried\n")[1].split("\n\n")[0].splitlines()[1:]
    assert len(attacks) == 11
    assert all("  stopped  " in line for line in attacks)
    assert "[ancestor-revoked]" in told.stdout
    assert "[file-changed]" in told.stdout
    assert "(four eyes)" in told.stdout
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demonstration", "home"]


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    refused = demo(folder, tmp_path)
    assert refused.returncode == 2
    assert "something else there" in refused.stderr
    assert (folder / "thesis.tex").read_text() == "years of work"
