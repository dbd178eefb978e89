"""What an entry's detail says once it was given to another host's node, and asking that node about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.errors import ConflictError, UsageError

if TYPE_CHECKING:
    from proml.ports import Decision, Entry, Node, Outcome

GIVEN = "node"
"""Key of an entry's detail: which node it was given to. Also the name of the lock of those who give."""
GIVEN_AS = "node_entry"
"""Key of an entry's detail: its number there."""


def number_there(entry: Entry) -> int:
    """Returns the number that the node has an entry under."""
    return int(str(entry.detail[GIVEN_AS]))


def as_told(entry: Entry, outcome: Outcome) -> Entry:
    """Returns an entry as the node tells that it is.

    Raises:
        UsageError: The node has another one under this number.
    """
    if outcome.key != entry.intent.key:
        raise UsageError(
            f"entry {entry.number} was given to the node {entry.detail[GIVEN]}, which has another in its place.",
            hint="The node's outbox is not the one it was. Ask whoever runs it.",
        )
    return replace(
        entry,
        state="sent" if outcome.state == "pending" else outcome.state,
        transaction_hash=outcome.transaction_hash,
        block_number=outcome.block_number,
        block_hash=outcome.block_hash,
        gas_used=outcome.gas_used,
        confirmed_ns=outcome.confirmed_ns,
        error=outcome.error,
        final=outcome.final,
    )


def decide(entry: Entry, node: Node | None, decision: Decision) -> Entry:
    """Lets the node that has an entry send it again or give it up, and returns the entry as it is then.

    Raises:
        ConflictError: Another node has it, or it cannot be decided about as it stands there.
        UnreachableError: No answer; nothing is known of what it did, and the same may be asked again.
    """
    if node is None or node.where != entry.detail[GIVEN]:
        raise ConflictError(
            f"Entry {entry.number} was given to the node {entry.detail[GIVEN]}, which decides what becomes of it; "
            f"this folder {'sends by itself' if node is None else f'gives to {node.where}'} now.",
            hint=f"Let the folder give to that node again (PROML_NODE), then `proml sync --{decision} {entry.number}`.",
        )
    return as_told(entry, node.decide(number_there(entry), entry.intent.key, decision))
