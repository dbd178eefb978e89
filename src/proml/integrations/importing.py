"""What every import has in common: candidates, which content may be read, and what became of each run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture.imported import ForeignRun, is_known, take_over
from proml.errors import ContentError, InvalidName, ProMLError
from proml.hashing import hash_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from proml.config import Folder
    from proml.core.manifest import Manifest

MAX_CONTENT_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that may be imported.

    Attributes:
        id: Its id here.
        label: What people call it, for messages.
        read: Reads all of it; second, what could not be read of it, in words. Raises ProMLError if it cannot be used.
    """

    id: str
    label: str
    read: Callable[[], tuple[ForeignRun, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A run, or part of a store, that is left out, and why."""

    label: str
    reason: str


@dataclass(slots=True)
class Report:
    """What became of an import.

    Attributes:
        runs: The runs that were added, or would be: id, name, what they publish, what could not be read.
        known: Ids of the runs that were here before.
        skipped: What is left out.
    """

    runs: list[dict[str, object]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def bring_in(folder: Folder, found: Iterable[Candidate | Skipped], *, dry_run: bool = False) -> Report:
    """Imports runs; those that are here already are left as they are.

    Args:
        folder: The working folder.
        found: The runs, in the order in which what they publish is to be sent.
        dry_run: Read everything, write nothing.

    Raises:
        OSError: The working folder cannot be written.
    """
    report = Report()
    for one in found:
        if isinstance(one, Skipped):
            report.skipped.append(one)
            continue
        try:
            if is_known(folder, one.id):
                report.known.append(one.id)
                continue
            run, remarks = one.read()
            if not dry_run:
                take_over(folder, run)
        except ProMLError as error:
            report.skipped.append(Skipped(one.label, error.message))
            continue
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            report.skipped.append(Skipped(one.label, f"it says what cannot be: {type(error).__name__}: {error}."))
            continue
        report.runs.append({"id": run.id, "name": run.name, "publishes": [output.name for output in run.outputs],
                            "uses": len(run.inputs), "remarks": list(remarks)})  # fmt: skip
    return report


@dataclass(frozen=True, slots=True)
class Allowed:
    """The folders whose content an import may read, whatever a store says.

    Attributes:
        roots: Resolved folders.
    """

    roots: tuple[Path, ...]

    @classmethod
    def below(cls, folders: Iterable[str | os.PathLike[str]]) -> Allowed:
        """Returns what is below these folders."""
        return cls(tuple(Path(folder).resolve() for folder in folders))

    def manifest(self, path: str | os.PathLike[str]) -> Manifest:
        """Returns the manifest of a file or folder.

        Raises:
            ContentError: It is outside of the folders, not there, too large, or holds what a manifest cannot name.
        """
        return hash_path(self.check(path))

    def check(self, path: str | os.PathLike[str]) -> Path:
        """Returns the path with all links followed; raises as :meth:`manifest`."""
        try:
            real = Path(path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise ContentError(f"there is no {os.fsdecode(path)!a}.", hint="Check the path.") from error
        if not any(real.is_relative_to(root) for root in self.roots):
            raise ContentError(
                f"{os.fsdecode(path)!a} leads to {str(real)!a}, outside of what may be read.",
                hint="Name its folder with --also if it is yours to read.",
            )
        if _size_bytes(real) > MAX_CONTENT_BYTES:
            raise ContentError(f"{os.fsdecode(path)!a} has more than 1 TiB.", hint="Import it by itself.")
        return real


def artefact_name(name: str, names: dict[str, str]) -> str:
    """Returns the name under which something is published.

    Args:
        name: What the other tool calls it.
        names: Names that were asked for instead.

    Raises:
        InvalidName: It is no name of an artefact.
    """
    from proml.core.name import check_name  # noqa: PLC0415 - only here

    try:
        return check_name(names.get(name, name))
    except InvalidName as error:
        raise InvalidName(
            f"{error.message.rstrip('.')}; it is published under no name.",
            hint=f"Give it one: --name {name!a}=NEW-NAME.",
        ) from error


def _size_bytes(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)  # noqa: PTH118 - many files
    return total
