"""Lifecycles: state machines that artefacts obey, as documents and as the contract holds them.

A lifecycle is written in TOML (:func:`proml.core.lifecycle_reading.parse_lifecycle`), published as a canonical JSON
document (:meth:`Definition.document`) whose digest stands on chain, and given to the contract as numbers
(:meth:`Definition.on_chain`). :mod:`proml.core.lifecycle_check` finds mistakes in one,
:mod:`proml.core.lifecycle_drawing` draws one, :func:`proml.lifecycles.load_shipped` has those that come with ProML.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from proml.core import operation
from proml.core.canonical import JSON, canonical_json
from proml.core.digest import sha256
from proml.core.name import show
from proml.errors import InvalidLifecycle, UnknownName

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping

SCHEMA = "proml/lifecycle/v1"
ANY_STATE = "*"
ANY_STATE_NUMBER = 255
MAX_STATES = 64
MAX_TRANSITIONS = 255
MAX_QUORUM = 255
MAX_DELAY_S = 2**32 - 1

FLAG_BITS: Mapping[str, int] = {"usable": 1, "terminal": 2, "revoked": 4}
ROLE_BITS: Mapping[str, int] = {
    "admin": 1,
    "contributor": 2,
    "reviewer": 4,
    "verifier": 8,
    "operator": 16,
    "auditor": 32,
    **{f"role-{bit}": 1 << bit for bit in range(6, 16)},
}
GUARD_BITS: Mapping[str, int] = {
    "owner-only": 1,
    "four-eyes": 2,
    "needs-content": 4,
    "no-content": 8,
    "inputs-usable": 16,
    "needs-input": 32,
    "inputs-held": 64,
}


@dataclass(frozen=True, slots=True)
class State:
    """A state: its name, its flags (``usable``, ``terminal``, ``revoked``) and a sentence about it."""

    name: str
    flags: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition from one state; its number on chain is its position in the definition.

    Attributes:
        name: The action. Several transitions may share it, from different states or for different actors.
        from_state: Name of a state, or ``*`` for any state that is not terminal.
        to_state: Name of a state.
        roles: Whoever performs it has one of these.
        guards: Names of :data:`GUARD_BITS`.
        quorum: Number of distinct organisations that must have endorsed; 0 is none.
        vote_roles: Whoever endorses has one of these.
        min_delay_s: Seconds since the artefact's last transition.
        evidence: Kind of artefact, usable and of another organisation, that must be among the inputs; empty is none.
        summary: A sentence about it.
    """

    name: str
    from_state: str
    to_state: str
    roles: tuple[str, ...]
    guards: tuple[str, ...] = ()
    quorum: int = 0
    vote_roles: tuple[str, ...] = ()
    min_delay_s: int = 0
    evidence: str = ""
    summary: str = ""

    def open_to(self, roles: int | None, is_owner: bool | None) -> bool:  # noqa: FBT001  # three-valued, not an option
        """Tells whether nothing known about an actor speaks against it: see :meth:`Definition.rule_for`."""
        lacks_role = roles is not None and not roles & role_bits(self.roles)
        is_barred = (is_owner is False and "owner-only" in self.guards) or (
            is_owner is True and "four-eyes" in self.guards
        )
        return not lacks_role and not is_barred


