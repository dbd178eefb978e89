"""Artefacts, their histories, versions and ballots, as views."""

from __future__ import annotations

import difflib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.core import heads
from proml.core.name import artefact_id, parse_reference
from proml.core.operation import ZERO
from proml.errors import InvalidName, UnknownName
from proml.index import schema
from proml.index.bodies import chunks
from proml.index.edges import Edge, Revoked, inputs_of, revoked_now, roles_of
from proml.index.views import REVOKED, ArtefactView, BallotView, InputView, TransitionView, VersionView, VoteView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Row

    from proml.index.snapshot import Body, Snapshot

_ID_CHARACTERS = 66


# ---------------------------------------------------------------------------------------------------- finding


def find(snapshot: Snapshot, reference: str | bytes) -> tuple[bytes, str | None]:
    """Returns the id of a registered artefact, and the version named, if any.

    Raises:
        UnknownName: Nothing is registered under it; the hint names close matches.
        InvalidName: It is malformed.
    """
    name: str | None = None
    version: str | None = None
    if isinstance(reference, bytes):
        artefact = reference
    elif len(reference) == _ID_CHARACTERS and reference.startswith("0x"):
        artefact = _parse_id(reference)
    else:
        name, version = parse_reference(reference)
        artefact = artefact_id(snapshot.workspace.name_key, name)
    shown = name or "0x" + artefact.hex()
    r = schema.registrations.c
    if snapshot.connection.execute(sql.select(r.artefact).where(r.artefact == artefact)).first() is None:
        raise UnknownName(
            f"no artefact {shown!r} is registered in workspace {snapshot.workspace.name!r}",
            hint=_suggestion(shown, [name for name in snapshot.all_names().values() if name is not None]),
        )
    if name is not None:
        snapshot.learn(artefact, name)
    return artefact, version


def _parse_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidName(f"expected an id (0x and 64 hexadecimal digits), found {text!r}") from error


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return "See 'proml status' for the artefacts there are; 'proml sync' if it is new."


# -------------------------------------------------------------------------------------------------- artefacts


def artefact_views(snapshot: Snapshot, artefacts: Iterable[bytes] | None = None) -> list[ArtefactView]:
    """Returns these artefacts (all by default) as they are now, by label."""
    rows = snapshot.latest(artefacts)
    if artefacts is None:
        snapshot.load_owners()
        snapshot.all_names()
    contents = _current_contents(snapshot, rows)
    times = snapshot.times(row.block_number for row in rows.values())
    views = [_artefact_view(snapshot, row, contents.get(row.artefact, b""), times) for row in rows.values()]
    return sorted(views, key=lambda view: (view.name is None, view.label))


def _current_contents(snapshot: Snapshot, rows: Mapping[bytes, Row[Any]]) -> dict[bytes, bytes]:
    t = schema.transitions
    brought = t.c.content.is_not(None)
    found = {}
    for some in chunks(a for a, row in rows.items() if row.version > 0):
        query = sql.select(t.c.artefact, t.c.version, t.c.content).where(t.c.artefact.in_(some), brought)
        for row in snapshot.all(query):
            if row.version == rows[row.artefact].version:
                found[row.artefact] = row.content
    return found


def _artefact_view(snapshot: Snapshot, row: Row[Any], content: bytes, times: Mapping[int, int]) -> ArtefactView:
    owner = snapshot.owner(row.artefact)
    organisation = snapshot.organisation(owner)
    return ArtefactView(
        name=snapshot.name(row.artefact),
        id=row.artefact,
        kind=snapshot.machine(row.lifecycle).view.name,
        lifecycle=row.lifecycle,
        owner=owner,
        organisation=organisation,
        organisation_name=snapshot.organisation_name(organisation),
        state=snapshot.state_name(row.lifecycle, row.to_state),
        state_number=row.to_state,
        flags=snapshot.flags(row.lifecycle, row.to_state),
        seq=row.seq,
        head=row.head,
        version=row.version,
        content=content,
        changed_at=times.get(row.block_number, 0),
        block_number=row.block_number,
        confirmation=snapshot.confirmation(row.block_number),
        record_digest=row.record,
    )


# --------------------------------------------------------------------------------------------------- versions


def version_views(snapshot: Snapshot, artefact: bytes) -> list[VersionView]:
    """Returns an artefact's versions, oldest first."""
    rows = snapshot.rows_of(artefact)
    last_of: dict[int, Row[Any]] = {row.version: row for row in rows}
    brought = [row for row in rows if row.content is not None]
    bodies = snapshot.bodies(row.record for row in brought)
    times = snapshot.times(row.block_number for row in brought)
    revoked = bool(snapshot.flags(rows[-1].lifecycle, rows[-1].to_state) & REVOKED) if rows else False
    return [
        _version_view(snapshot, row, last_of[row.version], bodies[row.record], (times, revoked, rows[-1].version))
        for row in brought
    ]


