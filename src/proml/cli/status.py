"""``proml status``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.follow import up_to_date
from proml.cli.group import command
from proml.errors import UsageError
from proml.ports import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.index.views import ArtefactView, BallotView, StatusView, Taint
    from proml.ports import Entry
    from proml.wiring import Participant

_WAITING = ("pending", "sent", "refused", "conflict")


@command(
    "status",
    examples="""
        proml status
        proml status tumour-model
        proml status --outbox
        proml status --json | jq '.artefacts[].state'
    """,
)
@click.argument("name", required=False, shell_complete=artefacts)
@click.option("--outbox", "whole", is_flag=True, help="Show all entries of the outbox, those that are done too.")
def status(session: Session, name: str | None, *, whole: bool) -> None:
    """State, owner, version, confirmations, pending votes, outbox and taint, of one artefact or of all."""
    with session.participant() as participant:
        if participant.node is not None and not participant.folder.workspace_file(participant.config).exists():
            if name is not None:
                raise UsageError(
                    f"this folder hands over to a node and follows no ledger: it knows nothing of {name!r:.100}.",
                    hint="Ask in the node's folder, or GET /v1/status/NAME of the node.",
                )
            _handing_over(session, participant, participant.node.where, whole=whole)
            return
        following = up_to_date(session, participant)
        view = participant.model.status(name)
        waiting = [
            entry for entry in participant.outbox.entries(*(() if whole else _WAITING)) if _concerns(entry, view, name)
        ]
        document = {
            **view.to_json(),
            "contract": participant.workspace.contract,
            "chain_id": participant.workspace.chain_id,
            "outbox": [entry_document(entry, view.position.block_number) for entry in waiting],
            "following": following,
        }
        lines = _one(session, participant, view, waiting) if name else _all(session, participant, view, waiting)
        session.answer(document, lines)


def _handing_over(session: Session, participant: Participant, node: str, *, whole: bool) -> None:
    """Of a host without a ledger: what it gave to its node."""
    entries = list(participant.outbox.entries(*(() if whole else _WAITING)))
    shown = list(_outbox(entries)) or ["Nothing waits."]
    session.answer(
        {"node": node, "outbox": [entry_document(entry) for entry in entries]},
        [f"hands over to the node {output.printable(node)}", *shown],
    )


def level_of(entry: Entry, newest: int) -> str:
    """Returns how firmly the chain holds an entry: ``final``, ``L@k`` with k blocks on top, or nothing."""
    if entry.state != "confirmed":
        return ""
    return "final" if entry.final else f"L@{max(0, newest - entry.block_number)}"


def entry_document(entry: Entry, newest: int = -1) -> dict[str, object]:
    """Returns an outbox entry as JSON-compatible values, without the signed bytes.

    Args:
        entry: The entry.
        newest: Number of the newest block; -1 if it is not known.
    """
    return {
        "number": entry.number,
        "kind": entry.intent.kind,
        "artefact": entry.intent.artefact,
        "action": entry.intent.body.get("action", ""),
        "state": entry.state,
        "transaction": entry.transaction_hash or None,
        "block": entry.block_number if entry.block_number >= 0 else None,
        "confirmed": level_of(entry, newest) or None,
        "gas": entry.gas_used or None,
        "attempts": entry.attempts,
        "error": entry.error,
        "left_out": entry.detail.get(LEFT_OUT, []),
        "milliseconds": round((entry.confirmed_ns - entry.created_ns) / 1e6, 1) if entry.confirmed_ns else None,
    }


def entry_row(entry: Entry) -> tuple[object, ...]:
    """Returns an outbox entry as a row of a table: number, what, artefact, state, transaction, why."""
    action = str(entry.intent.body.get("action") or "")
    what = entry.intent.kind if entry.intent.kind in {"register", "anchor"} or not action else action
    kind = {"pending": "warn", "sent": "warn", "confirmed": "good", "dropped": "dim"}.get(entry.state, "bad")
    transaction = output.short(entry.transaction_hash) if entry.transaction_hash else "-"
    why = entry.error.partition("\n")[0]
    return entry.number, what, entry.intent.artefact or "-", output.colour(entry.state, kind), transaction, why


ENTRY_HEADINGS = ("entry", "what", "artefact", "state", "transaction", "")


def _concerns(entry: Entry, view: StatusView, name: str | None) -> bool:
    return name is None or any(entry.intent.artefact == artefact.name for artefact in view.artefacts)


def _all(session: Session, participant: Participant, view: StatusView, waiting: Sequence[Entry]) -> Iterator[str]:
    file = participant.workspace
    yield from output.fields([
        ("workspace", f"{file.name}  ({file.contract if session.verbose else output.short(file.contract)})"),
        ("chain", f"{file.chain_id}, block {view.position.block_number}, final up to {view.position.finalized}"),
    ])  # fmt: skip
    yield ""
    if not view.artefacts:
        yield "No artefacts yet. `proml register NAME --kind KIND` makes one; `proml lifecycle list` shows the kinds."
    else:
        taint = dict(view.taint)
        votes = Counter(ballot.artefact for ballot in view.ballots)
        rows = [_row(artefact, taint, votes[artefact.id]) for artefact in view.artefacts]
        yield from output.table(("artefact", "kind", "state", "version", "owner", "confirmed", ""), rows)
    yield from _outbox(waiting)
    if view.missing_records:
        yield ""
        yield f"{view.missing_records} records that the chain names are not available in any store."


def _row(artefact: ArtefactView, taint: dict[str, Taint], votes: int) -> tuple[object, ...]:
    notes = []
    tainted = taint.get(f"0x{artefact.id.hex()}") or taint.get(artefact.id.hex())
    if tainted:
        notes.append(f"tainted by {tainted.label}")
    if votes:
        notes.append(f"{votes} open ballot{'s' * (votes > 1)}")
    return (
        artefact.label, artefact.kind, state_of(artefact), f"@{artefact.version}" if artefact.version else "-",
        artefact.organisation_name or artefact.organisation, artefact.confirmation.level, "; ".join(notes),
    )  # fmt: skip


def state_of(artefact: ArtefactView) -> str:
    """Returns the name of an artefact's state in the colour of its flags."""
    if artefact.revoked:
        return output.colour(artefact.state, "bad")
    return output.colour(artefact.state, "good") if artefact.usable else artefact.state


