"""What a participant asks for becomes a record in the local store, then an intent in the outbox.

The record is stored first: when the intent is there, everything it names is there too. Nothing here touches the ledger.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from proml.core.digest import format_digest, sha256
from proml.core.intent import (
    AnchorIntent,
    EndorseIntent,
    GovernIntent,
    GrantIntent,
    RegisterIntent,
    RevokeIntent,
    TransitionIntent,
    Use,
)
from proml.core.name import check_name
from proml.core.operation import ZERO, Grant, Input, Proposal
from proml.core.record import SALT_BYTES, Record, build_record
from proml.core.words import parse_address
from proml.errors import UsageError
from proml.ports import ATTENDED
from proml.submit.given import TAKEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.core.manifest import Manifest
    from proml.ports import Clock, Intent, Node, Outbox, Store


class Intake(Protocol):
    """What takes intents in: the outbox, or whoever signs them at once."""

    def add(self, intents: Sequence[Intent]) -> Sequence[int]:
        """Adds intents, all or none, and returns their numbers."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Where requests are written down.

    Attributes:
        store: The local store, for records.
        outbox: For intents.
        clock: Says when records were made.
    """

    store: Store
    outbox: Intake
    clock: Clock


@dataclass(frozen=True, slots=True)
class Attended:
    """Takes intents in for somebody who waits for what becomes of them.

    Attributes:
        outbox: Where they go.
        node: To which they go from there; None if they are sent from here.
    """

    outbox: Outbox
    node: Node | None = None

    def add(self, intents: Sequence[Intent]) -> Sequence[int]:
        """Adds intents, all or none, and returns their numbers; raises UsageError for what a node does not take."""
        if self.node is not None:
            for intent in intents:
                if intent.kind not in TAKEN:
                    raise UsageError(
                        f"this folder hands over to the node {self.node.where}, which does not take {intent.kind} from "
                        "others.",
                        hint="Do it in the member's own folder, or sign a message here (--sign) and relay it there.",
                    )
        return self.outbox.add(intents, {ATTENDED: True})


@dataclass(frozen=True, slots=True)
class Queued:
    """What a request became.

    Attributes:
        number: The entry's number in the outbox.
        record: The record made for it; None if the request has none.
    """

    number: int
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """A transition that is asked for.

    Attributes:
        name: The artefact.
        kind: Its kind.
        action: Name of the transition.
        content: Manifest of the new content; None when the content stays.
        uses: What was used.
        inputs: The inputs on chain if they are known already; None finds them by ``uses`` when it is sent.
        expected_head: The head that it builds on; None is the head at sending.
        register: Register the artefact if it does not exist.
        fields: Further fields of the record: ``run``, ``parameters``, ``metrics``, ``notes``, ``facts``, ``reason``…
    """

    name: str
    kind: str
    action: str
    content: Manifest | None = None
    uses: tuple[Use, ...] = ()
    inputs: tuple[Input, ...] | None = None
    expected_head: bytes | None = None
    register: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on a quorum transition: for exactly this head, content and inputs.

    Attributes:
        content: Content digest that the transition will carry; None if none.
        inputs_commitment: Commitment of its inputs; zero is none.
        uses: What the transition will name as used, from which the inputs were found; for the vote's record.
        reason: Why, in words.
    """

    name: str
    kind: str
    action: str
    expected_head: bytes
    content: bytes | None = None
    inputs_commitment: bytes = ZERO
    uses: tuple[Use, ...] = ()
    reason: str = ""


def register(desk: Desk, name: str, kind: str, *, fields: Mapping[str, Any] | None = None) -> Queued:
    """Asks for a new artefact.

    Args:
        desk: Where to write it down.
        name: Its name.
        kind: Its kind: the lifecycle it will obey.
        fields: Further fields of the registration record.

    Raises:
        InvalidName: The name breaks the rules for names.
        InvalidRecord: A field is malformed.
        LocalStorageError: It cannot be written down.
    """
    name = check_name(name)
    record = _record(desk, "registration", artefact={"name": name, "kind": kind}, **(fields or {}))
    return _queue(desk, RegisterIntent(name, kind, record.digest).intent(), record)


def act(desk: Desk, request: Act) -> Queued:
    """Asks for a transition; raises as :func:`register`."""
    return act_all(desk, [request])[0]


def act_all(desk: Desk, requests: Sequence[Act]) -> list[Queued]:
    """Asks for transitions, all or none, in little more time than one takes; raises as :func:`register`."""
    prepared = [_transition(desk, request) for request in requests]
    desk.store.put_all([document for _, _, documents in prepared for document in documents])
    numbers = desk.outbox.add([wanted.intent() for wanted, _, _ in prepared])
    return [Queued(number, record) for number, (_, record, _) in zip(numbers, prepared, strict=True)]


