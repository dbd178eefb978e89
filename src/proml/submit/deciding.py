"""What a person decides about entries that failed: ``proml sync --rebase`` and ``--drop``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.errors import ConflictError, UsageError
from proml.submit.given import GIVEN, decide, taken_back

if TYPE_CHECKING:
    from proml.ports import Entry, Node, Outbox

_LOCK_TIMEOUT_S = 30.0


def rebase(outbox: Outbox, account: str, number: int, node: Node | None = None) -> Entry:
    """Lets an entry that was refused, or lost a race, go again, bound to the head as it then is.

    One that was given to a node goes again from there; from here if this folder gives to no node that has it.

    So may one that is taken for confirmed and is not on the chain, after an end point lied: delivery looks for its
    record on the chain first, and sends nothing if it is there.

    Raises:
        UnknownName: There is no such entry.
        UsageError: It waits, was sent or dropped, or it is a vote in conflict: a vote is for what was seen.
    """
    with outbox.lock_sender(account, timeout_s=_LOCK_TIMEOUT_S):
        entry = outbox.entry(number)
        if GIVEN in entry.detail:
            return _changed(outbox, decide(entry, node, "rebase") or taken_back(entry))
        if entry.state not in ("refused", "conflict", "confirmed"):
            raise UsageError(
                f"Entry {number} is {entry.state}; only what was refused, confirmed or is in conflict can be rebased.",
                hint="`proml status` shows the outbox.",
            )
        if entry.intent.kind == "endorse" and entry.state == "conflict":
            raise UsageError(
                f"Entry {number} is a vote for a version that is no longer the current one.",
                hint=f"Look at what changed, vote anew, and drop this one: `proml sync --drop {number}`.",
            )
        kept = {name: value for name, value in entry.detail.items() if name not in ("races", "alone", "replaced")}
        again = replace(
            entry,
            state="pending",
            raw_transaction=b"",
            block_number=-1,
            block_hash=b"",
            confirmed_ns=0,
            final=False,
            error="",
            detail={**kept, "rebased": True},
        )
        return _changed(outbox, again)


def drop(outbox: Outbox, account: str, number: int, node: Node | None = None) -> Entry:
    """Gives an entry up; what follows it can then go. One that was given to a node is given up there too.

    Raises:
        UnknownName: There is no such entry.
        ConflictError: It was sent already, so that it can no longer be taken back.
    """
    with outbox.lock_sender(account, timeout_s=_LOCK_TIMEOUT_S):
        entry = outbox.entry(number)
        if GIVEN in entry.detail:
            return _changed(outbox, decide(entry, node, "drop") or replace(entry, state="dropped"))
        if entry.state in ("sent", "confirmed"):
            raise ConflictError(
                f"Entry {number} was handed in already ({entry.state}): it cannot be taken back.",
                hint="`proml sync` shows what becomes of it.",
            )
        return _changed(outbox, replace(entry, state="dropped"))


def _changed(outbox: Outbox, entry: Entry) -> Entry:
    outbox.update([entry])
    return entry
