"""Which entries of the outbox can go now, and what the others wait for. Pure.

Intents of one artefact go in order. Transitions that build on each other may go together, as a sequence in one
transaction. One that failed holds back the later ones of its artefact, and nothing else; not even these, if the rules
refused it and whoever asked for it is told at once. What uses something that an
earlier entry brings goes after it, since the head that it names is not known before; and what changes something goes
after the earlier entries that use it as it is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.core.intent import AnchorIntent, RegisterIntent, RelayIntent, TransitionIntent, TypedIntent
from proml.ports import ATTENDED
from proml.submit.bound import MAX_BATCH
from proml.submit.given import GIVEN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from proml.ports import Entry

_FAILED = frozenset({"refused", "conflict"})
_ANCHORS = "anchors of the member"  # no artefact's name: names have no spaces


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that can go.

    Attributes:
        typed: Its intent.
        missing_source: An earlier entry that failed, or waits for one that failed, and that would have brought
            something which this one uses; it explains why an input cannot be found.
        follows: Number of the entry just before it in the plan whose artefact this one changes next; it can go only in
            the same transaction as that one, or after it.
    """

    entry: Entry
    typed: TypedIntent
    missing_source: Entry | None = None
    follows: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What can go now, in order, and why the rest of what was asked for cannot.

    Attributes:
        ready: Sequences after each other, by their first entries.
        waiting: Reasons by entry number; these go in a later round of the same delivery.
        blocked: Reasons by entry number; these stay until somebody decides about the failed entry.
    """

    ready: tuple[Candidate, ...] = ()
    waiting: Mapping[int, str] = field(default_factory=dict)
    blocked: Mapping[int, str] = field(default_factory=dict)


def select(entries: Iterable[Entry], only: Collection[int] | None) -> set[int]:
    """Returns the numbers to be sent: all, or those named with everything earlier of the same artefacts."""
    known = list(entries)
    if only is None:
        return {entry.number for entry in known}
    last: dict[str, int] = {}
    for entry in known:
        if entry.number in only and entry.intent.artefact:
            last[entry.intent.artefact] = entry.number
    return {e.number for e in known if e.number in only or e.number <= last.get(e.intent.artefact, 0)}


def plan(entries: Iterable[tuple[Entry, TypedIntent]], selected: Collection[int], held: Mapping[int, str]) -> Plan:
    """Returns what can go now.

    Args:
        entries: Entries not yet confirmed or dropped with their intents, oldest first.
        selected: Numbers of those that shall be sent.
        held: Numbers of those that cannot go in this delivery, with the reason (a store that does not answer).
    """
    planner = _Planner(held)
    for entry, typed in entries:
        planner.take(entry, typed, is_wanted=entry.state == "pending" and entry.number in selected)
    return Plan(tuple(itertools.chain.from_iterable(planner.sequences)), planner.waiting, planner.blocked)


class _Planner:
    """Takes entries one by one, oldest first."""

    def __init__(self, held: Mapping[int, str]) -> None:
        self.sequences: list[list[Candidate]] = []
        self.waiting: dict[int, str] = {}
        self.blocked: dict[int, str] = {}
        self._held = held
        self._failed: dict[str, Entry] = {}  # by artefact
        self._ahead: dict[str, Entry] = {}  # by artefact
        self._open: dict[str, list[Candidate]] = {}  # by artefact: the sequence that the next one may go on with
        self._stuck: set[int] = set()  # failed, or behind one that failed
        self._users: dict[str, Entry] = {}  # by name of an artefact: what waits and uses it
        self._sources: dict[str | bytes, list[Entry]] = {}  # by artefact and by content: what would bring it

    def take(self, entry: Entry, typed: TypedIntent, *, is_wanted: bool) -> None:
        # A member's anchors form one hash chain, as the transitions of an artefact do; those that can go together are
        # combined, so they follow only what was sent already.
        is_anchor = isinstance(typed, AnchorIntent)
        line = _ANCHORS if is_anchor else entry.intent.artefact
        if isinstance(typed, RelayIntent):
            # One signer's messages are numbered; one that failed says nothing about the next.
            line = f"messages of {typed.signer}"
        if entry.state in _FAILED:
            self._stuck.add(entry.number)
            is_passed = entry.state == "refused" and ATTENDED in entry.detail
            if entry.intent.artefact and not is_passed:
                self._failed.setdefault(line, entry)
        else:
            sequence = self._place(entry, typed, line) if is_wanted else None
            if sequence is not None:
                self._open[line] = sequence
            else:
                self._open.pop(line, None)
            if entry.intent.artefact or isinstance(typed, RelayIntent) or (is_anchor and entry.state == "sent"):
                self._ahead.setdefault(line, entry)
        if isinstance(typed, RegisterIntent | TransitionIntent):
            self._sources.setdefault(entry.intent.artefact, []).append(entry)
        if isinstance(typed, TransitionIntent) and typed.content:
            self._sources.setdefault(typed.content, []).append(entry)

    def _place(self, entry: Entry, typed: TypedIntent, line: str) -> list[Candidate] | None:
        """Puts an entry where it belongs; returns the sequence that it went to, if another may go on with that."""
        if line in self._failed:
            self.blocked[entry.number] = _blocked_by(self._failed[line])
            self._stuck.add(entry.number)
        elif entry.number in self._held:
            self.blocked[entry.number] = self._held[entry.number]
            self._stuck.add(entry.number)
        elif line in self._ahead:
            sequence = self._open.get(line)
            if sequence and self._can_go_on(sequence, typed, line):
                sequence.append(Candidate(entry, typed, follows=sequence[-1].entry.number))
                return sequence
            first = self._ahead[line]
            if GIVEN in first.detail:
                self.blocked[entry.number] = _blocked_by_given(first)
                self._stuck.add(entry.number)
                return None
            if first.number in self._stuck:
                self._stuck.add(entry.number)
            self._wait(entry, typed, f"It follows entry {first.number}, which is not in a block yet.")
        elif line in self._users and isinstance(typed, TransitionIntent):
            user = self._users[line]
            self._wait(entry, typed, f"It changes what entry {user.number} ({user.intent.artefact}) uses as it is.")
        else:
            sources = self._sources_of(typed)
            coming = next((source for source in sources if source.number not in self._stuck), None)
            if coming is None:
                sequence = [Candidate(entry, typed, sources[0] if sources else None)]
                self.sequences.append(sequence)
                return sequence if isinstance(typed, TransitionIntent) else None
            self._wait(entry, typed, f"It uses what entry {coming.number} ({coming.intent.artefact}) brings.")
        return None

    def _can_go_on(self, sequence: Sequence[Candidate], typed: TypedIntent, line: str) -> bool:
        is_change = isinstance(typed, TransitionIntent) and line not in self._users
        return is_change and not self._sources_of(typed) and len(sequence) < MAX_BATCH

    def _wait(self, entry: Entry, typed: TypedIntent, reason: str) -> None:
        self.waiting[entry.number] = reason
        if isinstance(typed, TransitionIntent) and entry.number not in self._stuck:
            used = {use.name for use in typed.uses if use.name}
            for name in used | {source.intent.artefact for source in self._sources_of(typed)}:
                self._users.setdefault(name, entry)

    def _sources_of(self, typed: TypedIntent) -> list[Entry]:
        if not isinstance(typed, TransitionIntent) or typed.inputs is not None or not typed.uses:
            return []
        wanted = {key for use in typed.uses for key in (use.name, use.content) if key}
        found = {entry.number: entry for key in wanted for entry in self._sources.get(key, ())}
        return [found[number] for number in sorted(found)]


def _blocked_by_given(entry: Entry) -> str:
    return (
        f"It follows entry {entry.number}, which was given to the node {entry.detail[GIVEN]}. Let this folder give to "
        f"it again (PROML_NODE); or, if it will never send it, `proml sync --rebase {entry.number}` sends it from here."
    )


def _blocked_by(entry: Entry) -> str:
    return (
        f"It waits for entry {entry.number} of {entry.intent.artefact}, which was not accepted ({entry.state}). "
        f"`proml sync --rebase {entry.number}` tries that one again, `proml sync --drop {entry.number}` gives it up."
    )
