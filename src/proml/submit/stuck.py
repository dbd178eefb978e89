"""Transactions that no block takes: too cheap ones are replaced, gaps before ours in the account's nonces are filled.

A replacement is the same operation with the same nonce, so that the chain takes one of the two and never both. It is
written ahead as everything that is signed; what it replaced stays known, as that one may come into a block instead.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.asking import send_all
from proml.core.digest import keccak256
from proml.errors import ConflictError, ProMLError
from proml.ports import Fees, UnsignedTransaction
from proml.submit.book import nonce_of
from proml.submit.fees import FeePolicy, TooDear, in_gwei, is_too_cheap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.core.refusal import Names
    from proml.ports import Clock, Entry, Ledger, Signer
    from proml.submit.book import Book

_MAX_GAP = 64
"""How many nonces that another program left open are filled."""
_FILLER_GAS = 21_000
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms transactions are sent.

    Attributes:
        chain_id: Of the chain.
        contract: That is spoken to.
        names: What things are called, for messages.
        fees: What is granted.
        stuck_s: After how many seconds outside a block something is done about a transaction.
    """

    chain_id: int
    contract: str
    names: Names
    fees: FeePolicy
    stuck_s: float


class Stuck:
    """Gets the transactions of one account going again.

    Args:
        book: The entries.
        ledger: Where to.
        signer: Signs.
        clock: Says how long a transaction waits.
        terms: For how much.
    """

    def __init__(self, book: Book, ledger: Ledger, signer: Signer, clock: Clock, terms: Terms) -> None:
        self._book = book
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._terms = terms

    def was_replaced(self, entries: Sequence[Entry], *, is_refused: bool = False) -> bool:
        """Replaces a transaction that offers less than the chain asks, if it is stuck or the client refused it.

        Returns:
            Whether it was; if there was need and no leave, the entries say so.

        Raises:
            NotTaken: The client does not take the replacement either; it is handed in again like any other.
        """
        first, raw = entries[0], raw_of(entries)
        offered = _fees_of(first)
        if not raw or offered is None or not (is_refused or self._waits_long(first)):
            return False
        asked = self._ledger.fees()
        if not is_too_cheap(offered, asked):
            return False
        fees = self._terms.fees.raised(offered, asked)
        if fees is None:
            self.note(
                entries,
                f"It offers {in_gwei(offered.max_fee)} per unit of gas, the chain asks {in_gwei(asked.least)}, and "
                "what is granted (max_gwei) is too little to replace it.",
            )
            return False
        earlier = f"0x{first.transaction_hash.hex()}"
        noted = [replace(e, detail={**e.detail, "replaced": [*hashes_in(e, "replaced"), earlier]}) for e in entries]
        error = f"It offered too little, and was replaced by one with up to {in_gwei(fees.max_fee)} per unit of gas."
        written = as_sent(noted, self._signer.reprice(raw, fees), fees, self._clock.now_ns(), error=error)
        self._book.save(*written)
        # The earlier one may be in a block by now: receipts of both are looked for.
        with contextlib.suppress(ConflictError):
            self._ledger.send(raw_of(written))
        return True

    def fill_gap(self) -> None:
        """Uses nonces before our first with empty transactions, if whoever took them does not."""
        waiting = [es for es in self._book.transactions().values() if es[0].state == "sent" and nonce_of(es[0]) >= 0]
        if not waiting or not self._waits_long(waiting[0][0]):
            return
        address, ours = self._signer.address, nonce_of(waiting[0][0])
        first = self._ledger.nonce(address)
        if first >= ours:
            return
        if ours - first > _MAX_GAP:
            self.note(waiting[0], f"It waits for {ours - first} transactions of the account that no client knows.")
            return
        try:
            fees = self._terms.fees.offer(self._ledger.fees())
        except TooDear as error:
            self.note(waiting[0], str(error))
            return
        empty = [
            UnsignedTransaction(self._terms.chain_id, nonce, address, b"", _FILLER_GAS, fees)
            for nonce in range(first, ours)
        ]
        answers = send_all(self._ledger, [self._signer.sign_transaction(one) for one in empty])
        # Whoever took a nonce may use it after all.
        failed = next((a for a in answers if isinstance(a, ProMLError) and not isinstance(a, ConflictError)), None)
        self.note(
            waiting[0],
            f"Another program took the nonces from {first} to {ours - 1} of the account and did not use them; "
            + (f"they cannot be filled now: {failed}" if failed else "empty transactions took their place."),
        )

    def note(self, entries: Sequence[Entry], error: str) -> None:
        """Remembers with entries why they wait."""
        changed = [replace(entry, error=error) for entry in entries if entry.error != error]
        if changed:
            self._book.save(*changed)

    def _waits_long(self, entry: Entry) -> bool:
        since = entry.detail.get("sent_ns")
        return isinstance(since, int) and self._clock.now_ns() - since >= round(self._terms.stuck_s * _NS)


def as_sent(entries: Sequence[Entry], raw: bytes, fees: Fees, now_ns: int, *, error: str = "") -> list[Entry]:
    """Returns the entries of a signed transaction as they are written ahead."""
    offer = {"fees": [fees.max_fee, fees.max_priority_fee, fees.is_legacy], "sent_ns": now_ns}
    digest = keccak256(raw)
    return [
        replace(
            entry,
            state="sent",
            # One copy is enough: entries of one transaction are found by its hash.
            raw_transaction=b"" if position else raw,
            transaction_hash=digest,
            attempts=entry.attempts + 1,
            error=error,
            detail={**entry.detail, **offer},
        )
        for position, entry in enumerate(entries)
    ]


def raw_of(entries: Sequence[Entry]) -> bytes:
    """Returns the signed bytes of the transaction that entries share; nothing if they were given up."""
    return next((entry.raw_transaction for entry in entries if entry.raw_transaction), b"")


def hashes_in(entry: Entry, name: str) -> list[object]:
    """Returns the hashes that an entry's detail remembers under a name."""
    known = entry.detail.get(name, [])
    return list(known) if isinstance(known, list) else []


def _fees_of(entry: Entry) -> Fees | None:
    match entry.detail.get("fees"):
        case [int(most), int(tip), bool(is_legacy)]:
            return Fees(most, tip, is_legacy)
    return None
