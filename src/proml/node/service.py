"""What can be asked of a node, without HTTP: take intents and records in, tell what became of them, answer queries."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from proml.core.digest import format_digest, sha256
from proml.core.intent import Intent, documents_of, parse_intent
from proml.core.message_file import parse_message
from proml.errors import ConflictError, InvalidRecord, NotAvailable, UnreachableError
from proml.submit import deciding, relaying
from proml.submit.given import TAKEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.node.worker import Worker
    from proml.ports import Entry
    from proml.wiring import Participant

MOST_WAITING = 20_000
"""Entries that wait in the outbox from which on a node takes no more in."""
MOST_INTENTS = 500
MAX_DOCUMENT_BYTES = 64 << 20
_WAITING = ("pending", "sent")
_FAILED = ("refused", "conflict")
_DECIDED = {"rebase": ("pending", "sent", "confirmed"), "drop": ("dropped",)}
"""States of an entry that was decided about so before: whoever got no answer asks again."""


class Overloaded(UnreachableError):
    """The node has too much to send; the caller keeps what it has and tries later."""


class Service:
    """Answers the node's requests; safe for many threads.

    Args:
        participant: Whose working folder it serves; not the worker's, so that neither waits for the other.
        worker: Is called when there is something to send.
    """

    def __init__(self, participant: Participant, worker: Worker) -> None:
        self._participant = participant
        self._worker = worker
        self._relaying = threading.Lock()
        # Opened now: cached properties are not made for threads that ask for the first time at once.
        self._outbox, self._store, self._model = participant.outbox, participant.store, participant.model

    def health(self) -> dict[str, Any]:
        """Returns how the node is, for whoever watches it; nothing confidential."""
        pulse = self._worker.pulse
        return {
            "ok": not pulse.error,
            "error": pulse.error,
            "started": pulse.started,
            "rounds": pulse.rounds,
            "finished": pulse.finished,
            "block_number": pulse.block_number,
            "finalized": pulse.finalized,
            "waiting": self._outbox.count(*_WAITING),
        }

    def put(self, digest: bytes, data: bytes) -> None:
        """Keeps a document in the node's local store.

        Raises:
            InvalidRecord: The bytes have another digest, or are too many.
        """
        if len(data) > MAX_DOCUMENT_BYTES:
            raise InvalidRecord(f"Expected at most {MAX_DOCUMENT_BYTES} bytes, found {len(data)}.")
        if sha256(data) != digest:
            raise InvalidRecord(
                f"Expected bytes with the digest {format_digest(digest)}, found {format_digest(sha256(data))}.",
                hint="They were changed on the way. Send them again.",
            )
        self._store.put(data)

    def get(self, digest: bytes) -> bytes:
        """Returns a document; raises NotAvailable."""
        return self._store.get(digest)

    def has(self, digest: bytes) -> bool:
        """Tells whether the node has a document."""
        return self._store.has(digest)

    def take(self, intents: Sequence[Intent], *, again: bool = False) -> list[int]:
        """Takes intents in, all or none, durably; a key that is known keeps its entry.

        Args:
            intents: What is asked for.
            again: Whether it may be on the chain already, so that it is looked for there before it is sent.

        Raises:
            InvalidRecord: One is malformed, or of a kind that a node does not take from others.
            NotAvailable: The node lacks a document that one names; put it first.
            Overloaded: Too many wait already.
        """
        if not 1 <= len(intents) <= MOST_INTENTS:
            raise InvalidRecord(f"Expected 1 to {MOST_INTENTS} intents at once, found {len(intents)}.")
        for intent in intents:
            self._check(intent)
        if self._outbox.count(*_WAITING) + len(intents) > MOST_WAITING:
            raise Overloaded(
                f"the node has {MOST_WAITING} entries to send and takes no more for now.",
                hint="Nothing is lost: try again later.",
            )
        numbers = list(self._outbox.add(intents, {"signed": True} if again else None))
        self._worker.call()
        return numbers

    def relay(self, data: bytes) -> int:
        """Takes a message in that a member signed, checks it, and returns its entry's number.

        Raises:
            InvalidRecord: It is malformed.
            VerificationError, RefusedError, ConflictError, UsageError: As ``proml relay``.
        """
        message = parse_message(data, "the message")
        with self._relaying:  # or the same message, handed in twice at once, would be asked for twice
            known = relaying.find(self._outbox, message)
            if known is not None:
                return known.number
            self._participant.check_message(message)
            number = relaying.queue(self._participant.desk, message)
        self._worker.call()
        return number

    def outcome(self, number: int) -> dict[str, Any]:
        """Returns what became of an entry; raises UnknownName."""
        return entry_json(self._outbox.entry(number))

    def decide(self, number: int, key: object, decision: object) -> dict[str, Any]:
        """Lets an entry that a host handed in, and that failed, go again or be given up; returns what became of it.

        Raises:
            InvalidRecord: The decision is none.
            UnknownName: There is no such entry.
            ConflictError: It has another key, is of a kind that hosts do not hand in, or did not fail.
        """
        if decision not in ("rebase", "drop"):
            raise InvalidRecord(f'Expected "rebase" or "drop" as the decision, found {decision!r:.40}.')
        entry = self._outbox.entry(number)
        if entry.intent.key != key or entry.intent.kind not in TAKEN:
            raise ConflictError(
                f"entry {number} of the node is not the one that was handed in.",
                hint="The node's outbox is not the one it was. Ask whoever runs it.",
            )
        if entry.state in _FAILED:
            # Only these: a host could otherwise take back what another one handed in.
            decide = deciding.rebase if decision == "rebase" else deciding.drop
            entry = decide(self._outbox, self._participant.identity.address, number)
            self._worker.call()
        elif entry.state not in _DECIDED[decision]:
            raise ConflictError(
                f"entry {number} of the node is {entry.state}: only what was refused, or is in conflict, can be "
                "sent again or given up.",
                hint="`proml sync` shows what becomes of it.",
            )
        return entry_json(entry)

    def status(self, name: str | None = None) -> dict[str, Any]:
        """Returns state, owner, version, votes and taint of one artefact or of all; raises UnknownName."""
        return dict(self._model.status(name).to_json())

    def history(self, name: str) -> dict[str, Any]:
        """Returns an artefact and its transitions, newest first; raises UnknownName."""
        artefact = self._model.artefact(name)
        return {
            "artefact": artefact.to_json(),
            "history": [transition.to_json() for transition in reversed(self._model.history(name))],
        }

    def _check(self, intent: Intent) -> None:
        if intent.kind not in TAKEN:
            raise InvalidRecord(
                f"A node takes {', '.join(sorted(TAKEN))} from others, not {intent.kind!r:.40}.",
                hint="Do it in a working folder of your own, or sign a message (`--sign`) that the node relays.",
            )
        for digest in documents_of(parse_intent(intent)):
            if not self._store.has(digest):
                raise NotAvailable(
                    f"the node lacks the document {format_digest(digest)} of {intent.artefact or intent.kind}.",
                    hint="Put it there first.",
                )


def entry_json(entry: Entry) -> dict[str, Any]:
    """Returns what became of an entry, as it goes over the wire."""
    return {
        "key": entry.intent.key,
        "entry": entry.number,
        "state": entry.state,
        "transaction": f"0x{entry.transaction_hash.hex()}",
        "block_number": entry.block_number,
        "block_hash": f"0x{entry.block_hash.hex()}",
        "gas_used": entry.gas_used,
        "confirmed_ns": entry.confirmed_ns,
        "error": entry.error,
        "final": entry.final,
        "created_ns": entry.created_ns,
    }


def intent_of(document: Mapping[str, Any]) -> Intent:
    """Returns an intent from its JSON form; raises InvalidRecord."""
    fields = {"key": str, "kind": str, "artefact": str, "body": dict}
    if set(document) != set(fields) or not all(isinstance(document[name], kind) for name, kind in fields.items()):
        raise InvalidRecord("Expected an intent with key, kind, artefact (texts) and body (an object).")
    return Intent(document["key"], document["kind"], document["body"], document["artefact"])
