"""Following and verifying over JSON-RPC, on a client that really reorganises."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.ports.ledgers import Anvil, find_anvil, running_anvil
from tests.worlds import World, make_world, single

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.errors import VerificationError
from proml.index.follow import rebuild
from proml.ports import Finality
from proml.verify.replay import replay_workspace
from proml.verify.verifying import Demand, Witnesses, verify_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[Anvil]:
    program = find_anvil()
    if program is None:
        reason = "anvil is missing: `make engines` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with running_anvil(program, tmp_path) as running:
        yield running


@pytest.fixture
def remote(anvil: Anvil, tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path, JsonRpcLedger(anvil.url, finality=Finality("depth", 2)))
    yield world
    world.close()


def test_the_index_follows_a_reorganisation_of_a_real_client(remote: World, anvil: Anvil) -> None:
    remote.dataset("d", "rows")
    remote.follow()
    before = remote.model.artefact("d")
    remote.act("data", "d", "revoke")
    remote.register("data", "lost", "dataset")
    remote.follow()
    assert remote.model.artefact("d").revoked
    assert remote.model.names() == ["d", "lost"]

    anvil.ask("anvil_reorg", 2, [])
    report = remote.follow()
    assert report.rolled_back_to is not None
    assert remote.model.names() == ["d"]
    after = remote.model.artefact("d")
    assert (after.head, after.state) == (before.head, "published")

    remote.act("data", "d", "revise", single("rows, again"))
    remote.follow()
    assert remote.model.artefact("d").state == "collected"


def test_a_real_client_that_takes_back_what_was_final_is_refused_until_it_is_asked_for(
    remote: World, anvil: Anvil
) -> None:
    remote.dataset("d", "rows")
    remote.follow()
    before = remote.model.artefact("d")
    anvil.ask("anvil_reorg", 3, [])
    with pytest.raises(VerificationError, match="was final as"):
        remote.follow()
    assert remote.model.artefact("d").head == before.head
    rebuild(remote.ledger, remote.file, remote.store, remote.engine)
    assert remote.model.artefact("d").state != before.state


def test_a_story_told_over_json_rpc_verifies(remote: World) -> None:
    remote.whole_story()
    remote.follow()
    witnesses = Witnesses(remote.model, remote.ledger, remote.store)
    report = verify_name(witnesses, "m", Demand(state="released"))
    assert report.findings == ()
    assert report.facts["final"] is False
    assert [finding.code for finding in verify_name(witnesses, "m", Demand(final=True)).findings] == ["not-confirmed"]
    assert replay_workspace(witnesses).ok
