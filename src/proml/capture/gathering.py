"""Reads what a run's journal says, but for the observations, into one value from which its records are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from proml.capture.journal import Segment, facts
from proml.core.intent import OBSERVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_OBSERVED_LISTS = {"output": "outputs", "code": "code", "without_digest": "without_digest"}
_FROM_MEMBERS = ("python", "platform", "environment", "hardware")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fact stands in the journal; facts of one segment are in the order in which they happened."""

    segment: int
    line: int

    def may_follow(self, other: Place) -> bool:
        """Tells whether this happened after the other, as far as can be known: clocks of processes are not compared."""
        return self.segment != other.segment or self.line > other.line


@dataclass(frozen=True, slots=True)
class Placed:
    """A fact and its place."""

    place: Place
    fact: Mapping[str, Any]


@dataclass(slots=True)
class Gathered:
    """All facts of a run.

    Attributes:
        members: First lines of the segments of processes that joined.
        leaves: How each process left.
        resources: The last that each process summed up of what it used, by its journal.
        observed: What `proml run` found out about files: a summary, and lists of files.
    """

    parameters: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    uses: list[Placed] = field(default_factory=list)
    publications: list[Placed] = field(default_factory=list)
    members: list[Mapping[str, Any]] = field(default_factory=list)
    leaves: list[Mapping[str, Any]] = field(default_factory=list)
    resources: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    observed: dict[str, Any] = field(default_factory=dict)

    def uses_of(self, publication: Placed) -> list[Mapping[str, Any]]:
        """Returns what a publication can have been made from: each input once, in order, and never itself."""
        made = publication.fact
        chosen: dict[tuple[object, ...], Mapping[str, Any]] = {}
        for used in self.uses:
            fact = used.fact
            is_itself = fact.get("content") == made["content"] and fact.get("name", made["name"]) == made["name"]
            across = used.place.segment != publication.place.segment
            if publication.place.may_follow(used.place) and not (is_itself and across):
                key = tuple(fact.get(name) for name in ("role", "name", "version", "content", "path"))
                chosen.setdefault(key, fact)
        return _told_once(chosen.values())

    def all_uses(self) -> list[Mapping[str, Any]]:
        """Returns everything that the run used."""
        return _told_once(used.fact for used in self.uses)

    def surroundings(self, start: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the start's facts, completed by those of the first process that joined, where it has none itself."""
        known = dict(start)
        for member in self.members:
            told = member.get("facts") or {}
            if not known.get("name") and member.get("name"):
                known["name"] = member["name"]
            if "python" not in known:
                known |= {key: told[key] for key in _FROM_MEMBERS if key in told}
                if told.get("entry_point"):
                    known["entry_point"] = told["entry_point"]
        return known


def gather(parts: Sequence[Segment]) -> Gathered:
    """Reads a journal's facts; a publication of the same content under the same name and action counts once."""
    gathered = Gathered()
    published: set[tuple[object, ...]] = set()
    for placed in _all(parts):
        fact = placed.fact
        if _take_found(gathered, fact):
            continue
        match fact.get("f"):
            case "parameters":
                gathered.parameters |= fact["values"]
            case "note":
                gathered.notes.append(fact["text"])
            case "use":
                gathered.uses.append(placed)
            case "publish":
                key = (fact["name"], fact["action"], fact["content"])
                if key not in published:
                    published.add(key)
                    gathered.publications.append(placed)
            case "process" if fact.get("role") == "member":
                gathered.members.append(fact)
            case "leave":
                gathered.leaves.append(fact)
    return gathered


def _told_once(uses: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns declared inputs, then those that were only observed and are not the same content."""
    known = list(uses)
    declared = [used for used in known if used.get("role") != OBSERVED]
    contents = {used.get("content") for used in declared}
    return declared + [used for used in known if used.get("role") == OBSERVED and used.get("content") not in contents]


def _take_found(gathered: Gathered, fact: Mapping[str, Any]) -> bool:
    """Takes a fact about files or about what was used of the machine, if it is one."""
    kind, observed = fact.get("f"), gathered.observed
    told = {key: value for key, value in fact.items() if key not in {"f", "t"}}
    if kind == "observed":
        observed |= told
    elif kind == "resources":
        gathered.resources[fact["journal"]] = told  # the last of each process has all
    elif kind in _OBSERVED_LISTS:
        observed.setdefault(_OBSERVED_LISTS[kind], []).append(told)
    else:
        return False
    return True


def _all(parts: Sequence[Segment]) -> Iterator[Placed]:
    for number, part in enumerate(parts):
        for line, fact in enumerate(facts(part)):
            yield Placed(Place(number, line), cast("Mapping[str, Any]", fact))
