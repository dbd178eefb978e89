"""``proml audit``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.follow import up_to_date
from proml.cli.group import command
from proml.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from proml.cli.session import Session
    from proml.verify import Finding, Report
    from proml.wiring import Participant


@command(
    "audit",
    examples="""
        proml audit
        proml audit --prove
        proml audit --with https://node.lab.example --with https://node.clinic.example
    """,
)
@click.option("--prove", "proving", is_flag=True, help="Prove every block, receipt and log from the genesis block on.")
@click.option("--with", "others", multiple=True, metavar="URL", help="Compare with this end point of the chain, too.")
@click.option("--cross-check", is_flag=True, help="Compare all end points that the workspace file names.")
def audit(session: Session, *, proving: bool, others: tuple[str, ...], cross_check: bool) -> None:
    """Check the whole record: read every event again, recompute every head, compare contract, index and outbox.

    --prove believes the end point nothing: each block's hash is computed and has to follow on the pinned genesis
    block, its seal has to be a validator's (Clique), its receipts have to make its roots; so logs that are left out,
    made up or changed, and receipts of transactions that are in no block, are found. Exits with 4 when something does
    not fit.
    """
    with session.participant() as participant:
        report, following = _replay(session, participant)
        facts = {**report.facts}
        findings = list(report.findings)
        if proving:
            proved, more = _prove(session, participant)
            facts.update(proved)
            findings += more
        urls = [*(participant.workspace.ledgers if cross_check else ()), *others]
        findings += _compare(participant, urls)
        if urls:
            facts["compared_with"] = ", ".join(urls)
    _answer(session, dataclasses.replace(report, findings=tuple(findings), facts=facts), following)


def _replay(session: Session, participant: Participant) -> tuple[Report, dict[str, object]]:
    """Checks events, heads, contract and index; if the end point contradicts itself, that is a finding like others."""
    from proml.verify.replay import replay_workspace  # noqa: PLC0415 - needs the SQL library
    from proml.verify.report import ERROR, Finding, Report  # noqa: PLC0415 - as above

    following: dict[str, object] = {}
    try:
        following = up_to_date(session, participant, must=True)
        report = replay_workspace(participant.witnesses)
    except VerificationError as error:
        finding = Finding("chain-inconsistent", ERROR, error.message)
        return Report(participant.workspace.name, (finding,)), following
    checked = (
        f"{report.facts['artefacts']} artefacts, {report.facts['transitions']} transitions, {report.facts['anchors']} "
        f"anchors, at block {report.facts['block']}"
    )
    return dataclasses.replace(report, facts={**report.facts, "checked": checked}), following


def _answer(session: Session, report: Report, following: dict[str, object]) -> None:
    document: dict[str, object] = {**report.to_json(), "following": following}
    lines = [output.printable(line) for line in report.lines()]
    if report.ok:
        session.answer(document, lines)
        return
    session.facts.update(document)
    if not session.as_json:
        for line in lines:
            output.print_line(line)
    errors = [finding for finding in report.findings if finding.level == "error"]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise VerificationError(
        f"{errors[0].message}{more}",
        hint="Do not rely on this end point before it is explained; `proml audit --prove --with URL` tells more, with "
        "the URL of another participant's.",
    )


def _prove(session: Session, participant: Participant) -> tuple[dict[str, object], list[Finding]]:
    from proml.verify.proving import prove  # noqa: PLC0415 - takes long to import

    if participant.evidence is None:
        raise UsageError(
            "an embedded ledger is a file of one's own: there is no end point whose answers could be proved.",
            hint="Leave --prove out.",
        )
    entries = list(participant.outbox.entries("confirmed"))
    with output.progress("proving blocks", quiet=session.as_json) as advance:
        proof = prove(participant.evidence, participant.ledger, participant.workspace, entries, advance)
    facts: dict[str, object] = {
        "proved": f"{proof.blocks} blocks from the genesis block on, {len(proof.logs)} logs in {proof.opened} of them",
        "proved_blocks": proof.blocks,
        "proved_logs": len(proof.logs),
        "sealed_by": dict(proof.sealed),
    }
    return facts, proof.findings


def _compare(participant: Participant, urls: list[str]) -> list[Finding]:
    from proml.adapters.jsonrpc.transport import without_secrets  # noqa: PLC0415 - only here
    from proml.verify.comparing import compare  # noqa: PLC0415 - as above

    findings: list[Finding] = []
    used = participant.ledger_urls[0]
    with participant.model.look() as look:
        artefacts = list(look.latest())
    for url in urls:
        if url == used:
            continue
        names = (without_secrets(used), without_secrets(url))
        findings += compare(
            participant.ledger, participant.another_ledger(url), participant.workspace, artefacts, names
        )
    return findings