def _one(session: Session, participant: Participant, view: StatusView, waiting: Sequence[Entry]) -> Iterator[str]:
    shown = str if session.verbose else output.short
    taint = dict(view.taint)
    for artefact in view.artefacts:
        tainted = taint.get(f"0x{artefact.id.hex()}") or taint.get(artefact.id.hex())
        yield output.colour(artefact.label, "name")
        yield from output.fields([
            ("kind", artefact.kind),
            ("state", state_of(artefact)),
            ("version", artefact.version or "none yet"),
            ("content", shown(f"sha256:{artefact.content.hex()}") if artefact.content else ""),
            ("owner", f"{artefact.organisation_name or artefact.organisation}  {shown(artefact.owner)}"),
            ("changed", output.when(artefact.changed_at)),
            ("confirmed", f"{artefact.confirmation.level}, block {artefact.block_number}"),
            ("head", shown(f"0x{artefact.head.hex()}")),
            ("tainted", output.colour(f"by {tainted.label} ({tainted.state}): {' ← '.join(tainted.path)}", "bad")
             if tainted else ""),
            ("possible now", ", ".join(_possible(participant, artefact)) or "nothing: a terminal state"),
        ])  # fmt: skip
    for ballot in view.ballots:
        yield ""
        yield from _ballot(ballot)
    yield from _outbox(waiting)


def _possible(participant: Participant, artefact: ArtefactView) -> list[str]:
    from proml.cli.choosing import possible_actions  # noqa: PLC0415 - reads lifecycle definitions

    return possible_actions(participant, artefact)


def _ballot(ballot: BallotView) -> Iterator[str]:
    verdict = output.colour("quorum reached", "good") if ballot.reached else f"{ballot.needed} needed"
    counted = f"{ballot.endorsed} endorsed, {ballot.rejected} rejected"
    yield f"votes on {output.printable(ballot.action)}: {counted}; {verdict}"
    for vote in ballot.votes:
        word = output.colour("endorsed", "good") if vote.approve else output.colour("rejected", "bad")
        reason = output.printable((vote.record or {}).get("reason", ""))
        yield f"  {word}  {output.printable(vote.organisation_name or vote.organisation)}  {reason}".rstrip()


def _outbox(waiting: Sequence[Entry]) -> Iterator[str]:
    if waiting:
        yield ""
        yield "In the outbox (`proml sync` sends what is pending):"
        yield from output.table(ENTRY_HEADINGS, [entry_row(entry) for entry in waiting])
