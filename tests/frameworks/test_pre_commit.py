"""The real pre-commit, on a repository of its own, with the hook that this repository offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Study:
    """A git repository that is a working folder too, with the hook installed."""

    def __init__(self, root: Path, home: Path, environment: dict[str, str]) -> None:
        self.root = root
        self._environment = {**os.environ, **environment, "HOME": str(home), "PROML_HOME": str(home / ".proml")}

    def run(self, *command: str, expected: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expected, done.stdout
        return done.stdout

    def write(self, name: str, content: str) -> None:
        (self.root / name).write_text(content, encoding="utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    hooks, root, home, programs = (tmp_path / name for name in ("hooks", "study", "home", "bin"))
    for folder in (hooks, root, home, programs):
        folder.mkdir()
    proml = programs / "proml"
    proml.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} -m proml "$@"\n', encoding="utf-8")
    proml.chmod(0o755)
    author = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@x",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@x",
    }
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    made = Study(root, home, {**author, "PATH": path, "PRE_COMMIT_HOME": str(tmp_path / "cache")})
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    made.run("git", "init", "--quiet", str(hooks))
    made.run("git", "-C", str(hooks), "add", ".")
    made.run("git", "-C", str(hooks), "commit", "--quiet", "-m", "hooks")
    revision = made.run("git", "-C", str(hooks), "rev-parse", "HEAD").strip()
    made.run("git", "init", "--quiet")
    made.write(
        ".pre-commit-config.yaml",
        f"repos:\n  - repo: file://{hooks}\n    rev: {revision}\n    hooks:\n      - id: proml-verify\n",
    )
    made.run("proml", "init", "--name", "study")
    made.run("pre-commit", "install")
    return made


def test_a_commit_needs_models_that_are_what_the_ledger_says(study: Study) -> None:
    study.write("model.pkl", "weights")
    study.write("notes.txt", "anything")
    study.run("git", "add", "model.pkl", "notes.txt", ".pre-commit-config.yaml")
    refused = study.run("git", "commit", "-m", "first", expected=1)
    assert "model files are what the ledger says" in refused
    assert "no version" in refused
    study.run("proml", "act", "digits", "collect", "model.pkl", "--kind", "source")
    study.run("git", "commit", "-m", "first")

    study.write("model.pkl", "other weights")
    study.write("notes.txt", "more")
    study.run("git", "commit", "-m", "notes alone", "notes.txt")
    assert "model.pkl" in study.run("git", "commit", "-m", "second", "model.pkl", expected=1)
    assert study.run("git", "log", "--format=%s").split("\n")[:2] == ["notes alone", "first"]
