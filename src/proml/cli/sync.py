"""``proml sync``: send the outbox, follow the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from proml.cli import output
from proml.cli.follow import up_to_date
from proml.cli.group import command
from proml.cli.status import ENTRY_HEADINGS, entry_document, entry_row
from proml.errors import ConflictError, ProMLError, RefusedError, UnreachableError, UsageError
from proml.ports import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.capture.recover import Recovery
    from proml.cli.session import Session
    from proml.ports import Entry
    from proml.submit.report import DeliveryReport, Wait
    from proml.wiring import Participant

_NUMBER = click.IntRange(min=1)


@command(
    "sync",
    examples="""
        proml sync
        proml sync --rebase 7
        proml sync --drop 7
    """,
)
@click.option("--rebase", "rebased", type=_NUMBER, multiple=True, help="Send entry N again, on what is there now.")
@click.option("--drop", "dropped", type=_NUMBER, multiple=True, help="Give entry N up; its record stays in the store.")
@click.option("--rebuild", is_flag=True, help="Throw the read model away and follow the chain from the beginning.")
@click.option("--final", is_flag=True, help="Wait until what was sent is final, not only in a block.")
@click.option("--no-wait", is_flag=True, help="Hand in what can go, and wait for no block.")
def sync(  # one option each
    session: Session, *, rebased: tuple[int, ...], dropped: tuple[int, ...], rebuild: bool, final: bool, no_wait: bool
) -> None:
    """Close runs whose process died, send what waits in the outbox, and follow the chain.

    Exits with 3, 5 or 6 when something was refused, cannot be sent yet, or is in conflict; nothing is lost.
    """
    from proml.capture.recover import recover  # noqa: PLC0415 - only here

    if final and no_wait:
        raise UsageError("--final waits for blocks, --no-wait does not.", hint="Leave one of them out.")
    wait: Wait = None if no_wait else "final" if final else "included"
    with session.participant() as participant:
        for number in dropped:
            participant.drop(number)
        for number in rebased:
            participant.rebase(number)
        recovery = recover(participant.folder.root)
        report = _deliver(session, participant, wait)
        following = _follow(session, participant, rebuild=rebuild)
        document = {
            "dropped": list(dropped),
            "rebased": list(rebased),
            "recovered_runs": list(recovery.closed),
            "runs_at_work": [path.name for path in recovery.at_work],
            "runs_not_closed": [{"run": path.name, "error": error.message} for path, error in recovery.failed],
            "entries": [entry_document(entry, _block(following)) for entry in report.entries] if report else [],
            "waiting": {str(number): reason for number, reason in report.waiting.items()} if report else {},
            "following": following,
        }
        _finish(session, document, list(_lines(report, recovery, following)), _problem(report, wait))


def _deliver(session: Session, participant: Participant, wait: Wait) -> DeliveryReport | None:
    """Sends what there is, and looks after what is not final; with nothing of either no key is unlocked."""
    if next(participant.outbox.unsettled(), None) is None:
        return None
    with output.progress("sending", quiet=session.as_json) as advance:
        return participant.deliver(wait=wait, progress=lambda done, total, _: advance(done, total))


def _follow(session: Session, participant: Participant, *, rebuild: bool) -> dict[str, object]:
    if participant.node is not None and not participant.folder.workspace_file(participant.config).exists():
        if rebuild:
            raise UsageError(
                "this folder hands over to a node and follows no ledger: there is nothing to rebuild.",
                hint="Rebuild in the node's folder.",
            )
        return {"node": participant.node.where}  # a host without a ledger: its node follows
    if not rebuild:
        return up_to_date(session, participant, must=True)
    with output.progress("following the chain", quiet=session.as_json) as advance:
        done = participant.follow(advance, anew=True)
    return {"block": done.last_block, "rebuilt": True}


def _block(following: dict[str, object]) -> int:
    block = following.get("block")
    return block if isinstance(block, int) else -1


def _problem(report: DeliveryReport | None, wait: Wait) -> ProMLError | None:
    """The gravest of what is stuck: a refusal, a conflict, then what could not be sent."""
    if report is None:
        return None
    for state, kind in (("refused", RefusedError), ("conflict", ConflictError)):
        stuck = report.in_state(state)
        if stuck:
            first = stuck[0]
            return kind(
                f"entry {first.number} ({first.intent.artefact or first.intent.kind}) "
                f"{'was refused' if state == 'refused' else 'is in conflict'}: {first.error.partition(chr(10))[0]}",
                hint=f"`proml sync --rebase {first.number}` tries it again on what is there now; "
                f"`proml sync --drop {first.number}` gives it up.",
            )
    unsent = report.unsent if wait else report.in_state("pending")
    if wait == "final":
        unsent += tuple(entry for entry in report.confirmed if not entry.final)
    if unsent:
        first = unsent[0]
        where = (
            "it is in no block yet" if first.state != "confirmed" else f"block {first.block_number} is not final yet"
        )
        why = report.waiting.get(first.number) or first.error or where
        return UnreachableError(
            f"entry {first.number} waits: {why}", hint="It is safe in the outbox; run `proml sync` again later."
        )
    return None


def _finish(session: Session, document: dict[str, object], lines: list[str], problem: ProMLError | None) -> None:
    if problem is None:
        session.answer(document, lines)
        return
    session.facts.update(document)
    if not session.as_json:
        for line in lines:
            output.print_line(line)
    raise problem


def _lines(report: DeliveryReport | None, recovery: Recovery, following: dict[str, object]) -> Iterator[str]:
    for run in recovery.closed:
        yield f"closed run {output.printable(run)}, whose process had ended"
    for path, error in recovery.failed:
        reason = f"{output.printable(path.name)}: {output.printable(error.message)}"
        yield f"{output.colour('run not closed:', 'bad')} {reason}"
    entries = report.entries if report else ()
    if entries:
        yield from output.table(ENTRY_HEADINGS, [entry_row(entry) for entry in entries])
        yield from _left_out(entries)
    else:
        yield "nothing to send"
    if "node" in following:
        yield f"handed over to the node {output.printable(following['node'])}, which follows the chain"
    else:
        yield f"followed the chain to block {following['block']}"


def _left_out(entries: Sequence[Entry]) -> Iterator[str]:
    """Tells what was read and could not be named as an input."""
    for entry in entries:
        for one in cast("Sequence[str]", entry.detail.get(LEFT_OUT, ())):
            yield (
                f"entry {entry.number} read {output.printable(one)}, which is not usable as an input: the record "
                "names it, the ledger does not"
            )
