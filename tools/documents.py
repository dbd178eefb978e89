# ruff: noqa: INP001 - tools/ holds programs that developers run, not a package
"""Writes the pages of ``docs/reference`` that follow from the code.

python -m tools.documents           # write them
python -m tools.documents --check   # exit with 1 and name those that are out of date
"""

from __future__ import annotations

import inspect
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proml import errors
from proml.cli.root import root
from proml.core.lifecycle_drawing import draw_mermaid
from proml.core.refusal_words import WORDS
from proml.lifecycles import load_shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proml.core.lifecycle import Definition, Transition

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
_WIDTH = 100
_NOTE = "<!-- Written by `make docs` from the code. Change the code, not this page. -->"
_COMMAND_LINE = """\
# Command line

What `--help` says, for every command. `-C`, `--json` and `-v` mean the same before and after a command's name.
Exit codes are in [errors.md](errors.md)."""
_ERRORS = """\
# Errors and exit codes

Every message says what was expected, what was found, and where; the hint says what to do next. With `--json`
the document on standard output has `error` with `code`, `type`, `message` and `hint`, and for refusals `rule`
and `arguments`.

## Exit codes
"""
_OTHER_CODES = """
`proml run` exits with the program's own code: 128 + N if signal N killed it, 127 if there is no such program,
126 if it cannot be run.

## Exceptions

`proml.ProMLError` and its direct children are in `proml`, all of them in `proml.errors`.
"""
_RULES = """
## Rules of the contract

What the contract refuses has the rule's name in `rule`. Those marked *conflict* exit with 6, all others with 3.
Words in *italics* stand for names and numbers of the case.
"""
_LIFECYCLES = """\
# Lifecycles that come with ProML

The TOML files are in `src/proml/lifecycles/`. [How to write your own](../how-to/write-a-lifecycle.md) says what
flags and guards mean. A transition from *any* starts in every state that is not terminal."""


def command_line() -> Iterator[str]:
    """Yields the page about the command line: the help of every command, in the order of `proml --help`."""
    yield _COMMAND_LINE
    for path, help_text in commands():
        level = min(path.count(" ") + 2, 4)
        yield ""
        yield f"{'#' * level} {path}"
        yield ""
        yield from _fenced("text", help_text)


def commands() -> Iterator[tuple[str, str]]:
    """Yields the path of every command and group, such as ``proml id new``, and its help."""
    yield from _below(root, click.Context(root, info_name="proml", **_settings(root)))


def _below(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _below(found, click.Context(found, parent=context, info_name=name, **_settings(found)))


def _settings(command: click.Command) -> dict[str, Any]:
    return {**command.context_settings, "terminal_width": _WIDTH}


def error_page() -> Iterator[str]:
    """Yields the page about errors: exit codes, exceptions, and the contract's rules in words."""
    yield _ERRORS
    codes = [("0", "Done.")]
    codes += [(str(kind.exit_code), _summary(kind)) for kind in _children(errors.ProMLError)]
    codes.insert(1, ("1", "Unexpected: a bug. The message says where the traceback is."))
    codes += [("130", "Interrupted by the keyboard.")]
    yield from _table(("code", "meaning"), codes)
    yield _OTHER_CODES
    rows = [
        (f"`{kind.__name__}`", f"`{kind.__mro__[1].__name__}`", str(kind.exit_code), _summary(kind))
        for kind in _tree(errors.ProMLError)
    ]
    yield from _table(("exception", "is a", "exit code", "meaning"), rows)
    yield _RULES
    conflicts = {"HeadMismatch", "AnchorMismatch", "NonceMismatch"}
    yield from _table(
        ("rule", "message", "what to do"),
        [
            (f"`{name}`" + (" *conflict*" if name in conflicts else ""), _with_names(words.message), words.hint)
            for name, words in WORDS.items()
        ],
    )


def lifecycles() -> Iterator[str]:
    """Yields the page about the lifecycles that come with ProML."""
    yield _LIFECYCLES
    for definition in load_shipped().values():
        yield ""
        yield f"## {definition.name}"
        yield ""
        yield f"{definition.summary}. Version {definition.version}, `sha256:{definition.digest.hex()}`."
        yield f"Registered by {' or '.join(definition.register)}, in state `{definition.initial}`."
        yield ""
        yield from _fenced("mermaid", draw_mermaid(definition))
        yield ""
        yield from _table(
            ("state", "flags", ""),
            [(f"`{state.name}`", ", ".join(state.flags), state.summary) for state in definition.states],
        )
        yield ""
        yield from _table(("action", "from", "to", "by", "conditions", ""), list(_transitions(definition)))


def _transitions(definition: Definition) -> Iterator[tuple[str, ...]]:
    """Yields a row for each transition; those that differ only in where they start share one."""
    starts: dict[tuple[str, ...], list[str]] = {}
    for one in definition.transitions:
        row = (f"`{one.name}`", one.to_state, " ".join(one.roles), ", ".join(_conditions(one)), one.summary)
        starts.setdefault(row, []).append("any" if one.from_state == "*" else one.from_state)
    for (name, target, roles, conditions, summary), sources in starts.items():
        yield name, ", ".join(sources), target, roles, conditions, summary


def _conditions(one: Transition) -> Iterator[str]:
    yield from one.guards
    if one.quorum:
        yield f"{one.quorum} organisations ({'/'.join(one.vote_roles)}) endorse"
    if one.evidence:
        yield f"evidence: {one.evidence}"
    if one.min_delay_s:
        yield f"after {one.min_delay_s} s"


def _children(kind: type[errors.ProMLError]) -> list[type[errors.ProMLError]]:
    return [found for found in kind.__subclasses__() if found.__module__ == errors.__name__]


def _tree(kind: type[errors.ProMLError]) -> Iterator[type[errors.ProMLError]]:
    yield kind
    for child in _children(kind):
        yield from _tree(child)


def _summary(kind: type[errors.ProMLError]) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


def _with_names(message: str) -> str:
    """Returns a message with the names of its arguments in italics."""
    names = {"doing": "the action"}
    parts = string.Formatter().parse(message)
    return "".join(text + (f"*{names.get(field, field)}*" if field else "") for text, field, _, _ in parts)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _fenced(language: str, text: str) -> Iterator[str]:
    yield f"```{language}"
    yield from (line.rstrip() for line in text.rstrip().splitlines())
    yield "```"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "command-line.md": command_line,
    "errors.md": error_page,
    "lifecycles.md": lifecycles,
}


def pages() -> dict[Path, str]:
    """Returns the text that each generated page should have."""
    return {REFERENCE / name: "\n".join([_NOTE, "", *page()]) + "\n" for name, page in PAGES.items()}


def out_of_date() -> list[Path]:
    """Returns the generated pages whose text is not what the code says."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(arguments: Sequence[str]) -> int:
    """Writes or checks the pages; returns the exit code."""
    if list(arguments) == ["--check"]:
        stale = out_of_date()
        for path in stale:
            sys.stderr.write(f"{path.relative_to(REFERENCE.parents[1])} is out of date; run `make docs`.\n")
        return 1 if stale else 0
    if arguments:
        sys.stderr.write("usage: python -m tools.documents [--check]\n")
        return 2
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