@dataclass(frozen=True)
class Definition:
    """A lifecycle. Parsed ones are well formed; what else may be wrong is found by the check.

    Attributes:
        name: The kind of artefact that obeys it.
        version: From 1; a workspace holds each version as a lifecycle of its own.
        initial: State of a newly registered artefact.
        register: Whoever registers one has one of these roles.
        states: In the order of their numbers on chain.
        transitions: In the order of their numbers on chain.
        summary: A sentence about it.
    """

    name: str
    version: int
    initial: str
    register: tuple[str, ...]
    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    summary: str = ""

    def state_number(self, name: str) -> int:
        """Returns a state's number; raises UnknownName."""
        for number, state in enumerate(self.states):
            if state.name == name:
                return number
        known = ", ".join(state.name for state in self.states)
        raise UnknownName(f"The lifecycle '{self.name}' has no state {show(name)}.", hint=f"Its states are {known}.")

    def state_name(self, number: int) -> str:
        """Returns a state's name; raises UnknownName."""
        if not 0 <= number < len(self.states):
            raise UnknownName(f"The lifecycle '{self.name}' has {len(self.states)} states, none numbered {number}.")
        return self.states[number].name

    def has_flag(self, state: str, flag: str) -> bool:
        """Tells whether a state is flagged ``usable``, ``terminal`` or ``revoked``; raises UnknownName."""
        return flag in self.states[self.state_number(state)].flags

    def actions(self, state: str | None = None) -> tuple[str, ...]:
        """Returns the names of all actions, or of those that start in a state, in order and each once."""
        names = (one.name for one in self.transitions if state is None or self._starts_in(one, state))
        return tuple(dict.fromkeys(names))

    def rules_named(self, action: str) -> tuple[int, ...]:
        """Returns the numbers of the transitions with this name; empty if there is none."""
        return tuple(number for number, one in enumerate(self.transitions) if one.name == action)

    def rule_for(
        self, action: str, state: str, *, roles: int | None = None, is_owner: bool | None = None
    ) -> int | None:
        """Returns the number of the transition that an action means in a state.

        Some actions have alternatives for different actors (a dataset is revoked by its owner or by an auditor). Tell
        who acts and the first alternative open to that actor is returned; if none is, or nothing is told, the first.

        Args:
            action: The transition's name.
            state: Name of the artefact's state.
            roles: Role bits of who acts, if known.
            is_owner: Whether who acts owns the artefact, if known.

        Returns:
            None if the action does not start in this state.
        """
        candidates = [rule for rule in self.rules_named(action) if self._starts_in(self.transitions[rule], state)]
        for rule in candidates:
            if self.transitions[rule].open_to(roles, is_owner):
                return rule
        return candidates[0] if candidates else None

    def document(self) -> dict[str, JSON]:
        """Returns the definition as a JSON document, schema ``proml/lifecycle/v1``; what stores hold canonically."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "initial": self.initial,
            "register": list(self.register),
            "states": [{"name": one.name, "flags": list(one.flags), "summary": one.summary} for one in self.states],
            "transitions": [
                {
                    "name": one.name,
                    "from": one.from_state,
                    "to": one.to_state,
                    "roles": list(one.roles),
                    "guards": list(one.guards),
                    "quorum": {"organisations": one.quorum, "roles": list(one.vote_roles)},
                    "min_delay_s": one.min_delay_s,
                    "evidence": one.evidence,
                    "summary": one.summary,
                }
                for one in self.transitions
            ],
        }

    @cached_property
    def bytes(self) -> builtins.bytes:
        """Canonical JSON of :meth:`document`."""
        return canonical_json(self.document())

    @cached_property
    def digest(self) -> builtins.bytes:
        """SHA-256 of :attr:`bytes`: the definition digest on chain."""
        return sha256(self.bytes)

    def on_chain(self, evidence: Mapping[str, int]) -> operation.Lifecycle:
        """Returns the definition as the contract takes it.

        Args:
            evidence: Lifecycle numbers in the workspace by kind, for the kinds that transitions demand as evidence.

        Raises:
            InvalidLifecycle: A kind is not in ``evidence``, or there are more than 64 states or 255 transitions.
        """
        if len(self.states) > MAX_STATES or len(self.transitions) > MAX_TRANSITIONS:
            raise InvalidLifecycle(
                f"The lifecycle '{self.name}' has {len(self.states)} states and {len(self.transitions)} transitions; "
                f"the contract takes {MAX_STATES} and {MAX_TRANSITIONS}."
            )
        return operation.Lifecycle(
            definition=self.digest,
            register_roles=role_bits(self.register),
            initial=self.state_number(self.initial),
            state_flags=tuple(sum(FLAG_BITS[flag] for flag in state.flags) for state in self.states),
            rules=tuple(self._rule(one, evidence) for one in self.transitions),
        )

    def _rule(self, one: Transition, evidence: Mapping[str, int]) -> operation.Rule:
        if one.evidence and one.evidence not in evidence:
            raise InvalidLifecycle(
                f"The transition '{one.name}' of '{self.name}' demands evidence of kind '{one.evidence}', "
                "which the workspace does not have.",
                hint=f"Add the lifecycle '{one.evidence}' first.",
            )
        return operation.Rule(
            from_state=ANY_STATE_NUMBER if one.from_state == ANY_STATE else self.state_number(one.from_state),
            to_state=self.state_number(one.to_state),
            roles=role_bits(one.roles),
            guards=sum(GUARD_BITS[guard] for guard in one.guards),
            quorum=one.quorum,
            vote_roles=role_bits(one.vote_roles),
            min_delay=one.min_delay_s,
            evidence=evidence[one.evidence] if one.evidence else 0,
        )

    def _starts_in(self, one: Transition, state: str) -> bool:
        """Tells whether a transition starts in a state, as the contract decides it."""
        if self.has_flag(state, "terminal"):
            return False
        return one.from_state in (state, ANY_STATE)


def role_names(bits: int) -> tuple[str, ...]:
    """Returns the names of role bits, lowest first."""
    return tuple(name for name, bit in ROLE_BITS.items() if bits & bit)


def role_bits(names: Iterable[str]) -> int:
    """Returns the bits of role names.

    Raises:
        UnknownName: There is no such role.
    """
    bits = 0
    for name in names:
        if name not in ROLE_BITS:
            raise UnknownName(f"There is no role {show(name)}.", hint=f"Roles are {', '.join(ROLE_BITS)}.")
        bits |= ROLE_BITS[name]
    return bits
