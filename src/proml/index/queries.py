"""Questions to the read model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    StatusView,
    Taint,
    TransitionView,
    VersionView,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from proml.core.workspace_file import WorkspaceFile


class ReadModel:
    """Answers from the index; also resolves names for :mod:`proml.submit`.

    Wherever an artefact is asked for, ``NAME``, ``NAME@VERSION``, ``NAME@0xHEADPREFIX``, ``0x`` + id (64 hex digits)
    and an id as bytes will do. What is not known raises UnknownName with close matches in its hint.
    """

    def __init__(self, engine: Engine, workspace: WorkspaceFile) -> None:
        self.engine = engine
        self.workspace = workspace

    def position(self) -> Position:
        """Returns up to where the index has followed the chain."""
        raise NotImplementedError

    def artefact(self, reference: str | bytes) -> ArtefactView:
        """Returns an artefact as it is now."""
        raise NotImplementedError

    def artefacts(self, *, kind: str = "", state: str = "", owner: str = "") -> Sequence[ArtefactView]:
        """Returns all artefacts, by name, or those of a kind, state (by name) or owner (address)."""
        raise NotImplementedError

    def history(self, reference: str | bytes) -> Sequence[TransitionView]:
        """Returns an artefact's registration and transitions, oldest first."""
        raise NotImplementedError

    def status(self, reference: str | bytes | None = None) -> StatusView:
        """Returns the workspace, or one artefact, at a glance."""
        raise NotImplementedError

    def versions(self, reference: str | bytes) -> Sequence[VersionView]:
        """Returns an artefact's versions, oldest first."""
        raise NotImplementedError

    def version(self, reference: str | bytes) -> VersionView:
        """Returns the version named, or the current one; UnknownName if there is none."""
        raise NotImplementedError

    def by_content(self, content: bytes) -> Sequence[VersionView]:
        """Returns the versions that have this content, current ones first; empty if there is none."""
        raise NotImplementedError

    def votes(self, reference: str | bytes | None = None) -> Sequence[BallotView]:
        """Returns the open ballots: those on current heads."""
        raise NotImplementedError

    def members(self) -> Sequence[MemberView]:
        """Returns everybody who is or was a member."""
        raise NotImplementedError

    def organisations(self) -> Sequence[OrganisationView]:
        """Returns the organisations with their members."""
        raise NotImplementedError

    def sessions(self, member: str = "") -> Sequence[SessionView]:
        """Returns the session keys, or those of a member."""
        raise NotImplementedError

    def lifecycles(self) -> Sequence[LifecycleView]:
        """Returns the lifecycles on chain."""
        raise NotImplementedError

    def proposals(self) -> Sequence[ProposalView]:
        """Returns the governance proposals, newest first."""
        raise NotImplementedError

    def anchors(self, actor: str = "") -> Sequence[AnchorView]:
        """Returns the anchored roots, or those of a member, oldest first."""
        raise NotImplementedError

    def taint(self, reference: str | bytes) -> Taint | None:
        """Returns the shortest path to a revoked ancestor, or None."""
        raise NotImplementedError
