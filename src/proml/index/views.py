"""What the read model answers: frozen dataclasses, each with :meth:`View.to_json`.

Light to import: no SQL library. Ids, heads and hashes are raw bytes here and ``0x…`` in JSON; SHA-256 digests are raw
bytes here and ``sha256:…`` in JSON. Numbers of organisations, rules and states come with their names where the
workspace file, the lifecycle definition or the records give one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

USABLE, TERMINAL, REVOKED = 1, 2, 4

_DIGESTS = frozenset({"content", "record_digest", "definition"})


class View:
    """Base of all views."""

    __slots__ = ()

    def to_json(self) -> dict[str, object]:
        """Returns the view as JSON-compatible values; properties that a person reads are included."""
        values = {f.name: _plain(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        for name, member in vars(type(self)).items():
            if isinstance(member, property):
                values[name] = _plain(name, getattr(self, name))
        return values


def _plain(name: str, value: object) -> object:
    if isinstance(value, View):
        return value.to_json()
    if isinstance(value, bytes):
        return digest_text(value) if name in _DIGESTS else "0x" + value.hex()
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), item) for key, item in value.items()}
    return value


def digest_text(digest: bytes) -> str:
    """Returns ``sha256:HEX``; the empty string for no digest."""
    return f"sha256:{digest.hex()}" if digest else ""


def short(value: bytes) -> str:
    """Returns the first eight hex digits of an id or a head, for labels."""
    return f"0x{value[:4].hex()}"


@dataclass(frozen=True, slots=True)
class Confirmation(View):
    """How firmly the chain holds something.

    Attributes:
        level: ``final``, or ``L@k`` with k blocks on top.
        blocks: Number of blocks on top.
        final: Whether the ledger calls the block final.
    """

    level: str
    blocks: int
    final: bool


@dataclass(frozen=True, slots=True)
class InputView(View):
    """A version that a transition used.

    Attributes:
        workspace: Contract it lives in; empty for this workspace.
        name: None if the registration record cannot be had, or it lives in another workspace.
        version: Number of the version used; None if this index does not know that head.
        role: Role named in the record, for example ``training data``; empty without one.
        state: State of the artefact now; empty if unknown.
        revoked: Whether that version is in a revoked state now.
    """

    workspace: str
    artefact: bytes
    head: bytes
    name: str | None
    version: int | None
    role: str
    state: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class VoteView(View):
    """One organisation's vote on a ballot."""

    actor: str
    key: str
    organisation: int
    organisation_name: str
    approve: bool
    record_digest: bytes
    record: Mapping[str, object] | None
    block_number: int
    transaction_hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class BallotView(View):
    """Votes on one quorum transition: for exactly this head, rule, content and inputs.

    Attributes:
        ballot: keccak256(artefact, expected head, rule, content, inputs).
        needed: Number of distinct organisations whose endorsement is needed.
        commitment: The ballot's vote chain.
        inputs_commitment: Commitment of the inputs voted on; empty for none.
        content: Content digest voted on; empty for none.
    """

    ballot: bytes
    artefact: bytes
    name: str | None
    action: str
    rule: int
    expected_head: bytes
    content: bytes
    inputs_commitment: bytes
    needed: int
    votes: tuple[VoteView, ...]
    commitment: bytes

    @property
    def endorsed(self) -> int:
        """Number of organisations that endorsed."""
        return sum(vote.approve for vote in self.votes)

    @property
    def rejected(self) -> int:
        """Number of organisations that rejected."""
        return sum(not vote.approve for vote in self.votes)

    @property
    def reached(self) -> bool:
        """Whether enough organisations have endorsed."""
        return self.endorsed >= self.needed


@dataclass(frozen=True, slots=True)
class ArtefactView(View):
    """An artefact as it is now.

    Attributes:
        name: None if its registration record cannot be had ('record not available').
        kind: Name of its lifecycle; ``lifecycle N`` if the definition cannot be had.
        state: Name of its state; ``state N`` likewise.
        flags: Of its state: 1 usable, 2 terminal, 4 revoked.
        version: How many of its transitions brought content; 0 before the first.
        content: Digest of the current content; empty if there is none.
        changed_at: Unix time of the last transition (or the registration).
        block_number: Block of the last transition (or the registration).
    """

    name: str | None
    id: bytes
    kind: str
    lifecycle: int
    owner: str
    organisation: int
    organisation_name: str
    state: str
    state_number: int
    flags: int
    seq: int
    head: bytes
    version: int
    content: bytes
    changed_at: int
    block_number: int
    confirmation: Confirmation
    record_digest: bytes

    @property
    def label(self) -> str:
        """Its name, or the start of its id."""
        return self.name if self.name is not None else short(self.id)

    @property
    def usable(self) -> bool:
        """Whether it may be used as an input."""
        return bool(self.flags & USABLE)

    @property
    def terminal(self) -> bool:
        """Whether no transition is possible."""
        return bool(self.flags & TERMINAL)

    @property
    def revoked(self) -> bool:
        """Whether its state is flagged revoked."""
        return bool(self.flags & REVOKED)


