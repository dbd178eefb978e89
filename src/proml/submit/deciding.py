"""What a person decides about entries that failed: ``proml sync --rebase`` and ``--drop``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.errors import ConflictError, UsageError

if TYPE_CHECKING:
    from proml.ports import Entry, Outbox

_LOCK_TIMEOUT_S = 30.0


def rebase(outbox: Outbox, account: str, number: int) -> Entry:
    """Lets an entry that was refused, or lost a race, go again, bound to the head as it then is.

    So may one that is taken for confirmed and is not on the chain, after an end point lied: delivery looks for its
    record on the chain first, and sends nothing if it is there.

    Raises:
        UnknownName: There is no such entry.
        UsageError: It waits, was sent or dropped, or it is a vote in conflict: a vote is for what was seen.
    """
    with outbox.lock_sender(account, timeout_s=_LOCK_TIMEOUT_S):
        entry = outbox.entry(number)
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
        changed = replace(
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
        outbox.update([changed])
        return changed


def drop(outbox: Outbox, account: str, number: int) -> Entry:
    """Gives an entry up; what follows it can then go.

    Raises:
        UnknownName: There is no such entry.
        ConflictError: It was sent already, so that it can no longer be taken back.
    """
    with outbox.lock_sender(account, timeout_s=_LOCK_TIMEOUT_S):
        entry = outbox.entry(number)
        if entry.state in ("sent", "confirmed"):
            raise ConflictError(
                f"Entry {number} was handed in already ({entry.state}): it cannot be taken back.",
                hint="`proml sync` shows what becomes of it.",
            )
        changed = replace(entry, state="dropped")
        outbox.update([changed])
        return changed
