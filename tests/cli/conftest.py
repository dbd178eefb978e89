"""People at their working folders, who use the command line in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from proml.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Person:
    """Somebody with a home for identities and a working folder."""

    home: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: object, code: int = 0, **environment: str) -> Answer:
        """Runs a command, and checks its exit code."""
        answer = self.ask(*words, **environment)
        assert answer.code == code, f"proml {' '.join(map(str, words))}: {answer}"
        return answer

    def ask(self, *words: object, **environment: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        chosen = {"PROML_HOME": str(self.home), **self.environment, **environment}
        streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with _environment(chosen), contextlib.chdir(self.folder), streams[0], streams[1]:
            code = main([str(word) for word in words])
        return Answer(code, out.getvalue(), err.getvalue())

    def json(self, *words: object, code: int = 0, **environment: str) -> Any:
        """Runs a command with --json and returns its document."""
        return self(*words, "--json", code=code, **environment).json

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Study:
    """A workspace of four organisations; governance needs two of them."""

    developer: Person
    verifier: Person
    operator: Person
    auditor: Person


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: value for name, value in os.environ.items() if name.startswith("PROML_")}
    for name in before:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Person]:
    """Returns a function that makes a person with an empty home and an empty folder."""

    def make(name: str) -> Person:
        root = tmp_path_factory.mktemp(name)
        (root / "work").mkdir()
        return Person(root / "home", root / "work")

    return make


@pytest.fixture(scope="module")
def alone(newcomer: Callable[[str], Person]) -> Person:
    """Somebody with a workspace of one."""
    person = newcomer("alone")
    person("init", "--name", "diary")
    return person


@pytest.fixture(scope="module")
def study(newcomer: Callable[[str], Person]) -> Study:
    """Four organisations that share a chain file and a store."""
    people = {name: newcomer(name) for name in ("developer", "verifier", "operator", "auditor")}
    for name, person in people.items():
        person("id", "new", name)
        person("id", "export", name, "-o", f"{name}.json")
    first = people["developer"]
    cards = {name: people[name].folder / f"{name}.json" for name in people}
    first(
        "workspace", "new", "--name", "study", "--quorum", 2,
        "--member", "developer:admin+contributor",
        "--member", f"verifier:admin+verifier+reviewer:{cards['verifier']}",
        "--member", f"operator:operator+contributor:{cards['operator']}",
        "--member", f"auditor:auditor:{cards['auditor']}",
    )  # fmt: skip
    first("workspace", "file", "-o", "study.json")
    for name, person in people.items():
        if name != "developer":
            person("init", "--workspace", first.folder / "study.json", "--identity", name)
    return Study(**people)
