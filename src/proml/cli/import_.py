"""``proml import``: runs that another tool recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.group import command
from proml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.integrations.importing import Candidate, Report, Skipped


@command(
    "import",
    examples="""
        proml import --format mlflow mlruns
        proml import --format mlflow sqlite:///mlflow.db --experiment tumours --dry-run
        proml import --format dvc dvc.lock --name data/model.pkl=tumour-model
    """,
)
@click.option("--format", "form", type=click.Choice(["mlflow", "dvc"]), required=True, help="What recorded them.")
@click.option("--experiment", "experiments", multiple=True, metavar="NAME", help="MLflow: only of this experiment.")
@click.option("--run", "runs", multiple=True, metavar="ID", help="Only this run, or this stage of DVC.")
@click.option("--unfinished", is_flag=True, help="MLflow: also runs that never ended, as interrupted ones.")
@click.option("--name", "names", multiple=True, metavar="OLD=NEW", help="Publish under another name.")
@click.option("--also", multiple=True, metavar="FOLDER", help="Content in this folder may be read, too.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing.")
@click.argument("path", metavar="PATH")
def import_(  # one option each
    session: Session, *, form: str, experiments: tuple[str, ...], runs: tuple[str, ...], unfinished: bool,
    names: tuple[str, ...], also: tuple[str, ...], dry_run: bool, path: str,
) -> None:  # fmt: skip
    """Import the runs that MLflow (mlruns folder, SQLite file) or DVC (dvc.lock) recorded. Needs no server.

    Parameters, metrics and times are taken as they are stated; content is hashed anew. Importing again adds only what
    is new. `proml sync` puts it on the ledger.
    """
    from proml.config import find_folder  # noqa: PLC0415 - only here
    from proml.integrations.importing import bring_in  # noqa: PLC0415 - only here

    folder = find_folder(session.start)
    readable = (str(folder.root), *also)
    found: Iterator[Candidate | Skipped]
    if form == "mlflow":
        from proml.integrations import mlflow_import  # noqa: PLC0415 - its extra

        wanted = mlflow_import.Wanted(frozenset(experiments), frozenset(runs), unfinished, _renamed(names), readable)
        found = mlflow_import.candidates(path, wanted)
    else:
        from proml.integrations.dvc import candidates  # noqa: PLC0415 - its extra

        found = candidates(path, stages=frozenset(runs), names=_renamed(names), also=readable)
    report = bring_in(folder, found, dry_run=dry_run)
    document = {
        "dry_run": dry_run,
        "runs": report.runs,
        "known": report.known,
        "skipped": [{"what": one.label, "reason": one.reason} for one in report.skipped],
    }
    session.answer(document, _lines(report, dry_run=dry_run))


def _lines(report: Report, *, dry_run: bool) -> Iterator[str]:
    for run in report.runs:
        names: Sequence[str] = run["publishes"]  # type: ignore[assignment]  # as bring_in makes it
        remarks: Sequence[str] = run["remarks"]  # type: ignore[assignment]  # as above
        published = f"  publishes {', '.join(names)}" if names else ""
        done = "would import" if dry_run else "imported"
        yield f"{done}  {output.printable(str(run['name']) + published)}"
        yield from (f"  {output.colour('not read:', 'warn')} {output.printable(remark)}" for remark in remarks)
    for one in report.skipped:
        yield f"{output.colour('skipped', 'warn')}  {output.printable(one.label)}: {output.printable(one.reason)}"
    more = f", {len(report.known)} known before" if report.known else ""
    yield f"{len(report.runs)} run{'' if len(report.runs) == 1 else 's'}{more}, {len(report.skipped)} skipped"


def _renamed(names: Sequence[str]) -> dict[str, str]:
    pairs = [name.rpartition("=") for name in names]
    for old, _, new in pairs:
        if not old or not new:
            raise UsageError(f"expected --name OLD=NEW, found {old or new!a}.", hint="Write both names.")
    return {old: new for old, _, new in pairs}
