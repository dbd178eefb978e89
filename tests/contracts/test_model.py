"""Contract and model agree on every call, legal and illegal, whoever makes it and in whatever order.

Hypothesis drives both. Calls are drawn as legal ones, and then often spoilt in one place, for a call that is wrong in
every respect proves little. ``HYPOTHESIS_PROFILE=deep`` runs many more and longer histories, at random; the quick
profile runs the same ones every time.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from tests.contracts.arena import Attempt, digest, vote_on
from tests.contracts.company import (
    ADDRESSES,
    CONTRIBUTOR,
    EVALUATION,
    LIFECYCLES,
    MEMBERS,
    NAMES,
    SESSION_KEYS,
    begun_company,
)
from tests.contracts.model import perform
from tests.contracts.model_state import (
    ANY_STATE,
    FORBIDS_CONTENT,
    INPUTS_HELD,
    NEEDS_CONTENT,
    NEEDS_INPUT,
    TERMINAL,
    Artefact,
    Circumstances,
    Membership,
    Refused,
    State,
)

from proml.core import calls, heads
from proml.core.operation import (
    ZERO,
    ZERO_ADDRESS,
    Anchor,
    Grant,
    Input,
    Lifecycle,
    Member,
    Operation,
    Proposal,
    Recovery,
    Registration,
    Relay,
    Revocation,
    Rule,
    Session,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
PROFILE = settings(
    max_examples=600 if DEEP else 22,
    stateful_step_count=80 if DEEP else 40,
    derandomize=not DEEP,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
EVERYBODY = tuple(ADDRESSES[name] for name in NAMES)
MEMBERS_ONLY = tuple(ADDRESSES[name] for name in MEMBERS)
FRESH_NAMES = tuple(f"new {number}" for number in range(5))
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
seen: Counter[str] = Counter()
LEAST_PERFORMED = 0.35  # of all calls; 0.43 in the quick profile
LEAST_REASONS = 18  # errors met alone; 26 in the quick profile

T = TypeVar("T")


class History(RuleBasedStateMachine):
    """A company going on, one random call after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.company = begun_company().copy(Path(self.folder.name) / "history.sqlite")
        self.arena = self.company.arena
        self.contents = itertools.count()
        # What a commitment was made of; transitions that are being voted on; proposals; messages on their way.
        self.made_of: dict[bytes, tuple[Input, ...]] = {ZERO: ()}
        for names in (("d0",), ("d0", "e0")):
            self._remember(self.company.used(*names))
        self.heads = [ZERO]
        self.plans: list[Transition] = []
        self.proposals: list[Proposal] = []
        self.messages: list[Attempt] = []
        self.deadlines = [self.arena.now + 1000]

    def teardown(self) -> None:
        for contract in (self.company.home, self.company.abroad):
            self.arena.compare_all(contract)
            self.arena.compare_absent(contract, EVERYBODY, [digest(name) for name in (*FRESH_NAMES, "unknown")])
        self.arena.ledger.close()
        self.folder.cleanup()

    # ----------------------------------------------------------------------------------------------------------- rules

    @rule(data=st.data())
    def register(self, data: st.DataObject) -> None:
        self._send(data, self._registration(data))

    @rule(data=st.data())
    def register_with_first_transition(self, data: st.DataObject) -> None:
        registration = self._registration(data)
        actor = self._actor(data, registration)
        head = heads.genesis_head(self.company.state.chain_id, self.company.home, registration, actor)
        lifecycle = LIFECYCLES[(registration.lifecycle - 1) % len(LIFECYCLES)]
        stand_in = Artefact(actor, 1, lifecycle.initial, 0, self.arena.now, head)
        first = self._change(data, registration.artefact, stand_in, lifecycle)
        if data.draw(st.integers(0, 4)) == 0:
            first = self._spoil(data, first)
        self._try(data, actor, (registration, first))

    @rule(data=st.data())
    def transit(self, data: st.DataObject) -> None:
        self._send(data, self._transition(data))

    @rule(data=st.data())
    def transit_once_more(self, data: st.DataObject) -> None:
        self._send(data, self._transition(data))

    @rule(data=st.data())
    def transit_many(self, data: st.DataObject) -> None:
        changes: list[Transition] = []
        state = self.company.state
        actor = self._actor(data, self._transition(data))
        for _ in range(data.draw(st.integers(1, 3))):
            change = self._transition(data, state)
            changes.append(change)
            try:
                # The next one builds on what this one leaves behind.
                state, _ = perform(state, actor, change, None, self._around())
            except Refused:
                continue
        self._try(data, actor, tuple(changes))

    @rule(data=st.data())
    def plan_and_vote(self, data: st.DataObject) -> None:
        voted = [
            (key, one, number)
            for key, one in self.company.state.artefacts.items()
            for number, step in enumerate(self.company.state.lifecycle_of(one).rules)
            if step.quorum and self._starts(one, step)
        ]
        if voted:
            key, one, number = self._pick(data, voted)
            change = self._change(data, key, one, self.company.state.lifecycle_of(one), number)
            self.plans.append(change)
            self._vote(data, change)

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def vote_on_plan(self, data: st.DataObject) -> None:
        self._vote(data, self._pick(data, self.plans[-3:]))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def carry_out_plan(self, data: st.DataObject) -> None:
        self._send(data, self._maybe_spoilt(data, self._pick(data, self.plans[-3:])))

    @rule(data=st.data())
    def anchor(self, data: st.DataObject) -> None:
        actor = self._pick(data, [*EVERYBODY, *MEMBERS_ONLY])
        session = self.company.state.sessions.get(actor)
        last = self.company.state.anchors.get(session.member if session else actor, ZERO)
        expected = self._pick(data, [*[last] * 8, ZERO, digest("another")])
        good = [(digest(f"root {number}"), leaves) for number, leaves in enumerate((1, 1000, 2**64 - 1))]
        root, leaves = self._pick(data, [*good * 5, (ZERO, 1), (digest("root"), 0)])
        self._try(data, actor, Anchor(expected, root, leaves))

    @rule(data=st.data())
    def grant(self, data: st.DataObject) -> None:
        actor = self._pick(data, [*MEMBERS_ONLY * 3, *EVERYBODY])
        member = self.company.state.members.get(actor, Membership(0, 7))
        subset = member.roles & data.draw(st.integers(0, 0xFFFF))
        roles = self._pick(data, [subset, member.roles, member.roles, member.roles | 1 << 14])
        sessions = self.company.state.sessions
        own = [key for key, leave in sessions.items() if leave.member == actor]
        free = [ADDRESSES[name] for name in SESSION_KEYS if ADDRESSES[name] not in sessions]
        key = self._pick(data, [*(own + free) * 4, *EVERYBODY])
        scope = self._pick(data, [ZERO, ZERO, *self.company.state.artefacts])
        expires = self.arena.now + self._pick(data, [1, 50, 5000, 10**6, 10**6, 0, -1])
        session = Session(key, roles, scope, expires)
        consent = self.arena.grant(self.company.home, actor, session).consent
        spoilt = self._pick(
            data,
            [
                *[consent] * 10,
                self.arena.grant(self.company.home, ADDRESSES["ada"], session).consent,
                self.arena.grant(self.company.abroad, actor, session).consent,
                self.arena.grant(self.company.home, actor, replace(session, roles=roles ^ 2)).consent,
                self.arena.grant(self.company.home, actor, replace(session, expires=expires + 1)).consent,
                consent[:64],
            ],
        )
        if data.draw(st.integers(0, 9)) == 0:
            session = replace(session, key=ZERO_ADDRESS)
        self._try(data, actor, Grant(session, spoilt))

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        sessions = self.company.state.sessions
        key = self._pick(data, [*[*sessions] * 8, *EVERYBODY])
        granted = sessions.get(key)
        actor = self._pick(data, [*[granted.member if granted else key] * 10, *[key] * 5, *EVERYBODY])
        self._try(data, actor, Revocation(key))

    @rule(data=st.data())
    def propose(self, data: st.DataObject) -> None:
        proposal = self._proposal(data)
        self.proposals.append(proposal)
        self._approve(data, proposal)

    @precondition(lambda self: self.proposals)
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        self._approve(data, self._pick(data, self.proposals[-3:]))

    @precondition(lambda self: self.proposals)
    @rule(data=st.data())
    def approve_by_another(self, data: st.DataObject) -> None:
        self._approve(data, self.proposals[-1])

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def deliver_message(self, data: st.DataObject) -> None:
        message = self._pick(data, self.messages[-4:])
        self._attempt(replace(message, sender=data.draw(st.sampled_from(EVERYBODY))))

    @rule(data=st.data())
    def act_abroad(self, data: st.DataObject) -> None:
        name, number = self._pick(data, [("f0", 1), ("f0", 5), ("f0", 3), ("f1", 0), ("f1", 3)])
        content = "" if number in (3, 5) else f"content {next(self.contents)}"
        self.company.by(
            self._pick(data, list(MEMBERS)),
            self.company.change(name, number, content, where=self.company.abroad),
            self.company.abroad,
        )

    @rule(data=st.data())
    def let_time_pass(self, data: st.DataObject) -> None:
        """Moves on, best of all to the second before something becomes possible or ends, that second, or the next."""
        state, now = self.company.state, self.arena.now
        edges = [*self.deadlines, *(session.expires for session in state.sessions.values())]
        edges += [
            one.changed_at + step.min_delay
            for one in state.artefacts.values()
            for step in state.lifecycle_of(one).rules
            if step.min_delay
        ]
        steps = sorted({edge + by - now for edge in edges for by in (-1, 0, 1) if edge + by > now})
        self.arena.clock.advance(self._pick(data, [1, 60, *steps[:6], *steps]))

    # --------------------------------------------------------------------------------------------------------- drawing

    def _pick(self, data: st.DataObject, options: Sequence[T]) -> T:
        return data.draw(st.sampled_from(options))

    def _starts(self, one: Artefact, step: Rule) -> bool:
        return step.from_state in (ANY_STATE, one.state) and not self.company.state.flags(one) & TERMINAL

    def _registration(self, data: st.DataObject) -> Registration:
        known = self.company.state.artefacts
        free = [digest(name) for name in FRESH_NAMES if digest(name) not in known]
        artefact = self._pick(data, [*free * 4, digest("d0"), digest("m0")])
        count = len(self.company.state.lifecycles)
        lifecycle = self._pick(data, [*range(1, count + 1), *[1, 2, 3] * 4, 0, count + 1])
        return Registration(artefact, lifecycle, digest(f"registration {next(self.contents)}"))

    def _transition(self, data: st.DataObject, state: State | None = None) -> Transition:
        state = state or self.company.state
        key = self._pick(data, sorted(state.artefacts))
        one = state.artefacts[key]
        self.heads.append(one.head)
        return self._maybe_spoilt(data, self._change(data, key, one, state.lifecycle_of(one)))

    def _change(
        self, data: st.DataObject, key: bytes, one: Artefact, lifecycle: Lifecycle, number: int | None = None
    ) -> Transition:
        """Returns a transition that keeps the rules, as far as what there is allows it."""
        if number is None:
            starting = [n for n, step in enumerate(lifecycle.rules) if step.from_state in (ANY_STATE, one.state)]
            number = self._pick(data, starting or list(range(len(lifecycle.rules))) or [0])
        step = lifecycle.rules[number] if number < len(lifecycle.rules) else LIFECYCLES[0].rules[0]
        bare = bool(step.guards & FORBIDS_CONTENT) or (not step.guards & NEEDS_CONTENT and data.draw(st.booleans()))
        content = ZERO if bare else digest(f"content {next(self.contents)}")
        inputs = self._inputs(data, step)
        held = self.made_of.get(one.held, ()) if step.guards & INPUTS_HELD else ()
        return Transition(key, one.head, number, content, digest("record"), inputs, held)

    def _inputs(self, data: st.DataObject, step: Rule) -> tuple[Input, ...]:
        usable = self._usable(self.company.home, ZERO_ADDRESS) + self._usable(self.company.abroad, self.company.abroad)
        evidence = [i for i in usable if self._is_evaluation(i)]
        least = 1 if step.guards & NEEDS_INPUT else 0
        found = [self._pick(data, usable) for _ in range(data.draw(st.integers(least, 2)))] if usable else []
        if step.evidence and evidence:
            found.append(self._pick(data, evidence))
        inputs = tuple(found)
        self._remember(inputs)
        return inputs

    def _remember(self, inputs: tuple[Input, ...]) -> None:
        self.made_of[heads.inputs_commitment(inputs)] = inputs

    def _usable(self, contract: str, spelled: str) -> list[Input]:
        state = self.arena.states[contract]
        return [Input(spelled, key, one.head) for key, one in state.artefacts.items() if state.usable_at(key, one.head)]

    def _is_evaluation(self, used: Input) -> bool:
        found = self.company.state.artefacts.get(used.artefact)
        return used.workspace == ZERO_ADDRESS and found is not None and found.lifecycle == EVALUATION

    def _maybe_spoilt(self, data: st.DataObject, change: Transition) -> Transition:
        return self._spoil(data, change) if data.draw(st.integers(0, 3)) == 0 else change

    def _spoil(self, data: st.DataObject, change: Transition) -> Transition:
        """Returns a transition with one thing different, and therefore mostly wrong."""
        some = self._odd_input(data)
        inputs, held = change.inputs, change.held
        return self._pick(
            data,
            [
                replace(change, expected_head=self._pick(data, self.heads[-5:])),
                replace(change, rule=data.draw(st.integers(0, 9))),
                replace(change, rule=255),
                replace(change, content=digest("odd") if change.content == ZERO else ZERO),
                replace(change, artefact=self._pick(data, [digest("unknown"), *self.company.state.artefacts])),
                replace(change, inputs=(*inputs, some)),
                replace(change, inputs=(some, *inputs[1:])),
                replace(change, inputs=inputs[1:]),
                replace(change, held=(*held, some)),
                replace(change, held=held[1:]),
                replace(change, held=held[::-1]),
            ],
        )

    def _odd_input(self, data: st.DataObject) -> Input:
        state = self.company.state
        key = self._pick(data, [digest("unknown"), *sorted(state.artefacts)])
        current = state.artefacts[key].head if key in state.artefacts else ZERO
        place = self._pick(data, [ZERO_ADDRESS, ZERO_ADDRESS, self.company.home, self.company.abroad, EVERYBODY[-1]])
        return Input(place, key, self._pick(data, [current, current, *self.heads[-2:]]))

    def _proposal(self, data: st.DataObject) -> Proposal:
        salt = digest(f"salt {data.draw(st.integers(0, 2))}")
        state = self.company.state
        account = data.draw(st.sampled_from((*EVERYBODY, ZERO_ADDRESS)))
        known = state.members.get(account)
        organisation = self._pick(data, [known.organisation if known else 4] * 3 + [0, 64, 1000])
        roles = self._pick(data, [0, 1, 2 | 4, 1 | 2 | 4 | 8 | 16, 8])
        owned = [(one.owner, key) for key, one in state.artefacts.items()]
        owner, artefact = self._pick(data, [*owned, (account, digest("unknown"))])
        more = self._pick(data, [key for _, key in owned])
        recovered = self._pick(data, [(artefact,), (artefact,), (artefact, more), (artefact, artefact), ()])
        recovery = Recovery(self._pick(data, [owner, owner, owner, account]), account, recovered)
        return self._pick(
            data,
            [
                calls.set_member(Member(account, organisation, roles), salt),
                calls.set_member(Member(account, organisation, roles), salt),
                calls.set_quorum(self._pick(data, [1, 2, 2, 3, 4, 0, 255]), salt),
                calls.add_lifecycle(self._lifecycle(data), salt),
                calls.recover(recovery, salt),
                calls.recover(recovery, salt),
                calls.revoke_session(Revocation(self._pick(data, [*state.sessions, account])), salt),
                Proposal(self._pick(data, [0, 6, 255]), salt, b""),
            ],
        )

    def _lifecycle(self, data: st.DataObject) -> Lifecycle:
        """Returns a lifecycle, sound or with one flaw."""
        good = self._pick(data, LIFECYCLES)
        last = good.rules[-1]
        flaws: list[dict[str, Any]] = [
            {},
            {"from_state": len(good.state_flags)},
            {"from_state": ANY_STATE},
            {"from_state": next(n for n, flags in enumerate(good.state_flags) if flags & TERMINAL)},
            {"to_state": len(good.state_flags)},
            {"to_state": ANY_STATE},
            {"roles": 0},
            {"guards": 128},
            {"guards": NEEDS_CONTENT | FORBIDS_CONTENT},
            {"guards": 127 - NEEDS_CONTENT},
            {"quorum": 1, "vote_roles": 0},
            {"quorum": 0, "vote_roles": 1},
        ]
        rules = (*good.rules, replace(last, **self._pick(data, flaws)))
        headers: list[dict[str, Any]] = [
            {},
            {},
            {"initial": len(good.state_flags)},
            {"initial": len(good.state_flags) - 1},
            {"state_flags": (*good.state_flags, 8)},
            {"state_flags": (*good.state_flags, 7)},
            {"state_flags": ()},
            {"register_roles": 0},
            {"definition": ZERO},
        ]
        return replace(good, rules=rules, **self._pick(data, headers))

    # --------------------------------------------------------------------------------------------------------- sending

    def _around(self) -> Circumstances:
        return self.arena._around(self.company.home)

    def _vote(self, data: st.DataObject, change: Transition) -> None:
        vote = vote_on(change, digest("reason"), approve=data.draw(st.integers(0, 4)) > 0)
        if data.draw(st.integers(0, 4)) == 0:
            vote = self._pick(
                data,
                [
                    replace(vote, rule=(vote.rule + 1) % 9),
                    replace(vote, rule=9),
                    replace(vote, expected_head=self._pick(data, self.heads[-3:])),
                    replace(vote, content=digest("odd")),
                    replace(vote, inputs=digest("odd")),
                    replace(vote, artefact=digest("unknown")),
                ],
            )
        self._send(data, vote)

    def _approve(self, data: st.DataObject, proposal: Proposal) -> None:
        self._send(data, proposal)
        self.arena.compare_proposal(self.company.home, proposal)

    def _send(self, data: st.DataObject, operation: Operation) -> None:
        """Has somebody try the operation."""
        self._try(data, self._actor(data, operation), operation)

    def _actor(self, data: st.DataObject, operation: Operation) -> str:
        """Returns mostly somebody who may perform the operation, sometimes anybody."""
        able = tuple(one for one in EVERYBODY if self._may(one, operation))
        anybody = not able or data.draw(st.integers(0, 5)) == 0
        # Strangers and keys are few among everybody, for what they try is mostly wrong for one and the same reason.
        return self._pick(data, (*MEMBERS_ONLY, *EVERYBODY) if anybody else able)

    def _may(self, actor: str, operation: Operation) -> bool:
        try:
            perform(self.company.state, actor, operation, None, self._around())
        except Refused:
            return False
        return True

    def _try(self, data: st.DataObject, actor: str, operation: Operation) -> None:
        """Has somebody try the operation: directly, or by a message that somebody else sends, now or later."""
        way = self._pick(data, ["direct"] * 4 + ["relayed"] * 3 + ["spoilt", "later"])
        if way == "direct":
            self._attempt(Attempt(actor, operation))
            return
        deadline = self.arena.now + self._pick(data, [0, 100, 10**6])
        relay = self.arena.relay(self.company.home, operation, actor, deadline=deadline)
        if way == "spoilt":
            relay = self._spoilt_relay(data, relay, operation)
        message = Attempt(data.draw(st.sampled_from(EVERYBODY)), operation, relay)
        self.messages.append(message)
        self.deadlines = [*self.deadlines[-3:], deadline]
        if way != "later":
            self._attempt(message)

    def _spoilt_relay(self, data: st.DataObject, relay: Relay, operation: Operation) -> Relay:
        """Returns a message with one thing wrong."""
        home, signer, nonce, deadline = self.company.home, relay.signer, relay.nonce, relay.deadline
        other = self._pick(data, EVERYBODY)
        r, s, v = relay.signature[:32], int.from_bytes(relay.signature[32:64], "big"), relay.signature[64]
        mirrored = r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - v])
        return self._pick(
            data,
            [
                self.arena.relay(home, operation, signer, nonce + 1, deadline),
                self.arena.relay(home, operation, signer, max(nonce - 1, 0), deadline),
                self.arena.relay(home, operation, signer, nonce, self.arena.now - 1),
                self.arena.relay(self.company.abroad, operation, signer, nonce, deadline),
                self.arena.relay(home, Anchor(ZERO, digest("root"), 1), signer, nonce, deadline),
                replace(relay, deadline=deadline + 1),
                replace(relay, nonce=nonce + 1),
                replace(relay, signer=other),
                replace(relay, signer=ZERO_ADDRESS),
                replace(relay, signature=mirrored),
                replace(relay, signature=relay.signature[:64]),
                replace(relay, signature=relay.signature[:64] + bytes([v - 27])),
                replace(relay, signature=bytes(65)),
                replace(relay, signature=b""),
            ],
        )

    def _attempt(self, attempt: Attempt) -> None:
        broken = self.arena.attempt(self.company.home, attempt)
        seen.update(["performed"] if broken is None else ["refused", *(r.error for r in broken if len(broken) == 1)])


