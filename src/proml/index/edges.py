"""The graph's edges: which version was made with, or decided by the help of, which other version.

Edges are read level by level in batches, so a walk costs a few queries per level however wide it is. An input names a
head; the version it means is the one that was current at that head.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sql

from proml.core.digest import format_digest
from proml.core.operation import ZERO_ADDRESS
from proml.index import schema
from proml.index.bodies import chunks
from proml.index.views import Taint, short

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from proml.index.snapshot import Body, Snapshot

Version: TypeAlias = tuple[bytes, int]  # artefact, number of its version
_LEVEL_BY_LEVEL = 500  # versions asked for one level at a time before all links are read at once


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
    """Returns the inputs of versions; those used before an artefact's first content count for each of its versions.

    Each artefact's inputs are read once in a snapshot, since walks come back to an artefact for other versions of it.
    """
    contract = snapshot.workspace.contract
    wanted = _by_artefact(versions)
    known: dict[bytes, list[Edge]] = snapshot.known_inputs
    for some in chunks(artefact for artefact in wanted if artefact not in known):
        query = _select(contract).where(schema.inputs.c.artefact.in_(some))
        known.update({artefact: [] for artefact in some})
        for row in snapshot.all(query.order_by(schema.inputs.c.seq, schema.inputs.c.position)):
            known[row.artefact].append(_edge(row, contract))
    return [
        edge
        for artefact in sorted(wanted)
        for edge in known[artefact]
        if edge.version in wanted[artefact] or edge.version == 0
    ]


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


def roles_in(body: Body) -> dict[str, str]:
    """Returns the roles in which a record says that it used things, by name and by content digest ``sha256:…``."""
    uses = body.json.get("uses") if body.json else None
    found: dict[str, str] = {}
    for use in uses if isinstance(uses, list) else ():
        if isinstance(use, dict):
            for key in (use.get("name"), use.get("content")):
                if key:
                    found.setdefault(str(key), str(use.get("role", "")))
    return found


def roles_of(snapshot: Snapshot, uses: Iterable[tuple[Edge, Body]]) -> dict[Edge, str]:
    """Returns the role of each input, as the record of the transition that used it says; empty if it says none.

    A script may name a file only; what the record then shares with the input is the content.
    """
    uses = list(uses)
    told = [roles_in(body) for _, body in uses]
    named = [None if edge.workspace else snapshot.name(edge.input) for edge, _ in uses]
    rest = {edge.used for (edge, _), roles, name in zip(uses, told, named, strict=True) if (name or "") not in roles}
    contents = _contents_of(snapshot, rest)
    found = {}
    for (edge, _), roles, name in zip(uses, told, named, strict=True):
        content = contents.get(edge.used)
        by_content = roles.get(format_digest(content), "") if content else ""
        found[edge] = roles.get(name or "", by_content)
    return found


def _contents_of(snapshot: Snapshot, versions: Collection[Version]) -> dict[Version, bytes]:
    wanted = _by_artefact(versions)
    t = schema.transitions
    found = {}
    for some in chunks(wanted):
        query = sql.select(t.c.artefact, t.c.version, t.c.content).where(t.c.artefact.in_(some))
        for row in snapshot.all(query.where(t.c.content.is_not(None))):
            found[row.artefact, row.version] = row.content
    return found


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


class _Links:
    """Pairs (user, used) next to versions: read level by level, and all at once when a walk gets long."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._asked = 0
        self._uses: defaultdict[Version, list[Version]] | None = None
        self._users: defaultdict[Version, list[Version]] = defaultdict(list)

    def uses(self, level: Collection[Version]) -> list[tuple[Version, Version]]:
        """Returns what these versions used; before an artefact's first content counts for each of its versions."""
        if not self._all_read(level):
            numbers = _by_artefact(level)
            return [
                ((edge.artefact, number), edge.used)
                for edge in inputs_of(self._snapshot, level)
                if not edge.workspace
                for number in ({edge.version} & numbers[edge.artefact] or numbers[edge.artefact])
            ]
        uses: Mapping[Version, list[Version]] = self._uses or {}
        at_once = [(user, used) for user in level for used in uses.get(user, ())]
        return at_once + [(user, used) for user in level if user[1] for used in uses.get((user[0], 0), ())]

    def users(self, level: Collection[Version]) -> list[tuple[Version, Version]]:
        """Returns what used these versions."""
        if self._all_read(level):
            return [(user, used) for used in level for user in self._users.get(used, ())]
        return [(edge.user, edge.used) for edge in users_of(self._snapshot, level)]

    def _all_read(self, level: Collection[Version]) -> bool:
        self._asked += len(level)
        if self._uses is None and self._asked > _LEVEL_BY_LEVEL:
            self._uses = defaultdict(list)
            query = _select(self._snapshot.workspace.contract)
            i, t = schema.inputs, schema.transitions
            own = i.c.workspace.in_((ZERO_ADDRESS, self._snapshot.workspace.contract))
            columns = query.with_only_columns(i.c.artefact, i.c.version, i.c.input, t.c.version).where(own)
            for artefact, version, used, number in self._snapshot.connection.execute(columns):
                source, target = (artefact, version), (used, -1 if number is None else number)
                self._uses[source].append(target)
                self._users[target].append(source)
        return self._uses is not None


def taint_of(snapshot: Snapshot, version: Version) -> Taint | None:
    """Returns the shortest path from a version to a revoked ancestor (not itself), or None."""
    bad = revoked_now(snapshot)
    if not bad:
        return None
    links = _Links(snapshot)
    came_from: dict[Version, Version | None] = {version: None}
    level = {version}
    while level:
        following: set[Version] = set()
        for user, used in links.uses(level):
            if used in came_from:
                continue
            came_from[used] = user
            if used in bad and used[0] != version[0]:
                return _taint(snapshot, _path(used, came_from)[::-1])
            following.add(used)
        level = following
    return None


def tainted(snapshot: Snapshot, versions: Iterable[Version]) -> dict[Version, Taint]:
    """Returns those of the versions that have a revoked ancestor, each with a shortest path to one."""
    bad = revoked_now(snapshot)
    if not bad:
        return {}
    links = _Links(snapshot)
    level = set(bad.versions) | _versions_of(snapshot, bad.artefacts) | {(artefact, -1) for artefact in bad.artefacts}
    leads_to: dict[Version, Version | None] = dict.fromkeys(level)
    while level:
        following: set[Version] = set()
        for user, used in links.users(level):
            # What was used before the first content counts for every version.
            users = {user} if user[1] else {user} | _versions_of(snapshot, [user[0]])
            new = {one for one in users if one not in leads_to}
            leads_to.update(dict.fromkeys(new, used))
            following |= new
        level = following
    return {
        version: _taint(snapshot, _path(version, leads_to)) for version in versions if leads_to.get(version) is not None
    }


def _path(start: Version, following: Mapping[Version, Version | None]) -> list[Version]:
    path = [start]
    while (after := following[path[-1]]) is not None:
        path.append(after)
    return path


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


def _taint(snapshot: Snapshot, path: list[Version]) -> Taint:
    artefact = path[-1][0]
    last = snapshot.last(artefact)
    return Taint(
        artefact=artefact,
        label=label(snapshot, path[-1]),
        state=snapshot.state_name(last.lifecycle, last.to_state),
        path=tuple(label(snapshot, version) for version in path),
    )