def _version_view(
    snapshot: Snapshot, row: Row[Any], last: Row[Any], body: Body, present: tuple[Mapping[int, int], bool, int]
) -> VersionView:
    times, artefact_revoked, current = present
    organisation = snapshot.organisation(row.actor)
    return VersionView(
        artefact=row.artefact,
        name=snapshot.name(row.artefact),
        kind=snapshot.machine(row.lifecycle).view.name,
        number=row.version,
        content=row.content,
        head=row.head,
        last_head=last.head,
        seq=row.seq,
        state=snapshot.state_name(last.lifecycle, last.to_state),
        revoked=artefact_revoked or bool(snapshot.flags(last.lifecycle, last.to_state) & REVOKED),
        current=row.version == current,
        actor=row.actor,
        organisation=organisation,
        organisation_name=snapshot.organisation_name(organisation),
        record_digest=row.record,
        record=body.json,
        block_number=row.block_number,
        transaction_hash=row.transaction_hash,
        timestamp=times.get(row.block_number, 0),
    )


def version_named(snapshot: Snapshot, artefact: bytes, version: str | None) -> VersionView:
    """Returns a version by number or head prefix, or the current one; raises UnknownName."""
    views = version_views(snapshot, artefact)
    shown = snapshot.name(artefact) or "0x" + artefact.hex()
    if not views:
        raise UnknownName(
            f"{shown} has no version yet: no transition brought content", hint=f"See 'proml log {shown}'."
        )
    if version is None:
        return views[-1]
    if version.startswith("0x"):
        numbers = {row.version for row in snapshot.rows_of(artefact) if row.head.hex().startswith(version[2:])}
    else:
        numbers = {int(version)}
    found = [view for view in views if view.number in numbers]
    if len(found) == 1:
        return found[0]
    what = "more than one version" if found else "no version"
    raise UnknownName(
        f"{shown} has {what} {version}; its versions are 1 to {views[-1].number}", hint=f"See 'proml log {shown}'."
    )


def versions_with(snapshot: Snapshot, content: bytes) -> list[VersionView]:
    """Returns the versions with this content: current ones first, then the newest."""
    t = schema.transitions.c
    artefacts = snapshot.connection.execute(sql.select(t.artefact).distinct().where(t.content == content)).scalars()
    views = [view for artefact in artefacts.all() for view in version_views(snapshot, artefact)]
    found = [view for view in views if view.content == content]
    return sorted(found, key=lambda view: (not view.current, view.revoked, -view.block_number, view.label))


# ---------------------------------------------------------------------------------------------------- history


def history_views(snapshot: Snapshot, artefact: bytes, limit: int | None = None) -> list[TransitionView]:
    """Returns an artefact's registration and transitions (the newest ``limit`` of them), oldest first."""
    rows = snapshot.rows_of(artefact)
    if limit is not None:
        rows = rows[max(len(rows) - limit, 0) :]
    bodies = snapshot.bodies(row.record for row in rows)
    snapshot.times(row.block_number for row in rows)
    edges: defaultdict[int, list[Edge]] = defaultdict(list)
    for edge in inputs_of(snapshot, {(row.artefact, row.version) for row in rows}):
        edges[edge.seq].append(edge)
    ballots = {row.seq: _ballot_of(row) for row in rows if row.votes_commitment != ZERO}
    votes = vote_views(snapshot, ballots.values())
    inputs = _InputViews(snapshot, [edge for row in rows for edge in edges[row.seq]])
    return [
        _transition_view(
            snapshot,
            row,
            bodies[row.record],
            inputs.views(edges[row.seq], bodies[row.record]),
            tuple(votes.get(ballots.get(row.seq, b""), ())),
        )
        for row in rows
    ]


def _ballot_of(row: Row[Any]) -> bytes:
    return heads.ballot_id(row.artefact, row.previous_head, row.rule, row.content or ZERO, row.inputs_commitment)


