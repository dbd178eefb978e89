"""Turns events into rows, and lets nothing through that does not fit the hash chains.

The recomputation itself is :class:`proml.core.replay.HeadReplay`; this module gives it what the index already knows of
an artefact, a ballot or a member when an event first touches one, so that following need not begin at the first block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.core import events as ev
from proml.core import heads
from proml.core.operation import ZERO, ZERO_ADDRESS, Input, Lifecycle
from proml.core.replay import ArtefactHead, HeadReplay
from proml.errors import VerificationError
from proml.index import onchain, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Table

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Ledger


@dataclass(slots=True)
class _Known:
    """What the rows of an artefact's next transition build on."""

    lifecycle: int
    state: int
    head: bytes
    version: int


@dataclass(slots=True)
class _Open:
    """A transition whose inputs may still follow."""

    row: dict[str, Any]
    inputs: list[ev.InputUsed] = field(default_factory=list)


def added_rules(ledger: Ledger, contract: str, events: Iterable[ev.Event]) -> Mapping[int, Lifecycle]:
    """Asks the contract for the rules of the lifecycles that are added; raises as :func:`onchain.lifecycle`."""
    numbers = {event.lifecycle for event in events if isinstance(event, ev.LifecycleAdded)}
    return {number: onchain.lifecycle(ledger, contract, number) for number in sorted(numbers)}


