"""Recomputes every hash chain of a workspace from its events alone, and says where something does not fit.

Pure and incremental: feed events in chain order, any number at a time. It trusts nothing that an event says about a
head, a state or a sequence number: each is computed anew and compared. What it cannot see is left to others: whether
the events are the chain's (:mod:`proml.verify`) and what the records hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.core import heads
from proml.core.events import (
    Anchored,
    ArtefactRecovered,
    At,
    Endorsed,
    Event,
    InputUsed,
    LifecycleAdded,
    Registered,
    Transitioned,
)
from proml.core.operation import ZERO, Anchor, Input, Lifecycle, Registration, Rule, Transition
from proml.core.words import address_bytes, number_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ANY_STATE = 255
TERMINAL = 2
OWNER_ONLY, CONTENT_NEEDED, CONTENT_FORBIDDEN, INPUT_NEEDED = 1, 4, 8, 32


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        what: ``head``, ``seq``, ``state``, ``rule``, ``content``, ``inputs``, ``owner``, ``quorum``, ``votes``,
            ``anchor``, ``lifecycle`` or ``order``.
        subject: The artefact, ballot or lifecycle number (as a word) or member (20 bytes) concerned.
        expected: What follows from the earlier events.
        found: What the event says.
        at: Where.
    """

    what: str
    subject: bytes
    expected: str
    found: str
    at: At


@dataclass(frozen=True, slots=True)
class ArtefactHead:
    """An artefact as its events make it.

    Attributes:
        content: Digest of the current version's content; zero before the first.
        inputs: Commitment of the inputs of the current version; zero if none.
        changed: Where its last transition (or registration) stands.
    """

    artefact: bytes
    lifecycle: int
    owner: str
    state: int
    seq: int
    head: bytes
    changed: At
    content: bytes = ZERO
    inputs: bytes = ZERO