@pytest.mark.slow
@pytest.mark.timeout(0 if DEEP else 1800)
def test_contract_and_model_agree_on_every_call() -> None:
    begun_company()  # importing the EVM raises Python's recursion limit, which Hypothesis must not see happen
    run_state_machine_as_test(History, settings=PROFILE)
    # A history that is all refusals, or all for a few reasons, would prove little.
    reasons = set(seen) - {"performed", "refused"}
    assert seen["performed"] > LEAST_PERFORMED * (seen["performed"] + seen["refused"]), seen
    assert len(reasons) >= LEAST_REASONS, sorted(reasons)


def test_a_session_key_does_not_revoke_other_keys_of_its_member(tmp_path: Path) -> None:
    company = begun_company().copy(tmp_path / "company.sqlite")
    company.must("ada", company.grant("ada", "key 4", CONTRIBUTOR, "d1", lasts_s=60))
    assert company.by("key 4", Revocation(ADDRESSES["key 1"])) is not None


def test_evidence_is_named_without_the_workspaces_own_address(tmp_path: Path) -> None:
    company = begun_company().copy(tmp_path / "company.sqlite")
    approval = company.change("m0", 4, inputs=company.used("e1"))
    by_address = tuple(replace(used, workspace=company.home) for used in approval.inputs)
    refusal = company.by("ada", replace(approval, inputs=by_address))
    assert refusal is not None
    assert [reason.error for reason in refusal] == ["EvidenceMissing"]
    company.must("ada", approval)


def test_no_session_is_granted_to_the_zero_address(tmp_path: Path) -> None:
    company = begun_company().copy(tmp_path / "company.sqlite")
    session = Session(ZERO_ADDRESS, CONTRIBUTOR, ZERO, company.arena.now + 60)
    refusal = company.by("ada", Grant(session, bytes(65)))
    assert refusal is not None
    assert "SessionRefused" in [reason.error for reason in refusal]


def test_what_the_model_holds_nothing_of_is_compared_too(tmp_path: Path) -> None:
    company = begun_company().copy(tmp_path / "company.sqlite")
    company.must("ada", Anchor(ZERO, digest("root"), 1))
    forgetful = replace(company.state, anchors={})
    company.arena.states[company.home] = forgetful
    with pytest.raises(AssertionError, match="anchorHeadOf"):
        company.arena.compare_absent(company.home, EVERYBODY, [])
