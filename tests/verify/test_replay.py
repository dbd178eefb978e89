"""The whole index against the whole chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sql
from tests.worlds import Relaying, World

from proml.core.merkle import root
from proml.core.operation import ZERO, Anchor
from proml.index import schema
from proml.index.schema import writing
from proml.verify.replay import replay_workspace
from proml.verify.verifying import Witnesses

if TYPE_CHECKING:
    from proml.ports import Ledger
    from proml.verify.report import Report


@pytest.fixture(autouse=True)
def _followed(world: World) -> None:
    world.send("developer", Anchor(ZERO, root([b"a"]), 1))
    world.follow()


def replayed(world: World, ledger: Ledger | None = None) -> Report:
    return replay_workspace(Witnesses(world.model, ledger or world.ledger, world.store))


def test_a_followed_index_agrees_with_the_chain(world: World) -> None:
    report = replayed(world)
    assert (report.ok, report.findings) == (True, ())
    assert report.facts["artefacts"] == 3
    assert (report.facts["transitions"], report.facts["votes"], report.facts["anchors"]) == (8, 2, 1)


@pytest.mark.parametrize("table", [schema.votes, schema.anchors, schema.transitions])
def test_rows_deleted_from_the_index_are_found(world: World, table: sql.Table) -> None:
    with writing(world.engine) as connection:
        connection.execute(sql.delete(table))
    assert "index-differs" in {finding.code for finding in replayed(world).findings}


def test_an_anchor_left_out_by_the_node_is_found(world: World) -> None:
    ledger = Relaying(world.ledger)
    newest = world.ledger.newest().number
    ledger.drop = lambda log: log.block_number == newest
    found = [finding for finding in replayed(world, ledger).findings if finding.code == "chain-inconsistent"]
    assert found
    assert "left out" in found[0].message


def test_events_newer_than_the_index_are_found(world: World) -> None:
    world.act("developer", "m", "retire")
    assert {finding.code for finding in replayed(world).findings} == {"index-differs"}
