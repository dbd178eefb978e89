"""The end of the demonstration: what each step cost, how each attack ended, what to try next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from proml.cli import output

if TYPE_CHECKING:
    from proml.demo.stage import Organisation, Stage

_NEXT = (
    ("log tumour-model", "its history, newest first, each step with its record"),
    ("lineage tumour-service", "where what runs at the clinic comes from"),
    ("diff tumour-model@1 second-model@1", "what differs between two models"),
    ("lifecycle draw model", "the state machine that the contract enforces"),
    ("workspace members", "who may do what"),
)


def show_summary(stage: Stage, cast: dict[str, Organisation], seconds: float) -> None:
    """Prints the tables: transactions as each organisation's outbox has them, attacks as they were answered."""
    stage.heading("What went on chain")
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda who: _transactions(stage, who), cast.values())
        rows = sorted(row for of_one in found for row in of_one)
    table = [(what, who, transaction, gas, ms) for _, what, who, transaction, gas, ms in rows]
    for line in output.table(("step", "who", "transaction", "gas", "ms"), table):
        output.print_line(f"  {line}")
    stage.heading("What was tried")
    attacks = [
        (step.title, step.who, step.exit_code, "stopped", round(step.milliseconds))
        for step in stage.steps
        if step.attack
    ]
    for line in output.table(("attack", "who", "exit code", "", "ms"), attacks):
        output.print_line(f"  {line}")
    click.echo(f"\n  {len(stage.steps)} commands, {len(rows)} transactions, {seconds:.0f} s")
    stage.heading("What to try next")
    clinic = cast["clinic"]
    click.echo(f"  cd {clinic.folder}")
    click.echo(f"  export PROML_HOME={clinic.home}")
    width = max(len(command) for command, _ in _NEXT)
    for command, what in _NEXT:
        click.echo(f"  proml {command.ljust(width)}   {click.style(what, dim=True)}")


def _transactions(stage: Stage, who: Organisation) -> list[tuple[int, str, str, str, int, int]]:
    """Returns the organisation's confirmed entries: block, what, who, transaction, gas, milliseconds."""
    answer = stage.ask(who, "status", "--outbox")
    return [
        (
            entry["block"],
            f"{entry['action'] or entry['kind']} {entry['artefact']}".strip(),
            who.key,
            output.short(entry["transaction"]),
            entry["gas"],
            round(entry["milliseconds"]),
        )
        for entry in answer["outbox"]
        if entry["state"] == "confirmed"
    ]