class RowMaker:
    """Makes the rows of events in chain order.

    Args:
        workspace: The pinned workspace.
        connection: The index, read for what earlier events left.
    """

    def __init__(self, workspace: WorkspaceFile, connection: Connection) -> None:
        self._connection = connection
        self._lifecycles = {
            row.number: onchain.decode_lifecycle(row.onchain)
            for row in connection.execute(sql.select(schema.lifecycles))
        }
        self._replay = HeadReplay(workspace.chain_id, workspace.contract, self._lifecycles)
        self._known: dict[bytes, _Known] = {}
        self._ballots: dict[bytes, bytes] = {}
        self._seen_members: set[str] = set()
        self._open: _Open | None = None
        self._is_new = connection.execute(sql.select(schema.registrations.c.block_number).limit(1)).first() is None
        self._added: Mapping[int, Lifecycle] = {}
        self.rows: dict[Table, list[dict[str, Any]]] = {}

    def make(self, events: Iterable[ev.Event], added: Mapping[int, Lifecycle]) -> dict[Table, list[dict[str, Any]]]:
        """Returns the rows of a range's events by table.

        Args:
            events: In chain order.
            added: Rules of the lifecycles that are added by one of them: see :func:`added_rules`.

        Raises:
            VerificationError: An event does not follow from the earlier ones.
        """
        self.rows = {table: [] for table in schema.EVENT_TABLES}
        self._added = added
        for event in events:
            if not isinstance(event, ev.InputUsed):
                self._close()  # before the replay closes it too: it needs the ballot that is recalled here
            self._recall(event)
            self._replay.apply(event)
            self._add(event)
        self._close()
        self._replay.finish()
        if self._replay.findings:
            raise self._refuse()
        return self.rows

    def reconnect(self, connection: Connection) -> None:
        """Reads through another connection from now on."""
        self._connection = connection

    # ------------------------------------------------------------------------------------------ what is known

    def _recall(self, event: ev.Event) -> None:
        """Gives the replay what the index knows about the event's subject, once."""
        if isinstance(event, ev.LifecycleAdded):
            self._add_lifecycle(event)
        elif isinstance(event, ev.Anchored):
            self._recall_anchor(event.actor)
        elif self._is_new:
            return
        elif isinstance(event, (ev.Transitioned, ev.Registered, ev.Endorsed, ev.ArtefactRecovered)):
            if event.artefact not in self._known:
                self._recall_artefact(event.artefact)
            if isinstance(event, ev.Endorsed):
                self._recall_ballot(event.ballot)

    def _add_lifecycle(self, event: ev.LifecycleAdded) -> None:
        rules = self._added[event.lifecycle]
        if rules.definition != event.definition:
            raise VerificationError(
                f"expected lifecycle {event.lifecycle} to have the definition sha256:{event.definition.hex()} that its "
                f"event names (block {event.at.block_number}), found sha256:{rules.definition.hex()} at the contract",
                hint="The node contradicts itself: ask another one.",
            )
        self._lifecycles[event.lifecycle] = rules

    def _recall_artefact(self, artefact: bytes) -> None:
        t = schema.transitions
        of_it = sql.select(t).where(t.c.artefact == artefact)
        last = self._connection.execute(of_it.order_by(t.c.seq.desc()).limit(1)).first()
        if last is None:
            return
        brought = self._connection.execute(
            of_it.where(t.c.content.is_not(None)).order_by(t.c.seq.desc()).limit(1)
        ).first()
        self._known[artefact] = _Known(last.lifecycle, last.to_state, last.head, last.version)
        self._replay.artefacts[artefact] = ArtefactHead(
            artefact=artefact,
            lifecycle=last.lifecycle,
            owner=self._owner(artefact),
            state=last.to_state,
            seq=last.seq,
            head=last.head,
            changed=ev.At(last.block_number, last.log_index, 0, last.transaction_hash, ZERO),
            content=brought.content if brought else ZERO,
            inputs=brought.inputs_commitment if brought else ZERO,
        )

    def _owner(self, artefact: bytes) -> str:
        moved = schema.recoveries
        newest = (moved.c.block_number.desc(), moved.c.log_index.desc())
        query = sql.select(moved.c.owner).where(moved.c.artefact == artefact).order_by(*newest).limit(1)
        registered = sql.select(schema.registrations.c.owner).where(schema.registrations.c.artefact == artefact)
        found = self._connection.execute(query).scalar() or self._connection.execute(registered).scalar()
        return str(found)

    def _recall_ballot(self, ballot: bytes) -> None:
        if ballot in self._ballots:
            return
        v = schema.votes
        newest = (v.c.block_number.desc(), v.c.log_index.desc())
        query = sql.select(v.c.commitment).where(v.c.ballot == ballot).order_by(*newest).limit(1)
        found = self._connection.execute(query).scalar()
        if found is not None:
            self._ballots[ballot] = self._replay.votes[ballot] = found

    def _recall_anchor(self, actor: str) -> None:
        if actor in self._seen_members:
            return
        self._seen_members.add(actor)
        a = schema.anchors
        newest = (a.c.block_number.desc(), a.c.log_index.desc())
        query = sql.select(a.c.head).where(a.c.actor == actor).order_by(*newest).limit(1)
        found = self._connection.execute(query).scalar()
        if found is not None:
            self._replay.anchors[actor] = found

    # ------------------------------------------------------------------------------------------------- rows

    def _put(self, table: Table, at: ev.At, **values: Any) -> dict[str, Any]:
        row = {
            "block_number": at.block_number,
            "log_index": at.log_index,
            "transaction_hash": at.transaction_hash,
            **values,
        }
        self.rows[table].append(row)
        return row

    def _add(self, event: ev.Event) -> None:
        if isinstance(event, ev.InputUsed):
            if self._open is not None:
                self._open.inputs.append(event)
            return
        if isinstance(event, ev.Registered):
            self._add_registration(event)
        elif isinstance(event, ev.Transitioned):
            self._add_transition(event)
        elif isinstance(event, ev.Endorsed):
            self._add_vote(event)
        else:
            self._add_other(event)

    def _add_registration(self, e: ev.Registered) -> None:
        common = {"artefact": e.artefact, "lifecycle": e.lifecycle, "key": e.key, "record": e.record, "head": e.head}
        self._put(schema.registrations, e.at, owner=e.owner, **common)
        rules = self._lifecycles.get(e.lifecycle)
        state = rules.initial if rules else 0
        self._put(
            schema.transitions,
            e.at,
            actor=e.owner,
            rule=schema.REGISTRATION_RULE,
            from_state=state,
            to_state=state,
            seq=0,
            content=None,
            previous_head=ZERO,
            inputs_commitment=ZERO,
            votes_commitment=ZERO,
            version=0,
            **common,
        )
        self._known[e.artefact] = _Known(e.lifecycle, state, e.head, 0)

    def _add_transition(self, e: ev.Transitioned) -> None:
        before = self._known.get(e.artefact)
        if before is None:  # the replay has found that: see _refuse
            return
        version = before.version + (e.content != ZERO)
        row = self._put(
            schema.transitions,
            e.at,
            artefact=e.artefact,
            lifecycle=before.lifecycle,
            actor=e.actor,
            key=e.key,
            rule=e.rule,
            from_state=before.state,
            to_state=e.to_state,
            seq=e.seq,
            content=None if e.content == ZERO else e.content,
            record=e.record,
            previous_head=before.head,
            head=e.head,
            inputs_commitment=ZERO,
            votes_commitment=ZERO,
            version=version,
        )
        self._open = _Open(row)
        self._known[e.artefact] = _Known(before.lifecycle, e.to_state, e.head, version)

    def _close(self) -> None:
        """Completes the open transition: by now all of its inputs were seen."""
        if self._open is None:
            return
        row, used, self._open = self._open.row, self._open.inputs, None
        row["inputs_commitment"] = heads.inputs_commitment([Input(e.workspace, e.input, e.input_head) for e in used])
        if _takes_votes(self._lifecycles.get(row["lifecycle"]), row["rule"]):
            content = row["content"] or ZERO
            ballot = heads.ballot_id(
                row["artefact"], row["previous_head"], row["rule"], content, row["inputs_commitment"]
            )
            if not self._is_new:
                self._recall_ballot(ballot)
            row["votes_commitment"] = self._ballots.get(ballot, ZERO)
        for position, e in enumerate(used):
            self._put(
                schema.inputs,
                e.at,
                artefact=e.artefact,
                seq=row["seq"],
                version=row["version"],
                position=position,
                workspace=e.workspace,
                input=e.input,
                input_head=e.input_head,
            )

    def _add_vote(self, e: ev.Endorsed) -> None:
        self._ballots[e.ballot] = e.commitment
        self._put(
            schema.votes,
            e.at,
            artefact=e.artefact,
            ballot=e.ballot,
            actor=e.actor,
            key=e.key,
            organisation=e.organisation,
            expected_head=e.vote.expected_head,
            rule=e.vote.rule,
            content=e.vote.content,
            inputs_commitment=e.vote.inputs,
            record=e.vote.record,
            approve=e.vote.approve,
            commitment=e.commitment,
        )

    def _add_other(self, e: ev.Event) -> None:
        match e:
            case ev.Anchored():
                values = {"actor": e.actor, "root": e.root, "key": e.key, "leaves": e.leaves, "head": e.head}
                self._put(schema.anchors, e.at, **values)
            case ev.MemberSet():
                self._put(schema.members, e.at, account=e.account, organisation=e.organisation, roles=e.roles)
            case ev.GovernanceQuorumSet():
                self._put(schema.quorums, e.at, quorum=e.quorum)
            case ev.LifecycleAdded():
                onchain_bytes = onchain.encode_lifecycle(self._lifecycles[e.lifecycle])
                values = {"number": e.lifecycle, "definition": e.definition, "onchain": onchain_bytes}
                self._put(schema.lifecycles, e.at, **values)
            case ev.SessionGranted():
                values = {"roles": e.roles, "artefact": e.artefact, "expires": e.expires, "revoked": False}
                self._put(schema.sessions, e.at, member=e.member, key=e.key, **values)
            case ev.SessionRevoked():
                values = {"roles": 0, "artefact": ZERO, "expires": 0, "revoked": True}
                self._put(schema.sessions, e.at, member=e.member, key=e.key, **values)
            case ev.ArtefactRecovered():
                self._put(schema.recoveries, e.at, artefact=e.artefact, previous=e.from_owner, owner=e.to_owner)
            case ev.ProposalApproved() | ev.ProposalExecuted():
                self._add_proposal(e)

    def _add_proposal(self, e: ev.ProposalApproved | ev.ProposalExecuted) -> None:
        if isinstance(e, ev.ProposalApproved):
            change = e.change
            values = {"action": change.action, "salt": change.salt, "data": change.data, "executed": False}
            self._put(schema.proposals, e.at, proposal=e.proposal, admin=e.admin, organisation=e.organisation, **values)
            return
        values = {"action": 0, "salt": ZERO, "data": b"", "executed": True}
        self._put(schema.proposals, e.at, proposal=e.proposal, admin=ZERO_ADDRESS, organisation=0, **values)

    def _refuse(self) -> VerificationError:
        finding = self._replay.findings[0]
        more = len(self._replay.findings) - 1
        return VerificationError(
            f"the ledger's events do not fit together: {finding.what} of 0x{finding.subject.hex()} should be "
            f"{finding.expected}, found {finding.found} (block {finding.at.block_number}, log {finding.at.log_index})"
            + (f", and {more} more" if more else ""),
            hint="The node leaves events out or makes them up, or did so before; nothing of this was taken into the "
            "index. `proml sync --rebuild` reads the chain anew; if that says the same, ask another node.",
        )


def _takes_votes(rules: Lifecycle | None, rule: int) -> bool:
    return rules is not None and rule < len(rules.rules) and rules.rules[rule].quorum > 0
