"""An intent bound to heads, rules and inputs is an operation, ready to be signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from proml.core.calls import decode_call
from proml.core.heads import genesis_head, next_head
from proml.core.intent import (
    OBSERVED,
    AnchorIntent,
    EndorseIntent,
    GovernIntent,
    GrantIntent,
    RegisterIntent,
    RelayIntent,
    RevokeIntent,
    TransitionIntent,
    TypedIntent,
)
from proml.core.lifecycle import GUARD_BITS
from proml.core.name import show
from proml.core.operation import (
    ZERO,
    Anchor,
    Endorsement,
    Grant,
    Input,
    Operation,
    Proposal,
    Registration,
    Relay,
    Relayed,
    Revocation,
    Session,
    Transition,
)
from proml.errors import InvalidRecord, UnknownName
from proml.resolver import Standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.core.intent import Use
    from proml.core.operation import Rule
    from proml.ports import Entry
    from proml.resolver import Actor, Resolver

INPUTS_HELD = GUARD_BITS["inputs-held"]
"""The guard under which a transition repeats the inputs of the current version."""
_INPUTS_USABLE = GUARD_BITS["inputs-usable"]
_NEEDS_INPUT = GUARD_BITS["needs-input"]


@dataclass(frozen=True, slots=True)
class _Step:
    """A change that was bound: what it does to an artefact that stands so."""

    change: Transition
    standing: Standing
    rule: Rule

    def after(self, key: str) -> Standing | None:
        """Returns how the artefact stands once the key's change is done; None if its head will commit to votes too."""
        before, to_state, seq = self.standing, self.rule.to_state, self.standing.seq + 1
        if self.rule.quorum:
            return None
        head = next_head(self.change, from_state=before.state, to_state=to_state, seq=seq, key=key)
        return Standing(before.owner, before.lifecycle, to_state, head, seq)


