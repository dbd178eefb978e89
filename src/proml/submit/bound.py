"""Operations bound to heads and ready to be tried, and what of them goes into one transaction. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.core.operation import ZERO, Registration, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.core.operation import Operation, Relayed
    from proml.ports import Entry
    from proml.submit.plan import Candidate

MAX_BATCH = 50
"""Most transitions in one transaction; about 1 M gas, far below every chain's block limit."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An operation ready to be tried, with the entries that it fulfils.

    Attributes:
        candidates: Entries that it fulfils, with their intents.
        operation: What the contract is asked for.
        details: What is to be remembered with entries, by number.
        head: For a change, the head that the ledger showed, on which it or those before it in its sequence build.
    """

    candidates: tuple[Candidate, ...]
    operation: Operation | Relayed
    details: dict[int, dict[str, object]] = field(default_factory=dict)
    head: bytes = ZERO

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What it fulfils."""
        return tuple(candidate.entry for candidate in self.candidates)

    @property
    def can_be_batched(self) -> bool:
        """Whether it may share a transaction with others."""
        return isinstance(self.operation, Transition) and not self.entries[0].detail.get("alone")

    @property
    def follows(self) -> int | None:
        """Number of the entry that has to go before it in the same transaction, if any."""
        return self.candidates[0].follows


def registration_record(group: Sequence[Bound]) -> bytes | None:
    """Returns the record of the artefact that is registered on the way, if one is; such operations go alone."""
    operation = group[0].operation
    if isinstance(operation, tuple) and isinstance(operation[0], Registration):
        return operation[0].record
    return None


def goes_on(batch: Sequence[Bound], candidate: Candidate) -> bool:
    """Tells whether a candidate can go into this transaction because what it follows is the last in it."""
    is_next = bool(batch) and batch[-1].entries[0].number == candidate.follows
    return is_next and len(batch) < MAX_BATCH and not candidate.entry.detail.get("alone")


def sequences_of(group: Sequence[Bound]) -> list[list[Bound]]:
    """Returns what builds on each other together, in order."""
    sequences: list[list[Bound]] = []
    for bound in group:
        if bound.follows is None or not sequences:
            sequences.append([])
        sequences[-1].append(bound)
    return sequences


def together(batch: Sequence[Bound]) -> Bound:
    """Returns one operation that does what all of a batch do, in order."""
    if len(batch) == 1:
        return batch[0]
    return Bound(
        tuple(candidate for bound in batch for candidate in bound.candidates),
        tuple(bound.operation for bound in batch if isinstance(bound.operation, Transition)),
        {number: detail for bound in batch for number, detail in bound.details.items()},
    )


def doing(bound: Bound) -> str:
    """Returns what an operation does, in words for a message."""
    body = bound.entries[0].intent.body
    kind, name = bound.entries[0].intent.kind, body.get("name", "")
    what = {
        "register": f"registering {name}",
        "transition": f"the action {body.get('action')!r} on {name}",
        "endorse": f"the vote on {body.get('action')!r} of {name}",
        "anchor": "the anchor",
        "grant": "granting the session key",
        "revoke": "revoking the session key",
        "govern": "the proposal",
        "relay": f"the message that {body.get('signer')} signed",
    }
    return what.get(kind, kind)
