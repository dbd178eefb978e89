"""What the model of the workspace contract holds, and what a refused operation says; the rules are in ``model``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from proml.core.events import At, Event
from proml.core.operation import ZERO, Lifecycle

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


class Rules(list[Refusal]):
    """The rules that an operation was found to break so far."""

    def unless(self, holds: object, error: str, *arguments: Any) -> None:
        if not holds:
            self.append(Refusal(error, arguments))

    def settle(self) -> None:
        """Refuses the operation if it broke a rule; called where what follows makes no sense then."""
        if self:
            raise Refused(self)
