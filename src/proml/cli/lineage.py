"""``proml lineage``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from proml.cli.completion import artefacts
from proml.cli.follow import up_to_date
from proml.cli.group import command

if TYPE_CHECKING:
    from pathlib import Path

    from proml.cli.session import Session


@command(
    "lineage",
    examples="""
        proml lineage tumour-model
        proml lineage tumours@1 --down --depth 2
        proml lineage tumour-model --format svg -o lineage.svg
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.option("--down", is_flag=True, help="What came of it, instead of where it comes from.")
@click.option("--depth", type=click.IntRange(min=0), help="At most this many versions away.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "dot", "mermaid", "svg"]), default="text", show_default=True
)
@click.option("-o", "--output", "target", type=click.Path(path_type=str), help="Write to this file.")
def lineage(session: Session, name: str, *, down: bool, depth: int | None, form: str, target: str | None) -> None:
    """Where an artefact's version comes from, or what came of it."""
    from proml.index import lineage as graphs  # noqa: PLC0415 - needs the SQL library

    with session.participant() as participant:
        following = up_to_date(session, participant)
        graph = graphs.lineage(participant.model, name, down=down, depth=depth)
        if target is not None:
            written = _write(target, graphs.render(graph, form))
            session.answer({"written": str(written)}, [f"wrote {written}"])
        elif session.as_json or form == "json":
            session.as_json = True
            session.answer({**graph.to_json(), "following": following}, ())
        else:
            session.answer({}, graphs.render(graph, form).splitlines())


def _write(target: str, text: str) -> Path:
    from pathlib import Path  # noqa: PLC0415 - only with -o

    from proml.config import write_atomically  # noqa: PLC0415 - only with -o

    path = Path(target)
    write_atomically(path, text.encode(), mode=0o644)
    return path
