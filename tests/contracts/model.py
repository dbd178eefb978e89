"""A model of the workspace contract: the same rules, as pure functions of Python values.

Written from the protocol and from the NatSpec of ``IWorkspace.sol``, not from the contract's code, so that a mistake
would have to be made twice to go unseen. :func:`found` makes the state that a new workspace has. :func:`perform` gives
the state after an operation and its events, or raises :class:`Refused`.

The protocol says what is refused, not which of two broken rules is named first. So :class:`Refused` holds every rule
that an operation breaks, and a contract is right to name any one of them.

Where protocol and NatSpec are silent, the model settles on one answer, and says so by a comment beginning with "Open".

Left out: signers that are contracts (EIP-1271), gas, and call data that is not what ``abi.encode`` makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from proml.core import calls, heads
from proml.core.events import (
    Anchored,
    ArtefactRecovered,
    At,
    Endorsed,
    Event,
    GovernanceQuorumSet,
    InputUsed,
    LifecycleAdded,
    MemberSet,
    ProposalApproved,
    ProposalExecuted,
    Registered,
    SessionGranted,
    SessionRevoked,
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
    Member,
    Operation,
    Proposal,
    Recovery,
    Registration,
    Relay,
    Revocation,
    Rule,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NOWHERE = At(0, 0, 0, b"", b"")
ADMIN = 1
ANY_ROLE = 0xFFFF
ANY_STATE = 255
USABLE, TERMINAL, REVOKED = 1, 2, 4
ALL_FLAGS = USABLE | TERMINAL | REVOKED
(
    OWNER_ONLY,
    FOUR_EYES,
    NEEDS_CONTENT,
    FORBIDS_CONTENT,
    INPUTS_USABLE,
    NEEDS_INPUT,
    INPUTS_HELD,
) = (1, 2, 4, 8, 16, 32, 64)
ALL_GUARDS = 127
CONTRADICTION = NEEDS_CONTENT | FORBIDS_CONTENT
HEADER = 255
# NatSpec gives 255 to the header, so rules are numbered up to 254. Open: how many states there may be.
MOST_STATES, MOST_RULES = 64, HEADER


class Refusal(NamedTuple):
    """One rule that an operation breaks: the contract's error and its arguments."""

    error: str
    arguments: tuple[Any, ...] = ()


class Refused(Exception):
    """An operation that changes nothing; ``reasons`` are all the rules it breaks, in no order."""

    def __init__(self, reasons: Sequence[Refusal]) -> None:
        super().__init__(*reasons)
        self.reasons = tuple(dict.fromkeys(reasons))


# ------------------------------------------------------------------------------------------------------------- state


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's organisation, for ever, and its roles now (0: not a member now)."""

    organisation: int
    roles: int


@dataclass(frozen=True, slots=True)
class Leave:
    """What a session key may do, and for whom; ``expires`` is 0 once revoked."""

    member: str
    roles: int
    artefact: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class Artefact:
    """An artefact's whole state."""

    owner: str
    lifecycle: int
    state: int
    seq: int
    changed_at: int
    head: bytes
    held: bytes = ZERO


@dataclass(frozen=True, slots=True)
class Ballot:
    """Who voted on a ballot (organisation → approved), and the chain of the votes."""

    votes: Mapping[int, bool] = field(default_factory=dict)
    chain: bytes = ZERO

    @property
    def endorsed(self) -> int:
        """Number of organisations that approved."""
        return sum(self.votes.values())


