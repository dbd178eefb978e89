"""What the read model answers."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.worlds import single

from proml.adapters.local_signer import LocalSigner
from proml.core.calls import recover, set_quorum
from proml.core.digest import format_digest
from proml.core.merkle import root
from proml.core.messages import domain_separator, session_consent_hash
from proml.core.operation import ZERO, Anchor, Grant, Recovery, Revocation, Session
from proml.errors import InvalidName, UnknownName
from proml.index.lineage import lineage

if TYPE_CHECKING:
    from tests.worlds import World

    from proml.index import views


@pytest.fixture(autouse=True)
def _followed(world: World) -> None:
    world.follow()


def test_an_artefact_is_found_by_name_id_and_version(world: World) -> None:
    artefact = world.artefact("m")
    head = "0x" + world.head("m").hex()[:8]
    for reference in ("m", artefact, "0x" + artefact.hex(), "m@1", f"m@{head}"):
        assert world.model.artefact(reference).id == artefact


def test_an_unknown_name_suggests_a_close_one(world: World) -> None:
    world.dataset("tumours")
    world.follow()
    with pytest.raises(UnknownName) as error:
        world.model.artefact("tumors")
    assert "tumours" in error.value.hint


@pytest.mark.parametrize("reference", ["m@2", "m@7777", "m@0xabcd", "none", bytes(32), "0x" + "00" * 32])
def test_what_does_not_exist_is_an_unknown_name(world: World, reference: Any) -> None:
    with pytest.raises(UnknownName):
        world.model.version(reference)


@pytest.mark.parametrize("reference", ["", "a b", "m@", "m@x", "0x" + "g" * 64, "../m", "m\u202e", "m@-1", "m@0"])
def test_a_malformed_reference_is_refused(world: World, reference: str) -> None:
    with pytest.raises((InvalidName, UnknownName)):
        world.model.artefact(reference)


def test_artefacts_are_filtered_by_kind_state_and_owner(world: World) -> None:
    owner = world.people["developer"].address.lower()
    assert [view.label for view in world.model.artefacts(kind="dataset")] == ["d"]
    assert [view.label for view in world.model.artefacts(state="released")] == ["m"]
    assert [view.label for view in world.model.artefacts(owner=owner)] == ["m"]


def test_the_history_tells_who_did_what_with_what(world: World) -> None:
    steps = world.model.history("m")
    assert [step.action for step in steps] == ["register", "train", "approve", "release"]
    train, approve = steps[1], steps[2]
    assert [(used.name, used.version, used.role) for used in train.inputs] == [("d", 2, "role of d")]
    assert [(vote.organisation_name, vote.approve) for vote in approve.votes] == [("client", True), ("auditor", True)]
    assert train.organisation_name == "developer"
    assert train.record is not None
    assert steps[1].previous_head == steps[0].head
    assert [step.seq for step in world.model.history("m", limit=2)] == [2, 3]


def test_the_role_of_an_input_found_by_its_content_is_told(world: World) -> None:
    """A script that uses a file without naming its artefact: the record has the content only."""
    content = world.dataset("by-content")
    weights = single("weights of m2")
    world.register("developer", "m2", "model")
    record = world.record(
        "transition",
        artefact={"name": "m2", "kind": "model"},
        action="train",
        content=weights.to_record_field(),
        uses=[{"role": "training data", "path": "d.csv", "content": format_digest(content.digest)}],
    )
    change = world.transition("m2", "train", weights, uses=("by-content",), kind="model")
    world.send("developer", dataclasses.replace(change, record=record))
    world.follow()
    (used,) = world.model.history("m2")[-1].inputs
    assert (used.name, used.role) == ("by-content", "training data")
    graph = lineage(world.model, "m2")
    assert "training data" in {edge.role for edge in graph.edges}


def test_versions_count_the_transitions_that_brought_content(world: World) -> None:
    raw, labelled = world.model.versions("d")
    assert (raw.number, raw.current, labelled.number, labelled.current) == (1, False, 2, True)
    assert (raw.state, labelled.state) == ("collected", "published")
    assert labelled.last_head == world.head("d") != labelled.head


def test_content_is_found_with_current_versions_first(world: World) -> None:
    world.dataset("copy", "raw d")
    world.follow()
    found = world.model.by_content(single("raw d").digest)
    assert [version.label for version in found] == ["copy@2", "d@1"]
    assert world.model.by_content(bytes(32)) == []


def test_open_ballots_are_those_on_current_heads(world: World) -> None:
    world.trained("n", "d")
    world.evaluated("n-eval", "n")
    change = world.transition("n", "approve", uses=("n-eval",), held=world.held(("d", world.head("d"))), kind="model")
    world.vote("client", change)
    world.vote("auditor", change, approve=False, reason="too few patients")
    world.follow()
    (ballot,) = world.model.votes()
    assert (ballot.name, ballot.action, ballot.needed, ballot.endorsed, ballot.rejected) == ("n", "approve", 2, 1, 1)
    assert not ballot.reached
    assert ballot.votes[1].record is not None
    assert ballot.votes[1].record["reason"] == "too few patients"
    world.act("developer", "n", "train", single("again"), uses=("d",), kind="model")
    world.follow()
    assert world.model.votes("n") == []


def test_members_and_organisations_are_named(world: World) -> None:
    assert [view.name for view in world.model.organisations()] == ["client", "data", "developer", "verifier", "auditor"]
    member = world.model.members()[0]
    assert (member.account, member.organisation) == (world.people["client"].address, 1)
    assert "admin" in member.role_names


def test_anchors_are_listed_with_their_chain(world: World) -> None:
    first = Anchor(ZERO, root([b"a"]), 1)
    world.send("developer", first)
    world.follow()
    (anchor,) = world.model.anchors(world.people["developer"].address)
    assert (anchor.root, anchor.leaves) == (first.root, 1)
    world.send("developer", Anchor(anchor.head, root([b"b"]), 1))
    world.follow()
    assert len(world.model.anchors()) == 2


def test_anchors_follow_each_other_where_there_is_no_artefact(empty: World) -> None:
    """What a workspace begins with: runs that only log, synced one after the other."""
    head = ZERO
    for number in range(3):
        empty.send("developer", Anchor(head, root([b"%d" % number]), 1))
        empty.follow()
        head = empty.model.anchors()[-1].head
    assert len(empty.model.anchors()) == 3


def test_an_anchor_of_as_many_leaves_as_there_can_be_is_followed(world: World) -> None:
    world.send("developer", Anchor(ZERO, root([b"a"]), 2**64 - 1))
    world.follow()
    (anchor,) = world.model.anchors(world.people["developer"].address)
    assert anchor.leaves == 2**64 - 1
    assert json.loads(json.dumps(anchor.to_json()))["leaves"] == 2**64 - 1


def test_a_session_key_is_shown_with_what_it_may_until_it_is_revoked(world: World) -> None:
    member, key = world.people["developer"], LocalSigner(b"\x07" * 32)
    session = Session(key.address, 2, world.artefact("m"), 2**39)
    domain = domain_separator(world.file.chain_id, world.file.contract)
    consent = key.sign_hash(session_consent_hash(session, member=member.address, domain=domain))
    world.send("developer", Grant(session, consent))
    world.follow()
    (view,) = world.model.sessions()
    assert (view.key, view.member, view.role_names, view.name, view.revoked) == (
        key.address,
        member.address,
        ("contributor",),
        "m",
        False,
    )
    world.send("developer", Revocation(key.address))
    world.follow()
    assert [view.revoked for view in world.model.sessions(member.address)] == [True]


def test_a_recovered_artefact_belongs_to_its_new_owner(world: World) -> None:
    old, new = world.people["developer"].address, world.people["client"].address
    proposal = recover(Recovery(old, new, (world.artefact("m"),)), bytes(32))
    world.send("client", proposal)
    world.follow()
    (view,) = world.model.proposals()
    assert (view.action_name, view.executed, len(view.approvals), view.needed) == ("recover", False, 1, 2)
    world.send("data", proposal)
    world.act("client", "m", "retire")
    world.follow()
    assert world.model.proposals()[0].executed
    assert world.model.artefact("m").owner == new


def test_approvals_given_before_a_change_of_quorum_are_void(world: World) -> None:
    waiting = recover(
        Recovery(world.people["developer"].address, world.people["client"].address, (world.artefact("m"),)), bytes(32)
    )
    world.send("client", waiting)
    change = set_quorum(3, bytes(32))
    world.send("client", change)
    world.send("data", change)
    world.follow()
    by_name = {view.action_name: view for view in world.model.proposals()}
    assert (by_name["recover"].void, by_name["set-quorum"].executed, by_name["recover"].needed) == (True, True, 3)


def test_taint_names_the_path_to_the_revoked_ancestor(world: World) -> None:
    assert world.model.taint("m") is None
    world.trained("child", "m", text="child")
    world.act("data", "d", "revoke")
    world.follow()
    taint = world.model.taint("child")
    assert taint is not None
    assert (taint.label, taint.path) == ("d@2", ("child@1", "m@1", "d@2"))
    by_id = dict(world.model.status().taint)
    assert by_id.keys() == {"0x" + world.artefact(name).hex() for name in ("m", "e", "child")}
    assert by_id["0x" + world.artefact("child").hex()].path == taint.path
    assert dict(world.model.status("child").taint).keys() == {"0x" + world.artefact("child").hex()}


def test_a_new_version_made_without_the_revoked_input_is_clean(world: World) -> None:
    world.act("data", "d", "revoke")
    world.dataset("d2")
    world.act("developer", "m", "retrain", single("new"), uses=("d2",), kind="model")
    world.follow()
    assert world.model.taint("m@1") is not None
    assert world.model.taint("m@2") is None
    assert world.model.taint("m") is None


def test_every_view_is_json(world: World) -> None:
    model = world.model
    answers: list[views.View] = [model.status(), model.position(), *model.history("m"), *model.versions("m")]
    answers += [*model.organisations(), *model.lifecycles(), *model.members()]
    for answer in answers:
        document = json.loads(json.dumps(answer.to_json()))
        assert not any(isinstance(value, str) and value.startswith("b'") for value in document.values())
    assert model.artefact("m").to_json()["content"] == f"sha256:{single('weights').digest.hex()}"
    assert model.artefact("m").to_json()["label"] == "m"


def test_names_are_those_of_registered_artefacts(world: World) -> None:
    assert world.model.names() == ["d", "e", "m"]
