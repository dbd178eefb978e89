"""Intents: what a participant wants on chain, as typed values and as the JSON that the outbox keeps.

Capture writes them offline and :mod:`proml.submit` reads them back later, perhaps with another version of ProML, so
each kind has one dataclass with ``intent()`` (write), and :func:`parse_intent` reads strictly. Light: the standard
library only.

Ids, heads, roots and call data are ``0x…`` in JSON; SHA-256 digests of records and contents are ``sha256:…``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from proml.core.digest import format_digest, parse_digest
from proml.core.operation import ZERO_ADDRESS, Input
from proml.errors import InvalidRecord

MAX_INPUTS = 4096
"""More inputs than this in one transition are a mistake; the block's gas would not hold them either."""

_HEX = re.compile(r"0x([0-9a-fA-F]{2})*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Intent:
    """Something a participant wants on chain, as the outbox keeps it.

    Attributes:
        key: Unique key, chosen by who adds it; adding the same key again has no effect.
        kind: ``register``, ``transition``, ``endorse``, ``anchor``, ``grant``, ``revoke``, ``govern`` or ``relay``.
        body: JSON-compatible; the fields of each kind are those of the dataclasses below.
        artefact: Name of the artefact concerned; intents of one artefact are sent in order. Empty if none.
    """

    key: str
    kind: str
    body: Mapping[str, object]
    artefact: str = ""

    def to_json(self) -> dict[str, object]:
        """Returns the form in which it goes to a node."""
        return {"key": self.key, "kind": self.kind, "artefact": self.artefact, "body": dict(self.body)}


def new_key(prefix: str) -> str:
    """Returns a key for an intent that nobody else will choose; keys tell a repeated add from a new intent."""
    return f"{prefix}:{secrets.token_hex(16)}"


OBSERVED = "observed"
"""Role of inputs that nobody declared: `proml run` saw that they were read."""


@dataclass(frozen=True, slots=True)
class Use:
    """Something that was used, before it is known which version on chain it is.

    Attributes:
        role: What it was used as, for example ``training data``.
        name: Name of the artefact; empty if it is to be found by its content.
        version: Number of the version or ``0x`` + head prefix; empty for the one with this content, or the current one.
        content: Content digest of what was really read; None if it was not looked at.
    """

    role: str = "input"
    name: str = ""
    version: str = ""
    content: bytes | None = None

    def to_json(self) -> dict[str, object]:
        """Returns the form kept in the outbox."""
        return {"role": self.role, "name": self.name, "version": self.version, "content": _digest_text(self.content)}


@dataclass(frozen=True, slots=True)
class RegisterIntent:
    """Register an artefact.

    Attributes:
        record: SHA-256 of the registration record.
        documents: Further documents that are published in the workspace's stores before anything is sent.
    """

    name: str
    kind: str
    record: bytes
    documents: tuple[bytes, ...] = ()

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        named = {"name": self.name, "kind": self.kind, "record": format_digest(self.record)}
        body = {**named, **_documents(self.documents)}
        return Intent(key or new_key("register"), "register", body, self.name)


@dataclass(frozen=True, slots=True)
class TransitionIntent:
    """Change an artefact's state.

    Attributes:
        kind: Its kind; needed when it is to be registered first, else may be empty.
        action: Name of the transition in its lifecycle.
        record: SHA-256 of the record.
        content: Content digest; None when the content stays.
        uses: What was used; resolved to ``inputs`` when it is sent.
        inputs: The inputs, when they are known already; None resolves ``uses``.
        expected_head: The head that it builds on; None binds it to the head at sending.
        register: Register the artefact in the same transaction if it does not exist.
        documents: As in :class:`RegisterIntent`.
    """

    name: str
    action: str
    record: bytes
    kind: str = ""
    content: bytes | None = None
    uses: tuple[Use, ...] = ()
    inputs: tuple[Input, ...] | None = None
    expected_head: bytes | None = None
    register: bool = False
    documents: tuple[bytes, ...] = ()

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        body = {
            "name": self.name,
            "kind": self.kind,
            "action": self.action,
            "content": _digest_text(self.content),
            "record": format_digest(self.record),
            "uses": [use.to_json() for use in self.uses],
            "inputs": None if self.inputs is None else [_input_json(i) for i in self.inputs],
            "expected_head": None if self.expected_head is None else _hex(self.expected_head),
            "register": self.register,
            **_documents(self.documents),
        }
        return Intent(key or new_key("transition"), "transition", body, self.name)


@dataclass(frozen=True, slots=True)
class EndorseIntent:
    """Vote on a transition: for exactly this head, content and inputs.

    Attributes:
        inputs_commitment: Commitment of the inputs that the transition will carry; zero is none.
        approve: False for a rejection.
    """

    name: str
    action: str
    expected_head: bytes
    record: bytes
    content: bytes | None = None
    inputs_commitment: bytes = bytes(_WORD_BYTES)
    approve: bool = True

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        body = {
            "name": self.name,
            "action": self.action,
            "expected_head": _hex(self.expected_head),
            "content": _digest_text(self.content),
            "inputs_commitment": _hex(self.inputs_commitment),
            "record": format_digest(self.record),
            "approve": self.approve,
        }
        return Intent(key or new_key("endorse"), "endorse", body, self.name)


@dataclass(frozen=True, slots=True)
class AnchorIntent:
    """Put a Merkle root of observations or run records on chain.

    Attributes:
        root: RFC 9162 root.
        leaves: Number of leaves, at least 1.
        record: Record that belongs to it, published before sending; None if there is none.
    """

    root: bytes
    leaves: int
    record: bytes | None = None
    documents: tuple[bytes, ...] = ()

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        body = {"root": _hex(self.root), "leaves": self.leaves, **_documents(self.documents)}
        if self.record is not None:
            body["record"] = format_digest(self.record)
        return Intent(key or new_key("anchor"), "anchor", body)


@dataclass(frozen=True, slots=True)
class GrantIntent:
    """Let a session key act for the signer; ``consent`` is the key's signature, ``artefact`` zero for all."""

    key: str
    roles: int
    artefact: bytes
    expires: int
    consent: bytes

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        body = {
            "key": self.key,
            "roles": self.roles,
            "artefact": _hex(self.artefact),
            "expires": self.expires,
            "consent": _hex(self.consent),
        }
        return Intent(key or new_key("grant"), "grant", body)


@dataclass(frozen=True, slots=True)
class RevokeIntent:
    """Revoke a session key of the signer."""

    key: str

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        return Intent(key or new_key("revoke"), "revoke", {"key": self.key})


@dataclass(frozen=True, slots=True)
class GovernIntent:
    """Approve a governance proposal; fields as in :class:`proml.core.operation.Proposal`."""

    action: int
    salt: bytes
    data: bytes
    documents: tuple[bytes, ...] = ()

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        body = {"action": self.action, "salt": _hex(self.salt), "data": _hex(self.data), **_documents(self.documents)}
        return Intent(key or new_key("govern"), "govern", body)


@dataclass(frozen=True, slots=True)
class RelayIntent:
    """Send what another one signed; it is about no artefact of the sender's, so it holds none of its entries up.

    Attributes:
        call: Data of the direct call that was signed.
        signer: Who signed it.
        nonce: The signer's number of the message.
        deadline: Unix time, in seconds, after which it is void.
        signature: The signature.
        summary: What it does, in words.
        documents: As in :class:`RegisterIntent`.
    """

    call: bytes
    signer: str
    nonce: int
    deadline: int
    signature: bytes
    summary: str = ""
    documents: tuple[bytes, ...] = ()

    def intent(self, key: str = "") -> Intent:
        """Returns the intent for the outbox, under this key or a new one."""
        body = {
            "call": _hex(self.call),
            "signer": self.signer,
            "nonce": self.nonce,
            "deadline": self.deadline,
            "signature": _hex(self.signature),
            "summary": self.summary,
            **_documents(self.documents),
        }
        return Intent(key or new_key("relay"), "relay", body)


TypedIntent = (
    RegisterIntent
    | TransitionIntent
    | EndorseIntent
    | AnchorIntent
    | GrantIntent
    | RevokeIntent
    | GovernIntent
    | RelayIntent
)


def parse_intent(intent: Intent) -> TypedIntent:
    """Returns an intent of the outbox as a typed value; fields of later versions are ignored.

    Raises:
        InvalidRecord: The kind is unknown, or a field is missing or malformed.
    """
    body = _Body(intent)
    if intent.kind not in _READERS:
        raise InvalidRecord(f"{body.where}: unknown kind {intent.kind!r}; expected one of {', '.join(_READERS)}")
    return _READERS[intent.kind](body)


def documents_of(typed: TypedIntent) -> tuple[bytes, ...]:
    """Returns the digests of every document that has to be in the stores before the intent is sent."""
    record = getattr(typed, "record", None)
    return (() if record is None else (record,)) + tuple(getattr(typed, "documents", ()))


class _Body:
    """An intent's body, read field by field with messages that say where."""

    def __init__(self, intent: Intent) -> None:
        self.where = f"intent {intent.key}"
        self._body: Mapping[str, object] = intent.body

    def text(self, field: str, *, default: str | None = None) -> str:
        value = self._body.get(field, default)
        return value if isinstance(value, str) else self._wrong(field, "text", value)

    def number(self, field: str, *, least: int = 0) -> int:
        value = self._body.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**64:
            self._wrong(field, f"a number from {least}", value)
        return value

    def truth(self, field: str) -> bool:
        value = self._body.get(field, False)
        return value if isinstance(value, bool) else self._wrong(field, "true or false", value)

    def hex(self, field: str, *, length: int | None = _WORD_BYTES) -> bytes:
        raw = self._body.get(field)
        if not isinstance(raw, str) or not _HEX.fullmatch(raw) or length not in (None, len(raw) // 2 - 1):
            self._wrong(field, "0x and hexadecimal digits" + (f" of {length} bytes" if length else ""), raw)
        return bytes.fromhex(raw[2:])

    def address(self, field: str) -> str:
        value = self._body.get(field)
        if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
            self._wrong(field, "an address", value)
        return value

    def digest(self, field: str) -> bytes:
        return parse_digest(self.text(field))

    def maybe_digest(self, field: str) -> bytes | None:
        return None if self._body.get(field) is None else self.digest(field)

    def maybe_hex(self, field: str) -> bytes | None:
        return None if self._body.get(field) is None else self.hex(field)

    def digests(self, field: str) -> tuple[bytes, ...]:
        items = self._sequence(field)
        return tuple(parse_digest(i) if isinstance(i, str) else self._wrong(field, "digests", i) for i in items)

    def bodies(self, field: str) -> list[_Body]:
        found = []
        for position, item in enumerate(self._sequence(field)):
            if not isinstance(item, Mapping):
                self._wrong(f"{field}[{position}]", "an object", item)
            found.append(_Body(Intent(f"{self.where.removeprefix('intent ')}, {field}[{position}]", "", item)))
        return found

    def maybe_bodies(self, field: str) -> list[_Body] | None:
        return None if self._body.get(field) is None else self.bodies(field)

    def _sequence(self, field: str) -> Sequence[object]:
        value = self._body.get(field, [])
        if not isinstance(value, list | tuple) or len(value) > MAX_INPUTS:
            self._wrong(field, f"a list of at most {MAX_INPUTS}", value)
        return value

    def _wrong(self, field: str, expected: str, found: object) -> NoReturn:
        shown = repr(found)
        raise InvalidRecord(
            f"{self.where}: expected {expected} in {field!r}, found {shown[:80]}",
            hint="The outbox was written by another program or damaged; `proml sync --drop` removes the entry.",
        )


def _register(body: _Body) -> RegisterIntent:
    return RegisterIntent(body.text("name"), body.text("kind"), body.digest("record"), body.digests("documents"))


def _transition(body: _Body) -> TransitionIntent:
    inputs = body.maybe_bodies("inputs")
    return TransitionIntent(
        name=body.text("name"),
        action=body.text("action"),
        record=body.digest("record"),
        kind=body.text("kind", default=""),
        content=body.maybe_digest("content"),
        uses=tuple(_use(use) for use in body.bodies("uses")),
        inputs=None if inputs is None else tuple(_input(i) for i in inputs),
        expected_head=body.maybe_hex("expected_head"),
        register=body.truth("register"),
        documents=body.digests("documents"),
    )


def _use(body: _Body) -> Use:
    return Use(
        role=body.text("role", default="input"),
        name=body.text("name", default=""),
        version=body.text("version", default=""),
        content=body.maybe_digest("content"),
    )


def _input(body: _Body) -> Input:
    workspace = body.text("workspace", default="")
    return Input(body.address("workspace") if workspace else ZERO_ADDRESS, body.hex("artefact"), body.hex("head"))


def _endorse(body: _Body) -> EndorseIntent:
    return EndorseIntent(
        name=body.text("name"),
        action=body.text("action"),
        expected_head=body.hex("expected_head"),
        record=body.digest("record"),
        content=body.maybe_digest("content"),
        inputs_commitment=body.hex("inputs_commitment"),
        approve=body.truth("approve"),
    )


def _anchor(body: _Body) -> AnchorIntent:
    leaves = body.number("leaves", least=1)
    return AnchorIntent(body.hex("root"), leaves, body.maybe_digest("record"), body.digests("documents"))


def _grant(body: _Body) -> GrantIntent:
    return GrantIntent(
        key=body.address("key"),
        roles=body.number("roles"),
        artefact=body.hex("artefact"),
        expires=body.number("expires"),
        consent=body.hex("consent", length=None),
    )


def _revoke(body: _Body) -> RevokeIntent:
    return RevokeIntent(body.address("key"))


def _govern(body: _Body) -> GovernIntent:
    data = body.hex("data", length=None)
    return GovernIntent(body.number("action"), body.hex("salt"), data, body.digests("documents"))


def _relay(body: _Body) -> RelayIntent:
    return RelayIntent(
        call=body.hex("call", length=None),
        signer=body.address("signer"),
        nonce=body.number("nonce"),
        deadline=body.number("deadline"),
        signature=body.hex("signature", length=None),
        summary=body.text("summary", default=""),
        documents=body.digests("documents"),
    )


_READERS: dict[str, Callable[[_Body], TypedIntent]] = {
    "register": _register,
    "transition": _transition,
    "endorse": _endorse,
    "anchor": _anchor,
    "grant": _grant,
    "revoke": _revoke,
    "govern": _govern,
    "relay": _relay,
}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _digest_text(digest: bytes | None) -> str | None:
    return None if digest is None else format_digest(digest)


def _documents(documents: Sequence[bytes]) -> dict[str, object]:
    return {"documents": [format_digest(document) for document in documents]} if documents else {}


def _input_json(used: Input) -> dict[str, object]:
    return {"workspace": used.workspace, "artefact": _hex(used.artefact), "head": _hex(used.head)}
