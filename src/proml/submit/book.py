"""The entries of one delivery in memory, written through to the outbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from proml.core.intent import TypedIntent, parse_intent
from proml.errors import ConflictError, ProMLError, UsageError
from proml.ports import Entry, Outbox
from proml.submit.given import GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Progress: TypeAlias = Callable[[int, int, Entry], None]
"""Called with the number of entries that are done, that of all to be sent, and the entry that just got done."""

_DONE = frozenset({"confirmed", "refused", "conflict"})


class Book:
    """Entries that may still change, by number. While the sender's lock is held, no other process changes them.

    Args:
        outbox: Where they are kept.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._version = outbox.version()
        self._typed: dict[int, TypedIntent] = {}
        self.errors: dict[int, ProMLError] = {}
        self.entries = {entry.number: entry for entry in outbox.unsettled()}
        self.selected: set[int] = set(self.entries)
        self._done: set[int] = set()
        self._transactions: dict[bytes, list[Entry]] | None = None
        self.revision = 0
        """Grows with every change of an entry."""
        self.progress: Progress | None = None

    def refresh(self) -> None:
        """Takes over what others did to the outbox while they had the sender's lock."""
        version = self._outbox.version()
        if version == self._version:
            return
        self._version = version
        found = {entry.number: entry for entry in self._outbox.unsettled()}
        found |= {number: self._outbox.entry(number) for number in self.entries.keys() - found.keys()}
        changed = [entry for number, entry in found.items() if entry != self.entries.get(number)]
        if changed:
            self._take(changed)

    def save(self, *entries: Entry) -> None:
        """Stores new versions of entries, all or none, then tells about those that got done."""
        self._outbox.update(entries)
        self._take(entries)

    def _take(self, entries: Sequence[Entry]) -> None:
        self.revision += 1
        self._transactions = None
        for entry in entries:
            self.entries[entry.number] = entry
            if entry.state in _DONE and entry.number in self.selected and entry.number not in self._done:
                self._done.add(entry.number)
                if self.progress is not None:
                    self.progress(len(self._done), len(self.selected), entry)

    def fail(self, error: ProMLError, *entries: Entry) -> None:
        """Marks entries as refused, or as a conflict, with the reason in words."""
        state = "conflict" if isinstance(error, ConflictError) else "refused"
        for entry in entries:
            self.errors[entry.number] = error
        self.save(*(replace(e, state=state, error=str(error), raw_transaction=b"") for e in entries))

    def unfinished(self) -> Iterator[tuple[Entry, TypedIntent]]:
        """Yields the entries that are not in a block, with their intents, oldest first; malformed ones get refused."""
        for number in sorted(self.entries):
            entry = self.entries[number]
            if entry.state not in ("confirmed", "dropped"):
                typed = self._parse(entry)
                if typed is not None:
                    yield self.entries[number], typed

    def typed(self, number: int) -> TypedIntent:
        """Returns the intent of an entry that was yielded by :meth:`unfinished` or sent before."""
        if number not in self._typed:
            self._typed[number] = parse_intent(self.entries[number].intent)
        return self._typed[number]

    def transactions(self) -> Mapping[bytes, Sequence[Entry]]:
        """Returns the entries whose transaction was handed in and is not final, by its hash, in order of sending."""
        if self._transactions is None:
            self._transactions = self._find_transactions()
        return self._transactions

    def _find_transactions(self) -> dict[bytes, list[Entry]]:
        found: dict[bytes, list[Entry]] = {}
        mine = (e for e in self.entries.values() if GIVEN not in e.detail)
        waiting = [e for e in mine if e.state in ("sent", "confirmed") and not e.final]
        for entry in sorted(waiting, key=lambda e: (nonce_of(e), e.number)):
            found.setdefault(entry.transaction_hash, []).append(entry)
        return found

    def _parse(self, entry: Entry) -> TypedIntent | None:
        try:
            return self.typed(entry.number)
        except UsageError as error:
            if entry.state == "pending" and entry.number in self.selected:
                self.fail(error, entry)
            return None


def nonce_of(entry: Entry) -> int:
    """Returns the nonce that a sent entry's transaction has; -1 if it was not sent."""
    nonce = entry.detail.get("nonce", -1)
    return nonce if isinstance(nonce, int) else -1
