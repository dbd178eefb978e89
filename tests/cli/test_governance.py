"""Governance, session keys and key rotation by the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Person, Study

CUSTOM = """
name = "label-batch"
version = 1
summary = "A batch of labels"
initial = "registered"
register = ["contributor"]
[states.registered]
[states.done]
flags = ["usable", "terminal"]
[[transitions]]
name = "finish"
from = "registered"
to = "done"
roles = ["contributor"]
guards = ["owner-only", "needs-content"]
"""


@pytest.fixture
def lone(newcomer: Callable[[str], Person]) -> Person:
    person = newcomer("lone")
    person("init")
    return person


def test_a_change_waits_for_admins_of_two_organisations(study: Study) -> None:
    study.developer.write("batch.toml", CUSTOM)
    proposed = study.developer("lifecycle", "add", "batch.toml")
    assert "approved by 1 of 2" in proposed.out
    listed = study.verifier.json("workspace", "members")["proposals"][0]
    assert listed["change"].startswith("add the lifecycle label-batch version 1")
    assert not listed["executed"]
    study.developer("register", "early", "--kind", "label-batch", code=2)
    assert "carried out" in study.verifier("workspace", "approve", listed["proposal"][:12]).out
    study.developer("register", "batch-1", "--kind", "label-batch")
    assert "label-batch" in study.auditor("lifecycle", "list").out


def test_who_is_no_admin_cannot_propose(study: Study) -> None:
    refused = study.auditor.json("workspace", "propose", "set-quorum", 1, code=3)
    assert refused["error"]["rule"] == "RoleMissing"


def test_an_organisation_does_not_approve_twice(study: Study) -> None:
    study.developer("workspace", "propose", "set-quorum", 1)
    proposal = study.developer.json("workspace", "members")["proposals"][0]["proposal"]
    again = study.developer.json("workspace", "approve", proposal, code=3)
    assert again["error"]["rule"] == "AlreadyApproved"


def test_an_unknown_proposal_is_named(study: Study) -> None:
    assert "no proposal" in study.developer("workspace", "approve", "0x00000000", code=2).err


def test_a_new_member_joins_by_proposal_and_workspace_file(lone: Person, newcomer: Callable[[str], Person]) -> None:
    other = newcomer("other")
    other("id", "new", "bob")
    other("id", "export", "bob", "-o", "bob.json")
    lone("workspace", "propose", "set-member", f"lab:reviewer+verifier:{other.folder / 'bob.json'}")
    lone("workspace", "file", "-o", "w.json")
    assert other.json("init", "--workspace", lone.folder / "w.json")["member"] is True
    members = other.json("workspace", "members")["members"]
    assert [m["organisation_name"] for m in members if m["organisation"] == 2] == ["lab"]
    lone("workspace", "propose", "set-member", f"lab:none:{other.folder / 'bob.json'}")
    assert "removed" in lone("workspace", "members").out


def test_a_session_key_acts_for_its_member_until_it_is_revoked(lone: Person) -> None:
    made = lone.json("id", "session", "--role", "contributor", "--for", "12h", "--name", "job")
    assert made["roles"] == ["contributor"]
    lone.write("a", "1")
    lone("act", "facts", "collect", "a", "--kind", "source", PROML_IDENTITY="job")
    step = lone.json("log", "facts")["history"][0]
    assert step["key"] == made["address"]
    assert step["actor"] != made["address"]
    lone("id", "revoke", "job")
    assert lone.json("act", "facts", "collect", "a", code=3, PROML_IDENTITY="job")["error"]["rule"] == "SessionEnded"
    assert "revoked" in lone("workspace", "members").out


def test_a_session_key_touches_only_its_artefact(lone: Person) -> None:
    lone.write("a", "1")
    lone("id", "session", "--role", "contributor", "--for", "1d", "--artefact", "mine", "--name", "narrow")
    lone("act", "mine", "collect", "a", "--kind", "source", PROML_IDENTITY="narrow")
    refused = lone.json("act", "yours", "collect", "a", "--kind", "source", code=3, PROML_IDENTITY="narrow")
    assert refused["error"]["rule"] == "SessionScope"


def test_a_session_key_cannot_have_roles_that_its_member_lacks(study: Study) -> None:
    refused = study.auditor.json("id", "session", "--role", "admin", "--for", "1h", code=3)
    assert refused["error"]["rule"] == "SessionRefused"


def test_a_rotated_key_keeps_artefacts_and_roles(lone: Person) -> None:
    lone.write("a", "1")
    lone("act", "kept", "collect", "a", "--kind", "source")
    answer = lone.json("id", "rotate")
    assert answer["finished"] is True
    assert lone.json("status", "kept")["artefacts"][0]["owner"] == answer["new"]["address"]
    lone.write("a", "2")
    lone("act", "kept", "collect", "a")
    old = lone.json("act", "kept", "collect", "a", code=3, PROML_IDENTITY=answer["old"]["name"])
    assert old["error"]["rule"] in ("NotAMember", "RoleMissing")


def test_rotation_goes_on_after_another_organisation_approved(newcomer: Callable[[str], Person]) -> None:
    first, second = newcomer("first"), newcomer("second")
    second("id", "new", "bob")
    second("id", "export", "bob", "-o", "bob.json")
    first("id", "new", "ann")
    first(
        "workspace", "new", "--name", "pair", "--quorum", 2, "--member", "one:admin+contributor",
        "--member", f"two:admin:{second.folder / 'bob.json'}",
    )  # fmt: skip
    first("workspace", "file", "-o", "w.json")
    second("init", "--workspace", first.folder / "w.json")
    first.write("a", "1")
    first("act", "kept", "collect", "a", "--kind", "source")
    for _ in range(2):
        assert first.json("id", "rotate")["finished"] is False
        open_now = [p for p in second.json("workspace", "members")["proposals"] if not p["executed"] and not p["void"]]
        second("workspace", "approve", open_now[0]["proposal"])
    # The last step removes the old key, which then signs no more.
    assert first.json("id", "rotate")["waiting_for"] == "remove the old key"
    open_now = [p for p in second.json("workspace", "members")["proposals"] if not p["executed"] and not p["void"]]
    second("workspace", "approve", open_now[0]["proposal"])
    done = first.json("id", "rotate")
    assert done["finished"] is True
    assert first.json("id", "show")["address"] == done["new"]["address"]


def test_artefacts_of_a_lost_key_are_recovered(lone: Person, newcomer: Callable[[str], Person]) -> None:
    lone.write("a", "1")
    lone("act", "lost", "collect", "a", "--kind", "source")
    other = newcomer("heir")
    other("id", "new", "heir")
    other("id", "export", "heir", "-o", "heir.json")
    lone("workspace", "propose", "set-member", f"me:contributor:{other.folder / 'heir.json'}", code=0)
    owner = lone.json("id", "show")["address"]
    heir = other.json("id", "show", "heir")["address"]
    lone("workspace", "propose", "recover", owner, heir, "lost")
    assert lone.json("status", "lost")["artefacts"][0]["owner"] == heir
