"""Is this what was agreed? Checks files and artefacts against the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proml.verify.report import Report

if TYPE_CHECKING:
    from proml.index.queries import ReadModel
    from proml.ports import Ledger, Store


@dataclass(frozen=True, slots=True)
class Demand:
    """What is demanded of what is verified.

    Attributes:
        name: NAME or NAME@VERSION that the content must belong to; empty for any.
        state: Name of the state that the artefact must be in; empty for any that is not revoked.
        confirmations: Blocks that must lie on top of the last transition.
        final: Whether the last transition must be final.
    """

    name: str = ""
    state: str = ""
    confirmations: int = 0
    final: bool = False


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What a verification asks: the index finds, the ledger proves, the store holds the records."""

    model: ReadModel
    ledger: Ledger
    store: Store | None


def verify_path(witnesses: Witnesses, path: str | Path, demand: Demand | None = None) -> Report:
    """Verifies that a file or folder is the current content of an artefact in the demanded state."""
    raise NotImplementedError


def verify_paths(witnesses: Witnesses, paths: Sequence[str | Path], demand: Demand | None = None) -> Sequence[Report]:
    """Verifies each path; one report each, in order."""
    raise NotImplementedError


def verify_name(witnesses: Witnesses, reference: str, demand: Demand | None = None) -> Report:
    """Verifies an artefact without its content: history, heads, state, records, taint."""
    raise NotImplementedError
