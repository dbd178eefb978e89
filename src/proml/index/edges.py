"""The graph's edges: which version was made with, or decided by the help of, which other version.

Edges are read level by level in batches, so a walk costs a few queries per level however wide it is. An input names a
head; the version it means is the one that was current at that head.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sql

from proml.core.operation import ZERO_ADDRESS
from proml.index import schema
from proml.index.bodies import chunks
from proml.index.views import Taint, short

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from proml.index.snapshot import Snapshot

Version: TypeAlias = tuple[bytes, int]  # artefact, number of its version
_WALK_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition that used an input.

    Attributes:
        artefact: What was changed by the transition with this ``seq``, ``version`` being current after it.
        workspace: Where the input lives; empty for this workspace.
        input_version: None if no transition of this workspace has that head.
        address: The workspace as the chain has it: this workspace may be zero or its own address.
    """

    artefact: bytes
    seq: int
    version: int
    position: int
    workspace: str
    input: bytes
    input_head: bytes
    input_version: int | None
    address: str

    @property
    def user(self) -> Version:
        """The version that was changed."""
        return self.artefact, self.version

    @property
    def used(self) -> Version:
        """The version that was used; number -1 if unknown."""
        return self.input, -1 if self.input_version is None else self.input_version


def _select(contract: str) -> sql.Select[Any]:
    i, t = schema.inputs, schema.transitions
    own = i.c.workspace.in_((ZERO_ADDRESS, contract))
    at_head = sql.and_(t.c.head == i.c.input_head, t.c.artefact == i.c.input, own)
    return sql.select(i, t.c.version.label("input_version")).select_from(i.outerjoin(t, at_head))


def _edge(row: Any, contract: str) -> Edge:
    workspace = "" if row.workspace in (ZERO_ADDRESS, contract) else row.workspace
    return Edge(
        artefact=row.artefact,
        seq=row.seq,
        version=row.version,
        position=row.position,
        workspace=workspace,
        input=row.input,
        input_head=row.input_head,
        input_version=row.input_version,
        address=row.workspace,
    )


def inputs_of(snapshot: Snapshot, versions: Collection[Version]) -> list[Edge]:
    """Returns the inputs of versions; those used before an artefact's first content count for each of its versions."""
    contract = snapshot.workspace.contract
    wanted = _by_artefact(versions)
    found = []
    for some in chunks(wanted):
        query = _select(contract).where(schema.inputs.c.artefact.in_(some))
        found += [_edge(row, contract) for row in snapshot.all(query)]
    kept = [edge for edge in found if edge.version in wanted[edge.artefact] or edge.version == 0]
    return sorted(kept, key=lambda edge: (edge.artefact, edge.seq, edge.position))


def users_of(snapshot: Snapshot, versions: Collection[Version]) -> list[Edge]:
    """Returns the transitions that used versions."""
    contract = snapshot.workspace.contract
    wanted = _by_artefact(versions)
    found = []
    for some in chunks(wanted):
        query = _select(contract).where(schema.inputs.c.input.in_(some))
        found += [_edge(row, contract) for row in snapshot.all(query)]
    kept = [edge for edge in found if not edge.workspace and edge.used[1] in wanted[edge.input]]
    return sorted(kept, key=lambda edge: (edge.artefact, edge.seq, edge.position))


def _by_artefact(versions: Iterable[Version]) -> Mapping[bytes, set[int]]:
    wanted: defaultdict[bytes, set[int]] = defaultdict(set)
    for artefact, number in versions:
        wanted[artefact].add(number)
    return wanted


# -------------------------------------------------------------------------------------------------- revocation


@dataclass(frozen=True, slots=True)
class Revoked:
    """What is revoked now: artefacts (every version of them), and versions superseded while they were revoked."""

    artefacts: frozenset[bytes]
    versions: frozenset[Version]

    def __contains__(self, version: Version) -> bool:
        return version[0] in self.artefacts or version in self.versions

    def __bool__(self) -> bool:
        return bool(self.artefacts or self.versions)


