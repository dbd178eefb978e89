"""The graph of versions and activities, and its drawings."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from tests.worlds import single

from proml.errors import UnknownName, UsageError
from proml.index.lineage import FORMATS, lineage, render
from proml.index.views import LineageEdge, LineageGraph, LineageNode

if TYPE_CHECKING:
    from tests.worlds import World


@pytest.fixture(autouse=True)
def _followed(world: World) -> None:
    world.follow()


def labels(graph: LineageGraph) -> set[str]:
    return {node.label for node in graph.nodes if node.type == "artefact"}


def test_ancestors_are_found_through_what_was_approved_on(world: World) -> None:
    graph = lineage(world.model, "m")
    assert labels(graph) == {"m@1", "d@2", "e@1"}
    by_key = {node.key: node.label for node in graph.nodes}
    edges = {(by_key[edge.source], edge.kind, by_key[edge.target]) for edge in graph.edges}
    assert ("m@1", "generated", "train") in edges
    assert ("m@1", "decided", "approve") in edges
    assert ("approve", "used", "e@1") in edges
    assert ("report", "used", "m@1") in edges  # the cycle: an evaluation of the model that it helps to approve


def test_descendants_are_found(world: World) -> None:
    assert labels(lineage(world.model, "d", down=True)) == {"d@2", "m@1", "e@1"}
    assert labels(lineage(world.model, "d@1", down=True)) == {"d@1"}


def test_another_version_has_other_ancestors(world: World) -> None:
    world.dataset("d2")
    world.act("developer", "m", "retrain", single("new"), uses=("d2",), kind="model")
    world.follow()
    assert labels(lineage(world.model, "m@2")) == {"m@2", "d2@2"}
    assert labels(lineage(world.model, "m@1")) == {"m@1", "d@2", "e@1"}


def test_depth_cuts_the_graph_and_says_so(world: World) -> None:
    world.trained("child", "m", text="child")
    world.follow()
    graph = lineage(world.model, "child", depth=1)
    assert labels(graph) == {"child@1", "m@1"}
    assert graph.truncated
    assert not lineage(world.model, "child", depth=9).truncated
    assert labels(lineage(world.model, "child", depth=0)) == {"child@1"}


def test_every_edge_joins_nodes_of_the_graph(world: World) -> None:
    for down in (False, True):
        graph = lineage(world.model, "d", down=down)
        keys = {node.key for node in graph.nodes}
        assert all(edge.source in keys and edge.target in keys for edge in graph.edges)


def test_a_revoked_version_is_marked(world: World) -> None:
    world.act("data", "d", "revoke")
    world.follow()
    assert [node.label for node in lineage(world.model, "m").nodes if node.revoked] == ["d@2"]
    assert "REVOKED" in render(lineage(world.model, "m"), "text")


def test_the_tree_shows_what_occurs_again_once(world: World) -> None:
    text = render(lineage(world.model, "m"), "text")
    assert text.splitlines()[0].startswith("m@1  model, released")
    assert text.count("(see above)") == 2


def test_each_format_is_well_formed(world: World) -> None:
    graph = lineage(world.model, "m")
    assert json.loads(render(graph, "json"))["focus"] == graph.focus
    svg = ET.fromstring(render(graph, "svg"))
    assert len(svg.findall("{http://www.w3.org/2000/svg}g")) == len(graph.nodes)
    assert render(graph, "dot").count("->") == len(graph.edges)
    assert render(graph, "mermaid").count("-->") == len(graph.edges)
    with pytest.raises(UsageError, match="pdf"):
        render(graph, "pdf")


def test_hostile_labels_stay_text_in_every_format() -> None:
    hostile = '"];\n<script>alert(1)</script>&"}\\'
    nodes = (
        LineageNode("a", "artefact", hostile, 0, kind=hostile, state=hostile),
        LineageNode("b", "activity", hostile, 1, organisation_name=hostile, run_name=hostile, run="r"),
    )
    graph = LineageGraph("a", "up", nodes, (LineageEdge("a", "b", "generated", hostile),))
    ET.fromstring(render(graph, "svg"))
    for form in ("svg", "mermaid"):
        assert "<script" not in render(graph, form)
    assert '\\"];\\n<script>' in render(graph, "dot")
    assert json.loads(render(graph, "json"))["nodes"][0]["label"] == hostile


def test_a_single_node_is_drawn_in_every_format(empty: World) -> None:
    empty.register("data", "lonely", "dataset")
    empty.follow()
    graph = lineage(empty.model, "lonely")
    assert labels(graph) == {"lonely@0"}
    for form in FORMATS:
        assert "lonely@0" in render(graph, form)


def test_a_long_chain_is_drawn_without_recursion() -> None:
    count = 1500
    nodes = tuple(LineageNode(str(n), "artefact", f"v{n}", n) for n in range(count))
    edges = tuple(LineageEdge(str(n), str(n + 1), "used") for n in range(count - 1))
    graph = LineageGraph("0", "up", nodes, edges)
    for form in FORMATS:
        assert f"v{count - 1}" in render(graph, form)


def test_what_does_not_exist_has_no_lineage(world: World) -> None:
    with pytest.raises(UnknownName):
        lineage(world.model, "m@3")
    with pytest.raises(UsageError):
        lineage(world.model, "m", depth=-1)