@dataclass(frozen=True, slots=True)
class Approvals:
    """Organisations that approved a proposal, and whether it was carried out."""

    organisations: frozenset[int] = frozenset()
    executed: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A workspace."""

    chain_id: int
    contract: str
    members: Mapping[str, Membership] = field(default_factory=dict)
    sessions: Mapping[str, Leave] = field(default_factory=dict)
    lifecycles: tuple[Lifecycle, ...] = ()
    artefacts: Mapping[bytes, Artefact] = field(default_factory=dict)
    ballots: Mapping[bytes, Ballot] = field(default_factory=dict)
    anchors: Mapping[str, bytes] = field(default_factory=dict)
    nonces: Mapping[str, int] = field(default_factory=dict)
    proposals: Mapping[bytes, Approvals] = field(default_factory=dict)
    quorum: int = 0
    epoch: int = 0

    @property
    def admin_organisations(self) -> int:
        """Number of organisations that have an admin."""
        return len({member.organisation for member in self.members.values() if member.roles & ADMIN})

    def lifecycle_of(self, artefact: Artefact) -> Lifecycle:
        """Returns the lifecycle that an artefact obeys."""
        return self.lifecycles[artefact.lifecycle - 1]

    def flags(self, artefact: Artefact) -> int:
        """Returns the flags of an artefact's state."""
        return self.lifecycle_of(artefact).state_flags[artefact.state]

    def usable_at(self, artefact: bytes, head: bytes) -> bool:
        """Tells whether the artefact is at this head, in a state usable as an input."""
        found = self.artefacts.get(artefact)
        return found is not None and found.head == head and bool(self.flags(found) & USABLE)

    def revoked(self, artefact: bytes) -> bool:
        """Tells whether the artefact exists and its state is flagged revoked."""
        found = self.artefacts.get(artefact)
        return found is not None and bool(self.flags(found) & REVOKED)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a workspace sees beyond its own state.

    Attributes:
        now: The block's time, in Unix seconds.
        elsewhere: Other workspaces of the chain by address.
        signed_by: Returns who made a signature over a hash; None if nobody did.
    """

    now: int
    elsewhere: Mapping[str, State]
    signed_by: Callable[[bytes, bytes], str | None]


Outcome = tuple[State, tuple[Event, ...]]


class _Rules(list[Refusal]):
    """The rules that an operation was found to break so far."""

    def unless(self, holds: object, error: str, *arguments: Any) -> None:
        if not holds:
            self.append(Refusal(error, arguments))

    def settle(self) -> None:
        """Refuses the operation if it broke a rule; called where what follows makes no sense then."""
        if self:
            raise Refused(self)


# ---------------------------------------------------------------------------------------------------------- creation


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


# -------------------------------------------------------------------------------------------------------- operations


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
    broken = _Rules()
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
    broken: _Rules = field(default_factory=_Rules)

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
        used.workspace in (ZERO_ADDRESS, state.contract)
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
    if own is None or revocation.key != key or call.around.now >= own.expires:
        _member(call)
    leave = state.sessions.get(revocation.key)
    acting = own.member if own else key
    if leave is None:
        call.broken.unless(leave, "NotAMember", revocation.key)
    else:
        call.broken.unless(leave.member == acting, "SessionTaken", revocation.key, leave.member)
    call.broken.settle()
    return _session_revoked(state, revocation.key)


# -------------------------------------------------------------------------------------------------------- governance


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
    state, effects = _execute(state, change)
    return state, (approved, *effects, ProposalExecuted(NOWHERE, proposal))


def _execute(state: State, change: Proposal) -> Outcome:
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
            return _session_revoked(state, key)


def _member_set(state: State, member: Member) -> tuple[State, Event]:
    known = state.members.get(member.account)
    broken = _Rules()
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
    broken = _Rules()
    able = state.admin_organisations
    broken.unless(1 <= state.quorum <= able, "GovernanceLocked", state.quorum, able)
    broken.settle()


def _lifecycle_added(state: State, lifecycle: Lifecycle) -> tuple[State, Event]:
    flags, rules = lifecycle.state_flags, lifecycle.rules
    broken = _Rules()
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
    broken = _Rules()
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


def _session_revoked(state: State, key: str) -> Outcome:
    leave = state.sessions.get(key)
    if leave is None:
        raise Refused([Refusal("NotAMember", (key,))])
    sessions = {**state.sessions, key: replace(leave, expires=0)}
    return replace(state, sessions=sessions), (SessionRevoked(NOWHERE, leave.member, key),)


_SINGLE: dict[type, Callable[[_Call, Any], Outcome]] = {
    Registration: _register,
    Transition: _transit,
    Endorsement: _endorse,
    Anchor: _anchor,
    Grant: _grant,
    Revocation: _revoke,
    Proposal: _govern,
}
