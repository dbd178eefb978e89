"""A model of the workspace contract: the same rules, as pure functions of Python values.

Written from the protocol and from the NatSpec of ``IWorkspace.sol``, not from the contract's code, so that a mistake
would have to be made twice to go unseen. :func:`perform` gives the state after an operation and its events, or raises
:class:`Refused`; the state is in ``model_state``, what governance does to it in ``model_governance``.

The protocol says what is refused, not which of two broken rules is named first. So :class:`Refused` holds every rule
that an operation breaks, and a contract is right to name any one of them.

Where protocol and NatSpec are silent, the model settles on one answer, and says so by a comment beginning with "Open".

Left out: signers that are contracts (EIP-1271), gas, and call data that is not what ``abi.encode`` makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from tests.contracts.model_governance import execute, session_revoked
from tests.contracts.model_state import (
    ADMIN,
    ANY_ROLE,
    ANY_STATE,
    FORBIDS_CONTENT,
    FOUR_EYES,
    INPUTS_HELD,
    INPUTS_USABLE,
    NEEDS_CONTENT,
    NEEDS_INPUT,
    NOWHERE,
    OWNER_ONLY,
    TERMINAL,
    Approvals,
    Artefact,
    Ballot,
    Circumstances,
    Leave,
    Membership,
    Outcome,
    Refusal,
    Refused,
    Rules,
    State,
)

from proml.core import calls, heads
from proml.core.events import (
    Anchored,
    Endorsed,
    Event,
    InputUsed,
    ProposalApproved,
    ProposalExecuted,
    Registered,
    SessionGranted,
    Transitioned,
)
from proml.core.messages import domain_separator, session_consent_hash, typed_hash
from proml.core.operation import (
    ZERO,
    ZERO_ADDRESS,
    Anchor,
    Endorsement,
    Grant,
    Input,
    Lifecycle,
    Operation,
    Proposal,
    Registration,
    Relay,
    Revocation,
    Rule,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def perform(state: State, sender: str, operation: Operation, relay: Relay | None, around: Circumstances) -> Outcome:
    """Returns the state after an operation, and its events.

    Args:
        state: The state before.
        sender: The account that sends the transaction.
        operation: What is to be done.
        relay: The signer's message that the sender passes on; None if the sender acts itself.
        around: Time, and other workspaces.

    Raises:
        Refused: It breaks a rule.
    """
    if relay is None:
        return _act(_Call(state, sender, around), operation)
    broken = Rules()
    following = state.nonces.get(relay.signer, 0)
    domain = domain_separator(state.chain_id, state.contract)
    message = typed_hash(operation, nonce=relay.nonce, deadline=relay.deadline, domain=domain)
    broken.unless(around.now <= relay.deadline, "DeadlinePassed", relay.deadline)
    broken.unless(relay.nonce == following, "NonceMismatch", relay.signer, relay.nonce, following)
    broken.unless(around.signed_by(message, relay.signature) == relay.signer, "SignatureInvalid", relay.signer)
    try:
        after, events = _act(_Call(state, relay.signer, around), operation)
    except Refused as refused:
        raise Refused([*broken, *refused.reasons]) from None
    broken.settle()
    return replace(after, nonces={**after.nonces, relay.signer: following + 1}), events


@dataclass(frozen=True, slots=True)
class _Call:
    """What an operation meets: the state before, the account that signed, all around, and the rules broken so far."""

    state: State
    key: str
    around: Circumstances
    broken: Rules = field(default_factory=Rules)

    def after(self, state: State) -> _Call:
        """Returns the call of the next operation by the same account."""
        return _Call(state, self.key, self.around)


def _act(call: _Call, operation: Operation) -> Outcome:
    match operation:
        case (Registration() as registration, Transition() as first):
            return _register_with(call, registration, first)
        case tuple():
            return _transit_all(call, cast("tuple[Transition, ...]", operation))
        case _:
            return _SINGLE[type(operation)](call, operation)


def _actor(call: _Call, needed: int, artefact: bytes) -> str:
    """Returns the member that an account acts as on an artefact, checking that it may."""
    state, key, broken = call.state, call.key, call.broken
    leave = state.sessions.get(key)
    if leave is None:
        roles = state.members[key].roles if key in state.members else 0
        broken.unless(roles, "NotAMember", key)
        broken.unless(not roles or roles & needed, "RoleMissing", key, roles, needed)
        return key
    # A session never has more than its member has now.
    roles = leave.roles & state.members[leave.member].roles
    broken.unless(state.members[leave.member].roles, "NotAMember", leave.member)
    broken.unless(call.around.now < leave.expires, "SessionEnded", key, leave.expires)
    broken.unless(leave.artefact in (ZERO, artefact), "SessionScope", key, leave.artefact, artefact)
    broken.unless(roles & needed, "RoleMissing", key, roles, needed)
    return leave.member


def _member(call: _Call) -> Membership:
    """Returns the membership of an account that does what session keys may not do, checking that it may."""
    key, broken = call.key, call.broken
    member = call.state.members.get(key, Membership(0, 0))
    leave = call.state.sessions.get(key)
    if leave is None:
        broken.unless(member.roles, "NotAMember", key)
    else:
        broken.unless(leave is None, "MembersOnly", key)
        broken.unless(call.state.members[leave.member].roles, "NotAMember", leave.member)
        broken.unless(call.around.now < leave.expires, "SessionEnded", key, leave.expires)
    return member


def _register(call: _Call, registration: Registration) -> Outcome:
    state, key, broken = call.state, call.key, call.broken
    artefact, number = registration.artefact, registration.lifecycle
    broken.unless(artefact not in state.artefacts, "AlreadyRegistered", artefact)
    known = 0 < number <= len(state.lifecycles)
    broken.unless(known, "UnknownLifecycle", number)
    lifecycle = state.lifecycles[number - 1] if known else None
    owner = _actor(call, lifecycle.register_roles if lifecycle else ANY_ROLE, artefact)
    broken.settle()
    assert lifecycle is not None
    head = heads.genesis_head(state.chain_id, state.contract, registration, key)
    fresh = Artefact(owner, number, lifecycle.initial, 0, call.around.now, head)
    event = Registered(NOWHERE, artefact, number, owner, key, registration.record, head)
    return replace(state, artefacts={**state.artefacts, artefact: fresh}), (event,)


def _register_with(call: _Call, registration: Registration, first: Transition) -> Outcome:
    state, registered = _register(call, registration)
    if first.artefact != registration.artefact:
        # Open: which error says that this is not the first transition of what is registered.
        head = state.artefacts[registration.artefact].head
        raise Refused([Refusal("HeadMismatch", (first.artefact, first.expected_head, head))])
    state, changed = _transit(call.after(state), first)
    return state, registered + changed


def _transit_all(call: _Call, changes: Sequence[Transition]) -> Outcome:
    state = call.state
    events: tuple[Event, ...] = ()
    for change in changes:
        state, more = _transit(call.after(state), change)
        events += more
    return state, events


def _transit(call: _Call, change: Transition) -> Outcome:
    state, key, broken = call.state, call.key, call.broken
    before, rule = _subject(call, change)
    actor = _actor(call, rule.roles, change.artefact)
    _check_start(call, before, change, rule)
    if rule.guards & OWNER_ONLY:
        broken.unless(actor == before.owner, "OwnerOnly", change.artefact, before.owner, actor)
    _check_four_eyes(call, before, change, rule, actor)
    _check_content(call, before, change, rule)
    _check_inputs(call, before, change, rule)
    _check_held(call, before, change, rule)
    ballot = state.ballots.get(heads.ballot_of(change), Ballot())
    broken.unless(ballot.endorsed >= rule.quorum, "QuorumMissing", change.artefact, ballot.endorsed, rule.quorum)
    broken.settle()

    seq, to_state = before.seq + 1, rule.to_state
    votes = ballot.chain if rule.quorum else ZERO
    head = heads.next_head(change, from_state=before.state, to_state=to_state, seq=seq, key=key, votes_commitment=votes)
    after = replace(before, state=to_state, seq=seq, changed_at=call.around.now, head=head)
    if change.content != ZERO and _keeps_inputs(state.lifecycle_of(before)):
        after = replace(after, held=heads.inputs_commitment(change.inputs))
    changed = Transitioned(
        NOWHERE, change.artefact, change.content, actor, key, change.rule, to_state, seq, change.record, head
    )
    used = [InputUsed(NOWHERE, change.artefact, i.artefact, i.head, i.workspace, seq) for i in change.inputs]
    return replace(state, artefacts={**state.artefacts, change.artefact: after}), (changed, *used)


def _subject(call: _Call, change: Transition | Endorsement) -> tuple[Artefact, Rule]:
    """Returns the artefact and the rule that an operation names."""
    found = call.state.artefacts.get(change.artefact)
    rules = call.state.lifecycle_of(found).rules if found else ()
    if found and change.rule < len(rules):
        return found, rules[change.rule]
    _actor(call, ANY_ROLE, change.artefact)
    if found is None:
        call.broken.unless(found, "UnknownArtefact", change.artefact)
    else:
        call.broken.unless(change.rule < len(rules), "UnknownRule", found.lifecycle, change.rule)
        _check_end(call, found, change)
    raise Refused(call.broken)


def _check_end(call: _Call, before: Artefact, change: Transition | Endorsement) -> None:
    """Checks that nothing came after what the operation builds on, and that something may."""
    artefact, expected = change.artefact, change.expected_head
    call.broken.unless(expected == before.head, "HeadMismatch", artefact, expected, before.head)
    call.broken.unless(not call.state.flags(before) & TERMINAL, "Terminal", artefact, before.state)


def _check_start(call: _Call, before: Artefact, change: Transition | Endorsement, rule: Rule) -> None:
    _check_end(call, before, change)
    starts = rule.from_state in (ANY_STATE, before.state)
    call.broken.unless(starts, "WrongState", change.artefact, before.state, rule.from_state)


def _check_four_eyes(call: _Call, before: Artefact, change: Transition | Endorsement, rule: Rule, actor: str) -> None:
    members = call.state.members
    if rule.guards & FOUR_EYES and actor in members:
        owners = members[before.owner].organisation
        call.broken.unless(members[actor].organisation != owners, "FourEyes", change.artefact, owners)


def _check_content(call: _Call, before: Artefact, change: Transition, rule: Rule) -> None:
    if rule.guards & NEEDS_CONTENT:
        call.broken.unless(change.content != ZERO, "ContentNeeded", change.artefact)
    if rule.guards & FORBIDS_CONTENT:
        call.broken.unless(change.content == ZERO, "ContentForbidden", change.artefact)
    earliest = before.changed_at + rule.min_delay
    call.broken.unless(call.around.now >= earliest, "TooEarly", change.artefact, earliest)


def _check_inputs(call: _Call, before: Artefact, change: Transition, rule: Rule) -> None:
    broken = call.broken
    if rule.guards & NEEDS_INPUT:
        broken.unless(change.inputs, "InputNeeded", change.artefact)
    if rule.guards & INPUTS_USABLE:
        for used in change.inputs:
            place = _place(call, used)
            usable = place is not None and place.usable_at(used.artefact, used.head)
            broken.unless(usable, "InputNotUsable", used.workspace, used.artefact, used.head)
    if rule.evidence:
        shown = any(_is_evidence(call.state, before, used, rule.evidence) for used in change.inputs)
        broken.unless(shown, "EvidenceMissing", change.artefact, rule.evidence)


def _check_held(call: _Call, before: Artefact, change: Transition, rule: Rule) -> None:
    if not rule.guards & INPUTS_HELD:
        return
    given = heads.inputs_commitment(change.held)
    call.broken.unless(given == before.held, "HeldMismatch", change.artefact, before.held, given)
    for held in change.held:
        place = _place(call, held)
        # Open: what cannot be asked is taken for revoked.
        kept = place is not None and not place.revoked(held.artefact)
        call.broken.unless(kept, "InputRevoked", held.workspace, held.artefact)


def _place(call: _Call, used: Input) -> State | None:
    """Returns the workspace that an input lives in."""
    if used.workspace in (ZERO_ADDRESS, call.state.contract):
        return call.state
    return call.around.elsewhere.get(used.workspace)


def _is_evidence(state: State, subject: Artefact, used: Input, lifecycle: int) -> bool:
    found = state.artefacts.get(used.artefact)
    return (
        # Open: whether this workspace's own address says "this one" too. As evidence it does not.
        used.workspace == ZERO_ADDRESS
        and found is not None
        and found.lifecycle == lifecycle
        and state.usable_at(used.artefact, used.head)
        and state.members[found.owner].organisation != state.members[subject.owner].organisation
    )


def _keeps_inputs(lifecycle: Lifecycle) -> bool:
    return any(rule.guards & INPUTS_HELD for rule in lifecycle.rules)


def _endorse(call: _Call, vote: Endorsement) -> Outcome:
    state, key, broken = call.state, call.key, call.broken
    before, rule = _subject(call, vote)
    actor = _actor(call, rule.vote_roles, vote.artefact)
    _check_start(call, before, vote, rule)
    broken.unless(rule.quorum, "NoQuorum", vote.artefact, vote.rule)
    _check_four_eyes(call, before, vote, rule, actor)
    identifier = heads.ballot_of(vote)
    ballot = state.ballots.get(identifier, Ballot())
    organisation = state.members[actor].organisation if actor in state.members else 0
    broken.unless(organisation not in ballot.votes, "AlreadyVoted", identifier, organisation)
    broken.settle()

    chain = heads.vote_commitment(
        ballot.chain, identifier, key=key, organisation=organisation, approve=vote.approve, record=vote.record
    )
    after = Ballot({**ballot.votes, organisation: vote.approve}, chain)
    event = Endorsed(NOWHERE, vote.artefact, identifier, actor, key, vote, organisation, chain)
    return replace(state, ballots={**state.ballots, identifier: after}), (event,)


def _anchor(call: _Call, anchor: Anchor) -> Outcome:
    state, key, broken = call.state, call.key, call.broken
    actor = _actor(call, ANY_ROLE, ZERO)
    last = state.anchors.get(actor, ZERO)
    broken.unless(anchor.expected_head == last, "AnchorMismatch", actor, anchor.expected_head, last)
    broken.unless(anchor.root != ZERO and anchor.leaves, "EmptyAnchor")
    broken.settle()
    head = heads.anchor_head(anchor, key)
    event = Anchored(NOWHERE, actor, anchor.root, key, anchor.leaves, head)
    return replace(state, anchors={**state.anchors, actor: head}), (event,)


def _grant(call: _Call, grant: Grant) -> Outcome:
    state, key, broken = call.state, call.key, call.broken
    member, session = _member(call), grant.session
    broken.settle()
    allowed = (
        session.key not in state.members
        and session.key != ZERO_ADDRESS
        and session.roles
        and not session.roles & ~member.roles
        and session.expires > call.around.now
    )
    broken.unless(allowed, "SessionRefused", session.key, session.roles, session.expires)
    taken = state.sessions.get(session.key)
    if taken is not None:
        broken.unless(taken.member == key, "SessionTaken", session.key, taken.member)
    domain = domain_separator(state.chain_id, state.contract)
    consented = call.around.signed_by(session_consent_hash(session, member=key, domain=domain), grant.consent)
    broken.unless(consented == session.key, "ConsentInvalid", session.key)
    broken.settle()
    leave = Leave(key, session.roles, session.artefact, session.expires)
    event = SessionGranted(NOWHERE, key, session.key, session.roles, session.artefact, session.expires)
    return replace(state, sessions={**state.sessions, session.key: leave}), (event,)


def _revoke(call: _Call, revocation: Revocation) -> Outcome:
    state, key = call.state, call.key
    own = state.sessions.get(key)
    # Open: a session key may give itself up. For the rest, a session is "revocable by the member and by governance".
    gives_up = own is not None and revocation.key == key and call.around.now < own.expires
    if own is None or not gives_up or not state.members[own.member].roles:
        _member(call)
    leave = state.sessions.get(revocation.key)
    acting = own.member if own else key
    if leave is None:
        call.broken.unless(leave, "NotAMember", revocation.key)
    else:
        call.broken.unless(leave.member == acting, "SessionTaken", revocation.key, leave.member)
    call.broken.settle()
    return session_revoked(state, revocation.key)


def _govern(call: _Call, change: Proposal) -> Outcome:
    state, key, broken = call.state, call.key, call.broken
    admin = _member(call)
    broken.settle()
    broken.unless(admin.roles & ADMIN, "RoleMissing", key, admin.roles, ADMIN)
    broken.unless(calls.SET_MEMBER <= change.action <= calls.REVOKE_SESSION, "UnknownAction", change.action)
    proposal = heads.proposal_id(state.epoch, change)
    approvals = state.proposals.get(proposal, Approvals())
    broken.unless(not approvals.executed, "AlreadyExecuted", proposal)
    broken.unless(admin.organisation not in approvals.organisations, "AlreadyApproved", proposal, admin.organisation)
    broken.settle()
    approvals = replace(approvals, organisations=approvals.organisations | {admin.organisation})
    approved = ProposalApproved(NOWHERE, proposal, key, admin.organisation, change)
    if len(approvals.organisations) < state.quorum:
        return replace(state, proposals={**state.proposals, proposal: approvals}), (approved,)
    state = replace(state, proposals={**state.proposals, proposal: replace(approvals, executed=True)})
    state, effects = execute(state, change)
    return state, (approved, *effects, ProposalExecuted(NOWHERE, proposal))


_SINGLE: dict[type, Callable[[_Call, Any], Outcome]] = {
    Registration: _register,
    Transition: _transit,
    Endorsement: _endorse,
    Anchor: _anchor,
    Grant: _grant,
    Revocation: _revoke,
    Proposal: _govern,
}
