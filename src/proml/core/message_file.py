"""Message files: an operation that a member signed, for anybody to send. Schema ``proml/message/v1``.

A file holds the call, the signature over it (EIP-712) and the documents that the call commits to, so that whoever sends
it can publish them. It comes from others: everything in it is checked, and what it says for people (``name``,
``action``, ``summary``) has to be what the signed documents say. Whether the signature is the signer's, and what the
chain says, is for :mod:`proml.submit.relaying`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from proml.core import shape
from proml.core.calls import ADD_LIFECYCLE, decode_call, decode_proposal, encode_call
from proml.core.canonical import parse_json
from proml.core.digest import format_digest, parse_digest, sha256
from proml.core.messages import domain_separator, typed_hash
from proml.core.name import artefact_id
from proml.core.operation import (
    ZERO,
    Anchor,
    Endorsement,
    Grant,
    Lifecycle,
    Operation,
    Proposal,
    Registration,
    Relay,
    Relayed,
    Revocation,
    Transition,
    artefacts_of,
    records_of,
)
from proml.core.record import parse_record
from proml.core.words import parse_address
from proml.errors import InvalidRecord, ProMLError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.core.workspace_file import WorkspaceFile

SCHEMA = "proml/message/v1"
MAX_BYTES = 32 * 1024 * 1024
"""Largest file: a record of 4 MiB and the manifest of some 100,000 files."""

_HINT = "Ask the signer for the file again; nothing was sent."


@dataclass(frozen=True, slots=True)
class Message:
    """A signed message.

    Attributes:
        chain_id: The chain that it is for.
        contract: The workspace that it is for, EIP-55.
        relayed: What was signed, and by whom.
        documents: What the operation commits to: records, manifests, definitions.
        name: The artefact's name; empty if it is about none.
        action: Name of the transition; empty if it is none.
    """

    chain_id: int
    contract: str
    relayed: Relayed
    documents: tuple[bytes, ...] = ()
    name: str = ""
    action: str = ""

    @property
    def signed_hash(self) -> bytes:
        """The hash that the signature is over."""
        relay = self.relayed.relay
        domain = domain_separator(self.chain_id, self.contract)
        return typed_hash(self.relayed.operation, nonce=relay.nonce, deadline=relay.deadline, domain=domain)

    @property
    def summary(self) -> str:
        """What it does, in words: a verb and what it is done to."""
        return summarise(self.relayed.operation, self.name, self.action)

    def to_bytes(self) -> bytes:
        """Returns the file: indented JSON that ends with a line feed.

        Raises:
            InvalidRecord: It would be no valid file, for instance because a document is missing.
        """
        relay = self.relayed.relay
        fields = {
            "schema": SCHEMA,
            "summary": self.summary,
            "name": self.name,
            "action": self.action,
            "chain_id": self.chain_id,
            "contract": self.contract,
            "signer": relay.signer,
            "nonce": relay.nonce,
            "deadline": relay.deadline,
            "call": "0x" + encode_call(self.relayed.operation).hex(),
            "signature": "0x" + relay.signature.hex(),
            "documents": {format_digest(sha256(one)): one.decode("utf-8", "replace") for one in self.documents},
        }
        data = (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()
        parse_message(data, "the message")
        return data


def parse_message(data: bytes, what: str = "the message") -> Message:
    """Returns the message that a file holds.

    Args:
        data: The file's bytes.
        what: Its path or another name, for messages.

    Raises:
        InvalidRecord: Malformed: too large, a field is missing, unknown or wrong, the call is none of a workspace, the
            documents are not those that the call commits to, or what it says for people is not what they say.
    """
    value = parse_json(data, what, max_bytes=MAX_BYTES)
    try:
        _SHAPE(value, "$")
        fields = cast("dict[str, Any]", value)
        message = _read(fields)
        _check_documents(message)
        _check_words(message, fields["summary"])
    except ProMLError as error:
        raise InvalidRecord(f"In {what}: {error.message}", hint=_HINT) from error
    return message


def check_workspace(message: Message, workspace: WorkspaceFile) -> None:
    """Checks that a message is for this workspace and about the artefact that it names.

    Raises:
        UsageError: It is for another workspace; as InvalidRecord, it is about another artefact.
    """
    found, pinned = (message.chain_id, message.contract), (workspace.chain_id, workspace.contract)
    if found != pinned:
        raise UsageError(
            f"The message is for the workspace {found[1]} on chain {found[0]}, not for {workspace.name}, which is "
            f"{pinned[1]} on chain {pinned[0]}.",
            hint="Relay it from a folder of that workspace.",
        )
    for artefact in artefacts_of(message.relayed.operation):
        if artefact != artefact_id(workspace.name_key, message.name):
            raise InvalidRecord(
                f"The message says that it is about {message.name}, and its call is about another artefact "
                f"(0x{artefact.hex()}).",
                hint=_HINT,
            )


def summarise(operation: Operation, name: str, action: str) -> str:  # noqa: PLR0911 - one per operation
    """Returns in words what an operation does."""
    match operation:
        case (Registration(), Transition()):
            return f"register {name} and perform {action} on it"
        case Registration():
            return f"register {name}"
        case Transition() | tuple():
            return f"perform {action} on {name}"
        case Endorsement():
            return f"{'endorse' if operation.approve else 'reject'} {action} of {name}"
        case Anchor():
            return f"anchor a root of {operation.leaves} leaves"
        case Grant():
            return f"let the session key {operation.session.key} act until {_time(operation.session.expires)}"
        case Revocation():
            return f"revoke the session key {operation.key}"
        case Proposal():
            return f"approve the governance proposal with salt 0x{operation.salt.hex()}"


def _read(fields: dict[str, Any]) -> Message:
    decoded = decode_call(bytes.fromhex(fields["call"][2:]))
    if decoded is None or decoded[1] is not None or not _is_one(decoded[0]):
        raise InvalidRecord(
            "Expected at $.call the data of a direct call to a workspace, for one operation; found something else."
        )
    signature = bytes.fromhex(fields["signature"][2:])
    relay = Relay(fields["signer"], fields["nonce"], fields["deadline"], signature)
    return Message(
        chain_id=fields["chain_id"],
        contract=fields["contract"],
        relayed=Relayed(decoded[0], relay),
        documents=tuple(_document(digest, text) for digest, text in fields["documents"].items()),
        name=fields["name"],
        action=fields["action"],
    )


def _is_one(operation: Operation) -> bool:
    """Tells a single operation, which a summary can tell the whole of, from a batch."""
    return not isinstance(operation, tuple) or isinstance(operation[0], Registration)


def _document(digest: str, text: str) -> bytes:
    data = text.encode()
    if sha256(data) != parse_digest(digest):
        raise InvalidRecord(f"The document {digest} was changed: it has the digest {format_digest(sha256(data))}.")
    return data


def _check_documents(message: Message) -> None:
    """Refuses documents that the operation does not commit to, and records that are missing or say something else."""
    operation = message.relayed.operation
    found = {sha256(document): document for document in message.documents}
    records = set(records_of(operation))
    strange = found.keys() - records - set(_attachments(operation))
    missing = records - found.keys()
    for digests, problem in ((strange, "which the call does not commit to"), (missing, "which the call commits to")):
        if digests:
            named = ", ".join(format_digest(digest) for digest in sorted(digests))
            verb = "Found" if digests is strange else "Expected"
            raise InvalidRecord(f"{verb} at $.documents {named}, {problem}.")
    for part in operation if isinstance(operation, tuple) else (operation,):
        if isinstance(part, Registration | Transition | Endorsement):
            _check_record(message, part, found[part.record])


def _check_words(message: Message, summary: str) -> None:
    """Refuses words for people that are not what the call does."""
    operation = message.relayed.operation
    is_named = any(True for _ in artefacts_of(operation))
    is_action = is_named and not isinstance(operation, Registration)
    if (bool(message.name), bool(message.action)) != (is_named, is_action):
        raise InvalidRecord("Expected at $.name and $.action what the call is about, found something else.")
    if message.summary != summary:
        raise InvalidRecord(f"Expected at $.summary what the call does: {message.summary}.")


def _check_record(message: Message, part: Registration | Transition | Endorsement, document: bytes) -> None:
    record = parse_record(document, f"the document {format_digest(part.record)}").json
    expected: dict[str, object] = {"type": "registration"}
    if not isinstance(part, Registration):
        expected = {"type": "transition", "action": message.action}
    if isinstance(part, Endorsement):
        expected = {**expected, "type": "vote", "vote": "approve" if part.approve else "reject"}
    found = {field: record.get(field) for field in expected}
    expected["artefact"] = message.name
    found["artefact"] = cast("dict[str, object]", record["artefact"])["name"]
    for field, value in expected.items():
        if found[field] != value:
            raise InvalidRecord(f"Expected {field} {value!r} in the record of the call, found {found[field]!r}.")


def _attachments(operation: Operation) -> Iterator[bytes]:
    """Yields the digests of documents that may come with an operation beside its records."""
    for part in operation if isinstance(operation, tuple) else (operation,):
        if isinstance(part, Transition) and part.content != ZERO:
            yield part.content
        if isinstance(part, Proposal) and part.action == ADD_LIFECYCLE:
            yield cast("Lifecycle", decode_proposal(part)).definition


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {seconds} of Unix time"


def _address(value: object, path: str) -> None:
    shape.label(value, path)
    text = cast("str", value)
    try:
        fits = parse_address(text) == text
    except UsageError:
        fits = False
    if not fits:
        shape.refuse(path, "an address with an EIP-55 checksum", value)


def _or_empty(check: shape.Check) -> shape.Check:
    def checked(value: object, path: str) -> None:
        if value != "":
            check(value, path)

    return checked


_HEX = shape.pattern("0x(?:[0-9a-f]{2})*", "'0x' and an even number of lower-case hex digits")
_SHAPE = shape.structure(
    {
        "schema": shape.constant(value=SCHEMA),
        "summary": shape.label,
        "name": _or_empty(shape.artefact_name),
        "action": _or_empty(shape.identifier),
        "chain_id": shape.integer(1),
        "contract": _address,
        "signer": _address,
        "nonce": shape.integer(),
        "deadline": shape.integer(1),
        "call": _HEX,
        "signature": _HEX,
        "documents": shape.mapping(shape.digest, shape.text),
    }
)