def _transition_view(
    snapshot: Snapshot, row: Row[Any], body: Body, inputs: tuple[InputView, ...], votes: tuple[VoteView, ...]
) -> TransitionView:
    organisation = snapshot.organisation(row.actor)
    registration = row.rule == schema.REGISTRATION_RULE
    return TransitionView(
        artefact=row.artefact,
        name=snapshot.name(row.artefact),
        seq=row.seq,
        action=snapshot.action_name(row.lifecycle, row.rule),
        rule=row.rule,
        from_state="" if registration else snapshot.state_name(row.lifecycle, row.from_state),
        to_state=snapshot.state_name(row.lifecycle, row.to_state),
        actor=row.actor,
        organisation=organisation,
        organisation_name=snapshot.organisation_name(organisation),
        key=row.key,
        content=row.content or b"",
        record_digest=row.record,
        record=body.json,
        record_state="foreign" if body.about not in (ZERO, row.artefact) else body.state,
        inputs=inputs,
        votes=votes,
        version=row.version,
        previous_head=row.previous_head,
        head=row.head,
        block_number=row.block_number,
        transaction_hash=row.transaction_hash,
        log_index=row.log_index,
        timestamp=snapshot.times([row.block_number]).get(row.block_number, 0),
        confirmation=snapshot.confirmation(row.block_number),
    )


class _InputViews:
    """Makes input views, with the states of the inputs read once for all."""

    def __init__(self, snapshot: Snapshot, edges: Sequence[Edge]) -> None:
        self._snapshot = snapshot
        self._latest = snapshot.latest({edge.input for edge in edges if not edge.workspace}) if edges else {}
        self._revoked = revoked_now(snapshot) if edges else Revoked(frozenset(), frozenset())

    def views(self, edges: Sequence[Edge], body: Body) -> tuple[InputView, ...]:
        roles = roles_of(self._snapshot, [(edge, body) for edge in edges])
        return tuple(self._view(edge, roles[edge]) for edge in edges)

    def _view(self, edge: Edge, role: str) -> InputView:
        last = None if edge.workspace else self._latest.get(edge.input)
        name = None if edge.workspace else self._snapshot.name(edge.input)
        return InputView(
            workspace=edge.workspace,
            artefact=edge.input,
            head=edge.input_head,
            name=name,
            version=edge.input_version,
            role=role,
            state=self._snapshot.state_name(last.lifecycle, last.to_state) if last is not None else "",
            revoked=last is not None and edge.used in self._revoked,
        )


# ---------------------------------------------------------------------------------------------------- ballots


def vote_views(snapshot: Snapshot, ballots: Iterable[bytes]) -> dict[bytes, list[VoteView]]:
    """Returns the votes on these ballots, in the order they were cast."""
    v = schema.votes
    rows = [
        row
        for some in chunks(set(ballots))
        for row in snapshot.all(sql.select(v).where(v.c.ballot.in_(some)).order_by(v.c.block_number, v.c.log_index))
    ]
    bodies = snapshot.bodies(row.record for row in rows)
    times = snapshot.times(row.block_number for row in rows)
    found: defaultdict[bytes, list[VoteView]] = defaultdict(list)
    for row in rows:
        found[row.ballot].append(
            VoteView(
                actor=row.actor,
                key=row.key,
                organisation=row.organisation,
                organisation_name=snapshot.organisation_name(row.organisation),
                approve=row.approve,
                record_digest=row.record,
                record=bodies[row.record].json,
                block_number=row.block_number,
                transaction_hash=row.transaction_hash,
                timestamp=times.get(row.block_number, 0),
            )
        )
    return found


def open_ballots(snapshot: Snapshot, artefact: bytes | None = None) -> list[BallotView]:
    """Returns the ballots on current heads, of one artefact or of all."""
    v = schema.votes
    last = snapshot.latest(None if artefact is None else [artefact])
    by_head = {row.head: row for row in last.values()}
    rows = [
        row
        for some in chunks(by_head)
        for row in snapshot.all(
            sql.select(v).where(v.c.expected_head.in_(some)).order_by(v.c.block_number, v.c.log_index)
        )
    ]
    newest = {row.ballot: row for row in rows}
    votes = vote_views(snapshot, newest)
    return [_ballot_view(snapshot, row, by_head[row.expected_head], votes[row.ballot]) for row in newest.values()]


def _ballot_view(snapshot: Snapshot, row: Row[Any], last: Row[Any], votes: Sequence[VoteView]) -> BallotView:
    rules = snapshot.machine(last.lifecycle).rules.rules
    return BallotView(
        ballot=row.ballot,
        artefact=row.artefact,
        name=snapshot.name(row.artefact),
        action=snapshot.action_name(last.lifecycle, row.rule),
        rule=row.rule,
        expected_head=row.expected_head,
        content=b"" if row.content == ZERO else row.content,
        inputs_commitment=b"" if row.inputs_commitment == ZERO else row.inputs_commitment,
        needed=rules[row.rule].quorum if row.rule < len(rules) else 0,
        votes=tuple(votes),
        commitment=row.commitment,
    )
