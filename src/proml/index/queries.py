"""Questions to the read model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sql

from proml.index import artefacts, edges, membership, schema, snapshot
from proml.index.views import StatusView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from proml.core.workspace_file import WorkspaceFile
    from proml.index.views import (
        AnchorView,
        ArtefactView,
        BallotView,
        LifecycleView,
        MemberView,
        OrganisationView,
        Position,
        ProposalView,
        SessionView,
        Taint,
        TransitionView,
        VersionView,
    )


class ReadModel:
    """Answers from the index.

    Wherever an artefact is asked for, ``NAME``, ``NAME@VERSION``, ``NAME@0xHEADPREFIX``, ``0x`` + id (64 hex digits)
    and an id as bytes will do. What is not known raises UnknownName with close matches in its hint. Each answer sees
    one state of the index; all raise LocalStorageError or ConfigError if it cannot be read.

    Args:
        engine: See :func:`proml.index.schema.open_index`.
        workspace: The workspace file, for names.
    """

    def __init__(self, engine: Engine, workspace: WorkspaceFile) -> None:
        self.engine = engine
        self.workspace = workspace

    @contextmanager
    def look(self) -> Iterator[snapshot.Snapshot]:
        """Opens one consistent look for questions that need several lookups."""
        with snapshot.look(self.engine, self.workspace) as look:
            yield look

    def position(self) -> Position:
        """Returns up to where the index has followed the chain."""
        with self.look() as look:
            return look.position

    def artefact(self, reference: str | bytes) -> ArtefactView:
        """Returns an artefact as it is now; a version in the reference must exist."""
        with self.look() as look:
            found, version = artefacts.find(look, reference)
            if version is not None:
                artefacts.version_named(look, found, version)
            return artefacts.artefact_views(look, [found])[0]

    def artefacts(self, *, kind: str = "", state: str = "", owner: str = "") -> Sequence[ArtefactView]:
        """Returns all artefacts, by name, or those of a kind, state (by name) or owner (address)."""
        with self.look() as look:
            views = artefacts.artefact_views(look)
        wanted = {"kind": kind, "state": state, "owner": owner}
        return [
            view
            for view in views
            if all(getattr(view, key).lower() == value.lower() for key, value in wanted.items() if value)
        ]

    def history(self, reference: str | bytes, *, limit: int | None = None) -> Sequence[TransitionView]:
        """Returns an artefact's registration and transitions (the newest ``limit`` of them), oldest first."""
        with self.look() as look:
            return artefacts.history_views(look, artefacts.find(look, reference)[0], limit)

    def status(self, reference: str | bytes | None = None) -> StatusView:
        """Returns the workspace, or one artefact, at a glance."""
        with self.look() as look:
            one = None if reference is None else artefacts.find(look, reference)[0]
            views = artefacts.artefact_views(look, None if one is None else [one])
            current = [(view.id, view.version) for view in views]
            if one is None:
                taints = edges.tainted(look, current)
            else:
                taint = edges.taint_of(look, current[0])
                taints = {current[0]: taint} if taint is not None else {}
            r = schema.records
            missing = sql.select(sql.func.count()).select_from(r).where(r.c.state.in_(("missing", "damaged")))
            return StatusView(
                workspace=self.workspace.name,
                position=look.position,
                artefacts=tuple(views),
                ballots=tuple(artefacts.open_ballots(look, one)),
                taint=tuple(("0x" + v.id.hex(), taints[v.id, v.version]) for v in views if (v.id, v.version) in taints),
                missing_records=look.connection.execute(missing).scalar() or 0,
            )

    def versions(self, reference: str | bytes) -> Sequence[VersionView]:
        """Returns an artefact's versions, oldest first."""
        with self.look() as look:
            return artefacts.version_views(look, artefacts.find(look, reference)[0])

    def version(self, reference: str | bytes) -> VersionView:
        """Returns the version named, or the current one; UnknownName if there is none."""
        with self.look() as look:
            return artefacts.version_named(look, *artefacts.find(look, reference))

    def by_content(self, content: bytes) -> Sequence[VersionView]:
        """Returns the versions that have this content, current ones first; empty if there is none."""
        with self.look() as look:
            return artefacts.versions_with(look, content)

    def votes(self, reference: str | bytes | None = None) -> Sequence[BallotView]:
        """Returns the open ballots: those on current heads, of one artefact or of all."""
        with self.look() as look:
            return artefacts.open_ballots(look, None if reference is None else artefacts.find(look, reference)[0])

    def members(self) -> Sequence[MemberView]:
        """Returns everybody who is or was a member (roles 0), by organisation."""
        with self.look() as look:
            return membership.member_views(look)

    def organisations(self) -> Sequence[OrganisationView]:
        """Returns the organisations with their members that hold a role now."""
        with self.look() as look:
            return membership.organisation_views(look)

    def sessions(self, member: str = "") -> Sequence[SessionView]:
        """Returns the session keys, or those of a member, newest first."""
        with self.look() as look:
            return membership.session_views(look, member)

    def lifecycles(self) -> Sequence[LifecycleView]:
        """Returns the lifecycles on chain, by number."""
        with self.look() as look:
            return [machine.view for machine in look.machines.values()]

    def proposals(self) -> Sequence[ProposalView]:
        """Returns the governance proposals, newest first."""
        with self.look() as look:
            return membership.proposal_views(look)

    def anchors(self, actor: str = "") -> Sequence[AnchorView]:
        """Returns the anchored roots, or those of a member, oldest first."""
        with self.look() as look:
            return membership.anchor_views(look, actor)

    def taint(self, reference: str | bytes) -> Taint | None:
        """Returns the shortest path from a version (by default the current one) to a revoked ancestor, or None."""
        with self.look() as look:
            found, version = artefacts.find(look, reference)
            if version is not None:
                number = artefacts.version_named(look, found, version).number
            else:
                number = look.latest([found])[found].version
            return edges.taint_of(look, (found, number))

    def names(self) -> Sequence[str]:
        """Returns the names of all registered artefacts whose name is known, sorted."""
        r = schema.registrations
        with self.look() as look:
            registered = {row.artefact for row in look.all(sql.select(r.c.artefact))}
            return sorted(name for a, name in look.all_names().items() if a in registered and name is not None)
