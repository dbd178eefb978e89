"""Draws a lineage graph as SVG by a simple layered layout, without Graphviz.

Arrows point to what came before, as in PROV. Layers are columns: the version asked about stands at the right end when
its ancestors are drawn, at the left end when its descendants are. A node's layer is its longest path from there, edges
that close a cycle left out; within a layer, nodes stand near the mean of what they are joined to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from proml.index.lineage_drawing import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.index.views import LineageEdge, LineageGraph, LineageNode

_CHARACTER_WIDTH = 7.0
_NODE_HEIGHT = 44.0
_ROW_GAP = 22.0
_COLUMN_GAP = 110.0
_MARGIN = 24.0
_MIN_WIDTH = 90.0
_MAX_CHARACTERS = 34
_SWEEPS = 4
_COLOURS = {
    "artefact": ("#dcecff", "#2f6db5"),
    "focus": ("#fff3c4", "#a67c00"),
    "revoked": ("#ffd6d6", "#b00020"),
    "activity": ("#f1f1f1", "#6b6b6b"),
}


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a node stands: left, top, width."""

    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + _NODE_HEIGHT / 2


def draw_svg(graph: LineageGraph) -> str:
    """Returns the graph as one SVG document, readable by itself on a white ground."""
    layers = _order(_layers(graph), graph)
    boxes, width, height = _place(layers, graph)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" role="img">',
        f"<title>Lineage of {escape(next(n.label for n in graph.nodes if n.key == graph.focus))}</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        *(_draw_edge(edge, boxes) for edge in graph.edges),
        *(_draw_node(node, boxes[node.key], graph) for node in graph.nodes),
    ]
    if graph.truncated:
        parts.append(f'<text x="{_MARGIN}" y="{height - 6:.0f}" font-size="11" fill="#555">more was left out</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


# ----------------------------------------------------------------------------------------------------- layout


def _outward(graph: LineageGraph) -> dict[str, list[str]]:
    """Neighbours one step further from the version asked about."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        near, far = (edge.source, edge.target) if graph.direction == "up" else (edge.target, edge.source)
        found[near].append(far)
    return found


def _layers(graph: LineageGraph) -> list[list[str]]:
    outward = _outward(graph)
    order, closing = _search(graph.focus, outward)
    layer = dict.fromkeys(order, 0)
    for key in order:  # every node before those that it leads to, cycles cut
        for child in outward.get(key, ()):
            if (key, child) not in closing:
                layer[child] = max(layer[child], layer[key] + 1)
    found: list[list[str]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for node in graph.nodes:
        found[layer.get(node.key, 0)].append(node.key)
    return found


def _search(start: str, outward: Mapping[str, Sequence[str]]) -> tuple[list[str], set[tuple[str, str]]]:
    """Returns the nodes in topological order, and the edges that close a cycle (depth first, no recursion)."""
    finished: list[str] = []
    closing: set[tuple[str, str]] = set()
    state: dict[str, int] = {start: 1}
    stack = [(start, iter(outward.get(start, ())))]
    while stack:
        key, children = stack[-1]
        child = next(children, None)
        if child is None:
            state[key] = 2
            finished.append(key)
            stack.pop()
        elif state.get(child) == 1:
            closing.add((key, child))
        elif child not in state:
            state[child] = 1
            stack.append((child, iter(outward.get(child, ()))))
    return finished[::-1], closing


def _order(layers: list[list[str]], graph: LineageGraph) -> list[list[str]]:
    """Sorts each layer by the mean position of its neighbours, to and fro, which takes most crossings out."""
    joined: defaultdict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        joined[edge.source].append(edge.target)
        joined[edge.target].append(edge.source)
    place = {key: row / max(len(layer), 1) for layer in layers for row, key in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            means = {key: sum(place[o] for o in joined[key]) / max(len(joined[key]), 1) for key in layer}
            layer.sort(key=lambda key: means[key])
            place.update({key: (row + 0.5) / len(layer) for row, key in enumerate(layer)})
    return layers


def _place(layers: list[list[str]], graph: LineageGraph) -> tuple[dict[str, _Box], float, float]:
    nodes = {node.key: node for node in graph.nodes}
    columns = layers[::-1] if graph.direction == "up" else layers
    tallest = max(len(layer) for layer in layers)
    height = 2 * _MARGIN + tallest * (_NODE_HEIGHT + _ROW_GAP)
    boxes = {}
    x = _MARGIN
    for column in columns:
        width = max((_width(nodes[key]) for key in column), default=_MIN_WIDTH)
        step = (height - 2 * _MARGIN) / max(len(column), 1)
        for row, key in enumerate(column):
            boxes[key] = _Box(x, _MARGIN + row * step + (step - _NODE_HEIGHT) / 2, width)
        x += width + _COLUMN_GAP
    return boxes, x - _COLUMN_GAP + _MARGIN, height


def _width(node: LineageNode) -> float:
    longest = max(len(_shorten(line)) for line in describe(node))
    return max(_MIN_WIDTH, longest * _CHARACTER_WIDTH + 24)


# ---------------------------------------------------------------------------------------------------- drawing


def _draw_node(node: LineageNode, box: _Box, graph: LineageGraph) -> str:
    kind = "revoked" if node.revoked else "focus" if node.key == graph.focus else node.type
    fill, line = _COLOURS[kind]
    dashed = ' stroke-dasharray="5 3"' if node.foreign else ""
    radius = 18 if node.type == "activity" else 4
    name, facts = describe(node)
    centre = box.x + box.width / 2
    first = box.middle - 3 if facts else box.middle + 4
    texts = [f'<text x="{centre:.1f}" y="{first:.1f}" font-size="13" font-weight="bold">{escape(_shorten(name))}</text>']
    if facts:
        texts.append(f'<text x="{centre:.1f}" y="{box.middle + 13:.1f}" font-size="11">{escape(_shorten(facts))}</text>')
    return (
        f'<g text-anchor="middle" fill="#222"><title>{escape(name)}: {escape(facts)}</title>'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{_NODE_HEIGHT:.0f}" rx="{radius}" '
        f'fill="{fill}" stroke="{line}"{dashed}/>{"".join(texts)}</g>'
    )


def _draw_edge(edge: LineageEdge, boxes: Mapping[str, _Box]) -> str:
    """An arrow from the later to the earlier: a curve from the left side, or around when both stand in one column."""
    source, target = boxes[edge.source], boxes[edge.target]
    leftwards = target.x + target.width <= source.x
    start_x = source.x if leftwards else source.x + source.width
    end_x = target.x + target.width if leftwards else target.x
    bend = max(abs(start_x - end_x) / 2, 40.0)
    sign = -1 if leftwards else 1
    dash = "" if edge.kind != "decided" else ' stroke-dasharray="4 3"'
    path = (
        f"M{start_x:.1f} {source.middle:.1f}C{start_x + sign * bend:.1f} {source.middle:.1f} "
        f"{end_x - sign * bend:.1f} {target.middle:.1f} {end_x:.1f} {target.middle:.1f}"
    )
    drawn = f'<path d="{path}" fill="none" stroke="#777" marker-end="url(#arrow)"{dash}/>'
    if not edge.role:
        return drawn
    x, y = (start_x + end_x) / 2, (source.middle + target.middle) / 2 - 5
    role = escape(_shorten(edge.role))
    return f'{drawn}<text x="{x:.1f}" y="{y:.1f}" font-size="10" fill="#555" text-anchor="middle">{role}</text>'


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