def revoked_now(snapshot: Snapshot) -> Revoked:
    """Returns what is revoked now."""
    states = snapshot.revoked_states
    if not states:
        return Revoked(frozenset(), frozenset())
    t, after = schema.transitions, schema.transitions.alias("after")
    follows = sql.and_(after.c.artefact == t.c.artefact, after.c.seq == t.c.seq + 1)
    query = sql.select(
        t.c.artefact, t.c.lifecycle, t.c.to_state, t.c.version, after.c.version.label("next_version")
    ).select_from(t.outerjoin(after, follows))
    in_one = sql.or_(*(sql.and_(t.c.lifecycle == lifecycle, t.c.to_state == state) for lifecycle, state in states))
    rows = snapshot.all(query.where(in_one))
    return Revoked(
        frozenset(row.artefact for row in rows if row.next_version is None),
        frozenset((row.artefact, row.version) for row in rows if row.next_version not in (None, row.version)),
    )


def taint_of(snapshot: Snapshot, version: Version, revoked: Revoked | None = None) -> Taint | None:
    """Returns the shortest path from a version to a revoked ancestor (not itself), or None."""
    bad = revoked_now(snapshot) if revoked is None else revoked
    if not bad:
        return None
    came_from: dict[Version, Version | None] = {version: None}
    level = {version}
    while level and len(came_from) < _WALK_LIMIT:
        following: set[Version] = set()
        for edge in inputs_of(snapshot, level):
            # An input used before the first content counts for the versions of that artefact in this level.
            users = [edge.user] if edge.user in level else [v for v in level if v[0] == edge.artefact]
            if edge.workspace or edge.used in came_from:
                continue
            came_from[edge.used] = users[0]
            if edge.used in bad and edge.input != version[0]:
                return _taint(snapshot, edge.used, came_from)
            following.add(edge.used)
        level = following
    return None


def tainted(snapshot: Snapshot) -> dict[Version, Taint]:
    """Returns every version that has a revoked ancestor, with a shortest path to one."""
    bad = revoked_now(snapshot)
    if not bad:
        return {}
    level = set(bad.versions)
    level |= _versions_of(snapshot, bad.artefacts) | {(artefact, -1) for artefact in bad.artefacts}
    leads_to: dict[Version, Version | None] = dict.fromkeys(level)
    found: dict[Version, Taint] = {}
    while level and len(leads_to) < _WALK_LIMIT:
        following: set[Version] = set()
        for edge in users_of(snapshot, level):
            # What was used before the first content counts for every version.
            users = {edge.user} if edge.version else {edge.user} | _versions_of(snapshot, [edge.artefact])
            new = users - leads_to.keys()
            leads_to.update(dict.fromkeys(new, edge.used))
            following |= new
        level = following
    for version, nearer in leads_to.items():
        if nearer is not None:
            found[version] = _taint_downwards(snapshot, version, leads_to)
    return found


def _versions_of(snapshot: Snapshot, artefacts: Iterable[bytes]) -> set[Version]:
    t = schema.transitions
    found: set[Version] = set()
    for some in chunks(artefacts):
        rows = snapshot.all(sql.select(t.c.artefact, t.c.version).distinct().where(t.c.artefact.in_(some)))
        found |= {(row.artefact, row.version) for row in rows}
    return found


def label(snapshot: Snapshot, version: Version) -> str:
    """Returns NAME@NUMBER; ``?`` for a version that is unknown."""
    artefact, number = version
    return f"{snapshot.name(artefact) or short(artefact)}@{'?' if number < 0 else number}"


def _taint(snapshot: Snapshot, revoked: Version, came_from: Mapping[Version, Version | None]) -> Taint:
    path: list[Version] = []
    at: Version | None = revoked
    while at is not None:
        path.append(at)
        at = came_from[at]
    return _taint_along(snapshot, path[::-1])


def _taint_downwards(snapshot: Snapshot, version: Version, leads_to: Mapping[Version, Version | None]) -> Taint:
    path: list[Version] = []
    at: Version | None = version
    while at is not None:
        path.append(at)
        at = leads_to[at]
    return _taint_along(snapshot, path)


def _taint_along(snapshot: Snapshot, path: list[Version]) -> Taint:
    artefact = path[-1][0]
    last = snapshot.latest([artefact])[artefact]
    return Taint(
        artefact=artefact,
        label=label(snapshot, path[-1]),
        state=snapshot.state_name(last.lifecycle, last.to_state),
        path=tuple(label(snapshot, version) for version in path),
    )
