"""``proml diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from proml.cli.completion import artefacts
from proml.cli.follow import up_to_date
from proml.cli.group import command

if TYPE_CHECKING:
    from proml.cli.session import Session


@command(
    "diff",
    examples="""
        proml diff tumour-model@1 tumour-model@2
        proml diff tumours@1 tumours@2 --json
    """,
)
@click.argument("before", shell_complete=artefacts)
@click.argument("after", shell_complete=artefacts)
def diff(session: Session, before: str, after: str) -> None:
    """What changed between two versions: content, parameters, metrics, code, environment, inputs."""
    from proml.verify import diff as versions  # noqa: PLC0415 - needs the SQL library

    with session.participant() as participant:
        following = up_to_date(session, participant)
        view = versions.diff(participant.model, before, after)
        session.answer({**view.to_json(), "following": following}, versions.diff_lines(view))