class HeadReplay:
    """Recomputes heads, sequence numbers, states, vote chains and anchor chains as events come in.

    After a finding it goes on from what the event said, so one break is reported once, where it is. The attributes may
    be filled with what is known already, to begin in the middle of a history.

    Args:
        chain_id: The chain's EIP-155 id.
        contract: Address of the workspace.
        lifecycles: Lifecycles by number; looked up when needed, so the caller may add to it meanwhile.

    Attributes:
        artefacts: The artefacts by id.
        anchors: Heads of the members' anchor chains by address.
        votes: Vote chains by ballot, of ballots not yet drawn on.
        findings: What did not fit, in order.
    """

    def __init__(self, chain_id: int, contract: str, lifecycles: Mapping[int, Lifecycle]) -> None:
        self.artefacts: dict[bytes, ArtefactHead] = {}
        self.anchors: dict[str, bytes] = {}
        self.votes: dict[bytes, bytes] = {}
        self.findings: list[Finding] = []
        self._chain_id = chain_id
        self._contract = contract
        self._lifecycles = lifecycles
        # Organisations that voted (False: rejected) on each ballot whose first vote was seen here.
        self._voters: dict[bytes, dict[int, bool]] = {}
        # A transition's inputs come in events of their own after it: it is judged once another event follows.
        self._open: Transitioned | None = None
        self._inputs: list[Input] = []

    def apply(self, event: Event) -> None:
        """Takes the next event in chain order."""
        if isinstance(event, InputUsed):
            self._take_input(event)
            return
        self.finish()
        match event:
            case Transitioned():
                self._open = event
            case Registered():
                self._register(event)
            case Endorsed():
                self._vote(event)
            case Anchored():
                self._anchor(event)
            case ArtefactRecovered():
                self._recover(event)
            case LifecycleAdded():
                self._add_lifecycle(event)
            case _:  # members, sessions and governance are no part of any chain
                pass

    def finish(self) -> None:
        """Closes the last transition, whose inputs could have been still to come; more events may follow."""
        if self._open is not None:
            event, inputs = self._open, tuple(self._inputs)
            self._open = None
            self._inputs = []
            self._transit(event, inputs)

    def _expect(self, what: str, subject: bytes, at: At, *, expected: object, found: object) -> None:
        if expected != found:
            self._find(what, subject, at, expected=expected, found=found)

    def _find(self, what: str, subject: bytes, at: At, *, expected: object, found: object) -> None:
        self.findings.append(Finding(what, subject, _show(expected), _show(found), at))

    def _take_input(self, event: InputUsed) -> None:
        of = self._open
        if of is None or (of.artefact, of.seq) != (event.artefact, event.seq):
            self._find(
                "order",
                event.artefact,
                event.at,
                expected="an input right after its transition",
                found=f"an input of transition {event.seq} of 0x{event.artefact.hex()}",
            )
            return
        self._inputs.append(Input(event.workspace, event.input, event.input_head))

    def _register(self, event: Registered) -> None:
        if event.artefact in self.artefacts:
            self._find("order", event.artefact, event.at, expected="one registration", found="another one")
        lifecycle = self._lifecycle(event.lifecycle, event.artefact, event.at)
        registration = Registration(event.artefact, event.lifecycle, event.record)
        head = heads.genesis_head(self._chain_id, self._contract, registration, event.key)
        self._expect("head", event.artefact, event.at, expected=head, found=event.head)
        self.artefacts[event.artefact] = ArtefactHead(
            artefact=event.artefact,
            lifecycle=event.lifecycle,
            owner=event.owner,
            state=lifecycle.initial if lifecycle else 0,
            seq=0,
            head=event.head,
            changed=event.at,
        )

    def _transit(self, event: Transitioned, inputs: tuple[Input, ...]) -> None:
        before = self.artefacts.get(event.artefact)
        if before is None:
            self._find("order", event.artefact, event.at, expected="a registration before", found="none")
            return
        change = Transition(event.artefact, before.head, event.rule, event.content, event.record, inputs)
        votes = self._check_rule(before, change, event)
        head = heads.next_head(
            change,
            from_state=before.state,
            to_state=event.to_state,
            seq=before.seq + 1,
            key=event.key,
            votes_commitment=votes,
        )
        self._expect("seq", event.artefact, event.at, expected=before.seq + 1, found=event.seq)
        self._expect("head", event.artefact, event.at, expected=head, found=event.head)
        brings = event.content != ZERO
        self.artefacts[event.artefact] = replace(
            before,
            state=event.to_state,
            seq=event.seq,
            head=event.head,
            changed=event.at,
            content=event.content if brings else before.content,
            inputs=heads.inputs_commitment(inputs) if brings else before.inputs,
        )

    def _check_rule(self, before: ArtefactHead, change: Transition, event: Transitioned) -> bytes:
        """Checks a transition against its lifecycle; returns the votes that its head has to commit to."""
        lifecycle = self._lifecycle(before.lifecycle, event.artefact, event.at)
        if lifecycle is None:
            return ZERO
        if event.rule >= len(lifecycle.rules):
            expected = f"a transition from 0 to {len(lifecycle.rules) - 1}"
            self._find("rule", event.artefact, event.at, expected=expected, found=event.rule)
            return ZERO
        rule = lifecycle.rules[event.rule]
        start = "a state that is not terminal" if _is_terminal(lifecycle, before.state) else rule.from_state
        if start != ANY_STATE:
            self._expect("state", event.artefact, event.at, expected=start, found=before.state)
        self._expect("state", event.artefact, event.at, expected=rule.to_state, found=event.to_state)
        self._check_guards(before, rule, change, event)
        return self._draw_votes(rule, change, event) if rule.quorum else ZERO

    def _check_guards(self, before: ArtefactHead, rule: Rule, change: Transition, event: Transitioned) -> None:
        subject, at = event.artefact, event.at
        if rule.guards & OWNER_ONLY:
            self._expect("owner", subject, at, expected=before.owner, found=event.actor)
        if rule.guards & CONTENT_NEEDED and change.content == ZERO:
            self._find("content", subject, at, expected="new content", found="none")
        if rule.guards & CONTENT_FORBIDDEN and change.content != ZERO:
            self._find("content", subject, at, expected="no new content", found=change.content)
        if rule.guards & INPUT_NEEDED and not change.inputs:
            self._find("inputs", subject, at, expected="at least one input", found="none")

    def _draw_votes(self, rule: Rule, change: Transition, event: Transitioned) -> bytes:
        ballot = heads.ballot_of(change)
        chain = self.votes.pop(ballot, ZERO)
        voters = self._voters.pop(ballot, None if chain != ZERO else {})
        if voters is not None and sum(voters.values()) < rule.quorum:
            expected = f"endorsements of {rule.quorum} organisations"
            self._find("quorum", event.artefact, event.at, expected=expected, found=sum(voters.values()))
        return chain

    def _vote(self, event: Endorsed) -> None:
        vote = event.vote
        ballot = heads.ballot_of(vote)
        self._expect("votes", event.ballot, event.at, expected=ballot, found=event.ballot)
        self._expect("votes", event.ballot, event.at, expected=event.artefact, found=vote.artefact)
        before = self.artefacts.get(vote.artefact)
        head = before.head if before else ZERO
        self._expect("votes", event.ballot, event.at, expected=head, found=vote.expected_head)
        previous = self.votes.get(ballot, ZERO)
        chain = heads.vote_commitment(
            previous,
            ballot,
            key=event.key,
            organisation=event.organisation,
            approve=vote.approve,
            record=vote.record,
        )
        self._expect("votes", event.ballot, event.at, expected=chain, found=event.commitment)
        self.votes[ballot] = event.commitment
        if previous == ZERO:
            self._voters[ballot] = {}
        voters = self._voters.get(ballot, {})
        if event.organisation in voters:
            expected = f"one vote of organisation {event.organisation}"
            self._find("votes", event.ballot, event.at, expected=expected, found="another one")
        voters[event.organisation] = vote.approve

    def _anchor(self, event: Anchored) -> None:
        anchor = Anchor(self.anchors.get(event.actor, ZERO), event.root, event.leaves)
        head = heads.anchor_head(anchor, event.key)
        self._expect("anchor", address_bytes(event.actor), event.at, expected=head, found=event.head)
        self.anchors[event.actor] = event.head

    def _recover(self, event: ArtefactRecovered) -> None:
        before = self.artefacts.get(event.artefact)
        owner = before.owner if before else "a registration before"
        self._expect("owner", event.artefact, event.at, expected=owner, found=event.from_owner)
        if before:
            self.artefacts[event.artefact] = replace(before, owner=event.to_owner)

    def _add_lifecycle(self, event: LifecycleAdded) -> None:
        subject = number_word(event.lifecycle)
        lifecycle = self._lifecycle(event.lifecycle, subject, event.at)
        if lifecycle:
            self._expect("lifecycle", subject, event.at, expected=lifecycle.definition, found=event.definition)

    def _lifecycle(self, number: int, subject: bytes, at: At) -> Lifecycle | None:
        lifecycle = self._lifecycles.get(number)
        if lifecycle is None:
            self._find("lifecycle", subject, at, expected="a known lifecycle", found=number)
        return lifecycle


def _is_terminal(lifecycle: Lifecycle, state: int) -> bool:
    return state < len(lifecycle.state_flags) and bool(lifecycle.state_flags[state] & TERMINAL)


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def replay(
    events: Iterable[Event], chain_id: int, contract: str, lifecycles: Mapping[int, Lifecycle]
) -> tuple[dict[bytes, ArtefactHead], list[Finding]]:
    """Recomputes all artefacts from all events of a workspace, in chain order.

    Returns:
        The artefacts by id, and what did not fit (empty when everything does).
    """
    replaying = HeadReplay(chain_id, contract, lifecycles)
    for event in events:
        replaying.apply(event)
    replaying.finish()
    return replaying.artefacts, replaying.findings
