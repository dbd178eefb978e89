"""Fetches a content into a folder: what is missing, from whoever has it, each file named only when it is right."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.contents import ObjectName, Piece
from proml.core.name import show
from proml.errors import ContentError, NotAvailable, ProMLError, UnreachableError, VerificationError
from proml.exchange.target import Target
from proml.exchange.transfer import THREADS, Sources, Tally, in_parallel
from proml.filling import filled

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from proml.contents import Contents, OpenAt
    from proml.core.manifest import Manifest, Resource
    from proml.hashing import Progress

_SHOWN_FILES = 10


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a fetch.

    Attributes:
        files: How many files the content has.
        there: How many were there already, and as they should be.
        size_bytes: Length of all files.
        sources: How many objects came from each place.
        faults: What places did wrong, in words.
    """

    files: int
    there: int
    size_bytes: int
    sources: Mapping[str, int]
    faults: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Fetching:
    """How to fetch.

    Attributes:
        overwrite: Replace files that are there with other bytes.
        threads: How many objects at once.
        progress: Is told how far it is.
    """

    overwrite: bool = False
    threads: int = THREADS
    progress: Progress | None = None


DEFAULT = Fetching()


def fetch(
    manifest: Manifest, path: str | os.PathLike[str], places: Sequence[Contents], how: Fetching = DEFAULT
) -> Fetched:
    """Fetches a content; may be killed at any moment and repeated.

    Args:
        manifest: What to fetch.
        path: As for :class:`~proml.exchange.target.Target`.
        places: Where to take it from; the first is asked first.
        how: How.

    Raises:
        ContentError: Another file is in the place of one, or a name cannot be used here; nothing was fetched.
        VerificationError: Some files could only be had with other bytes; the others are there.
        UnreachableError: Some could not be had; the others are there.
        LocalStorageError: The folder cannot be written.
    """
    run = _Run(manifest, Target(path, manifest, overwrite=how.overwrite), Sources(places), how)
    return run.all()


@dataclass
class _Run:
    manifest: Manifest
    target: Target
    sources: Sources
    how: Fetching
    failures: list[tuple[Piece, ProMLError]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally(self.manifest.size_bytes, self.how.progress)

    def all(self) -> Fetched:
        missing = self._missing()
        wanted: dict[Piece, list[Resource]] = {}
        for one in missing:
            wanted.setdefault(Piece(ObjectName(one.algorithm, one.digest), one.size_bytes), []).append(one)
        jobs = sorted(wanted.items(), key=lambda job: -job[0].size_bytes)
        in_parallel(jobs, self._one, self._tally, self.how.threads)
        if self.failures:
            raise self._failed(sum(len(wanted[piece]) for piece, _ in self.failures))
        self.target.finish()
        files = len(self.manifest.resources)
        there = files - len(missing)
        return Fetched(files, there, self.manifest.size_bytes, self.sources.given, self.sources.faults())

    def _missing(self) -> list[Resource]:
        found: dict[str, bool | None] = {}

        def look(one: Resource) -> None:
            found[one.name] = self.target.has(one, self._tally.told)

        in_parallel(self.manifest.resources, look, self._tally, self.how.threads)
        other = [one for one in self.manifest.resources if found[one.name] is False]
        if other and not self.how.overwrite:
            shown = ", ".join(show(self.target.shown(one), 200) for one in other[:_SHOWN_FILES])
            more = f" and {len(other) - _SHOWN_FILES} more" if len(other) > _SHOWN_FILES else ""
            raise ContentError(
                f"{len(other)} {'files are' if len(other) > 1 else 'file is'} there with other bytes: {shown}{more}.",
                hint="Fetch into another folder, or replace them with --overwrite.",
            )
        return [one for one in self.manifest.resources if found[one.name] is not True]

    def _one(self, job: tuple[Piece, list[Resource]]) -> None:
        piece, resources = job
        partial = self.target.partial(piece)
        try:
            self.sources.take(piece, lambda open_at: self._receive(partial, piece, open_at, resources))
        except (UnreachableError, VerificationError) as error:
            with self._lock:
                self.failures.append((piece, error))

    def _receive(self, partial: Path, piece: Piece, open_at: OpenAt, resources: list[Resource]) -> None:
        with filled(partial, piece, open_at, self._tally.told):
            first, *others = resources
            for one in others:
                self.target.copy(partial, one.name)
                self._tally.told(one.size_bytes)
            self.target.place(partial, first.name)

    def _failed(self, files: int) -> ProMLError:
        total = len(self.manifest.resources)
        errors = [error for _, error in self.failures]
        gravest = min(errors, key=_gravity)
        text = f"{files} of {total} files could not be had. {gravest.message}"
        return type(gravest)(text, hint=gravest.hint)


def _gravity(error: ProMLError) -> int:
    if isinstance(error, VerificationError):
        return 0
    return 2 if isinstance(error, NotAvailable) else 1
