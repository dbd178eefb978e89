"""Shell completion: scripts, and names from the local index."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Person


def complete(person: Person, *words: str) -> list[str]:
    environment = {
        **os.environ,
        "PROML_HOME": str(person.home),
        "_PROML_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("proml", *words)),
        "COMP_CWORD": str(len(words)),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "proml"], cwd=person.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    return [line.split(",", 1)[1] for line in ran.stdout.splitlines() if line]


@pytest.fixture(scope="module")
def typist(alone: Person) -> Person:
    alone.write("a", "1")
    alone("act", "tumours", "collect", "a", "--kind", "source")
    alone("register", "tumour-model", "--kind", "model")
    return alone


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(typist: Person, shell: str) -> None:
    assert "_PROML_COMPLETE" in typist("completion", shell).out


def test_commands_are_completed(typist: Person) -> None:
    assert complete(typist, "li") == ["lifecycle", "lineage"]


def test_artefacts_are_completed(typist: Person) -> None:
    assert complete(typist, "status", "tum") == ["tumour-model", "tumours"]
    assert complete(typist, "act", "x", "y", "--use", "tumours") == ["tumours"]


def test_kinds_are_completed(typist: Person) -> None:
    assert complete(typist, "register", "x", "--kind", "mo") == ["model"]


def test_actions_of_the_artefact_are_completed(typist: Person) -> None:
    assert complete(typist, "act", "tumours", "") == ["collect", "retire", "revoke"]
    assert "approve" in complete(typist, "endorse", "tumour-model", "a")


def test_a_broken_index_completes_nothing(typist: Person) -> None:
    index = typist.folder / ".proml/index.sqlite"
    kept = index.read_bytes()
    index.write_bytes(b"broken")
    try:
        assert complete(typist, "status", "tum") == []
    finally:
        index.write_bytes(kept)


def test_outside_a_working_folder_nothing_is_completed(typist: Person) -> None:
    assert complete(typist, "-C", "/", "status", "tum") == []
