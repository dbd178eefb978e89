"""Draws a lineage graph as SVG by a simple layered layout, without Graphviz.

Arrows point to what came before, as in PROV. Layers are columns: the version asked about stands at the right end when
its ancestors are drawn, at the left end when its descendants are. A node's layer is its longest path from there, edges
that close a cycle left out; within a layer, nodes stand near the mean of what they are joined to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from html import escape
from itertools import pairwise
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
_ROLE_CHARACTERS = 20
_SWEEPS = 6
_BEND = "bend "
_BEND_HEIGHT = 14.0
_MAX_BENDS = 20_000  # beyond, nobody looks at the crossings any more
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>'
)
_COLOURS = {
    "artefact": ("#dcecff", "#2f6db5"),
    "focus": ("#fff3c4", "#a67c00"),
    "revoked": ("#ffd6d6", "#b00020"),
    "activity": ("#f1f1f1", "#6b6b6b"),
}


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a node, or a bend of a long edge, stands: left, vertical middle, width."""

    x: float
    middle: float
    width: float

    @property
    def right(self) -> float:
        return self.x + self.width


def draw_svg(graph: LineageGraph) -> str:
    """Returns the graph as one SVG document, readable by itself on a white ground."""
    layers = _layers(graph)
    routes = _route(layers, graph)
    _order(layers, routes)
    boxes, width, height = _place(layers, graph)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif" role="img">',
        f"<title>Lineage of {escape(next(n.label for n in graph.nodes if n.key == graph.focus))}</title>",
        _ARROW,
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        *(_draw_edge(edge, [boxes[key] for key in route]) for edge, route in zip(graph.edges, routes, strict=True)),
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


def _route(layers: list[list[str]], graph: LineageGraph) -> list[list[str]]:
    """Gives edges that pass over layers a bend in each of them, so that no line crosses a node.

    Returns:
        For each edge the keys from its source over its bends to its target.
    """
    layer_of = {key: number for number, layer in enumerate(layers) for key in layer}
    routes = []
    straight = sum(abs(layer_of[e.source] - layer_of[e.target]) for e in graph.edges) > _MAX_BENDS
    for number, edge in enumerate(graph.edges):
        start, end = layer_of[edge.source], layer_of[edge.target]
        if straight:
            routes.append([edge.source, edge.target])
            continue
        step = 1 if end > start else -1
        bends = (
            [(layer, f"{_BEND}{number}/{layer}") for layer in range(start + step, end, step)] if start != end else []
        )
        for layer, key in bends:
            layers[layer].append(key)
        routes.append([edge.source, *(key for _, key in bends), edge.target])
    return routes


def _order(layers: list[list[str]], routes: Sequence[Sequence[str]]) -> None:
    """Sorts each layer by the mean position of its neighbours, to and fro, which takes most crossings out."""
    joined: defaultdict[str, list[str]] = defaultdict(list)
    for one, other in (pair for route in routes for pair in pairwise(route)):
        joined[one].append(other)
        joined[other].append(one)
    place = {key: (row + 0.5) / len(layer) for layer in layers for row, key in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            means = {key: sum(place[o] for o in joined[key]) / max(len(joined[key]), 1) for key in layer}
            layer.sort(key=lambda key: means[key])
            place.update({key: (row + 0.5) / len(layer) for row, key in enumerate(layer)})


def _place(layers: list[list[str]], graph: LineageGraph) -> tuple[dict[str, _Box], float, float]:
    nodes = {node.key: node for node in graph.nodes}
    columns = layers[::-1] if graph.direction == "up" else layers
    tall = [[_BEND_HEIGHT if key.startswith(_BEND) else _NODE_HEIGHT for key in column] for column in columns]
    height = 2 * _MARGIN + max(sum(column) + _ROW_GAP * len(column) for column in tall)
    boxes = {}
    x = _MARGIN
    for column, heights in zip(columns, tall, strict=True):
        width = max((_width(nodes[key]) for key in column if key in nodes), default=_MIN_WIDTH)
        gap = (height - 2 * _MARGIN - sum(heights)) / len(column)
        y = _MARGIN + gap / 2
        for key, own in zip(column, heights, strict=True):
            boxes[key] = _Box(x, y + own / 2, width)
            y += own + gap
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
    texts = [
        f'<text x="{centre:.1f}" y="{first:.1f}" font-size="13" font-weight="bold">{escape(_shorten(name))}</text>'
    ]
    if facts:
        texts.append(
            f'<text x="{centre:.1f}" y="{box.middle + 13:.1f}" font-size="11">{escape(_shorten(facts))}</text>'
        )
    return (
        f'<g text-anchor="middle" fill="#222"><title>{escape(name)}: {escape(facts)}</title>'
        f'<rect x="{box.x:.1f}" y="{box.middle - _NODE_HEIGHT / 2:.1f}" width="{box.width:.1f}" '
        f'height="{_NODE_HEIGHT:.0f}" rx="{radius}" '
        f'fill="{fill}" stroke="{line}"{dashed}/>{"".join(texts)}</g>'
    )


def _draw_edge(edge: LineageEdge, route: Sequence[_Box]) -> str:
    """An arrow from the later to the earlier, by curves between columns and straight on past others' nodes."""
    leftwards = route[-1].x < route[0].x
    x, y = route[0].x if leftwards else route[0].right, route[0].middle
    path = f"M{x:.1f} {y:.1f}"
    for position, box in enumerate(route[1:], start=1):
        enter, leave = (box.right, box.x) if leftwards else (box.x, box.right)
        half = (x + enter) / 2
        path += f"C{half:.1f} {y:.1f} {half:.1f} {box.middle:.1f} {enter:.1f} {box.middle:.1f}"
        if position < len(route) - 1:
            path += f"H{leave:.1f}"
        x, y = leave, box.middle
    dash = "" if edge.kind != "decided" else ' stroke-dasharray="4 3"'
    drawn = f'<path d="{path}" fill="none" stroke="#777" marker-end="url(#arrow)"{dash}/>'
    if not edge.shown_role:
        return drawn
    last, before = route[-1], route[-2]
    text_x = (last.right + before.x) / 2 if leftwards else (before.right + last.x) / 2
    text_y = (last.middle + before.middle) / 2 - 5
    role = escape(_shorten(edge.shown_role, _ROLE_CHARACTERS))
    halo = 'stroke="white" stroke-width="3" paint-order="stroke"'
    place = f'x="{text_x:.1f}" y="{text_y:.1f}" text-anchor="middle"'
    return f'{drawn}<text {place} font-size="10" fill="#555" {halo}>{role}</text>'


def _shorten(text: str, most: int = _MAX_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
