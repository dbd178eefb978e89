"""Which entries of the outbox can go now, and what the others wait for. Pure.

Intents of one artefact go in order. One that failed holds back the later ones of its artefact, and nothing else. What
uses something that an earlier entry brings goes after it, since the head that it names is not known before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.core.intent import AnchorIntent, RegisterIntent, RelayIntent, TransitionIntent, TypedIntent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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
    """

    entry: Entry
    typed: TypedIntent
    missing_source: Entry | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What can go now, in order, and why the rest of what was asked for cannot.

    Attributes:
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
    return Plan(tuple(planner.ready), planner.waiting, planner.blocked)


class _Planner:
    """Takes entries one by one, oldest first."""

    def __init__(self, held: Mapping[int, str]) -> None:
        self.ready: list[Candidate] = []
        self.waiting: dict[int, str] = {}
        self.blocked: dict[int, str] = {}
        self._held = held
        self._failed: dict[str, Entry] = {}  # by artefact
        self._ahead: dict[str, Entry] = {}  # by artefact
        self._stuck: set[int] = set()  # failed, or behind one that failed
        self._sources: list[tuple[Entry, TypedIntent]] = []

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
            if entry.intent.artefact:
                self._failed.setdefault(line, entry)
        else:
            if is_wanted:
                self._place(entry, typed, line)
            if entry.intent.artefact or isinstance(typed, RelayIntent) or (is_anchor and entry.state == "sent"):
                self._ahead.setdefault(line, entry)
        if isinstance(typed, RegisterIntent | TransitionIntent):
            self._sources.append((entry, typed))

    def _place(self, entry: Entry, typed: TypedIntent, line: str) -> None:
        if line in self._failed:
            self.blocked[entry.number] = _blocked_by(self._failed[line])
            self._stuck.add(entry.number)
        elif entry.number in self._held:
            self.blocked[entry.number] = self._held[entry.number]
            self._stuck.add(entry.number)
        elif line in self._ahead:
            first = self._ahead[line]
            self.waiting[entry.number] = f"It follows entry {first.number}, which is not in a block yet."
            if first.number in self._stuck:
                self._stuck.add(entry.number)
        else:
            sources = self._sources_of(typed)
            coming = next((source for source in sources if source.number not in self._stuck), None)
            if coming is None:
                self.ready.append(Candidate(entry, typed, sources[0] if sources else None))
            else:
                self.waiting[entry.number] = f"It uses what entry {coming.number} ({coming.intent.artefact}) brings."

    def _sources_of(self, typed: TypedIntent) -> list[Entry]:
        if not isinstance(typed, TransitionIntent) or typed.inputs is not None or not typed.uses:
            return []
        names = {use.name for use in typed.uses if use.name}
        contents = {use.content for use in typed.uses if use.content is not None}
        return [
            entry
            for entry, source in self._sources
            if entry.intent.artefact in names or (isinstance(source, TransitionIntent) and source.content in contents)
        ]


def _blocked_by(entry: Entry) -> str:
    return (
        f"It waits for entry {entry.number} of {entry.intent.artefact}, which was not accepted ({entry.state}). "
        f"`proml sync --rebase {entry.number}` tries that one again, `proml sync --drop {entry.number}` gives it up."
    )
