"""What a delivery did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from proml.errors import ConflictError, ProMLError, RefusedError, UnknownName, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proml.ports import Entry

Wait: TypeAlias = Literal["included", "final"] | None
"""How far something is waited for: in a block, in a final one, or not at all."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of the entries that a delivery was asked to send.

    Attributes:
        entries: As they are now, oldest first; of entries that were final before only those that were asked for.
        waiting: Why entries that are still pending did not go, by number.
        errors: What stopped entries, by number: refusals, conflicts, stores that do not answer.
    """

    entries: tuple[Entry, ...]
    waiting: Mapping[int, str] = field(default_factory=dict)
    errors: Mapping[int, ProMLError] = field(default_factory=dict)

    def in_state(self, *states: str) -> tuple[Entry, ...]:
        """Returns the entries in these states."""
        return tuple(entry for entry in self.entries if entry.state in states)

    @property
    def confirmed(self) -> tuple[Entry, ...]:
        """Entries in a block."""
        return self.in_state("confirmed")

    @property
    def unsent(self) -> tuple[Entry, ...]:
        """Entries that are not in a block, and may still come there."""
        return self.in_state("pending", "sent")

    @property
    def failed(self) -> tuple[Entry, ...]:
        """Entries that the rules refused or that lost a race; they stay until rebased or dropped."""
        return self.in_state("refused", "conflict")

    def raise_for(self, number: int, wait: Wait = None) -> Entry:
        """Returns an entry that came as far as was waited for; raises what stopped it otherwise.

        Args:
            number: Of the entry.
            wait: ``included``: it has to be in a block; ``final``: in a final one; None: handed in.

        Raises:
            RefusedError: The rules refuse it (or a UsageError says what in it cannot be).
            ConflictError: The artefact moved on.
            UnreachableError: It is safe in the outbox and waits: for a block or its finality, a store, another entry.
            UnknownName: The delivery was not asked to send it.
        """
        entry = next((e for e in self.entries if e.number == number), None)
        if entry is None:
            raise UnknownName(f"Entry {number} was not to be sent.", hint="`proml status` shows the outbox.")
        if _is_so_far(entry, wait):
            return entry
        if entry.state == "confirmed":
            raise UnreachableError(
                f"Entry {number} is in block {entry.block_number}, which is not final yet.",
                hint="`proml sync --final` goes on waiting.",
            )
        if number in self.errors:
            raise self.errors[number]
        if entry.state == "conflict":
            raise ConflictError(entry.error)
        if entry.state in ("refused", "dropped"):
            raise RefusedError(entry.error or f"Entry {number} was dropped.")
        raise UnreachableError(
            self.waiting.get(number) or entry.error or f"Entry {number} is not in a block yet.",
            hint="It is safe in the outbox; `proml sync` sends it as soon as it can go.",
        )


def _is_so_far(entry: Entry, wait: Wait) -> bool:
    if wait is None:
        return entry.state in ("sent", "confirmed")
    return entry.state == "confirmed" and (entry.final or wait == "included")
