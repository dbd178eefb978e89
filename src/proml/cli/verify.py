"""``proml verify``: the deploy gate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.follow import up_to_date
from proml.cli.group import command
from proml.errors import InvalidName, UnknownName, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.verify import Report
    from proml.verify.verifying import Demand
    from proml.wiring import Participant


@command(
    "verify",
    examples="""
        proml verify model.joblib --state released && ./deploy model.joblib
        proml verify data/ --as tumours@2
        proml verify tumour-model --confirmations 12
    """,
)
@click.argument("subjects", nargs=-1, required=True, metavar="PATH…|NAME", shell_complete=artefacts)
@click.option("--state", default="", help="State that the artefact must be in.")
@click.option("--as", "name", default="", metavar="NAME", help="Artefact, or NAME@VERSION, that the files must be.")
@click.option("--confirmations", type=click.IntRange(min=0), default=0, help="Blocks that must lie on top.")
@click.option("--final", is_flag=True, help="The last transition must be final.")
def verify(  # one option each
    session: Session, subjects: tuple[str, ...], *, state: str, name: str, confirmations: int, final: bool
) -> None:
    """Check that files, folders or artefacts are what was agreed.

    A subject that exists as a file or folder is taken for one; otherwise it is the name of an artefact. Exits with 4
    and says what was expected, what was found, and where, when something is not as agreed.
    """
    from proml.verify.verifying import Demand  # noqa: PLC0415 - needs the SQL library

    demand = Demand(name=name, state=state, confirmations=confirmations, final=final)
    with session.participant() as participant:
        following = up_to_date(session, participant, must=True)
        reports = [_one(session, participant, subject, demand) for subject in subjects]
    failed = [report for report in reports if not report.ok]
    document: dict[str, object] = {
        "ok": not failed, "reports": [report.to_json() for report in reports], "following": following
    }  # fmt: skip
    if not failed:
        session.answer(document, _lines(reports))
        return
    session.facts.update(document)
    if not session.as_json:
        for line in _lines(reports):
            output.print_line(line)
    subject = ", ".join(report.subject for report in failed)
    reasons = [finding.message for report in failed for finding in report.findings if finding.level == "error"]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    raise VerificationError(
        f"{subject}: {reasons[0] if reasons else 'not as agreed'}{more}",
        hint="Do not use it before this is explained; `proml log NAME` shows the history.",
    )


def _one(session: Session, participant: Participant, subject: str, demand: Demand) -> Report:
    from proml.verify import verifying  # noqa: PLC0415 - needs the SQL library

    if os.path.lexists(subject):
        label = f"reading {output.printable(subject)}"
        with output.progress(label, quiet=session.as_json, in_bytes=True) as advance:
            return verifying.verify_path(participant.witnesses, subject, demand, progress=advance)
    try:
        return verifying.verify_name(participant.witnesses, subject, demand)
    except (UnknownName, InvalidName) as error:
        raise UnknownName(
            f"{subject!r} is neither a file or folder here nor an artefact of the workspace: {error.message}",
            hint=error.hint or "Check the path; `proml status` lists the artefacts.",
        ) from error


def _lines(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        yield from (output.printable(line) for line in report.lines())
