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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    @property
    def folder(self) -> Path:
        """Its working folder."""
        return self.root / self.key

    @property
    def home(self) -> Path:
        """Where its keys are: nobody else's."""
        return self.folder / "home"


@dataclass(frozen=True)
class Command:
    """A command that an organisation types: see :func:`proml`, :func:`python` and :func:`attack`.

    Attributes:
        words: ``proml`` or ``python`` and its arguments.
        title: What it is for.
        identity: The identity that signs, if it is not the organisation's own.
        wanted: Exit codes with which it has to end.
        is_attack: Whether it must be stopped.
    """

    who: Organisation
    words: tuple[str, ...]
    title: str = ""
    identity: str = ""
    wanted: tuple[int, ...] = (0,)
    is_attack: bool = False

    @property
    def typed(self) -> str:
        """The command line."""
        return f"{'PROML_IDENTITY=' + self.identity + ' ' if self.identity else ''}{shlex.join(self.words)}"


def proml(who: Organisation, *words: str, title: str = "", identity: str = "") -> Command:
    """Returns ``proml WORDS``, which has to succeed."""
    return Command(who, ("proml", *words), title, identity)


def python(who: Organisation, *words: str, identity: str = "") -> Command:
    """Returns a Python script of the organisation, which has to succeed."""
    return Command(who, ("python", *words), identity=identity)


def attack(title: str, command: Command, *wanted: int) -> Command:
    """Returns a command that must not succeed, but end with one of these exit codes."""
    return replace(command, title=title, wanted=wanted, is_attack=True)


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

    def run(self, *commands: Command) -> None:
        """Runs commands of organisations that do not wait for each other at the same time; shows one after the other.

        Raises:
            Surprise: One did not end as it has to; for an attack, because nothing stopped it.
        """
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(self.start, commands))
        for command, answer in zip(commands, answers, strict=True):
            self._show(command, answer)

    def enter(self, who: Organisation) -> list[str]:  # noqa: ARG002 - one machine here; a network has several
        """Returns the words that come before a command so that it runs on an organisation's machine."""
        return []

    def start(self, command: Command) -> Answer:
        """Runs a command to its end."""
        who, words = command.who, command.words
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROML_")},
            "PROML_HOME": str(who.home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            **({"PROML_IDENTITY": command.identity} if command.identity else {}),
        }
        program = [sys.executable, "-m", "proml"] if words[0] == "proml" else [sys.executable]
        start = time.perf_counter()
        run = subprocess.run(  # noqa: S603 - the demonstration's own commands
            [*self.enter(who), *program, *words[1:]],
            cwd=who.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return run, (time.perf_counter() - start) * 1000

    def ask(self, who: Organisation, *words: str) -> Any:
        """Runs ``proml WORDS --json`` without showing it and returns its answer."""
        run, _ = self.start(proml(who, *words, "--json"))
        if run.returncode != 0:
            raise Surprise(f"{who.key}: proml {shlex.join(words)} answered {run.returncode}: {run.stderr.strip()}")
        return json.loads(run.stdout)

    def _show(self, command: Command, answer: Answer) -> None:
        run, milliseconds = answer
        click.echo(f"  {click.style(command.who.key, fg='cyan')} $ {command.typed}")
        self.steps.append(
            Step(command.title, command.who.key, command.typed, run.returncode, milliseconds, attack=command.is_attack)
        )
        for line in (run.stdout + run.stderr).rstrip().splitlines():
            click.echo(f"      {line}")
        if command.is_attack:
            self._verdict(run.returncode, command.wanted)
        if run.returncode not in command.wanted:
            wanted = " or ".join(map(str, command.wanted))
            raise Surprise(f"{command.who.key}: `{command.typed}` answered {run.returncode}, expected {wanted}")

    def _verdict(self, exit_code: int, wanted: Sequence[int]) -> None:
        stopped = exit_code in wanted
        word = OUTCOMES.get(exit_code, "unexpected") if stopped else "NOT STOPPED"
        click.echo(f"      → exit code {exit_code}: {click.style(word, fg='green' if stopped else 'red', bold=True)}")
