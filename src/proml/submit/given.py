"""What an entry's detail says once it was given to another host's node, and asking that node about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.errors import UnknownName

if TYPE_CHECKING:
    from proml.ports import Decision, Entry, Node, Outcome

TAKEN = frozenset({"register", "transition", "anchor"})
"""Kinds of intents that nodes take from hosts; votes, grants and governance are for people at their own folder."""
GIVEN = "node"
"""Key of an entry's detail: which node it was given to."""
GIVEN_AS = "node_entry"
"""Key of an entry's detail: its number there."""
_COMMANDS = " `proml sync --"
"""Where a node's words begin to name commands for whoever is at its own folder, where other numbers count."""


def number_there(entry: Entry) -> int:
    """Returns the number that the node has an entry under."""
    return int(str(entry.detail[GIVEN_AS]))


def outcome_of(entry: Entry, node: Node) -> Outcome | None:
    """Returns what became of an entry at a node, by whatever URL it was given; None if the node does not have it."""
    try:
        (outcome,) = node.outcomes([number_there(entry)])
    except UnknownName:
        return None
    return outcome if outcome.key == entry.intent.key else None


def as_told(entry: Entry, outcome: Outcome, node: Node) -> Entry:
    """Returns an entry as the node that has it tells that it is."""
    return replace(
        entry,
        state="sent" if outcome.state == "pending" else outcome.state,
        transaction_hash=outcome.transaction_hash,
        block_number=outcome.block_number,
        block_hash=outcome.block_hash,
        gas_used=outcome.gas_used,
        confirmed_ns=outcome.confirmed_ns,
        error=outcome.error.partition(_COMMANDS)[0],
        final=outcome.final,
        detail={**entry.detail, GIVEN: node.where},
    )


def taken_back(entry: Entry) -> Entry:
    """Returns an entry as one that waits here again; what it asks for may be on the chain, so that is looked for."""
    kept = {name: value for name, value in entry.detail.items() if name not in (GIVEN, GIVEN_AS)}
    return replace(entry, state="pending", error="", final=False, detail={**kept, "signed": True})


def decide(entry: Entry, node: Node | None, decision: Decision) -> Entry | None:
    """Lets the node that has an entry send it again or give it up.

    Returns:
        The entry as it is then; None if no node that this folder gives to has it, so that it is decided about here.

    Raises:
        ConflictError: It cannot be decided about as it stands there.
        UnreachableError: No answer; nothing is known of what it did, and the same may be asked again.
    """
    if node is None or outcome_of(entry, node) is None:
        return None
    return as_told(entry, node.decide(number_there(entry), entry.intent.key, decision), node)
