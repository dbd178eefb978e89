"""What changed between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.worlds import single, tree

from proml.errors import UnknownName
from proml.verify.diff import diff, diff_lines

if TYPE_CHECKING:
    from tests.worlds import World


def run(commit: str, **packages: str) -> dict[str, Any]:
    return {
        "id": "r1",
        "started": "2026-11-22T10:00:00.000000Z",
        "git": {"commit": commit, "dirty": False},
        "environment": {"packages": packages},
    }


def changes(part: Any) -> list[tuple[str, str, object, object]]:
    return [(change.change, change.what, change.before, change.after) for change in part]


@pytest.fixture
def trained_twice(world: World) -> World:
    world.dataset("d2")
    first = {
        "parameters": {"depth": 6, "seed": 1},
        "metrics": {"loss": {"last": 0.5, "count": 1}},
        "run": run("aaa", numpy="1.26", scipy="1.0"),
    }
    second = {
        "parameters": {"depth": 8, "seed": 1},
        "metrics": {"loss": {"last": 0.25, "count": 9}, "auc": {"last": 0.9, "count": 1}},
        "run": run("bbb", numpy="2.0"),
    }
    world.register("developer", "n", "model")
    world.act("developer", "n", "train", tree(weights="1", card="c", old="o"), uses=("d",), kind="model", **first)
    world.act("developer", "n", "train", tree(weights="2", card="c", new="n"), uses=("d2",), kind="model", **second)
    world.follow()
    return world


def test_every_kind_of_change_is_found(trained_twice: World) -> None:
    view = diff(trained_twice.model, "n@1", "n@2")
    assert [(change, what) for change, what, _, _ in changes(view.content)] == [
        ("added", "new"),
        ("removed", "old"),
        ("changed", "weights"),
    ]
    assert changes(view.parameters) == [("changed", "depth", 6, 8)]
    assert changes(view.metrics) == [("added", "auc", None, 0.9), ("changed", "loss", 0.5, 0.25)]
    assert changes(view.code) == [("changed", "commit", "aaa", "bbb")]
    assert changes(view.packages) == [("changed", "numpy", "1.26", "2.0"), ("removed", "scipy", "1.0", None)]
    assert changes(view.uses) == [("removed", "d", "@2", None), ("added", "d2", None, "@2")]
    text = "\n".join(diff_lines(view))
    assert "~ depth  6 → 8" in text


def test_a_version_does_not_differ_from_itself(trained_twice: World) -> None:
    view = diff(trained_twice.model, "n@2", "n")
    assert view.same
    assert diff_lines(view)[-1] == "no difference"


def test_the_other_way_round_swaps_before_and_after(trained_twice: World) -> None:
    there, back = (diff(trained_twice.model, *pair).parameters for pair in (("n@1", "n@2"), ("n@2", "n@1")))
    assert [(c.before, c.after) for c in there] == [(c.after, c.before) for c in back]


def test_without_a_record_the_digests_are_compared_and_that_is_said(world: World) -> None:
    world.act("data", "d", "revise", single("new"), publish=False)
    world.follow()
    view = diff(world.model, "d@2", "d@3")
    assert view.missing == ("d@3",)
    assert [change.what for change in view.content] == ["content"]
    assert "not available" in "\n".join(diff_lines(view))


def test_versions_that_do_not_exist_cannot_be_compared(world: World) -> None:
    world.follow()
    with pytest.raises(UnknownName):
        diff(world.model, "m@1", "m@2")


def test_the_view_is_json(trained_twice: World) -> None:
    document = diff(trained_twice.model, "n@1", "n@2").to_json()
    assert document["parameters"] == [{"what": "depth", "before": 6, "after": 8, "change": "changed"}]