@dataclass(frozen=True, slots=True)
class TransitionView(View):
    """One step of an artefact's history; the registration is the step with ``seq`` 0.

    Attributes:
        action: Name of the transition; ``register`` for the registration, ``rule N`` without the definition.
        from_state: Name of the state before; empty for the registration.
        key: The account that signed: the actor itself or its session key.
        content: Digest of the content it brought; empty if it brought none.
        record: The record, or None if it cannot be had ('record not available').
        record_state: ``available``, ``missing`` (no store has it), ``invalid`` (not a record) or ``foreign`` (a
            record about something else).
        version: Number of the version that is current after it.
        votes: The ballot it was decided by, if its rule takes votes.
    """

    artefact: bytes
    name: str | None
    seq: int
    action: str
    rule: int
    from_state: str
    to_state: str
    actor: str
    organisation: int
    organisation_name: str
    key: str
    content: bytes
    record_digest: bytes
    record: Mapping[str, object] | None
    record_state: str
    inputs: tuple[InputView, ...]
    votes: tuple[VoteView, ...]
    version: int
    previous_head: bytes
    head: bytes
    block_number: int
    transaction_hash: bytes
    log_index: int
    timestamp: int
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class VersionView(View):
    """Content that an artefact has or had.

    Attributes:
        number: NAME@number.
        head: Head of the transition that brought it.
        last_head: Head after the last transition of this version (where an input names a version in use).
        state: Name of the state the version is in (its last state, if superseded).
        revoked: Whether that state, or the artefact's state now, is flagged revoked.
        current: Whether it is the artefact's current content.
        record: The record of the transition that brought it, or None.
    """

    artefact: bytes
    name: str | None
    kind: str
    number: int
    content: bytes
    head: bytes
    last_head: bytes
    seq: int
    state: str
    revoked: bool
    current: bool
    actor: str
    organisation: int
    organisation_name: str
    record_digest: bytes
    record: Mapping[str, object] | None
    block_number: int
    transaction_hash: bytes
    timestamp: int

    @property
    def label(self) -> str:
        """NAME@NUMBER."""
        return f"{self.name if self.name is not None else short(self.artefact)}@{self.number}"


@dataclass(frozen=True, slots=True)
class MemberView(View):
    """A member; ``roles`` 0 means that it was removed."""

    account: str
    organisation: int
    organisation_name: str
    roles: int
    role_names: tuple[str, ...]
    block_number: int


@dataclass(frozen=True, slots=True)
class OrganisationView(View):
    """An organisation with its members that hold a role now."""

    number: int
    name: str
    members: tuple[MemberView, ...]


@dataclass(frozen=True, slots=True)
class SessionView(View):
    """A session key; ``artefact`` is empty when it may touch all artefacts."""

    key: str
    member: str
    organisation: int
    organisation_name: str
    roles: int
    role_names: tuple[str, ...]
    artefact: bytes
    name: str | None
    expires: int
    revoked: bool
    block_number: int


@dataclass(frozen=True, slots=True)
class LifecycleView(View):
    """A lifecycle on chain.

    Attributes:
        name: Its kind; ``lifecycle N`` if the definition cannot be had.
        definition: SHA-256 of the definition.
        document: The definition (``proml.core.lifecycle`` reads it), or None if no store has it or it contradicts
            what is on chain.
        matches: False if the definition contradicts the rules on chain: then only the numbers on chain are shown.
        states: Names of the states by number.
        actions: Names of the transitions by rule number.
    """

    number: int
    name: str
    definition: bytes
    document: Mapping[str, object] | None
    matches: bool
    states: tuple[str, ...]
    state_flags: tuple[int, ...]
    actions: tuple[str, ...]
    register_roles: int
    initial: int
    block_number: int


@dataclass(frozen=True, slots=True)
class ProposalView(View):
    """A governance change: approved by whom, carried out or not.

    Attributes:
        action_name: ``set-member``, ``set-quorum``, ``add-lifecycle``, ``recover`` or ``revoke-session``.
        data: `abi.encode` of what the action takes.
        void: An executed change of members or quorum since then made these approvals void.
    """

    proposal: bytes
    action: int
    action_name: str
    salt: bytes
    data: bytes
    approvals: tuple[tuple[str, int], ...]
    needed: int
    executed: bool
    void: bool
    block_number: int


