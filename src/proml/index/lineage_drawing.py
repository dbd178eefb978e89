"""Writes a lineage graph as a tree of text, JSON, DOT (Graphviz) or Mermaid.

Names and roles come from other people: each form escapes what would mean something in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proml.index.views import LineageEdge, LineageGraph, LineageNode


def describe(node: LineageNode) -> tuple[str, str]:
    """Returns a node's two lines: what it is called, and what is known of it."""
    if node.type == "activity":
        run = f"run {node.run_name or node.run}" if node.run or node.run_name else ""
        return node.label, ", ".join(filter(None, (node.organisation_name, run)))
    if node.foreign:
        return node.label, "another workspace"
    state = (
        f"{node.state}, REVOKED"
        if node.revoked and node.state != "revoked"
        else node.state.replace("revoked", "REVOKED")
    )
    return node.label, ", ".join(filter(None, (node.kind, state)))


def draw_text(graph: LineageGraph) -> str:
    """Returns a tree from the version asked about; what occurs again is shown once and then referred to."""
    nodes = {node.key: node for node in graph.nodes}
    children = _children(graph)
    lines: list[str] = []
    seen: set[str] = set()
    # (key, role, prefix of its line, prefix of its children's lines); no recursion: histories can be long.
    stack = [(graph.focus, "", "", "")]
    while stack:
        key, role, before, below = stack.pop()
        name, facts = describe(nodes[key])
        again = key in seen and key in children
        parts = (f"  {facts}" if facts else "", f"  as {role}" if role else "", "  (see above)" if again else "")
        lines.append(before + name + "".join(parts))
        if key in seen:
            continue
        seen.add(key)
        following = children.get(key, [])
        for position, (child, child_role) in reversed(list(enumerate(following))):
            last = position == len(following) - 1
            stack.append((child, child_role, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
    if graph.truncated:
        lines.append("… more was left out (--depth)")
    return "\n".join(lines) + "\n"


def _children(graph: LineageGraph) -> dict[str, list[tuple[str, str]]]:
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for edge in graph.edges:
        if graph.direction == "up":
            found[edge.source].append((edge.target, edge.shown_role))
        else:
            found[edge.target].append((edge.source, edge.shown_role))
    return dict(found)


def write_json(graph: LineageGraph) -> str:
    """Returns the graph as indented JSON."""
    return json.dumps(graph.to_json(), indent=2) + "\n"


def draw_dot(graph: LineageGraph) -> str:
    """Returns the graph in Graphviz's language; arrows point to what came before."""
    lines = ["digraph lineage {", "  rankdir=RL;", '  node [fontname="sans-serif", fontsize=11];']
    ids = _ids(graph)
    for node in graph.nodes:
        text = _quote("\n".join(filter(None, describe(node))))
        lines.append(f"  {ids[node.key]} [label={text}, {_dot_style(node, graph)}];")
    lines += [f"  {ids[e.source]} -> {ids[e.target]} [label={_quote(_edge_text(e))}];" for e in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_style(node: LineageNode, graph: LineageGraph) -> str:
    if node.type == "activity":
        return 'shape=box, style="rounded,filled", fillcolor="#eeeeee"'
    fill = "#ffd6d6" if node.revoked else "#fff3c4" if node.key == graph.focus else "#dcecff"
    return f'shape=box, style="filled{",dashed" if node.foreign else ""}", fillcolor="{fill}"'


def draw_mermaid(graph: LineageGraph) -> str:
    """Returns the graph as a Mermaid flowchart; arrows point to what came before."""
    ids = _ids(graph)
    lines = ["flowchart RL"]
    for node in graph.nodes:
        text = "<br/>".join(_mermaid_text(line) for line in describe(node) if line)
        opening, closing = ("([", "])") if node.type == "activity" else ("[", "]")
        lines.append(f'  {ids[node.key]}{opening}"{text}"{closing}')
    lines += [f'  {ids[e.source]} -->|"{_mermaid_text(_edge_text(e))}"| {ids[e.target]}' for e in graph.edges]
    revoked = [ids[node.key] for node in graph.nodes if node.revoked]
    if revoked:
        lines += ["  classDef revoked fill:#ffd6d6,stroke:#b00020", f"  class {','.join(revoked)} revoked"]
    return "\n".join(lines) + "\n"


def _ids(graph: LineageGraph) -> dict[str, str]:
    return {node.key: f"n{number}" for number, node in enumerate(graph.nodes)}


def _edge_text(edge: LineageEdge) -> str:
    return f"{edge.kind} as {edge.shown_role}" if edge.shown_role else edge.kind


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _mermaid_text(text: str) -> str:
    """Escapes by Mermaid's entity codes, which are `#` + number + `;`."""
    return "".join(c if c.isalnum() or c in " .,@_-/()…" else f"#{ord(c)};" for c in text)
