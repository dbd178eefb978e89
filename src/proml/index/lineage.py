"""Where a version comes from, and what came of it: the graph of versions and of the activities between them.

The walk goes level by level, so a cycle (a model is approved on an evaluation of that same model) ends where it meets
what was seen. How a graph is written is :mod:`proml.index.lineage_drawing`'s and :mod:`proml.index.lineage_svg`'s.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.errors import UsageError
from proml.index import artefacts, edges, schema
from proml.index.bodies import chunks
from proml.index.views import LineageEdge, LineageGraph, LineageNode, short

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Row

    from proml.index.edges import Edge, Version
    from proml.index.queries import ReadModel
    from proml.index.snapshot import Body, Snapshot

FORMATS = ("text", "json", "dot", "mermaid", "svg")
_NODE_LIMIT = 2000


def lineage(
    model: ReadModel, reference: str | bytes, *, down: bool = False, depth: int | None = None, limit: int = _NODE_LIMIT
) -> LineageGraph:
    """Returns the graph of a version's ancestors or descendants.

    Args:
        model: The read model.
        reference: An artefact (its current version) or a version of it.
        down: Descendants instead of ancestors.
        depth: At most this many versions away; None is all.
        limit: At most about this many nodes; the graph says if something was cut off.

    Raises:
        UnknownName: There is no such artefact or version.
        UsageError: A negative depth.
    """
    if depth is not None and depth < 0:
        raise UsageError(f"expected a depth of 0 or more, found {depth}", hint="Leave it out to see everything.")
    with model.look() as look:
        artefact, version = artefacts.find(look, reference)
        if version is None:
            number = look.latest([artefact])[artefact].version
        else:
            number = artefacts.version_named(look, artefact, version).number
        return _Walk(look, down=down, limit=limit).graph((artefact, number), depth)


def render(graph: LineageGraph, form: str) -> str:
    """Returns the graph as ``text`` (a tree), ``json``, ``dot``, ``mermaid`` or ``svg``.

    Raises:
        UsageError: Another format.
    """
    from proml.index import lineage_drawing, lineage_svg  # noqa: PLC0415 - a command that shows JSON needs neither

    writers = {
        "text": lineage_drawing.draw_text,
        "json": lineage_drawing.write_json,
        "dot": lineage_drawing.draw_dot,
        "mermaid": lineage_drawing.draw_mermaid,
        "svg": lineage_svg.draw_svg,
    }
    if form not in writers:
        raise UsageError(f"expected one of the formats {', '.join(FORMATS)}, found {form!r}", hint="Use --format text.")
    return writers[form](graph)


class _Walk:
    """One walk over the graph, level by level."""

    def __init__(self, look: Snapshot, *, down: bool, limit: int) -> None:
        self._look = look
        self._down = down
        self._limit = limit
        self._revoked = edges.revoked_now(look)
        self._nodes: dict[str, LineageNode] = {}
        self._edges: dict[tuple[str, str, str], LineageEdge] = {}

    def graph(self, focus: Version, depth: int | None) -> LineageGraph:
        self._look.all_names()
        self._add_versions([focus], 0, {})
        level: Collection[Version] = [focus]
        at = 0
        truncated = False
        while level:
            found = edges.users_of(self._look, level) if self._down else edges.inputs_of(self._look, level)
            if (depth is not None and at >= depth) or len(self._nodes) > self._limit:
                truncated = bool(found)
                break
            level = self._descend(found, at + 1) if self._down else self._ascend(level, found, at + 1)
            at += 1
        return LineageGraph(
            focus=_version_key(focus),
            direction="down" if self._down else "up",
            nodes=tuple(self._nodes.values()),
            edges=tuple(self._edges.values()),
            truncated=truncated,
        )

    def _ascend(self, level: Collection[Version], found: Sequence[Edge], depth: int) -> list[Version]:
        """Adds what brought and decided the versions of a level, and what that used; returns the new versions."""
        rows = self._rows({artefact for artefact, _ in level})
        uses: dict[tuple[bytes, int], list[Edge]] = {}
        for edge in found:
            uses.setdefault((edge.artefact, edge.seq), []).append(edge)
        wanted = set(level)
        acting = []
        for key, row in rows.items():
            brings = row.content is not None and (row.artefact, row.version) in wanted
            if not brings and key not in uses:
                continue
            acting.append(row)
            # What was decided before the first content counts for each version.
            owners = [(row.artefact, row.version)] if row.version else [v for v in wanted if v[0] == row.artefact]
            for version in owners:
                self._add_edge(_version_key(version), _activity_key(row), "generated" if brings else "decided")
        bodies = self._add_activities(acting, depth)
        return self._add_used(found, bodies, rows, depth)

    def _descend(self, found: Sequence[Edge], depth: int) -> list[Version]:
        """Adds the activities that used the versions of a level, and what came of them; returns the new versions."""
        rows = self._rows({edge.artefact for edge in found})
        acting = {(edge.artefact, edge.seq): rows[edge.artefact, edge.seq] for edge in found}
        bodies = self._add_activities(list(acting.values()), depth)
        self._add_uses(found, rows, bodies)
        for edge in found:
            row = rows[edge.artefact, edge.seq]
            kind = "generated" if row.content is not None else "decided"
            self._add_edge(_version_key(edge.user), _activity_key(row), kind)
        return self._add_versions([edge.user for edge in found], depth, {})

    def _add_used(
        self, found: Sequence[Edge], bodies: dict[bytes, Body], rows: dict[tuple[bytes, int], Row[Any]], depth: int
    ) -> list[Version]:
        self._add_uses(found, rows, bodies)
        own = [edge for edge in found if not edge.workspace]
        for edge in found:
            if edge.workspace:
                self._add_foreign(edge, depth)
        return self._add_versions([edge.used for edge in own], depth, {edge.used: edge.input_head for edge in own})

    # -------------------------------------------------------------------------------------------------- nodes

    def _rows(self, ids: Collection[bytes]) -> dict[tuple[bytes, int], Row[Any]]:
        t = schema.transitions
        return {
            (row.artefact, row.seq): row
            for some in chunks(ids)
            for row in self._look.all(sql.select(t).where(t.c.artefact.in_(some)))
        }

    def _add_versions(self, versions: Collection[Version], depth: int, heads: dict[Version, bytes]) -> list[Version]:
        """Adds nodes for the versions not seen yet and returns these."""
        new = [version for version in dict.fromkeys(versions) if _version_key(version) not in self._nodes]
        rows = self._rows({artefact for artefact, _ in new})
        last: dict[Version, Row[Any]] = {}
        brought: dict[Version, Row[Any]] = {}
        for (artefact, seq), row in rows.items():
            version = (artefact, row.version)
            if version not in last or last[version].seq < seq:
                last[version] = row
            if row.content is not None:
                brought[version] = row
        for version in new:
            node = self._version_node(version, last.get(version), brought.get(version), depth)
            head = node.head or heads.get(version, b"")  # an input whose head this index does not know
            self._nodes[node.key] = dataclasses.replace(node, head=head)
        return [version for version in new if version[1] >= 0]

    def _version_node(
        self, version: Version, last: Row[Any] | None, brought: Row[Any] | None, depth: int
    ) -> LineageNode:
        look = self._look
        shown = brought if brought is not None else last
        kind = state = organisation = ""
        if last is not None:
            kind = look.machine(last.lifecycle).view.name
            state = look.state_name(last.lifecycle, last.to_state)
        if shown is not None:
            organisation = look.organisation_name(look.organisation(shown.actor))
        return LineageNode(
            key=_version_key(version),
            type="artefact",
            label=edges.label(look, version),
            depth=depth,
            kind=kind,
            state=state,
            revoked=version in self._revoked,
            artefact=version[0],
            version=version[1] if version[1] >= 0 else None,
            head=last.head if last is not None else b"",
            content=brought.content if brought is not None else b"",
            actor=shown.actor if shown is not None else "",
            organisation_name=organisation,
            timestamp=look.times([shown.block_number]).get(shown.block_number, 0) if shown is not None else 0,
        )

    def _add_foreign(self, edge: Edge, depth: int) -> None:
        key = _foreign_key(edge)
        label = f"{short(edge.input)} in {edge.workspace[:10]}…"
        if key not in self._nodes:
            self._nodes[key] = LineageNode(
                key=key,
                type="artefact",
                label=label,
                depth=depth,
                foreign=True,
                artefact=edge.input,
                head=edge.input_head,
            )

    def _add_activities(self, rows: Sequence[Row[Any]], depth: int) -> dict[bytes, Body]:
        look = self._look
        bodies = dict(look.bodies(row.record for row in rows))
        times = look.times(row.block_number for row in rows)
        for row in rows:
            key = _activity_key(row)
            if key in self._nodes:
                continue
            run = (bodies[row.record].json or {}).get("run")
            run = run if isinstance(run, dict) else {}
            self._nodes[key] = LineageNode(
                key=key,
                type="activity",
                label=look.action_name(row.lifecycle, row.rule),
                depth=depth,
                artefact=row.artefact,
                actor=row.actor,
                organisation_name=look.organisation_name(look.organisation(row.actor)),
                timestamp=times.get(row.block_number, 0),
                run=str(run.get("id", "")),
                run_name=str(run.get("name", "")),
            )
        return bodies

    # -------------------------------------------------------------------------------------------------- edges

    def _add_uses(
        self, found: Sequence[Edge], rows: Mapping[tuple[bytes, int], Row[Any]], bodies: Mapping[bytes, Body]
    ) -> None:
        used_by = {edge: rows[edge.artefact, edge.seq] for edge in found}
        roles = edges.roles_of(self._look, [(edge, bodies[row.record]) for edge, row in used_by.items()])
        for edge, row in used_by.items():
            target = _foreign_key(edge) if edge.workspace else _version_key(edge.used)
            self._add_edge(_activity_key(row), target, "used", roles[edge])

    def _add_edge(self, source: str, target: str, kind: str, role: str = "") -> None:
        self._edges.setdefault((source, target, kind), LineageEdge(source, target, kind, role))


def _version_key(version: Version) -> str:
    return f"{version[0].hex()}@{version[1]}"


def _foreign_key(edge: Edge) -> str:
    return f"{edge.workspace}:{edge.input.hex()}@{edge.input_head.hex()}"


def _activity_key(row: Row[Any]) -> str:
    return f"{row.artefact.hex()}#{row.seq}"
