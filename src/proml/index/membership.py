"""Members, organisations, session keys, proposals and anchors, as views."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.core.operation import ZERO, ZERO_ADDRESS
from proml.index import schema
from proml.index.views import AnchorView, MemberView, OrganisationView, ProposalView, SessionView

if TYPE_CHECKING:
    from sqlalchemy import Row

    from proml.index.snapshot import Snapshot

PROPOSAL_ACTIONS = {1: "set-member", 2: "set-quorum", 3: "add-lifecycle", 4: "recover", 5: "revoke-session"}
_VOIDING = (1, 2)  # executed changes of members or quorum begin a new epoch: approvals given before count no more


def member_views(snapshot: Snapshot) -> list[MemberView]:
    """Returns everybody who is or was a member, by organisation."""
    views = [
        MemberView(
            account=row.account,
            organisation=row.organisation,
            organisation_name=snapshot.organisation_name(row.organisation),
            roles=row.roles,
            role_names=snapshot.role_names(row.roles),
            block_number=row.block_number,
        )
        for row in snapshot.members.values()
    ]
    return sorted(views, key=lambda view: (view.organisation, view.block_number, view.account))


def organisation_views(snapshot: Snapshot) -> list[OrganisationView]:
    """Returns the organisations of the chain and of the workspace file, by number."""
    members: defaultdict[int, list[MemberView]] = defaultdict(list)
    for view in member_views(snapshot):
        if view.roles:
            members[view.organisation].append(view)
    numbers = sorted({row.organisation for row in snapshot.members.values()} | snapshot.workspace.organisations.keys())
    return [OrganisationView(n, snapshot.organisation_name(n), tuple(members[n])) for n in numbers]


def session_views(snapshot: Snapshot, member: str = "") -> list[SessionView]:
    """Returns the session keys as they were last granted or revoked, newest first."""
    s = schema.sessions
    rows = snapshot.all(sql.select(s).order_by(s.c.block_number, s.c.log_index))
    granted: dict[str, Row[Any]] = {}
    newest: dict[str, Row[Any]] = {}
    for row in rows:
        newest[row.key] = row
        if not row.revoked:
            granted[row.key] = row
    # What a revoked key was allowed stays worth knowing, so its last grant is shown with the mark.
    views = [_session_view(snapshot, granted.get(key, row), row) for key, row in newest.items()]
    return [view for view in reversed(views) if not member or view.member.lower() == member.lower()]


def _session_view(snapshot: Snapshot, grant: Row[Any], last: Row[Any]) -> SessionView:
    organisation = snapshot.organisation(grant.member)
    return SessionView(
        key=grant.key,
        member=grant.member,
        organisation=organisation,
        organisation_name=snapshot.organisation_name(organisation),
        roles=grant.roles,
        role_names=snapshot.role_names(grant.roles),
        artefact=b"" if grant.artefact == ZERO else grant.artefact,
        name=None if grant.artefact == ZERO else snapshot.name(grant.artefact),
        expires=grant.expires,
        revoked=last.revoked,
        block_number=last.block_number,
    )


def proposal_views(snapshot: Snapshot) -> list[ProposalView]:
    """Returns the governance proposals, newest first."""
    p, q = schema.proposals, schema.quorums
    rows = snapshot.all(sql.select(p).order_by(p.c.block_number, p.c.log_index))
    quorum = sql.select(q.c.quorum).order_by(q.c.block_number.desc(), q.c.log_index.desc()).limit(1)
    needed = snapshot.connection.execute(quorum).scalar() or 0
    approvals: defaultdict[bytes, list[Row[Any]]] = defaultdict(list)
    executed: set[bytes] = set()
    voided_at = (-1, -1)
    for row in rows:
        if row.executed:
            executed.add(row.proposal)
            if approvals[row.proposal] and approvals[row.proposal][0].action in _VOIDING:
                voided_at = (row.block_number, row.log_index)
        else:
            approvals[row.proposal].append(row)
    views = [
        _proposal_view(proposal, given, needed, executed=proposal in executed, voided_at=voided_at)
        for proposal, given in approvals.items()
        if given
    ]
    return sorted(views, key=lambda view: -view.block_number)


def _proposal_view(
    proposal: bytes, given: list[Row[Any]], needed: int, *, executed: bool, voided_at: tuple[int, int]
) -> ProposalView:
    first, last = given[0], given[-1]
    return ProposalView(
        proposal=proposal,
        action=first.action,
        action_name=PROPOSAL_ACTIONS.get(first.action, f"action {first.action}"),
        salt=first.salt,
        data=first.data,
        approvals=tuple((row.admin, row.organisation) for row in given if row.admin != ZERO_ADDRESS),
        needed=needed,
        executed=executed,
        void=not executed and (last.block_number, last.log_index) < voided_at,
        block_number=last.block_number,
    )


def anchor_views(snapshot: Snapshot, actor: str = "") -> list[AnchorView]:
    """Returns the anchored roots, or those of a member, oldest first."""
    a = schema.anchors
    query = sql.select(a).order_by(a.c.block_number, a.c.log_index)
    rows = snapshot.all(query if not actor else query.where(sql.func.lower(a.c.actor) == actor.lower()))
    times = snapshot.times(row.block_number for row in rows)
    return [
        AnchorView(
            actor=row.actor,
            key=row.key,
            root=row.root,
            leaves=row.leaves,
            head=row.head,
            block_number=row.block_number,
            transaction_hash=row.transaction_hash,
            timestamp=times.get(row.block_number, 0),
            confirmation=snapshot.confirmation(row.block_number),
        )
        for row in rows
    ]
