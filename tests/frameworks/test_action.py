"""The steps of action.yml, taken from it and run as GitHub's runner does, but for the installation of what is here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
EXPRESSION = re.compile(r"\$\{\{ inputs\.(?P<name>\w+) \}\}")


class Job:
    """A job on a machine of its own, whose Python has ProML."""

    def __init__(self, root: Path) -> None:
        self.folder, self.home, programs = root / "job", root / "home", root / "bin"
        for folder in (self.folder, self.home, programs):
            folder.mkdir()
        proml = programs / "proml"
        proml.write_text(
            f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} -m proml "$@"\n', encoding="utf-8"
        )
        proml.chmod(0o755)
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "GITHUB_ACTION_PATH": str(ROOT)}

    def bash(self, script: str, folder: str = ".", **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder / folder,
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout

    def act(self, **inputs: str) -> tuple[int, str]:
        """Runs the action; returns the exit status of the step that failed, or 0, and everything printed."""
        given = {name: inputs.get(name, about.get("default", "")) for name, about in ACTION["inputs"].items()}
        assert inputs.keys() <= given.keys()

        def filled(text: str) -> str:
            return EXPRESSION.sub(lambda match: given[match["name"]], text)

        printed = ""
        for step in ACTION["runs"]["steps"]:
            if step["name"] == "Install ProML":
                continue
            environment = {name: filled(value) for name, value in step.get("env", {}).items()}
            assert "${{" not in step["run"], "inputs reach the shell by its environment alone"
            status, more = self.bash(step["run"], filled(step.get("working-directory", ".")), **environment)
            printed += more
            if status:
                return status, printed
        return 0, printed


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    made = Job(tmp_path_factory.mktemp("action"))
    setup = "proml init --name study && echo weights > model.pkl && proml act digits collect model.pkl --kind source"
    status, printed = made.bash(setup)
    assert status == 0, printed
    return made


def test_the_gate_opens_for_what_was_agreed(job: Job) -> None:
    status, printed = job.act(subjects="model.pkl\n\ndigits\n", **{"as": "digits"}, state="collected")
    assert status == 0, printed
    assert "model.pkl is verified: digits@1" in printed


@pytest.mark.parametrize(
    "inputs",
    [
        {"subjects": "model.pkl", "state": "released"},
        {"subjects": "model.pkl", "as": "other"},
        {"subjects": "model.pkl\nchanged.pkl"},
        {"subjects": "model.pkl", "confirmations": "100"},
        {"subjects": ""},
    ],
    ids=["state", "name", "one of two", "confirmations", "nothing to verify"],
)
def test_the_gate_stays_shut_for_anything_else(job: Job, inputs: dict[str, str]) -> None:
    (job.folder / "changed.pkl").write_text("other", encoding="utf-8")
    status, printed = job.act(**inputs)
    assert status != 0, printed


def test_inputs_are_never_run(job: Job) -> None:
    status, _ = job.act(subjects="$(touch made) `touch made`; touch made\n--help", state='"; touch made; "')
    assert status != 0
    assert not (job.folder / "made").exists()


def test_a_job_joins_by_the_workspace_file(job: Job) -> None:
    status, file = job.bash("proml workspace file")
    assert status == 0, file
    (job.folder / "fresh").mkdir()
    status, printed = job.act(subjects="nothing.pkl", folder="fresh", workspace=file)
    assert (job.folder / "fresh" / ".proml" / "config.toml").exists(), printed
    assert status != 0


def test_the_installation_names_this_package_and_its_extra() -> None:
    (install,) = [step["run"] for step in ACTION["runs"]["steps"] if step["name"] == "Install ProML"]
    assert '"proml[ledger] @ file://$GITHUB_ACTION_PATH"' in install
    assert "ledger = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
