"""Lifecycles: state machines that artefacts obey, as people write them and as the contract holds them.

A lifecycle is written in TOML (:func:`parse_lifecycle`), published as a canonical JSON document
(:meth:`Definition.document`) whose digest stands on chain, and given to the contract as numbers
(:meth:`Definition.on_chain`). :mod:`proml.core.lifecycle_check` finds mistakes in one,
:mod:`proml.core.lifecycle_drawing` draws one, :func:`proml.lifecycles.load_shipped` has those that come with ProML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from proml.core import operation
from proml.core.canonical import JSON

SCHEMA = "proml/lifecycle/v1"
ANY_STATE = "*"
ANY_STATE_NUMBER = 255

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


@dataclass(frozen=True)
class Definition:
    """A lifecycle.

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
        raise NotImplementedError

    def state_name(self, number: int) -> str:
        """Returns a state's name; raises UnknownName."""
        raise NotImplementedError

    def has_flag(self, state: str, flag: str) -> bool:
        """Tells whether a state is flagged ``usable``, ``terminal`` or ``revoked``; raises UnknownName."""
        raise NotImplementedError

    def actions(self, state: str | None = None) -> tuple[str, ...]:
        """Returns the names of all actions, or of those that start in a state, in order and each once."""
        raise NotImplementedError

    def rules_named(self, action: str) -> tuple[int, ...]:
        """Returns the numbers of the transitions with this name; empty if there is none."""
        raise NotImplementedError

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
        raise NotImplementedError

    def document(self) -> dict[str, JSON]:
        """Returns the definition as a JSON document, schema ``proml/lifecycle/v1``; what stores hold canonically."""
        raise NotImplementedError

    @cached_property
    def bytes(self) -> bytes:
        """Canonical JSON of :meth:`document`."""
        raise NotImplementedError

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of :attr:`bytes`: the definition digest on chain."""
        raise NotImplementedError

    def on_chain(self, evidence: Mapping[str, int]) -> operation.Lifecycle:
        """Returns the definition as the contract takes it.

        Args:
            evidence: Lifecycle numbers in the workspace by kind, for the kinds that transitions demand as evidence.

        Raises:
            InvalidLifecycle: A kind is not in ``evidence``, or there are more than 64 states or 250 transitions.
        """
        raise NotImplementedError


def parse_lifecycle(text: str, source: str) -> Definition:
    """Returns the lifecycle that a TOML text defines.

    Args:
        text: The TOML; docs/reference says what it may hold.
        source: Where it comes from, for messages.

    Raises:
        InvalidLifecycle: It is malformed; the message says what was expected where.
    """
    raise NotImplementedError


def from_document(value: object) -> Definition:
    """Returns the definition whose :meth:`Definition.document` this is.

    Raises:
        InvalidLifecycle: It is none.
    """
    raise NotImplementedError


def role_names(bits: int) -> tuple[str, ...]:
    """Returns the names of role bits, lowest first."""
    return tuple(name for name, bit in ROLE_BITS.items() if bits & bit)


def role_bits(names: object) -> int:
    """Returns the bits of role names; raises UnknownName."""
    raise NotImplementedError
