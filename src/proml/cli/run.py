"""``proml run``: run any program and capture its provenance."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import actions, artefacts, kinds
from proml.cli.group import command
from proml.cli.status import entry_document
from proml.errors import ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.cli.session import Session
    from proml.ports import Entry


@command(
    "run",
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
    examples="""
        proml run --use data/train.csv --publish tumour-model=model.joblib -- python train.py --epochs 3
        proml run --use tumours@2 --name evaluation -- ./evaluate.sh
    """,
)
@click.option("--use", "uses", multiple=True, metavar="ARTEFACT|PATH", shell_complete=artefacts, help="What it reads.")
@click.option("--publish", "publishes", multiple=True, metavar="NAME=PATH", help="What it writes, once it succeeded.")
@click.option("--watch", multiple=True, metavar="DIR", help="Record files that change there, whatever writes them.")
@click.option("--ignore", multiple=True, metavar="GLOB", help="Do not record files that match; `!GLOB` keeps them.")
@click.option(
    "--observe/--no-observe", default=True, help="Record which files Python programs read and write (default)."
)
@click.option("--kind", help="Kind of artefacts that --publish makes.", shell_complete=kinds)
@click.option("--action", help="Transition of artefacts that --publish makes.", shell_complete=actions)
@click.option("--name", help="Name of the run; by default the program's.")
@click.option("--strict", is_flag=True, help="Fail when something cannot be recorded, instead of going on.")
@click.option("--wait", type=click.Choice(["sent", "confirmed", "final"]), help="Send it at the end, and wait so far.")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
def run(  # one option each
    session: Session, *, uses: tuple[str, ...], publishes: tuple[str, ...], watch: tuple[str, ...],
    ignore: tuple[str, ...], observe: bool, kind: str | None, action: str | None, name: str | None, strict: bool,
    wait: str | None, program: tuple[str, ...],
) -> None:  # fmt: skip
    """Run a program and record what it used and published, with code, environment, hardware, start, end and exit.

    What it published goes on the ledger with `proml sync` (or --wait). The exit code is the program's. With --json its
    standard output goes to standard error, so that the answer stands alone.
    """
    from proml.capture.run_command import run_command  # noqa: PLC0415 - only here

    before = _waiting(session)
    with _stdout_to_stderr() if session.as_json else contextlib.nullcontext():
        status = run_command(
            program, uses, publishes, name=name, kind=kind, action=action, folder=session.start, strict=strict,
            wait=wait, observe=observe, watch=watch, ignore=ignore,
        )  # fmt: skip
    added = [entry for number, entry in _waiting(session).items() if number not in before]
    if session.as_json:
        output.print_json({"exit_status": status, "entries": [entry_document(entry) for entry in added]})
    elif added:
        what = ", ".join(f"{entry.intent.artefact or entry.intent.kind}" for entry in added)
        session.say(f"recorded: {output.printable(what)}. `proml sync` puts it on the ledger.")
    click.get_current_context().exit(status)


def _waiting(session: Session) -> Mapping[int, Entry]:
    """Entries not yet sent; none where there is no working folder, of which capture itself warns."""
    from proml.wiring import open_participant  # noqa: PLC0415 - only here

    try:
        with open_participant(session.start) as participant:
            return {entry.number: entry for entry in participant.outbox.entries("pending")}
    except ProMLError:
        return {}


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
