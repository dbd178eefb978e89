"""Draws lifecycles as text for Mermaid and Graphviz."""

from __future__ import annotations

from collections.abc import Mapping

from proml.core.lifecycle import Definition


def draw_mermaid(definition: Definition, role_labels: Mapping[str, str] | None = None) -> str:
    """Returns the lifecycle as a Mermaid ``stateDiagram-v2``.

    Args:
        definition: The lifecycle.
        role_labels: What to call roles, by name; for the free ones a workspace gives names to.
    """
    raise NotImplementedError


def draw_dot(definition: Definition, role_labels: Mapping[str, str] | None = None) -> str:
    """Returns the lifecycle as a Graphviz digraph; the arguments are those of :func:`draw_mermaid`."""
    raise NotImplementedError
