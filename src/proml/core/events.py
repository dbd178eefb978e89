"""The events of a workspace contract as typed values.

The dataclasses mirror the events of ``contracts/src/IWorkspace.sol`` field by field, in order, after ``at``: where the
event stands on the chain. Addresses are EIP-55 strings; ids, heads and digests are 32 raw bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, get_args

from proml.core import interface
from proml.core.abi import decode, static_reader
from proml.core.heads import ballot_of
from proml.core.interface import fields
from proml.core.operation import Endorsement
from proml.core.words import WORD_BYTES, unpack_word, words
from proml.errors import InvalidRecord, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.core.operation import Proposal


class LogLike(Protocol):
    """What :class:`proml.ports.Log` is: the core does not import the ports, which are built on it."""

    @property
    def topics(self) -> tuple[bytes, ...]:
        """1 to 4 words; the first is the event's signature hash."""
        ...

    @property
    def data(self) -> bytes:
        """ABI-encoded, non-indexed arguments."""
        ...

    @property
    def block_number(self) -> int:
        """Height of its block."""
        ...

    @property
    def block_hash(self) -> bytes:
        """Hash of its block."""
        ...

    @property
    def transaction_hash(self) -> bytes:
        """Hash of its transaction."""
        ...

    @property
    def transaction_index(self) -> int:
        """Position of its transaction in the block."""
        ...

    @property
    def log_index(self) -> int:
        """Its position in the block."""
        ...


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
    """An artefact changed; ``content`` is zero when the content stayed.

    On chain ``key``, ``rule``, ``to_state`` and ``seq`` share one word, ``step``: see ``IWorkspace.Transitioned``.
    """

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
    """A transition used an input; these follow their :class:`Transitioned` at once, in order.

    On chain ``workspace`` and ``seq`` share one word, ``use``.
    """

    at: At
    artefact: bytes
    input: bytes
    input_head: bytes
    workspace: str
    seq: int


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A member voted.

    On chain ``key``, the vote's rule, ``organisation`` and whether it endorses share one word, ``cast``, and the vote's
    other values follow it; ``ballot`` is computed from them.
    """

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
    """A member anchored a root.

    On chain ``key`` and ``leaves`` share one word, ``signed``.
    """

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


EVENTS: tuple[type[Event], ...] = get_args(Event)

# A log's arguments are the words of its topics and data in the order of the declaration, which is that of the class.
_DECLARED = {cls: fields(interface.EVENTS[cls.__name__]) for cls in EVENTS}
_INDEXED = {cls: sum(f.indexed for f in declared) for cls, declared in _DECLARED.items()}
_STRUCTURED = (ProposalApproved,)

# Words that hold several values, from the lowest bit: their place among the event's arguments, their name, and the bits
# of each value, of which the first is an address.
_PACKED: dict[type[Event], tuple[int, str, tuple[int, ...]]] = {
    Transitioned: (3, "step", (160, 8, 8, 32)),
    InputUsed: (3, "use", (160, 32)),
    Endorsed: (2, "cast", (160, 8, 16, 1)),
    Anchored: (2, "signed", (160, 64)),
}


def topic_of(event: type[Event]) -> bytes:
    """Returns the first topic of an event."""
    return interface.topic(event.__name__, interface.EVENTS[event.__name__])


@cache
def _by_topic() -> dict[bytes, tuple[type[Event], tuple[Callable[[bytes], Any], ...]]]:
    """Returns, by first topic, an event's class and what reads its words, if it has no struct."""
    return {
        topic_of(cls): (cls, () if cls in _STRUCTURED else tuple(static_reader(f.type) for f in _DECLARED[cls]))
        for cls in EVENTS
    }


def decode_event(log: LogLike) -> Event | None:
    """Returns the event that a log holds, or None if it is none of a workspace.

    The caller asks only for logs of the workspace's address. An index replays hundreds of thousands of events, so the
    words are read one by one; only events with a struct take the way through :func:`proml.core.abi.decode`.

    Raises:
        VerificationError: The topic is one of ours and the data does not fit it.
    """
    known = _by_topic().get(log.topics[0]) if log.topics else None
    if known is None:
        return None
    cls, readers = known
    try:
        return cls(_at(log), *(_flat(cls, readers, log) if readers else _structured(cls, log)))
    except InvalidRecord as error:
        raise VerificationError(
            f"the log {log.log_index} of block {log.block_number} claims to be {cls.__name__} and is not: {error}",
            hint="The node gave an answer that no workspace contract makes. Ask another node.",
        ) from error


def _flat(cls: type[Event], readers: tuple[Callable[[bytes], Any], ...], log: LogLike) -> list[Any]:
    arguments = [*log.topics[1:], *words(log.data)]
    if len(arguments) != len(readers) or len(log.topics) != 1 + _INDEXED[cls] or len(log.data) % WORD_BYTES:
        raise InvalidRecord(f"expected {len(readers)} words, found {len(arguments)}")
    values = [read(word) for read, word in zip(readers, arguments, strict=True)]
    if cls in _PACKED:
        place, name, widths = _PACKED[cls]
        values[place : place + 1] = unpack_word(arguments[place], name, widths)
    return _vote(values) if cls is Endorsed else values


def _vote(values: list[Any]) -> list[Any]:
    """Returns the fields of :class:`Endorsed` from those on chain."""
    artefact, actor, key, rule, organisation, approve, head, content, inputs, record, commitment = values
    vote = Endorsement(artefact, head, rule, content, inputs, record, bool(approve))
    return [artefact, ballot_of(vote), actor, key, vote, organisation, commitment]


def _structured(cls: type[Event], log: LogLike) -> list[Any]:
    declared, indexed = _DECLARED[cls], _INDEXED[cls]
    topics = decode(declared[:indexed], b"".join(log.topics[1:]))
    return [*topics, *decode(declared[indexed:], log.data)]


def _at(log: LogLike) -> At:
    return At(log.block_number, log.log_index, log.transaction_index, log.transaction_hash, log.block_hash)


def topic_filter(
    *events: type[Event], first: tuple[bytes, ...] = (), second: tuple[bytes, ...] = (), third: tuple[bytes, ...] = ()
) -> tuple[tuple[bytes, ...], ...]:
    """Returns ``LogQuery.topics`` that accepts these events (all of ours if none is named).

    Args:
        events: Event classes.
        first: Words accepted as the first indexed argument; empty accepts all. ``second`` and ``third`` likewise. An
            address is a word too: ``words.address_word``.
        second: See ``first``.
        third: See ``first``.
    """
    wanted = [tuple(topic_of(event) for event in events or EVENTS), first, second, third]
    while not wanted[-1]:
        wanted.pop()
    return tuple(wanted)
