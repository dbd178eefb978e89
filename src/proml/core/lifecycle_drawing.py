"""Draws lifecycles as text for Mermaid and Graphviz."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from proml.core.lifecycle import ANY_STATE, Definition, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ANY_LABEL = "any state that is not terminal"
_PERIODS_S = (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def draw_mermaid(definition: Definition, role_labels: Mapping[str, str] | None = None) -> str:
    """Returns the lifecycle as a Mermaid ``stateDiagram-v2``.

    Args:
        definition: The lifecycle.
        role_labels: What to call roles, by name; for the free ones a workspace gives names to.
    """
    lines = ["stateDiagram-v2", "    direction LR"]
    for number, state in enumerate(definition.states):
        flags = f" ({', '.join(state.flags)})" if state.flags else ""
        lines.append(f'    state "{_mermaid(state.name + flags)}" as s{number}')
    if any(one.from_state == ANY_STATE for one in definition.transitions):
        lines.append(f'    state "{_mermaid(_ANY_LABEL)}" as any')
    lines.append(
        f"    [*] --> s{definition.state_number(definition.initial)}: "
        + _mermaid(_registration(definition, role_labels or {}))
    )
    for source, target, label in _arrows(definition, role_labels or {}):
        lines.append(f"    {source} --> {target}: {_mermaid(label)}")
    lines.extend(
        f"    s{number} --> [*]" for number, state in enumerate(definition.states) if "terminal" in state.flags
    )
    return "\n".join(lines) + "\n"


def draw_dot(definition: Definition, role_labels: Mapping[str, str] | None = None) -> str:
    """Returns the lifecycle as a Graphviz digraph; the arguments are those of :func:`draw_mermaid`."""
    lines = [
        f"digraph {_dot(definition.name)} {{",
        "    rankdir=LR;",
        '    node [shape=box, style=rounded, fontname="sans-serif"];',
        '    edge [fontname="sans-serif", fontsize=10];',
        "    start [shape=point];",
    ]
    for number, state in enumerate(definition.states):
        flags = f"\n{', '.join(state.flags)}" if state.flags else ""
        border = ", peripheries=2" if "terminal" in state.flags else ""
        lines.append(f"    s{number} [label={_dot(state.name + flags)}{border}];")
    if any(one.from_state == ANY_STATE for one in definition.transitions):
        lines.append(f'    any [label={_dot(_ANY_LABEL)}, style="rounded,dashed"];')
    start = definition.state_number(definition.initial)
    lines.append(f"    start -> s{start} [label={_dot(_registration(definition, role_labels or {}))}];")
    for source, target, label in _arrows(definition, role_labels or {}):
        lines.append(f"    {source} -> {target} [label={_dot(label.replace(' · ', chr(10)))}];")
    return "\n".join([*lines, "}"]) + "\n"


def _arrows(definition: Definition, role_labels: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for one in definition.transitions:
        source = "any" if one.from_state == ANY_STATE else f"s{definition.state_number(one.from_state)}"
        yield source, f"s{definition.state_number(one.to_state)}", _label(one, role_labels)


def _registration(definition: Definition, role_labels: Mapping[str, str]) -> str:
    return f"register · {_named(definition.register, role_labels)}"


def _label(one: Transition, role_labels: Mapping[str, str]) -> str:
    parts = [one.name, _named(one.roles, role_labels), *one.guards]
    if one.quorum:
        parts.append(f"quorum {one.quorum} of {_named(one.vote_roles, role_labels)}")
    if one.evidence:
        parts.append(f"evidence {one.evidence}")
    if one.min_delay_s:
        parts.append(f"after {_period(one.min_delay_s)}")
    return " · ".join(parts)


def _named(roles: tuple[str, ...], role_labels: Mapping[str, str]) -> str:
    return " or ".join(role_labels.get(role, role) for role in roles)


def _period(seconds: int) -> str:
    unit, length = next((unit, length) for unit, length in _PERIODS_S if seconds % length == 0)
    amount = seconds // length
    return f"{amount} {unit}{'' if amount == 1 else 's'}"


def _mermaid(text: str) -> str:
    """Escapes a label by Mermaid's entity codes: what is not plainly harmless becomes ``#number;``."""
    pieces = (
        "".join(part) if harmless else "".join(f"#{ord(character)};" for character in part)
        for harmless, part in groupby(text, key=lambda character: character.isalnum() or character in " -_.,()·")
    )
    return "".join(pieces)


def _dot(text: str) -> str:
    """Returns a DOT string literal: quotes and backslashes escaped, line feeds as line breaks."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", "\\n").replace("\0", " ")
    return f'"{escaped}"'
