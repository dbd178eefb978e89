"""``proml log``."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.consumption import resources
from proml.cli.follow import up_to_date
from proml.cli.group import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.index.views import TransitionView


@command(
    "log",
    examples="""
        proml log tumours
        proml log tumours -n 5 --json
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.option("-n", "--limit", type=click.IntRange(min=1), help="Show the newest N only.")
def log(session: Session, name: str, limit: int | None) -> None:
    """The history of an artefact, newest first: who did what, when, with what."""
    with session.participant() as participant:
        following = up_to_date(session, participant)
        artefact = participant.model.artefact(name)
        history = list(reversed(participant.model.history(name)))[:limit]
        document = {
            "artefact": artefact.to_json(), "history": [step.to_json() for step in history], "following": following
        }  # fmt: skip
        session.answer(document, _lines(session, artefact.label, history))


def _lines(session: Session, label: str, history: Sequence[TransitionView]) -> Iterator[str]:
    yield output.colour(label, "name")
    for step in history:
        states = step.to_state if not step.from_state else f"{step.from_state} → {step.to_state}"
        version = f"  @{step.version}" if step.content else ""
        yield ""
        yield f"{step.seq:>4}  {output.colour(step.action, 'good')}  {output.printable(states)}{version}"
        yield from (f"      {line}" for line in output.fields(list(_facts(session, step))))


def _facts(session: Session, step: TransitionView) -> Iterator[tuple[str, object]]:
    shown = str if session.verbose else output.short
    yield "when", f"{output.when(step.timestamp)}  block {step.block_number}  {step.confirmation.level}"
    by_session = f" by session key {shown(step.key)}" if step.key != step.actor else ""
    yield "who", f"{step.organisation_name or f'organisation {step.organisation}'}  {shown(step.actor)}{by_session}"
    if step.content:
        yield "content", shown(f"sha256:{step.content.hex()}")
    for used in step.inputs:
        version = f"@{used.version}" if used.version is not None else ""
        revoked = "  REVOKED" if used.revoked else ""
        yield "used", f"{used.name or output.short(used.artefact)}{version}  {used.role}{revoked}"
    for vote in step.votes:
        verdict = "endorsed" if vote.approve else "rejected"
        reason = (vote.record or {}).get("reason", "")
        yield verdict, f"{vote.organisation_name or vote.organisation}  {shown(vote.actor)}  {reason}"
    if step.record is None:
        yield "record", f"not available ({step.record_state})"
        return
    reason = step.record.get("reason")
    if reason:
        yield "reason", reason
    told = output.digests(step.record)
    if told:
        yield "digests", told
    notes = step.record.get("notes")
    for note in notes if isinstance(notes, list | tuple) else ():
        yield "note", note
    run = step.record.get("run")
    if isinstance(run, dict):
        command = run.get("command")
        program = PurePath(str(command[0])).name if isinstance(command, list) and command else ""
        yield "run", f"{run.get('name') or program}  {run.get('id', '')}".strip()
    consumed = resources(step.record)
    if consumed:
        yield "took", consumed
