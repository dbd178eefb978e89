"""What changed between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proml.index.queries import ReadModel
    from proml.index.views import DiffView


def diff(model: ReadModel, before: str, after: str) -> DiffView:
    """Compares two versions (``NAME@A``, ``NAME@B``, also of different artefacts) by their records."""
    raise NotImplementedError


def diff_lines(view: DiffView) -> list[str]:
    """Returns the differences as lines of plain text."""
    raise NotImplementedError
