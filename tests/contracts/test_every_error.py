"""Every error of the contract, each provoked by a call in which this and nothing else is wrong.

The model must know exactly this one reason, and the contract must name it with the same arguments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.contracts.arena import Attempt, digest, vote_on
from tests.contracts.company import (
    ADDRESSES,
    ADMIN,
    CONTRIBUTOR,
    DATASET,
    FOUNDERS,
    LIFECYCLES,
    MEMBERS,
    MODEL,
    QUORUM,
    REVIEWER,
    Company,
    begun_company,
)
from tests.contracts.model_state import Refusal

from proml.core import calls, heads
from proml.core.interface import ERRORS
from proml.core.operation import (
    ZERO,
    ZERO_ADDRESS,
    Anchor,
    Input,
    Member,
    Operation,
    Proposal,
    Recovery,
    Registration,
    Relay,
    Revocation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SALT = digest("salt")
REGISTRATION = Registration(digest("n"), DATASET, digest("record"))
OTHER_HEAD = digest("another head")


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    copied = begun_company().copy(tmp_path / "company.sqlite")
    yield copied
    copied.arena.ledger.close()


# What each scenario returns: who tries what, and the error's arguments.
Scenario = tuple[str, Operation, tuple[object, ...]]
SCENARIOS: list[tuple[str, Callable[[Company], Scenario]]] = []


def breaks(error: str) -> Callable[[Callable[[Company], Scenario]], Callable[[Company], Scenario]]:
    """Enters a scenario whose call breaks the rule that the error is named for."""

    def enter(function: Callable[[Company], Scenario]) -> Callable[[Company], Scenario]:
        SCENARIOS.append((error, function))
        return function

    return enter


@breaks("NotAMember")
def a_stranger(c: Company) -> Scenario:
    return "stranger", c.register("n", DATASET), (ADDRESSES["stranger"],)


@breaks("NotAMember")
def a_member_that_was_removed(c: Company) -> Scenario:
    govern(c, calls.set_member(Member(ADDRESSES["ada"], 1, 0), SALT), ("barbara", "dana"))
    return "ada", c.register("n", DATASET), (ADDRESSES["ada"],)


@breaks("RoleMissing")
def a_member_without_it(c: Company) -> Scenario:
    return "edsger", c.register("n", DATASET), (ADDRESSES["edsger"], REVIEWER | 8 | 1 << 15, CONTRIBUTOR)


@breaks("RoleMissing")
def a_voter_without_it(c: Company) -> Scenario:
    vote = vote_on(c.change("m0", 2), digest("vote"))
    return "grace", replace(vote, rule=5), (ADDRESSES["grace"], MEMBERS["grace"][1], ADMIN | 32 | 1 << 15)


@breaks("RoleMissing")
def an_approval_by_no_admin(c: Company) -> Scenario:
    return "alan", calls.set_quorum(1, SALT), (ADDRESSES["alan"], MEMBERS["alan"][1], ADMIN)


@breaks("RoleMissing")
def a_session_key_whose_member_lost_it(c: Company) -> Scenario:
    govern(c, calls.set_member(Member(ADDRESSES["ada"], 1, ADMIN), SALT), ("barbara", "dana"))
    return "key 1", c.register("n", DATASET), (ADDRESSES["key 1"], ADMIN, CONTRIBUTOR)


@breaks("SessionEnded")
def in_the_second_that_it_expires(c: Company) -> Scenario:
    expires = c.state.sessions[ADDRESSES["key 3"]].expires
    c.arena.clock.advance(expires - c.arena.now)
    return "key 3", c.register("n", MODEL), (ADDRESSES["key 3"], expires)


@breaks("SessionEnded")
def revoked(c: Company) -> Scenario:
    c.must("ada", Revocation(ADDRESSES["key 1"]))
    return "key 1", c.register("n", DATASET), (ADDRESSES["key 1"], 0)


@breaks("SessionScope")
def another_artefact(c: Company) -> Scenario:
    c.must("ada", c.grant("ada", "key 4", CONTRIBUTOR, "d1"))
    return "key 4", c.register("n", DATASET), (ADDRESSES["key 4"], digest("d1"), digest("n"))


@breaks("SessionScope")
def an_anchor(c: Company) -> Scenario:
    return "key 2", Anchor(ZERO, digest("root"), 1), (ADDRESSES["key 2"], digest("m0"), ZERO)


@breaks("SessionRefused")
def a_role_that_the_member_lacks(c: Company) -> Scenario:
    grant = c.grant("alan", "key 4", CONTRIBUTOR | REVIEWER)
    return "alan", grant, (ADDRESSES["key 4"], CONTRIBUTOR | REVIEWER, grant.session.expires)


@breaks("SessionRefused")
def no_time_left(c: Company) -> Scenario:
    grant = c.grant("alan", "key 4", CONTRIBUTOR, lasts_s=0)
    return "alan", grant, (ADDRESSES["key 4"], CONTRIBUTOR, grant.session.expires)


@breaks("SessionRefused")
def a_key_that_is_a_member(c: Company) -> Scenario:
    grant = c.grant("alan", "ada", CONTRIBUTOR)
    return "alan", grant, (ADDRESSES["ada"], CONTRIBUTOR, grant.session.expires)


@breaks("ConsentInvalid")
def to_another_member(c: Company) -> Scenario:
    return "alan", c.grant("grace", "key 4", CONTRIBUTOR), (ADDRESSES["key 4"],)


@breaks("ConsentInvalid")
def to_less_time(c: Company) -> Scenario:
    grant = c.grant("alan", "key 4", CONTRIBUTOR)
    longer = replace(grant.session, expires=grant.session.expires + 1)
    return "alan", replace(grant, session=longer), (ADDRESSES["key 4"],)


@breaks("SessionTaken")
def granted_by_another(c: Company) -> Scenario:
    return "alan", c.grant("alan", "key 1", CONTRIBUTOR), (ADDRESSES["key 1"], ADDRESSES["ada"])


@breaks("SessionTaken")
def revoked_by_another(c: Company) -> Scenario:
    return "alan", Revocation(ADDRESSES["key 1"]), (ADDRESSES["key 1"], ADDRESSES["ada"])


@breaks("MembersOnly")
def grants(c: Company) -> Scenario:
    return "key 1", c.grant("key 1", "key 4", CONTRIBUTOR), (ADDRESSES["key 1"],)


@breaks("MembersOnly")
def governs(c: Company) -> Scenario:
    return "key 1", calls.set_quorum(1, SALT), (ADDRESSES["key 1"],)


@breaks("UnknownArtefact")
def changed(c: Company) -> Scenario:
    return "ada", replace(c.change("d1", 0, "data"), artefact=digest("n")), (digest("n"),)


@breaks("AlreadyRegistered")
def by_another_organisation(c: Company) -> Scenario:
    return "grace", c.register("d0", DATASET), (digest("d0"),)


@breaks("UnknownLifecycle")
def lifecycle_zero(c: Company) -> Scenario:
    return "ada", c.register("n", 0), (0,)


@breaks("UnknownLifecycle")
def a_lifecycle_too_many(c: Company) -> Scenario:
    return "ada", c.register("n", 4), (4,)


@breaks("UnknownRule")
def a_rule_too_many(c: Company) -> Scenario:
    return "ada", c.change("d0", len(LIFECYCLES[0].rules)), (DATASET, len(LIFECYCLES[0].rules))


@breaks("HeadMismatch")
def the_head_before(c: Company) -> Scenario:
    change = c.change("d0", 1, "data 2")
    c.must("ada", change)
    return "ada", replace(change, content=digest("data 3")), (digest("d0"), change.expected_head, c.head("d0"))


@breaks("HeadMismatch")
def a_vote_for_a_head_to_come(c: Company) -> Scenario:
    vote = replace(vote_on(c.change("m0", 2), digest("vote")), expected_head=OTHER_HEAD)
    return "barbara", vote, (digest("m0"), OTHER_HEAD, c.head("m0"))


@breaks("WrongState")
def not_begun(c: Company) -> Scenario:
    return "dana", c.change("d1", 1, "data"), (digest("d1"), 0, 1)


@breaks("Terminal")
def withdrawn(c: Company) -> Scenario:
    c.must("grace", c.change("d0", 3))
    return "grace", c.change("d0", 3), (digest("d0"), 3)


@breaks("OwnerOnly")
def a_colleague_of_the_owner(c: Company) -> Scenario:
    return "alan", c.change("d0", 1, "data"), (digest("d0"), ADDRESSES["ada"], ADDRESSES["alan"])


@breaks("FourEyes")
def a_colleague_performs(c: Company) -> Scenario:
    c.arena.clock.advance(100)
    return "ada", c.change("d0", 4), (digest("d0"), 1)


@breaks("FourEyes")
def a_colleague_votes(c: Company) -> Scenario:
    return "ada", vote_on(c.change("m0", 2), digest("vote")), (digest("m0"), 1)


@breaks("ContentNeeded")
def no_content(c: Company) -> Scenario:
    return "dana", c.change("d1", 0), (digest("d1"),)


@breaks("ContentForbidden")
def some(c: Company) -> Scenario:
    return "ada", c.change("d0", 2, "data"), (digest("d0"),)


@breaks("InputNeeded")
def no_input(c: Company) -> Scenario:
    return "alan", c.change("m0", 1, "weights"), (digest("m0"),)


@breaks("InputNotUsable")
def a_state_that_is_not(c: Company) -> Scenario:
    return "ada", c.change("m2", 0, "weights", c.used("d1")), (ZERO_ADDRESS, digest("d1"), c.head("d1"))


@breaks("InputNotUsable")
def a_version_that_was_superseded(c: Company) -> Scenario:
    old = c.used("d0")
    c.must("ada", c.change("d0", 1, "data 2"))
    return "ada", c.change("m2", 0, "weights", old), (ZERO_ADDRESS, digest("d0"), old[0].head)


@breaks("InputNotUsable")
def the_second_of_two(c: Company) -> Scenario:
    unknown = Input(ZERO_ADDRESS, digest("n"), ZERO)
    return "ada", c.change("m2", 0, "weights", (*c.used("d0"), unknown)), (ZERO_ADDRESS, digest("n"), ZERO)


@breaks("InputNotUsable")
def of_another_workspace(c: Company) -> Scenario:
    used = c.used("f1", where=c.abroad)
    return "ada", c.change("m2", 0, "weights", used), (c.abroad, digest("f1"), used[0].head)


@breaks("InputNotUsable")
def of_no_workspace(c: Company) -> Scenario:
    nowhere = ADDRESSES["stranger"]
    used = (Input(nowhere, digest("f0"), c.head("f0", c.abroad)),)
    return "ada", c.change("m2", 0, "weights", used), (nowhere, digest("f0"), used[0].head)


@breaks("HeldMismatch")
def one_left_out(c: Company) -> Scenario:
    c.arena.clock.advance(3600)
    held, given = (heads.inputs_commitment(c.used(*names)) for names in (("d0", "e0"), ("d0",)))
    return "frances", c.change("m1", 3, held=c.used("d0")), (digest("m1"), held, given)


@breaks("InputRevoked")
def since_then(c: Company) -> Scenario:
    c.arena.clock.advance(3600)
    held = c.used("d0", "e0")
    c.must("barbara", c.change("e0", 2))
    return "frances", c.change("m1", 3, held=held), (ZERO_ADDRESS, digest("e0"))


@breaks("EvidenceMissing")
def of_the_same_organisation(c: Company) -> Scenario:
    c.must("ada", c.register("e2", 3))
    return "ada", c.change("m0", 4, inputs=c.used("e2", "d0")), (digest("m0"), 3)


@breaks("EvidenceMissing")
def a_dataset_instead_of_an_evaluation(c: Company) -> Scenario:
    c.must("dana", c.change("d1", 0, "data"))
    return "ada", c.change("m0", 4, inputs=c.used("d1")), (digest("m0"), 3)


@breaks("EvidenceMissing")
def an_evaluation_of_another_workspace(c: Company) -> Scenario:
    c.must("claude", c.register("e2", 3), c.abroad)
    return "ada", c.change("m0", 4, inputs=c.used("e2", where=c.abroad)), (digest("m0"), 3)


@breaks("QuorumMissing")
def votes_for_another_content(c: Company) -> Scenario:
    c.must("barbara", vote_on(c.change("m0", 2), digest("vote")))
    c.must("dana", vote_on(c.change("m0", 2, "other"), digest("vote")))
    c.must("claude", vote_on(c.change("m0", 2), digest("vote"), approve=False))
    return "edsger", c.change("m0", 2), (digest("m0"), 1, 2)


@breaks("NoQuorum")
def a_rule_without(c: Company) -> Scenario:
    return "barbara", vote_on(c.change("m0", 4), digest("vote")), (digest("m0"), 4)


@breaks("AlreadyVoted")
def a_colleague_did(c: Company) -> Scenario:
    c.must("dana", vote_on(c.change("m0", 2), digest("vote")))
    vote = vote_on(c.change("m0", 2), digest("another vote"), approve=False)
    return "donald", vote, (heads.ballot_of(vote), 64)


@breaks("TooEarly")
def by_a_second(c: Company) -> Scenario:
    c.arena.clock.advance(99)
    return "dana", c.change("d0", 4), (digest("d0"), c.arena.now + 1)


@breaks("AnchorMismatch")
def by_a_session_key(c: Company) -> Scenario:
    first = Anchor(ZERO, digest("root"), 5)
    c.must("ada", first)
    return "key 1", first, (ADDRESSES["ada"], ZERO, heads.anchor_head(first, ADDRESSES["ada"]))


@breaks("EmptyAnchor")
def no_root(c: Company) -> Scenario:
    return "ada", Anchor(ZERO, ZERO, 5), ()


@breaks("EmptyAnchor")
def no_leaves(c: Company) -> Scenario:
    return "ada", Anchor(ZERO, digest("root"), 0), ()


@breaks("AlreadyApproved")
def by_a_session_of_none(c: Company) -> Scenario:
    govern(c, calls.set_member(Member(ADDRESSES["alan"], 1, ADMIN), SALT), ("barbara", "dana"))
    proposal = calls.set_quorum(3, SALT)
    c.must("ada", proposal)
    return "alan", proposal, (heads.proposal_id(1, proposal), 1)


@breaks("AlreadyExecuted")
def by_a_third(c: Company) -> Scenario:
    proposal = calls.revoke_session(Revocation(ADDRESSES["key 1"]), SALT)
    govern(c, proposal, ("ada", "barbara"))
    return "dana", proposal, (heads.proposal_id(0, proposal),)


@breaks("UnknownAction")
def action_zero(c: Company) -> Scenario:
    return "ada", Proposal(0, SALT, b""), (0,)


@breaks("UnknownAction")
def action_six(c: Company) -> Scenario:
    return "ada", Proposal(6, SALT, b""), (6,)


@breaks("MemberInvalid")
def another_organisation(c: Company) -> Scenario:
    return approved(c, calls.set_member(Member(ADDRESSES["alan"], 257, 2), SALT), ADDRESSES["alan"], 257)


@breaks("MemberInvalid")
def a_session_key(c: Company) -> Scenario:
    return approved(c, calls.set_member(Member(ADDRESSES["key 1"], 1, 2), SALT), ADDRESSES["key 1"], 1)


@breaks("MemberInvalid")
def organisation_zero(c: Company) -> Scenario:
    return approved(c, calls.set_member(Member(ADDRESSES["newcomer"], 0, 2), SALT), ADDRESSES["newcomer"], 0)


@breaks("MemberInvalid")
def no_account(c: Company) -> Scenario:
    return approved(c, calls.set_member(Member(ZERO_ADDRESS, 4, 2), SALT), ZERO_ADDRESS, 4)


@breaks("GovernanceLocked")
def more_than_there_are(c: Company) -> Scenario:
    return approved(c, calls.set_quorum(5, SALT), 5, 4)


@breaks("GovernanceLocked")
def a_quorum_of_none(c: Company) -> Scenario:
    return approved(c, calls.set_quorum(0, SALT), 0, 4)


@breaks("GovernanceLocked")
def the_last_admin_of_an_organisation_goes(c: Company) -> Scenario:
    govern(c, calls.set_quorum(4, SALT), ("ada", "barbara"))
    removal = calls.set_member(Member(ADDRESSES["dana"], 64, 0), SALT)
    for admin in ("ada", "barbara", "frances"):
        c.must(admin, removal)
    return "dana", removal, (4, 3)


@breaks("LifecycleInvalid")
def in_its_header(c: Company) -> Scenario:
    return approved(c, calls.add_lifecycle(replace(LIFECYCLES[0], initial=4), SALT), 255)


@breaks("LifecycleInvalid")
def in_a_rule(c: Company) -> Scenario:
    first, second, *others = LIFECYCLES[0].rules
    rules = (first, replace(second, to_state=4), *others)
    return approved(c, calls.add_lifecycle(replace(LIFECYCLES[0], rules=rules), SALT), 1)


@breaks("NotOwnedBy")
def one_of_two(c: Company) -> Scenario:
    recovery = Recovery(ADDRESSES["ada"], ADDRESSES["alan"], (digest("d0"), digest("d1")))
    return approved(c, calls.recover(recovery, SALT), digest("d1"), ADDRESSES["dana"])


@breaks("NotAMember")
def an_heir_who_was_removed(c: Company) -> Scenario:
    removal = calls.set_member(Member(ADDRESSES["donald"], 64, 0), SALT)
    for admin in ("ada", "barbara"):
        c.must(admin, removal)
    recovery = Recovery(ADDRESSES["ada"], ADDRESSES["donald"], (digest("d0"),))
    return approved(c, calls.recover(recovery, SALT), ADDRESSES["donald"])


@breaks("NotAMember")
def an_heir_that_is_a_session_key(c: Company) -> Scenario:
    recovery = Recovery(ADDRESSES["ada"], ADDRESSES["key 1"], (digest("d0"),))
    return approved(c, calls.recover(recovery, SALT), ADDRESSES["key 1"])


# A rule without a quorum has no roles that vote.
UNAVOIDABLE = {"NoQuorum": {"RoleMissing"}}
OF_RELAYS = {"DeadlinePassed", "NonceMismatch", "SignatureInvalid"}


@pytest.mark.parametrize(
    ("error", "scenario"), SCENARIOS, ids=[f"{error}-{function.__name__}" for error, function in SCENARIOS]
)
def test_the_contract_names_the_one_rule_that_is_broken(
    company: Company, error: str, scenario: Callable[[Company], Scenario]
) -> None:
    who, operation, arguments = scenario(company)
    reasons = [r for r in company.by(who, operation) or () if r.error not in UNAVOIDABLE.get(error, ())]
    assert reasons == [Refusal(error, arguments)]


def test_every_error_of_the_contract_has_a_scenario() -> None:
    assert {error for error, _ in SCENARIOS} | OF_RELAYS == set(ERRORS)


def test_evidence_of_another_organisation_among_other_inputs_suffices(company: Company) -> None:
    inputs = company.used("d0") + company.used("f0", where=company.abroad) + company.used("e1")
    assert company.by("ada", company.change("m0", 4, inputs=inputs)) is None


def test_a_quorum_of_organisations_that_are_equal_modulo_256_is_reached(company: Company) -> None:
    approval = company.change("m2", 0, "weights")
    company.must("ada", approval)
    change = company.change("m2", 7, inputs=company.used("d0"))
    company.arena.clock.advance(60)
    for voter in ("ada", "edsger", "dana"):  # organisations 1, 257 and 64
        company.must(voter, vote_on(change, digest(f"vote of {voter}")))
    assert company.by("claude", change) is None


def test_a_message_is_void_the_second_after_its_deadline(company: Company) -> None:
    deadline = company.arena.now + 10
    message = relayed(company, company.arena.relay(company.home, REGISTRATION, ADDRESSES["ada"], deadline=deadline))
    company.arena.clock.advance(11)
    assert company.arena.attempt(company.home, message) == (Refusal("DeadlinePassed", (deadline,)),)
    company.arena.clock.advance(-1)
    assert company.arena.attempt(company.home, message) is None


def test_a_message_is_used_once(company: Company) -> None:
    anchor = Anchor(ZERO, digest("root"), 1)
    relay = company.arena.relay(company.home, anchor, ADDRESSES["ada"])
    assert company.arena.attempt(company.home, relayed(company, relay, anchor)) is None
    reasons = company.arena.attempt(company.home, relayed(company, relay, anchor))
    assert reasons is not None
    assert Refusal("NonceMismatch", (ADDRESSES["ada"], 0, 1)) in reasons


@pytest.mark.parametrize("wrong", ["key", "operation", "workspace", "nonce", "deadline", "length"])
def test_a_signature_counts_only_for_what_was_signed(company: Company, wrong: str) -> None:
    signed, home, ada = company.arena.relay, company.home, ADDRESSES["ada"]
    relay = {
        "key": replace(signed(home, REGISTRATION, ADDRESSES["dana"]), signer=ada),
        "operation": signed(home, replace(REGISTRATION, lifecycle=MODEL), ada),
        "workspace": signed(company.abroad, REGISTRATION, ada),
        "nonce": replace(signed(home, REGISTRATION, ada, nonce=1), nonce=0),
        "deadline": replace(signed(home, REGISTRATION, ada), deadline=2**41),
        "length": replace(signed(home, REGISTRATION, ada), signature=signed(home, REGISTRATION, ada).signature[:64]),
    }[wrong]
    reasons = company.arena.attempt(home, relayed(company, relay))
    assert reasons == (Refusal("SignatureInvalid", (ada,)),)


@pytest.mark.parametrize(
    ("founders", "quorum", "lifecycles"),
    [
        (FOUNDERS, 5, LIFECYCLES),
        (FOUNDERS, 0, LIFECYCLES),
        ((), 1, LIFECYCLES),
        ((*FOUNDERS, replace(FOUNDERS[0], organisation=2)), QUORUM, LIFECYCLES),
        ((replace(FOUNDERS[0], account=ZERO_ADDRESS), *FOUNDERS), QUORUM, LIFECYCLES),
        (FOUNDERS, QUORUM, (*LIFECYCLES, replace(LIFECYCLES[0], initial=9))),
    ],
    ids=["too few admins", "no quorum", "nobody", "two organisations", "no account", "malformed lifecycle"],
)
def test_a_workspace_is_not_founded_on_what_governance_would_refuse(  # type: ignore[no-untyped-def]
    company: Company, founders, quorum, lifecycles
) -> None:
    assert company.arena.deploy(ADDRESSES["ada"], founders, quorum, lifecycles) is None


def relayed(company: Company, relay: Relay, operation: Operation = REGISTRATION) -> Attempt:
    return Attempt(ADDRESSES["stranger"], operation, relay)


def govern(company: Company, proposal: Proposal, admins: tuple[str, ...]) -> None:
    for admin in admins:
        company.must(admin, proposal)
        company.arena.compare_proposal(company.home, proposal)


def approved(company: Company, proposal: Proposal, *arguments: object) -> Scenario:
    """Returns the second, deciding approval."""
    company.must("ada", proposal)
    return "barbara", proposal, arguments
