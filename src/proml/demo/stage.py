"""The stage of the demonstration: five organisations, each with a folder, a key and files, and the commands they type.

Every command is the installed ``proml`` or a Python script, started as a process of its own in the organisation's
folder, with nothing but what a user would have. What is printed is what the command printed; whether a step went as it
should is told by its exit code.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

OUTCOMES = {0: "done", 2: "usage", 3: "refused by the rules", 4: "verification failed", 6: "conflict"}


Answer: TypeAlias = tuple[subprocess.CompletedProcess[str], float]
"""A finished command, and the milliseconds that it took."""


class Surprise(Exception):
    """A command did not answer as the story needs; the demonstration has failed."""


@dataclass(frozen=True)
class Step:
    """One command that was run.

    Attributes:
        title: What it is for; empty for small preparations.
        who: The organisation.
        command: As typed.
        exit_code: As answered.
        milliseconds: Wall time of the whole process.
        attack: Whether it was an attack, which must not succeed.
    """

    title: str
    who: str
    command: str
    exit_code: int
    milliseconds: float
    attack: bool = False


@dataclass
class Organisation:
    """One participant: ``folder`` is its working folder and ``home`` its ``PROML_HOME``.

    Attributes:
        key: Short name, also that of its folder and of its organisation in the workspace.
        title: What the paper calls its role.
        roles: Its member's roles in the workspace, joined by ``+``.
    """

    key: str
    title: str
    roles: str
    root: Path
    steps: list[Step] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Its working folder."""
        return self.root / self.key

    @property
    def home(self) -> Path:
        """Where its keys are: nobody else's."""
        return self.folder / "home"


class Stage:
    """Runs and shows commands, and remembers them for the table at the end.

    Args:
        root: Folder in which everything happens.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[Step] = []

    def heading(self, text: str) -> None:
        """Prints a chapter's heading."""
        click.echo()
        click.secho(text, bold=True)

    def tell(self, text: str) -> None:
        """Prints a sentence of the story: what is about to be done and why, never how it ends."""
        click.secho(f"  {text}", dim=True)

    def proml(self, who: Organisation, *words: str, title: str = "", identity: str = "") -> str:
        """Runs ``proml WORDS`` as an organisation, shows it, and demands that it succeeds."""
        return self._run(who, ["proml", *words], title=title, identity=identity, wanted={0})

    def each(self, whom: Iterable[Organisation], words: Callable[[Organisation], list[str]]) -> None:
        """Has several organisations run a ``proml`` command at the same time, and shows them one after the other."""
        with ThreadPoolExecutor() as pool:
            typed = [(who, ["proml", *words(who)]) for who in whom]
            for (who, line), answer in zip(
                typed, pool.map(lambda one: self._start(one[0], one[1], ""), typed), strict=True
            ):
                self._show(who, line, answer, wanted={0})

    def python(self, who: Organisation, script: str, *, title: str = "", identity: str = "") -> str:
        """Runs a Python script as an organisation, shows it, and demands that it succeeds."""
        return self._run(who, ["python", script], title=title, identity=identity, wanted={0})

    def attack(self, who: Organisation, *words: str, title: str, wanted: Sequence[int] = (3, 4, 6)) -> str:
        """Runs a command that must not succeed, shows what stopped it, and fails if nothing did."""
        return self._run(who, list(words), title=title, wanted=set(wanted), attack=True)

    def ask(self, who: Organisation, *words: str) -> Any:
        """Runs ``proml WORDS --json`` without showing it and returns its answer."""
        run, _ = self._start(who, ["proml", *words, "--json"], "")
        if run.returncode != 0:
            raise Surprise(f"{who.key}: proml {shlex.join(words)} answered {run.returncode}: {run.stderr.strip()}")
        return json.loads(run.stdout)

    def _run(
        self,
        who: Organisation,
        words: list[str],
        *,
        title: str,
        wanted: set[int],
        identity: str = "",
        attack: bool = False,
    ) -> str:
        answer = self._start(who, words, identity)
        return self._show(who, words, answer, title=title, wanted=wanted, identity=identity, attack=attack)

    def _show(
        self,
        who: Organisation,
        words: list[str],
        answer: Answer,
        *,
        wanted: set[int],
        title: str = "",
        identity: str = "",
        attack: bool = False,
    ) -> str:
        run, milliseconds = answer
        typed = f"{'PROML_IDENTITY=' + identity + ' ' if identity else ''}{shlex.join(words)}"
        click.echo(f"  {click.style(who.key, fg='cyan')} $ {typed}")
        self.steps.append(Step(title, who.key, typed, run.returncode, milliseconds, attack=attack))
        printed = (run.stdout + run.stderr).rstrip()
        for line in printed.splitlines():
            click.echo(f"      {line}")
        if attack:
            self._verdict(run.returncode, wanted)
        if run.returncode not in wanted:
            raise Surprise(
                f"{who.key}: `{typed}` answered {run.returncode}, expected {' or '.join(map(str, sorted(wanted)))}"
            )
        return printed

    def _verdict(self, exit_code: int, wanted: set[int]) -> None:
        stopped = exit_code in wanted
        word = OUTCOMES.get(exit_code, "unexpected") if stopped else "NOT STOPPED"
        click.echo(f"      → exit code {exit_code}: {click.style(word, fg='green' if stopped else 'red', bold=True)}")

    def _start(self, who: Organisation, words: list[str], identity: str) -> Answer:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROML_")},
            "PROML_HOME": str(who.home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            **({"PROML_IDENTITY": identity} if identity else {}),
        }
        program = [sys.executable, "-m", "proml"] if words[0] == "proml" else [sys.executable]
        start = time.perf_counter()
        run = subprocess.run(  # noqa: S603 - the demonstration's own commands
            [*program, *words[1:]], cwd=who.folder, env=environment, capture_output=True, text=True, check=False
        )
        return run, (time.perf_counter() - start) * 1000
