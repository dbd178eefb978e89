"""The model's governance: what founding and executed proposals do to a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.contracts.model_state import (
    ALL_FLAGS,
    ALL_GUARDS,
    ANY_STATE,
    CONTRADICTION,
    HEADER,
    MOST_RULES,
    MOST_STATES,
    NOWHERE,
    TERMINAL,
    Membership,
    Outcome,
    Refusal,
    Refused,
    Rules,
    State,
)

from proml.core import calls
from proml.core.events import (
    ArtefactRecovered,
    Event,
    GovernanceQuorumSet,
    LifecycleAdded,
    MemberSet,
    SessionRevoked,
)
from proml.core.operation import ZERO, ZERO_ADDRESS, Lifecycle, Member, Proposal, Recovery, Revocation, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence


def found(empty: State, founders: Sequence[Member], quorum: int, lifecycles: Sequence[Lifecycle]) -> Outcome:
    """Returns a new workspace; ``empty`` says where it stands."""
    state, events = empty, []
    for founder in founders:
        state, event = _member_set(state, founder)
        events.append(event)
    state, event = _quorum_set(state, quorum)
    events.append(event)
    for lifecycle in lifecycles:
        state, event = _lifecycle_added(state, lifecycle)
        events.append(event)
    return state, tuple(events)


def execute(state: State, change: Proposal) -> Outcome:
    event: Event
    match calls.decode_proposal(change):
        case Member() as member:
            state, event = _member_set(state, member)
            _check_lock(state)
            # Approvals given under other members or another quorum are void.
            return replace(state, epoch=state.epoch + 1), (event,)
        case int(quorum):
            state, event = _quorum_set(state, quorum)
            return replace(state, epoch=state.epoch + 1), (event,)
        case Lifecycle() as lifecycle:
            state, event = _lifecycle_added(state, lifecycle)
            return state, (event,)
        case Recovery() as recovery:
            return _recovered(state, recovery)
        case Revocation(key):
            return session_revoked(state, key)


def _member_set(state: State, member: Member) -> tuple[State, Event]:
    known = state.members.get(member.account)
    broken = Rules()
    broken.unless(
        member.account != ZERO_ADDRESS
        and member.organisation
        and member.account not in state.sessions
        # Open: whoever never was a member cannot be removed.
        and (bool(member.roles) if known is None else known.organisation == member.organisation),
        "MemberInvalid",
        member.account,
        member.organisation,
    )
    broken.settle()
    members = {**state.members, member.account: Membership(member.organisation, member.roles)}
    return replace(state, members=members), MemberSet(NOWHERE, member.account, member.organisation, member.roles)


def _quorum_set(state: State, quorum: int) -> tuple[State, Event]:
    state = replace(state, quorum=quorum)
    _check_lock(state)
    return state, GovernanceQuorumSet(NOWHERE, quorum)


def _check_lock(state: State) -> None:
    broken = Rules()
    able = state.admin_organisations
    broken.unless(1 <= state.quorum <= able, "GovernanceLocked", state.quorum, able)
    broken.settle()


def _lifecycle_added(state: State, lifecycle: Lifecycle) -> tuple[State, Event]:
    flags, rules = lifecycle.state_flags, lifecycle.rules
    broken = Rules()
    # Open: what is malformed beyond numbers that mean nothing. The model refuses what could never be used as well.
    broken.unless(
        lifecycle.definition != ZERO
        and lifecycle.register_roles
        and 0 < len(flags) <= MOST_STATES
        and lifecycle.initial < len(flags)
        and len(rules) <= MOST_RULES
        and all(flag <= ALL_FLAGS for flag in flags),
        "LifecycleInvalid",
        HEADER,
    )
    for number, rule in enumerate(rules):
        broken.unless(_is_sound(rule, flags), "LifecycleInvalid", number)
    broken.settle()
    state = replace(state, lifecycles=(*state.lifecycles, lifecycle))
    return state, LifecycleAdded(NOWHERE, len(state.lifecycles), lifecycle.definition)


def _is_sound(rule: Rule, flags: Sequence[int]) -> bool:
    starts = rule.from_state == ANY_STATE or (rule.from_state < len(flags) and not flags[rule.from_state] & TERMINAL)
    return (
        starts
        and rule.to_state < len(flags)
        and bool(rule.roles)
        and rule.guards <= ALL_GUARDS
        and rule.guards & CONTRADICTION != CONTRADICTION
        and bool(rule.quorum) == bool(rule.vote_roles)
    )


def _recovered(state: State, recovery: Recovery) -> Outcome:
    broken = Rules()
    new_owner = state.members.get(recovery.new_owner, Membership(0, 0))
    broken.unless(new_owner.roles, "NotAMember", recovery.new_owner)
    artefacts, events = dict(state.artefacts), []
    for artefact in recovery.artefacts:
        found = artefacts.get(artefact)
        if found is None:
            broken.unless(found, "UnknownArtefact", artefact)
            continue
        broken.unless(found.owner == recovery.owner, "NotOwnedBy", artefact, found.owner)
        artefacts[artefact] = replace(found, owner=recovery.new_owner)
        events.append(ArtefactRecovered(NOWHERE, artefact, recovery.owner, recovery.new_owner))
    broken.settle()
    return replace(state, artefacts=artefacts), tuple(events)


def session_revoked(state: State, key: str) -> Outcome:
    leave = state.sessions.get(key)
    if leave is None:
        raise Refused([Refusal("NotAMember", (key,))])
    sessions = {**state.sessions, key: replace(leave, expires=0)}
    return replace(state, sessions=sessions), (SessionRevoked(NOWHERE, leave.member, key),)
