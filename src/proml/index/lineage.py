"""Where a version comes from, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proml.index.queries import ReadModel
    from proml.index.views import LineageGraph

FORMATS = ("text", "json", "dot", "mermaid", "svg")


def lineage(
    model: ReadModel, reference: str | bytes, *, down: bool = False, depth: int | None = None, limit: int = 2000
) -> LineageGraph:
    """Returns the graph of a version's ancestors (or, ``down``, descendants), at most ``depth`` versions away."""
    raise NotImplementedError


def render(graph: LineageGraph, form: str) -> str:
    """Returns the graph as ``text`` (a tree), ``json``, ``dot``, ``mermaid`` or ``svg``; UsageError for others."""
    raise NotImplementedError
