"""Two members of a workspace, and their commands as processes that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.cli.conftest import Person
from tests.minio import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def two_people(factory: pytest.TempPathFactory) -> tuple[Person, Person]:
    """Makes the owner of a workspace, and somebody else who has its file."""
    made = []
    for name in ("owner", "other"):
        root = factory.mktemp(name)
        (root / "work").mkdir()
        made.append(Person(root / "home", root / "work"))
    owner, other = made
    other("id", "new", "other")
    other("id", "export", "other", "-o", "other.json")
    owner("id", "new", "owner")
    owner("workspace", "new", "--name", "study", "--member", "owner:all",
          "--member", f"other:auditor:{other.folder / 'other.json'}")  # fmt: skip
    owner("workspace", "file", "-o", "study.json")
    other("init", "--workspace", owner.folder / "study.json", "--identity", "other")
    return owner, other


def running(person: Person, words: list[str]) -> subprocess.Popen[str]:
    """Starts a command of somebody's."""
    environment = {"PROML_HOME": str(person.home), "PATH": os.environ["PATH"], "HOME": str(person.home), **ENVIRONMENT}
    command = [sys.executable, "-m", "proml", *words]
    return subprocess.Popen(
        command, cwd=person.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.002)
