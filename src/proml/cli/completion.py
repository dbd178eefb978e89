"""``proml completion``, and what completes artefacts, kinds and actions while a person types.

Completion reads the local index with the standard library alone: it must answer while a key is still going down, and a
missing, old or broken index completes nothing instead of failing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from proml.cli import output
from proml.cli.group import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proml.cli.session import Session

_LIMIT = 200


@command(
    "completion",
    examples="""
        proml completion bash > ~/.local/share/bash-completion/completions/proml
        proml completion zsh > ~/.zfunc/_proml
        proml completion fish > ~/.config/fish/completions/proml.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(session: Session, shell: str) -> None:
    """Print the script with which a shell completes commands, options, artefacts, kinds and actions."""
    from proml.cli.root import root  # noqa: PLC0415 - the root's table names this module

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"No completion for {shell}.")
    # click's bash script asks `bash --version` first, which source() runs; the template alone is what is wanted.
    made = kind(root, {}, "proml", "_PROML_COMPLETE")
    script = made.source_template % made.source_vars()
    session.answer({"shell": shell, "script": script}, script.splitlines())


def artefacts(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the names of artefacts that the local index knows."""
    return _matching(context, typed, lambda database: (row[0] for row in database.execute(_NAMES)))


def kinds(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the kinds of the workspace's lifecycles."""
    return _matching(context, typed, lambda database: (document["name"] for document in _definitions(database)))


def actions(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the actions of the artefact named before, or of all lifecycles."""
    name = context.params.get("name", "")

    def found(database: sqlite3.Connection) -> Iterator[str]:
        number = next((row[0] for row in database.execute(_LIFECYCLE_OF, (name,))), None)
        for document in _definitions(database, number):
            for transition in document["transitions"]:
                yield transition["name"] if isinstance(transition, dict) else transition

    return _matching(context, typed, found)


_NAMES = "SELECT name FROM names ORDER BY name"
_LIFECYCLE_OF = (
    "SELECT lifecycle FROM registrations JOIN names ON names.artefact = registrations.artefact WHERE names.name = ?"
)
_DOCUMENTS = (
    "SELECT body, number FROM lifecycles JOIN documents ON documents.digest = lifecycles.definition ORDER BY number"
)


def _definitions(database: sqlite3.Connection, number: int | None = None) -> Iterator[dict[str, Any]]:
    for body, found in database.execute(_DOCUMENTS):
        if number in (None, found):
            yield json.loads(body)


def _matching(
    context: click.Context, typed: str, ask: Callable[[sqlite3.Connection], Iterator[str]]
) -> list[CompletionItem]:
    from proml.config import find_folder  # noqa: PLC0415 - only while completing

    with contextlib.suppress(Exception):
        start = next((found.obj.start for found in _chain(context) if found.obj is not None), None)
        path = find_folder(start).index_file
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as database:
            found = dict.fromkeys(value for value in ask(database) if value.startswith(typed))
            return [CompletionItem(output.printable(value)) for value in list(found)[:_LIMIT]]
    return []


def _chain(context: click.Context | None) -> Iterator[click.Context]:
    while context is not None:
        yield context
        context = context.parent
