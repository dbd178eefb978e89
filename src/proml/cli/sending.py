"""Sending what was just written down, and saying in words what became of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.cli import output
from proml.cli.status import entry_document
from proml.errors import ConflictError, RefusedError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.ports import Entry
    from proml.wiring import Participant


@dataclass(frozen=True, slots=True)
class Sent:
    """Entries that are in a block.

    Attributes:
        entries: In the order of the outbox.
        verbose: Show full hashes.
    """

    entries: tuple[Entry, ...]
    verbose: bool

    @property
    def document(self) -> dict[str, object]:
        """What to add to a JSON answer."""
        return {"entries": [entry_document(entry) for entry in self.entries]}

    @property
    def lines(self) -> Iterator[str]:
        """What to tell a person: transaction, block, gas, milliseconds."""
        shown = str if self.verbose else output.short
        for entry in self.entries:
            took = (entry.confirmed_ns - entry.created_ns) / 1e6
            parts = [f"transaction {shown(f'0x{entry.transaction_hash.hex()}')}", f"block {entry.block_number}"]
            parts += [f"gas {entry.gas_used:,}"] if entry.gas_used else []
            parts += [f"{took:,.0f} ms"] if entry.confirmed_ns else []
            yield output.colour("  ".join(parts), "dim")


def send(session: Session, participant: Participant, numbers: Sequence[int]) -> Sent:
    """Sends entries of the outbox and waits until they are in a block.

    What the rules refuse is taken out of the outbox, since the person who asked for it is told at once and would have
    to ask for something else; what met a conflict or an unreachable ledger stays.

    Args:
        session: This invocation; an error's JSON document gets the entries.
        participant: Whose outbox.
        numbers: Of the entries.

    Raises:
        RefusedError: By the rules, in words; also UsageError.
        ConflictError: The artefact moved on.
        UnreachableError: Nothing is lost: `proml sync` sends it.
    """
    session.facts["entry"] = numbers[0] if len(numbers) == 1 else list(numbers)
    try:
        report = participant.deliver(numbers)
        entries = tuple(report.raise_for(number, "included") for number in numbers)
    except UnreachableError as error:
        raise UnreachableError(
            f"{error.message.rstrip('.')}. What you asked for is safe in the outbox as {_entries(numbers)}.",
            hint=f"`proml sync` sends it. {error.hint}".rstrip(),
        ) from error
    except ConflictError as error:
        first = numbers[0]
        raise ConflictError(
            error.message,
            hint=f"Look at it again, then `proml sync --rebase {first}` sends it on what is there now, "
            f"or `proml sync --drop {first}` gives it up.",
        ) from error
    except (RefusedError, UsageError):
        for number in numbers:
            # Should that not be possible now, it holds nothing back as it is: what it was refused for is said.
            with contextlib.suppress(ConflictError, UnreachableError):
                if participant.outbox.entry(number).state == "refused":
                    participant.drop(number)
        raise
    return Sent(entries, session.verbose)


def _entries(numbers: Sequence[int]) -> str:
    return f"entry {numbers[0]}" if len(numbers) == 1 else f"entries {numbers[0]} to {numbers[-1]}"
