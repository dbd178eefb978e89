"""Gives what waits in the outbox to another host's node, which sends it, and brings back what became of it.

For hosts without a ledger and without a key: the node's member signs. An entry that was given away is never sent from
here: its detail says ``node``, and a delivery leaves it alone. Giving the same key twice has no effect, so a host that
dies between giving and noting gives again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.core.intent import documents_of, parse_intent
from proml.errors import InvalidRecord, NotAvailable
from proml.submit.given import GIVEN, GIVEN_AS, as_told, number_there
from proml.submit.report import DeliveryReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.ports import Clock, Entry, Node, Outbox, Store
    from proml.submit.book import Progress
    from proml.submit.deliver import Wait

MAX_AT_ONCE = 100
_FIRST_POLL_S, _LONGEST_POLL_S = 0.1, 2.0
_LOCK_TIMEOUT_S = 30.0
_NS = 1_000_000_000


def hand_over(
    outbox: Outbox,
    store: Store,
    node: Node,
    clock: Clock,
    *,
    wait: Wait = "included",
    progress: Progress | None = None,
    timeout_s: float = 120.0,
) -> DeliveryReport:
    """Gives what is pending to a node, then waits for what becomes of it.

    Args:
        outbox: What waits here.
        store: The local store, which has the documents.
        node: Who sends it.
        clock: For waiting.
        wait: Until entries are in a block, until that is final, or not at all (None).
        progress: As for :func:`proml.submit.deliver.deliver`.
        timeout_s: How long to wait, in seconds.

    Raises:
        UnreachableError: The node does not answer, or takes no more for now; nothing is lost.
        UsageError: The node does not take something, and says why.
    """
    with outbox.lock_sender(GIVEN, timeout_s=_LOCK_TIMEOUT_S):
        for group in _groups(outbox):
            _give(outbox, store, node, group)
        mine = [entry.number for entry in outbox.unsettled() if entry.detail.get(GIVEN) == node.where]
        told: set[int] = set()
        ends, poll_s = clock.now_ns() + round(timeout_s * _NS), _FIRST_POLL_S
        while True:
            entries = _bring_back(outbox, node, mine)
            for entry in entries:
                if progress is not None and entry.number not in told and entry.state not in ("pending", "sent"):
                    told.add(entry.number)
                    progress(len(told), len(mine), entry)
            if not any(_is_awaited(entry, wait) for entry in entries) or clock.now_ns() >= ends:
                break
            clock.sleep(poll_s)
            poll_s = min(2 * poll_s, _LONGEST_POLL_S)
    return DeliveryReport(tuple(entries), {e.number: _waiting(e) for e in entries if e.state == "sent"})


def _waiting(entry: Entry) -> str:
    told = f", where it is entry {number_there(entry)}: {entry.error}" if entry.error else " (not in a block yet)."
    return f"The node {entry.detail[GIVEN]} has it{told}"


def _is_awaited(entry: Entry, wait: Wait) -> bool:
    if wait is None or entry.state not in ("sent", "confirmed"):
        return False
    return entry.state == "sent" or (wait == "final" and not entry.final)


def _groups(outbox: Outbox) -> list[list[Entry]]:
    pending = [entry for entry in outbox.entries("pending") if GIVEN not in entry.detail]
    return [pending[at : at + MAX_AT_ONCE] for at in range(0, len(pending), MAX_AT_ONCE)]


def _give(outbox: Outbox, store: Store, node: Node, entries: Sequence[Entry]) -> None:
    good: list[Entry] = []
    for entry in entries:
        try:
            for digest in documents_of(parse_intent(entry.intent)):
                if not node.has(digest):
                    node.put(store.get(digest))
        except (InvalidRecord, NotAvailable) as error:
            outbox.update([replace(entry, state="refused", error=str(error))])
            continue
        good.append(entry)
    if not good:
        return
    numbers = node.add([entry.intent for entry in good])
    outbox.update([
        replace(entry, state="sent", attempts=entry.attempts + 1, error="",
                detail={**entry.detail, GIVEN: node.where, GIVEN_AS: number})
        for entry, number in zip(good, numbers, strict=True)
    ])  # fmt: skip


def _bring_back(outbox: Outbox, node: Node, numbers: Sequence[int]) -> list[Entry]:
    entries = [outbox.entry(number) for number in numbers]
    open_ones = [entry for entry in entries if not entry.final and entry.state != "dropped"]
    found = node.outcomes([number_there(entry) for entry in open_ones])
    told = [as_told(entry, outcome) for entry, outcome in zip(open_ones, found, strict=True)]
    changed = {now.number: now for entry, now in zip(open_ones, told, strict=True) if now != entry}
    if changed:
        outbox.update(list(changed.values()))
    return [changed.get(entry.number, entry) for entry in entries]
