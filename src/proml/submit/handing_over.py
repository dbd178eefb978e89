"""Gives what waits in the outbox to another host's node, which sends it, and brings back what became of it.

For hosts without a ledger and without a key: the node's member signs. An entry that was given away is never sent from
here: its detail says ``node``, and a delivery leaves it alone. Giving the same key twice has no effect, so a host that
dies between giving and noting gives again.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from proml.core.intent import documents_of, parse_intent
from proml.core.portions import portions
from proml.errors import InvalidRecord, NotAvailable, UnknownName, UsageError
from proml.submit.given import GIVEN, GIVEN_AS, as_told, number_there, outcome_of
from proml.submit.report import DeliveryReport
from proml.submit.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from proml.ports import Clock, Entry, Node, Outbox, Store
    from proml.submit.book import Progress
    from proml.submit.report import Wait

MAX_AT_ONCE = 100
MAX_BYTES_AT_ONCE = 8 << 20
_FIRST_POLL_S, _LONGEST_POLL_S = 0.1, 2.0
_EXPLAINED_S = 10.0
"""How long is waited for what the node says it cannot send: somebody there may have to decide."""


def hand_over(
    outbox: Outbox,
    store: Store,
    node: Node,
    clock: Clock,
    *,
    only: Collection[int] | None = None,
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
        only: Numbers of the entries that are waited for; None is all. All that is pending is given.
        wait: Until entries are in a block, until that is final, or not at all (None).
        progress: As for :func:`proml.submit.deliver.deliver`.
        timeout_s: How long to wait, in seconds; what is slept is counted.

    Raises:
        UnreachableError: The node does not answer, or takes no more for now; nothing is lost.
        UsageError: The node does not know us, or is this very folder's.
    """
    with Turn(outbox, node.where, clock) as turn:
        pending = [entry for entry in outbox.entries("pending") if GIVEN not in entry.detail]
        reasons = _give_all(outbox, store, node, pending)
        given = [entry.number for entry in outbox.unsettled() if GIVEN in entry.detail]
        told: set[int] = set()
        waited, poll_s = 0.0, _FIRST_POLL_S
        while True:
            entries = _bring_back(outbox, node, given, reasons)
            for entry in entries:
                if progress is not None and entry.number not in told and entry.state not in ("pending", "sent"):
                    told.add(entry.number)
                    progress(len(told), len(given), entry)
            known = [entry for entry in entries if entry.number not in reasons]
            awaited = [entry for entry in known if only is None or entry.number in only]
            if not any(_is_awaited(entry, wait, waited) for entry in awaited) or waited >= timeout_s:
                break
            turn.wait(poll_s)
            waited, poll_s = waited + poll_s, min(2 * poll_s, _LONGEST_POLL_S)
        reasons |= {e.number: _waiting(e) for e in entries if e.state == "sent" and e.number not in reasons}
        # Also what was refused here, and what was asked for and is final already.
        others = {entry.number for entry in pending} | set(only or ())
        entries += [outbox.entry(number) for number in sorted(others - set(given))]
    return DeliveryReport(tuple(sorted(entries, key=lambda entry: entry.number)), reasons)


def _waiting(entry: Entry) -> str:
    told = f" says of it, as its entry {number_there(entry)}: {entry.error}" if entry.error else " has it."
    return f"The node {entry.detail[GIVEN]}{told}"


def _is_awaited(entry: Entry, wait: Wait, waited_s: float) -> bool:
    if wait is None or entry.state not in ("sent", "confirmed"):
        return False
    is_explained = bool(entry.error) and not entry.transaction_hash
    if entry.state == "sent":
        return not is_explained or waited_s < _EXPLAINED_S
    return wait == "final" and not entry.final


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yields what goes in one request: what may be on the chain apart from what cannot."""
    for _, alike in itertools.groupby(entries, _may_be_there):
        yield from portions(alike, _size_bytes, most_items=MAX_AT_ONCE, most_size=MAX_BYTES_AT_ONCE)


def _size_bytes(entry: Entry) -> int:
    return len(json.dumps(entry.intent.to_json()))


def _may_be_there(entry: Entry) -> bool:
    return bool(entry.detail.get("signed"))


def _give_all(outbox: Outbox, store: Store, node: Node, entries: Sequence[Entry]) -> dict[int, str]:
    """Gives entries to a node; returns why some stay for now, by number."""
    if entries:
        _check_another_folder(node, entries[0])
    held: dict[int, str] = {}
    for group in _groups(entries):
        good: list[Entry] = []
        for entry in group:
            try:
                for digest in documents_of(parse_intent(entry.intent)):
                    if not node.has(digest):
                        node.put(store.get(digest))
            except InvalidRecord as error:
                outbox.update([replace(entry, state="refused", error=str(error))])
            except NotAvailable as error:
                held[entry.number] = error.message
            else:
                good.append(entry)
        if good:
            _give(outbox, node, good)
    return held


def _check_another_folder(node: Node, entry: Entry) -> None:
    """Refuses to give this folder's entries to its own node, which has them: it would wait for itself."""
    try:
        (there,) = node.outcomes([entry.number])
    except UnknownName:
        return
    if (there.key, there.created_ns) == (entry.intent.key, entry.created_ns):
        raise UsageError(
            f"the node {node.where} is the one of this very folder, which sends what waits here by itself.",
            hint="Unset PROML_NODE here; it is for other hosts.",
        )


def _give(outbox: Outbox, node: Node, entries: Sequence[Entry]) -> None:
    try:
        numbers = node.add([entry.intent for entry in entries], again=_may_be_there(entries[0]))
    except InvalidRecord as error:
        if len(entries) == 1:
            outbox.update([replace(entries[0], state="refused", error=str(error))])
            return
        half = len(entries) // 2
        for some in (entries[:half], entries[half:]):
            _give(outbox, node, some)
        return
    outbox.update([
        replace(entry, state="sent", attempts=entry.attempts + 1, error="",
                detail={**entry.detail, GIVEN: node.where, GIVEN_AS: number})
        for entry, number in zip(entries, numbers, strict=True)
    ])  # fmt: skip


def _bring_back(outbox: Outbox, node: Node, numbers: Sequence[int], reasons: dict[int, str]) -> list[Entry]:
    """Returns entries as the node tells that they are; adds why nothing is known of some."""
    found: list[Entry] = []
    changed: list[Entry] = []
    for entry in (outbox.entry(number) for number in numbers):
        now = entry
        if not entry.final and entry.state != "dropped" and entry.number not in reasons:
            outcome = outcome_of(entry, node)
            if outcome is None:
                reasons[entry.number] = _lost(entry, node)
            else:
                now = as_told(entry, outcome, node)
        found.append(now)
        if now != entry:
            changed.append(now)
    if changed:
        outbox.update(changed)
    return found


def _lost(entry: Entry, node: Node) -> str:
    return (
        f"It was given to the node {entry.detail[GIVEN]} as its entry {number_there(entry)}, and {node.where} does not "
        f"have it. `proml sync --rebase {entry.number}` gives it again, `proml sync --drop {entry.number}` gives it up."
    )
