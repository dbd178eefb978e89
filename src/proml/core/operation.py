"""Operations on a workspace contract, as data; :mod:`proml.core.calls` and :mod:`proml.core.messages` encode them.

The dataclasses mirror the structs of ``contracts/src/IWorkspace.sol`` field by field, in order. Addresses are EIP-55
strings; ids, heads and digests are 32 raw bytes; zero bytes mean "none". What the fields mean is said there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

ZERO = bytes(32)
ZERO_ADDRESS = "0x" + "0" * 40


@dataclass(frozen=True, slots=True)
class Member:
    """A member: an account of one organisation with a set of role bits."""

    account: str
    organisation: int
    roles: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One allowed step of a lifecycle."""

    from_state: int
    to_state: int
    roles: int
    guards: int
    quorum: int
    vote_roles: int
    min_delay: int
    evidence: int


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """An immutable state machine as it stands on chain."""

    definition: bytes
    register_roles: int
    initial: int
    state_flags: tuple[int, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """A new artefact."""

    artefact: bytes
    lifecycle: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Input:
    """A version of an artefact that was used to make another."""

    workspace: str
    artefact: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state."""

    artefact: bytes
    expected_head: bytes
    rule: int
    content: bytes
    record: bytes
    inputs: tuple[Input, ...] = ()
    held: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A vote on a quorum transition."""

    artefact: bytes
    expected_head: bytes
    rule: int
    content: bytes
    inputs: bytes
    record: bytes
    approve: bool


@dataclass(frozen=True, slots=True)
class Anchor:
    """A Merkle root put on chain by itself."""

    expected_head: bytes
    root: bytes
    leaves: int


@dataclass(frozen=True, slots=True)
class Session:
    """Leave for a key to act for the member that grants it."""

    key: str
    roles: int
    artefact: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that needs admins of M distinct organisations over the same bytes."""

    action: int
    salt: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Relay:
    """What lets anybody send a member's operation: its EIP-712 signature."""

    signer: str
    nonce: int
    deadline: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """What ``grantSession`` takes: a session, and its key's consent (``messages.session_consent_hash``, signed)."""

    session: Session
    consent: bytes


@dataclass(frozen=True, slots=True)
class Revocation:
    """What ``revokeSession`` takes: a session key of the sender."""

    key: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What governance's action 4 takes: artefacts of ``owner`` that go to ``new_owner``."""

    owner: str
    new_owner: str
    artefacts: tuple[bytes, ...]


# A pair registers an artefact and performs its first transition; a tuple of transitions is performed all or none.
Operation: TypeAlias = (
    Registration
    | tuple[Registration, Transition]
    | Transition
    | tuple[Transition, ...]
    | Endorsement
    | Anchor
    | Grant
    | Revocation
    | Proposal
)


@dataclass(frozen=True, slots=True)
class Relayed:
    """An operation that its signer has somebody else send."""

    operation: Operation
    relay: Relay


def artefacts_of(operation: Operation) -> Iterator[bytes]:
    """Yields the ids of the artefacts that an operation changes or votes on."""
    for part in operation if isinstance(operation, tuple) else (operation,):
        if isinstance(part, Registration | Transition | Endorsement):
            yield part.artefact


def records_of(operation: Operation) -> Iterator[bytes]:
    """Yields the digests of the records that an operation commits to, each of which tells it from all others."""
    for part in operation if isinstance(operation, tuple) else (operation,):
        if isinstance(part, Registration | Transition | Endorsement):
            yield part.record