@dataclass
class Binder:
    """Binds the intents of one account in one workspace.

    Attributes:
        resolver: Knows names, heads and rules.
        account: Who signs: a member or a session key.
        chain_id: The chain.
        contract: The workspace.
        registration: Returns the digest of the registration record for an artefact that the entry registers on the
            way; makes and stores the record if there is none yet.
    """

    resolver: Resolver
    account: str
    chain_id: int
    contract: str
    registration: Callable[[Entry, TransitionIntent], bytes]
    _left_out: dict[bytes, list[Use]] = field(default_factory=dict)
    _last: _Step | None = None

    def bind(self, entry: Entry, typed: TypedIntent) -> Operation | Relayed:
        """Returns the operation that fulfils an intent now.

        Raises:
            UnknownName: An artefact, kind, action or input does not exist.
            InvalidRecord: A relayed message is none.
            UnreachableError: Something could not be looked up.
        """
        operation: Operation | Relayed
        match typed:
            case RegisterIntent():
                lifecycle = self.resolver.lifecycle_number(typed.kind)
                operation = Registration(self.resolver.artefact_id(typed.name), lifecycle, typed.record)
            case TransitionIntent():
                operation = self._transition(entry, typed)
            case EndorseIntent():
                operation = self._endorsement(typed)
            case AnchorIntent():
                head = self.resolver.anchor_head(self._actor.member)
                operation = Anchor(head, typed.root, typed.leaves)
            case GrantIntent():
                operation = Grant(Session(typed.key, typed.roles, typed.artefact, typed.expires), typed.consent)
            case RevokeIntent():
                operation = Revocation(typed.key)
            case GovernIntent():
                operation = Proposal(typed.action, typed.salt, typed.data)
            case RelayIntent():
                operation = relayed(typed)
        return operation

    @cached_property
    def _actor(self) -> Actor:
        # Asked once per delivery: it only chooses between alternatives of an action; the contract says what is allowed.
        return self.resolver.actor(self.account)

    def _transition(self, entry: Entry, typed: TransitionIntent) -> Operation:
        artefact = self.resolver.artefact_id(typed.name)
        standing = self.resolver.standing(artefact)
        if standing is not None:
            ruled = self.resolver.rule_for(typed.action, standing, self._actor)
            return self._change(typed, artefact, standing, ruled, _wanted_head(entry, typed))
        if not typed.register:
            raise self._unregistered(typed.name)
        lifecycle = self.resolver.lifecycle_number(typed.kind)
        registration = Registration(artefact, lifecycle, self.registration(entry, typed))
        new = self.resolver.new_standing(lifecycle, self._actor.member)
        ruled = self.resolver.rule_for(typed.action, new, self._actor)
        head = genesis_head(self.chain_id, self.contract, registration, self.account)
        return registration, self._change(typed, artefact, new, ruled, head)

    def bind_next(self, entry: Entry, typed: TransitionIntent) -> Transition | None:
        """Returns the operation that fulfils an intent once the change that was bound last, of its artefact, is done.

        None if it has to wait for that one: how the artefact then stands, or what it needs besides, is not known yet.

        Raises:
            UnknownName, UnreachableError: As :meth:`bind`.
        """
        artefact = self.resolver.artefact_id(typed.name)
        if self._last is None or self._last.change.artefact != artefact:
            return None
        standing = self._last.after(self.account)
        if standing is None:
            return None
        number, rule = self.resolver.rule_for(typed.action, standing, self._actor)
        if rule.quorum or rule.guards & INPUTS_HELD:
            return None
        return self._change(typed, artefact, standing, (number, rule), _wanted_head(entry, typed))

    def _change(
        self, typed: TransitionIntent, artefact: bytes, standing: Standing, ruled: tuple[int, Rule], head: bytes | None
    ) -> Transition:
        number, rule = ruled
        change = Transition(
            artefact=artefact,
            expected_head=head or standing.head,
            rule=number,
            content=typed.content or ZERO,
            record=typed.record,
            inputs=self._inputs(typed, rule) if typed.inputs is None else typed.inputs,
            held=self.resolver.current_inputs(artefact) if rule.guards & INPUTS_HELD else (),
        )
        self._last = _Step(change, standing, rule)
        return change

    def left_out(self, typed: TransitionIntent) -> tuple[Use, ...]:
        """Returns what :meth:`bind` did not name as an input, although a version has it: see :meth:`_inputs`."""
        return tuple(self._left_out.get(typed.record, ()))

    def _inputs(self, typed: TransitionIntent, rule: Rule) -> tuple[Input, ...]:
        """Returns the versions that were used; what no version has and nobody named stays in the record only.

        Where inputs have to be usable, so does what was only observed and is not: reading a file stands in nobody's
        way. But if nothing else was used, it is named, and the refusal says what is wrong with it.
        """
        found = [(use, known) for use in typed.uses if (known := self.resolver.input_for(use)) is not None]
        bad = set[Input]()
        if rule.guards & _INPUTS_USABLE:
            declared = {known for use, known in found if use.role != OBSERVED}
            bad = {known for _, known in found if known not in declared and not self.resolver.is_usable(known)}
        if rule.guards & _NEEDS_INPUT and all(known in bad for _, known in found):
            bad = set()
        self._left_out[typed.record] = [use for use, known in found if known in bad]
        # The same version used in two roles is one input.
        return tuple(dict.fromkeys(known for _, known in found if known not in bad))

    def _endorsement(self, typed: EndorseIntent) -> Endorsement:
        artefact = self.resolver.artefact_id(typed.name)
        standing = self.resolver.standing(artefact)
        if standing is None:
            raise self._unregistered(typed.name)
        number, _rule = self.resolver.rule_for(typed.action, standing, None)
        content = typed.content or ZERO
        head, inputs = typed.expected_head, typed.inputs_commitment
        return Endorsement(artefact, head, number, content, inputs, typed.record, typed.approve)

    def _unregistered(self, name: str) -> UnknownName:
        return UnknownName(
            f"No artefact named {show(name)} is registered in this workspace.",
            hint=f"Register it with `proml register {name} --kind KIND`, then `proml sync`.",
        )


def _wanted_head(entry: Entry, typed: TransitionIntent) -> bytes | None:
    """Returns the head that the entry's owner insists on, if any."""
    return None if entry.detail.get("rebased") else typed.expected_head


def relayed(typed: RelayIntent) -> Relayed:
    """Returns what a message has done, and by whose leave.

    Raises:
        InvalidRecord: Its call is no direct call to a workspace.
    """
    decoded = decode_call(typed.call)
    if decoded is None or decoded[1] is not None:
        raise InvalidRecord("expected a direct call to a workspace in a relayed message, found another one")
    return Relayed(decoded[0], Relay(typed.signer, typed.nonce, typed.deadline, typed.signature))
