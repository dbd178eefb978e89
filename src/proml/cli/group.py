"""A click group that loads a command's module only when that command runs, and commands whose help shows examples."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from proml.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Lazy(NamedTuple):
    """Where a command is defined, and its one-line help, so that listing the commands loads none of them."""

    target: str
    summary: str


class Command(click.Command):
    """A command with the options that every command has, and examples in its help.

    Args:
        examples: Command lines, one per line, shown at the end of the help.
    """

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.extend(common_options())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples."""
        _write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of commands that are loaded when they are run.

    Args:
        lazy: Where each command is, by name.
        examples: Command lines, one per line, shown at the end of the help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy] | None = None, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})
        self.examples = examples
        self.params.extend(common_options())

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Returns the names in the order of the table, which tells the story, not the alphabet."""
        return [*self.lazy, *(name for name in self.commands if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command, importing its module."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name].target.partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Writes the commands with their one-line help, loading none."""
        rows = [(name, entry.summary) for name, entry in self.lazy.items()]
        rows += [(name, command.get_short_help_str(60)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples."""
        _write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; an unknown one is answered with the names that come near."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 - only needed for a mistyped command

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=3, cutoff=0.5)
            suggestion = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{suggestion}", ctx) from error

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a command of :class:`Command`."""
        kwargs.setdefault("cls", Command)
        return super().command(*args, **kwargs)


def command(name: str, *, examples: str, **settings: Any) -> Callable[[Callable[..., None]], Command]:
    """Declares a command: its function gets the :class:`Session` first, then its own options."""

    def declare(function: Callable[..., None]) -> Command:
        return click.command(name, cls=Command, examples=examples, **settings)(click.pass_obj(function))

    return declare


def common_options() -> list[click.Option]:
    """Returns the options of every command; given before or after the command's name they mean the same."""
    return [
        click.Option(
            ["-C", "--folder"],
            metavar="FOLDER",
            expose_value=False,
            callback=_setter("start"),
            help="Working folder, instead of the current one.",
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            expose_value=False,
            callback=_setter("as_json"),
            help="Answer with one JSON document.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_setter("verbose"),
            help="Say more: full digests, what is sent.",
        ),
    ]


def _setter(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_option(context: click.Context, _: click.Parameter, value: Any) -> None:
        session = context.ensure_object(Session)
        if value:
            setattr(session, attribute, value)

    return set_option


def _write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")
