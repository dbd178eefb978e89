"""Finds mistakes in a lifecycle before it is added to a workspace, where it can never be changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from proml.core.lifecycle import Definition

MAX_STATES = 64
MAX_TRANSITIONS = 250


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake (``error``) or something unusual (``warning``).

    Attributes:
        level: ``error`` or ``warning``.
        where: ``state NAME``, ``transition NAME (from STATE)`` or ``lifecycle NAME``.
        message: What is wrong, in a sentence.
    """

    level: Literal["error", "warning"]
    where: str
    message: str


def check(
    definition: Definition,
    *,
    organisations: Mapping[int, int] | None = None,
    kinds: Collection[str] | None = None,
) -> list[Finding]:
    """Returns what is wrong with a lifecycle, errors first; empty if nothing is.

    Args:
        definition: The lifecycle.
        organisations: The union of the members' role bits by organisation number; None leaves out what depends on who
            is in the workspace.
        kinds: Kinds that the workspace has or gets; None leaves out whether evidence can exist.
    """
    raise NotImplementedError
