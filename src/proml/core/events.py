"""The events of a workspace contract as typed values.

The dataclasses mirror the events of ``contracts/src/IWorkspace.sol`` field by field, in order, after ``at``: where the
event stands on the chain. Addresses are EIP-55 strings; ids, heads and digests are 32 raw bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.core.operation import Endorsement, Proposal

if TYPE_CHECKING:
    from proml.ports import Log


@dataclass(frozen=True, slots=True, order=True)
class At:
    """Where an event stands on the chain; sorts in chain order."""

    block_number: int
    log_index: int
    transaction_index: int
    transaction_hash: bytes
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class MemberSet:
    """A member was added, changed, or (roles = 0) removed."""

    at: At
    account: str
    organisation: int
    roles: int


@dataclass(frozen=True, slots=True)
class GovernanceQuorumSet:
    """Governance now needs admins of this many organisations."""

    at: At
    quorum: int


@dataclass(frozen=True, slots=True)
class LifecycleAdded:
    """A lifecycle was added."""

    at: At
    lifecycle: int
    definition: bytes


@dataclass(frozen=True, slots=True)
class ProposalApproved:
    """An admin approved a change."""

    at: At
    proposal: bytes
    admin: str
    organisation: int
    change: Proposal


@dataclass(frozen=True, slots=True)
class ProposalExecuted:
    """A change was carried out."""

    at: At
    proposal: bytes


@dataclass(frozen=True, slots=True)
class ArtefactRecovered:
    """Governance gave an artefact a new owner."""

    at: At
    artefact: bytes
    from_owner: str
    to_owner: str


@dataclass(frozen=True, slots=True)
class SessionGranted:
    """A member let a key act for it."""

    at: At
    member: str
    key: str
    roles: int
    artefact: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class SessionRevoked:
    """A session key was revoked."""

    at: At
    member: str
    key: str


@dataclass(frozen=True, slots=True)
class Registered:
    """An artefact came into being."""

    at: At
    artefact: bytes
    lifecycle: int
    owner: str
    key: str
    record: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class Transitioned:
    """An artefact changed; ``content`` is zero when the content stayed."""

    at: At
    artefact: bytes
    content: bytes
    actor: str
    key: str
    rule: int
    to_state: int
    seq: int
    record: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class InputUsed:
    """A transition used an input; these follow their :class:`Transitioned` at once, in order."""

    at: At
    artefact: bytes
    input: bytes
    input_head: bytes
    workspace: str
    seq: int


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A member voted."""

    at: At
    artefact: bytes
    ballot: bytes
    actor: str
    key: str
    vote: Endorsement
    organisation: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Anchored:
    """A member anchored a root."""

    at: At
    actor: str
    root: bytes
    key: str
    leaves: int
    head: bytes


Event = (
    MemberSet
    | GovernanceQuorumSet
    | LifecycleAdded
    | ProposalApproved
    | ProposalExecuted
    | ArtefactRecovered
    | SessionGranted
    | SessionRevoked
    | Registered
    | Transitioned
    | InputUsed
    | Endorsed
    | Anchored
)


def decode_event(log: Log) -> Event | None:
    """Returns the event that a log holds, or None if it is none of a workspace.

    The caller asks only for logs of the workspace's address.

    Raises:
        VerificationError: The topic is one of ours and the data does not fit it.
    """
    raise NotImplementedError


def topic_of(event: type[Event]) -> bytes:
    """Returns the first topic of an event."""
    raise NotImplementedError


def topic_filter(
    *events: type[Event], first: tuple[bytes, ...] = (), second: tuple[bytes, ...] = (), third: tuple[bytes, ...] = ()
) -> tuple[tuple[bytes, ...], ...]:
    """Returns ``LogQuery.topics`` that accepts these events (all of ours if none is named).

    Args:
        events: Event classes.
        first: Words accepted as the first indexed argument; empty accepts all. ``second`` and ``third`` likewise.
    """
    raise NotImplementedError