def _transition(desk: Desk, request: Act) -> tuple[TransitionIntent, Record, list[bytes]]:
    """Returns the intent, its record, and the documents to store before it: the record and a manifest that is apart."""
    name = check_name(request.name)
    content = request.content
    content_field = None if content is None else content.to_record_field()
    record = _build(
        desk,
        "transition",
        **{
            "uses": [_use_field(use) for use in request.uses] or None,
            **request.fields,
            "artefact": {"name": name, "kind": request.kind},
            "action": request.action,
            "content": content_field,
        },
    )
    # A record that only refers to its manifest is of no use without it.
    is_apart = content_field is not None and "resources" not in content_field
    manifests = [content.bytes] if content is not None and is_apart else []
    wanted = TransitionIntent(
        name=name,
        action=request.action,
        record=record.digest,
        kind=request.kind,
        content=None if content is None else content.digest,
        uses=request.uses,
        inputs=request.inputs,
        expected_head=request.expected_head,
        register=request.register,
        documents=tuple(sha256(manifest) for manifest in manifests),
    )
    return wanted, record, [record.bytes, *manifests]


def endorse(desk: Desk, vote: Vote) -> Queued:
    """Asks for a vote for a transition; raises as :func:`register`."""
    return _vote(desk, vote, approve=True)


def reject(desk: Desk, vote: Vote) -> Queued:
    """Asks for a vote against a transition, which is recorded and never counts; raises as :func:`register`."""
    return _vote(desk, vote, approve=False)


def anchor(desk: Desk, root: bytes, leaves: int, *, record: bytes | None = None, key: str = "") -> Queued:
    """Asks for a Merkle root on chain.

    Args:
        desk: Where to write it down.
        root: RFC 9162 root.
        leaves: Number of leaves, at least 1.
        record: Digest of the run's record, already in the local store; it is published before the root is sent.
        key: Key of the intent, so that asking again has no effect; a new one by default.
    """
    return _queue(desk, AnchorIntent(root, leaves, record).intent(key))


def grant_session(desk: Desk, grant: Grant) -> Queued:
    """Asks that a session key may act for the signer."""
    session = grant.session
    wanted = GrantIntent(session.key, session.roles, session.artefact, session.expires, grant.consent)
    return _queue(desk, wanted.intent())


def revoke_session(desk: Desk, key: str) -> Queued:
    """Asks that a session key of the signer ends; raises UsageError if it is not an address."""
    return _queue(desk, RevokeIntent(parse_address(key)).intent())


def govern(desk: Desk, proposal: Proposal, *, documents: tuple[bytes, ...] = ()) -> Queued:
    """Asks for the approval of a governance proposal.

    Args:
        desk: Where to write it down.
        proposal: What is approved.
        documents: Documents that members need to understand it (a lifecycle's definition), as canonical JSON; they are
            published before the approval is sent.
    """
    digests = tuple(desk.store.put(document) for document in documents)
    return _queue(desk, GovernIntent(proposal.action, proposal.salt, proposal.data, digests).intent())


def _vote(desk: Desk, vote: Vote, *, approve: bool) -> Queued:
    name = check_name(vote.name)
    record = _record(
        desk,
        "vote",
        artefact={"name": name, "kind": vote.kind},
        action=vote.action,
        vote="approve" if approve else "reject",
        uses=[_use_field(use) for use in vote.uses] or None,
        reason=vote.reason or None,
    )
    wanted = EndorseIntent(
        name=name,
        action=vote.action,
        expected_head=vote.expected_head,
        record=record.digest,
        content=vote.content,
        inputs_commitment=vote.inputs_commitment,
        approve=approve,
    )
    return _queue(desk, wanted.intent(), record)


def _record(desk: Desk, record_type: Any, **fields: object) -> Record:
    record = _build(desk, record_type, **fields)
    desk.store.put(record.bytes)
    return record


def _build(desk: Desk, record_type: Any, **fields: object) -> Record:
    return build_record(record_type, created_ns=desk.clock.now_ns(), salt=secrets.token_bytes(SALT_BYTES), **fields)


def _queue(desk: Desk, intent: Intent, record: Record | None = None) -> Queued:
    return Queued(desk.outbox.add([intent])[0], record)


def _use_field(use: Use) -> dict[str, object]:
    known = {"name": use.name, "version": use.version, "content": use.content and format_digest(use.content)}
    return {"role": use.role, **{name: value for name, value in known.items() if value}}