@dataclass(frozen=True, slots=True)
class AnchorView(View):
    """A Merkle root that a member put on chain."""

    actor: str
    key: str
    root: bytes
    leaves: int
    head: bytes
    block_number: int
    transaction_hash: bytes
    timestamp: int
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class Taint(View):
    """A revoked ancestor.

    Attributes:
        artefact: Id of the revoked artefact.
        label: NAME@VERSION of it.
        state: Its revoked state.
        path: Labels from the artefact asked about to the revoked one.
    """

    artefact: bytes
    label: str
    state: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Position(View):
    """Up to where the index has followed the chain.

    Attributes:
        block_number: Newest block indexed; -1 for none.
        finalized: Newest block that is final; -1 for none.
        followed_at: Unix time of the last follow.
    """

    block_number: int
    block_hash: bytes
    finalized: int
    followed_at: int


@dataclass(frozen=True, slots=True)
class StatusView(View):
    """The workspace, or one artefact, at a glance.

    Attributes:
        ballots: Open ballots on current heads.
        taint: For each artefact id that has a revoked ancestor, the shortest path to one.
        missing_records: How many records that the chain names no store has.
    """

    workspace: str
    position: Position
    artefacts: tuple[ArtefactView, ...]
    ballots: tuple[BallotView, ...]
    taint: tuple[tuple[str, Taint], ...]
    missing_records: int


@dataclass(frozen=True, slots=True)
class LineageNode(View):
    """An artefact's version, or the activity (transition, run) between versions.

    Attributes:
        key: Unique within the graph.
        type: ``artefact`` or ``activity``.
        label: NAME@VERSION, or the action.
        depth: Steps from the version asked about.
        foreign: Whether it lives in another workspace: then no more is known of it.
        run: Id of the run that the record names; empty for none.
    """

    key: str
    type: str
    label: str
    depth: int
    kind: str = ""
    state: str = ""
    revoked: bool = False
    foreign: bool = False
    artefact: bytes = b""
    version: int | None = None
    head: bytes = b""
    content: bytes = b""
    actor: str = ""
    organisation_name: str = ""
    timestamp: int = 0
    run: str = ""
    run_name: str = ""


@dataclass(frozen=True, slots=True)
class LineageEdge(View):
    """An arrow as in PROV, from what came later to what came before.

    Attributes:
        kind: ``used`` (activity → version), ``generated`` (version → activity that brought it) or ``decided``
            (version → activity that changed its state by the help of inputs, such as an approval on an evaluation).
        role: Role of a used version; empty without one.
    """

    source: str
    target: str
    kind: str
    role: str = ""

    @property
    def shown_role(self) -> str:
        """The role as drawings name it: empty for plain ``input``, which says nothing new."""
        return "" if self.role == "input" else self.role


@dataclass(frozen=True, slots=True)
class LineageGraph(View):
    """What a version comes from (``up``) or what came of it (``down``).

    Attributes:
        focus: Key of the version asked about.
        truncated: Whether ``depth`` or the limit of nodes cut something off.
    """

    focus: str
    direction: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Change(View):
    """One difference: ``before`` is None if added, ``after`` is None if removed."""

    what: str
    before: object
    after: object

    @property
    def change(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class DiffView(View):
    """What changed between two versions; ``missing`` names sides whose record is not available."""

    before: VersionView
    after: VersionView
    content: tuple[Change, ...] = ()
    parameters: tuple[Change, ...] = ()
    metrics: tuple[Change, ...] = ()
    code: tuple[Change, ...] = ()
    packages: tuple[Change, ...] = ()
    uses: tuple[Change, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.content or self.parameters or self.metrics or self.code or self.packages or self.uses or self.missing
        )


@dataclass(frozen=True, slots=True)
class FollowReport(View):
    """What one follow did.

    Attributes:
        rolled_back_to: Block number that a reorganisation took the index back to; None without one.
        transitions: Transitions newly indexed.
        records_missing: Records named on chain that no store had.
        rebuilt: Whether the index was empty, broken or of an old schema, and was made anew.
    """

    first_block: int
    last_block: int
    logs: int = 0
    transitions: int = 0
    rolled_back_to: int | None = None
    records_fetched: int = 0
    records_missing: int = 0
    rebuilt: bool = False
    milliseconds: float = 0.0
