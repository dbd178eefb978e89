"""One invocation of the command line: the options that every command has, the working folder, and the answer."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proml.wiring import Participant


@dataclass
class Session:
    """What a command is given first.

    Attributes:
        start: Folder at which the search for the working folder begins; None is the current one.
        as_json: Answer with one JSON document on standard output.
        verbose: Say more.
        facts: Added to the JSON document of an error: what was done before it went wrong.
    """

    start: str | None = None
    as_json: bool = False
    verbose: bool = False
    facts: dict[str, object] = field(default_factory=dict)

    @contextlib.contextmanager
    def participant(self) -> Iterator[Participant]:
        """Opens the working folder, and closes what was opened in it."""
        from proml.wiring import open_participant  # noqa: PLC0415 - only commands that need the folder pay for it

        participant = open_participant(self.start)
        try:
            yield participant
        finally:
            participant.close()

    def answer(self, document: Mapping[str, object], lines: Iterable[str]) -> None:
        """Prints the answer: the document with ``--json``, else the lines.

        Args:
            document: JSON-compatible; bytes become 0x-hex.
            lines: Text for people; iterated only when it is printed.
        """
        if self.as_json:
            output.print_json(document)
        else:
            for line in lines:
                output.print_line(line)

    def say(self, line: str) -> None:
        """Prints a line about what goes on to standard error; silent with ``--json``."""
        if not self.as_json:
            output.print_line(line, error=True)

    def detail(self, line: str) -> None:
        """Prints a line to standard error with ``-v`` only."""
        if self.verbose:
            output.print_line(line, error=True)
