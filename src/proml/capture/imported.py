"""Runs that something else recorded, taken over as runs of this working folder.

Such a run goes the way of every other: a journal, records, the outbox. Its folder appears whole and sealed or not at
all, and its id follows from the id that it has elsewhere: so importing can be cut off at any instant and done again, by
any process, and nothing is lost or doubled.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proml.capture import closing, run_folder
from proml.capture.journal import SUFFIX, fact_line, observation_line
from proml.capture.run_folder import Ending, Start
from proml.capture.usage import describe_publication
from proml.capture.values import NAME_LIMIT, label, tidy
from proml.config import make_private_folder
from proml.core.digest import format_digest
from proml.core.record import format_time
from proml.errors import ContentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from proml.capture.closing import Closed
    from proml.config import Folder
    from proml.core.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Observation:
    """A metric at a time (Unix time in nanoseconds)."""

    name: str
    value: object
    step: int | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class Input:
    """What a run used.

    Attributes:
        manifest: Its content; None if that is not at hand.
        path: Where it was, as far as that is told.
        uri: Where it came from.
    """

    role: str
    manifest: Manifest | None = None
    name: str = ""
    path: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What a run published, as for :meth:`proml.Run.publish`."""

    name: str
    path: Path
    manifest: Manifest
    kind: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A run as another tool recorded it.

    Attributes:
        id: Unique for ever, and the same whenever the run is read: the tool's name and its own id.
        name: What people call it.
        started_ns: Unix time in nanoseconds, as the tool states it.
        ended_ns: As above.
        interrupted: It never ended, as far as the tool knows.
        surroundings: Fields of a record's ``run`` that the tool states: ``git``, ``command``…
        tags: Free facts.
        stated: What the tool says and nobody checked: goes under ``facts.imported``.
    """

    id: str
    name: str
    started_ns: int
    ended_ns: int
    interrupted: bool = False
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, object] = field(default_factory=dict)
    stated: Mapping[str, object] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)
    observations: Iterable[Observation] = ()
    inputs: Sequence[Input] = ()
    outputs: Sequence[Output] = ()


def is_known(folder: Folder, run_id: str) -> bool:
    """Tells whether a run of this id was imported before, and all that follows from it is in the outbox."""
    return run_folder.is_closed(folder.runs_folder / _checked(run_id))


def take_over(folder: Folder, run: ForeignRun) -> Closed:
    """Writes a run, its records and intents; a run that is there already stays as it is.

    Raises:
        ProMLError: Its id, a name or an action cannot be used, or it cannot be written.
        OSError: The run's folder cannot be written.
    """
    make_private_folder(folder.runs_folder)
    path = folder.runs_folder / _checked(run.id)
    ending = Ending(run.ended_ns, interrupted=run.interrupted)
    if not path.exists():
        facts = {
            **run.surroundings,
            "name": label(run.name),
            "imported": tidy({**run.stated, "at": format_time(time.time_ns())}),
        }
        if run.tags:
            facts["tags"] = {label(key, NAME_LIMIT): tidy(run.tags[key]) for key in run.tags}
        start = Start(run.id, os.urandom(32).hex(), shared=False, started_ns=run.started_ns, facts=facts)
        run_folder.make(path, start, lambda fresh: _fill(fresh, run, ending))
    return closing.close(path, ending)


def _fill(fresh: Path, run: ForeignRun, ending: Ending) -> None:
    outputs = [
        {**describe_publication(one.name, one.path, kind=one.kind, action=one.action),
         "content": format_digest(one.manifest.digest)}
        for one in run.outputs
    ]  # fmt: skip
    contents = fresh / run_folder.CONTENTS
    contents.mkdir(mode=0o700)
    for one in run.outputs:
        run_folder.write_whole(contents / one.manifest.digest.hex(), one.manifest.bytes)
    with (fresh / f"{run.started_ns:020d}-imported{SUFFIX}").open("xb") as file:
        file.write(fact_line("process", {"role": "import", "journal": "imported"}, run.started_ns))
        values = {label(str(name), NAME_LIMIT): tidy(value) for name, value in run.parameters.items()}
        if values:
            file.write(fact_line("parameters", {"values": values}, run.started_ns))
        for used in run.inputs:
            file.write(fact_line("use", _use(used), run.started_ns))
        for seen in run.observations:
            file.write(observation_line(seen.name, seen.value, seen.step, seen.time_ns))
        for published in outputs:
            file.write(fact_line("publish", published, run.ended_ns))
        file.flush()
        os.fsync(file.fileno())
    closing.check(fresh, run_folder.seal(fresh, ending))  # nothing that cannot be closed becomes a run


def _use(used: Input) -> dict[str, object]:
    fact: dict[str, object] = {"role": label(used.role)}
    for key, value in (("name", used.name), ("path", used.path), ("uri", used.uri)):
        if value:
            fact[key] = label(value)
    if used.manifest is not None:
        fact |= {"content": format_digest(used.manifest.digest), "size_bytes": used.manifest.size_bytes}
    return fact


def _checked(run_id: str) -> str:
    try:
        return run_folder.check_id(run_id)
    except UsageError as error:
        raise ContentError(
            f"the run's id {run_id!a} cannot be used: 1 to 100 letters, digits, '.', '_' and '-' were expected.",
            hint="Leave this run out.",
        ) from error
