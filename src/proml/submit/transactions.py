"""Transactions of one account: signed, written ahead, handed in, followed until they are final.

A signed transaction is in the outbox before it is handed in, so that whatever happens then, the next delivery hands in
the same bytes, or, if it is stuck, a replacement (:mod:`.stuck`). A transaction of which the chain has nothing is
signed for another nonce only after another one took its nonce.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.asking import blocks, estimates, receipts, send_all, tries
from proml.core.digest import keccak256
from proml.errors import ConflictError, ProMLError, UnreachableError
from proml.ports import NotTaken, Receipt, Reverted, UnsignedTransaction
from proml.submit.book import nonce_of
from proml.submit.races import MAX_REBINDS, can_be_bound_anew, pending_again, why_reverted
from proml.submit.stuck import Stuck, Terms, as_sent, hashes_in, raw_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proml.ports import Clock, Entry, Ledger, Signer
    from proml.submit.book import Book

_MAX_RACES = 20
"""How often in one delivery another program may take the account's nonce before that is reported."""

GAS_MARGIN_PERCENT = 20
"""Between the estimate and the block, other members' transactions may make ours dearer by a slot or two."""
_MANY, _FIRST = 8, 3
"""From how many calls on that are alike the first few are estimated for all; one of these may be refused."""
_ALIKE_PERCENT = 3
"""Calls of one function and one length differ in how many of their bytes are zero, which cost less."""

_AGAIN_S = 15.0
"""How long a client that took a transaction is believed to have it still."""
_LOOK_AGAIN_S = 2.0
"""How long a block that was looked through is not looked through a third time: some clients are late with receipts."""
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Tried:
    """An operation that the contract would take now.

    Attributes:
        entries: What it fulfils, all of them.
        data: The call, bound to heads and rules.
        gas: Its gas limit.
        details: What is to be remembered with entries, by number.
    """

    entries: tuple[Entry, ...]
    data: bytes
    gas: int
    details: Mapping[int, Mapping[str, object]]


class HandedIn:
    """Which transactions this process handed in, and when, so that one which waits is not handed in every second."""

    def __init__(self) -> None:
        self._when_ns: dict[bytes, int] = {}

    def note(self, digest: bytes, now_ns: int) -> None:
        """Remembers that a client has just taken it."""
        self._when_ns[digest] = now_ns

    def is_recent(self, digest: bytes, now_ns: int) -> bool:
        """Tells whether a client took it a short while ago."""
        when_ns = self._when_ns.get(digest)
        return when_ns is not None and 0 <= now_ns - when_ns < _AGAIN_S * _NS

    def keep(self, digests: Collection[bytes]) -> None:
        """Forgets all others."""
        self._when_ns = {digest: when for digest, when in self._when_ns.items() if digest in digests}


class Transactions:
    """Sends and follows the transactions of one account.

    Args:
        book: The entries.
        ledger: Where to.
        signer: Signs.
        clock: Says when a block was seen.
        terms: Which contract, for how much.
        handed: What this process handed in.
    """

    def __init__(
        self, book: Book, ledger: Ledger, signer: Signer, clock: Clock, terms: Terms, *, handed: HandedIn
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._terms = terms
        self._handed = handed
        self._stuck = Stuck(book, ledger, signer, clock, terms)
        self._races = 0
        self.is_held_up = False
        """Whether the client's pool took no more; nothing new is signed until it does."""
        self._looked: list[tuple[bytes, int]] = []  # through which block and when, the last two times

    def estimates(self, data: Sequence[bytes]) -> list[int | Reverted]:
        """Returns for each call gas that suffices now, or how the contract would refuse it.

        A client executes a call again and again for an estimate. So of many that are alike, a few are estimated, and
        the others are tried once with as much; what fails at that is estimated all the same.

        Raises:
            UnreachableError: The ledger does not answer.
        """
        alike: dict[tuple[bytes, int], list[bytes]] = {}
        for call in dict.fromkeys(data):
            alike.setdefault((call[:4], len(call)), []).append(call)
        known = {call: gas for some in alike.values() if len(some) >= _MANY for call, gas in self._by_trial(some)}
        others = [call for call in dict.fromkeys(data) if call not in known]
        known.update(zip(others, self._estimated(others), strict=True))
        return [_with_margin(known[call]) for call in data]

    def _by_trial(self, alike: Sequence[bytes]) -> Iterator[tuple[bytes, int | ProMLError]]:
        """Yields calls with gas that suffices; not those of which only an estimate can tell."""
        first, rest = alike[:_FIRST], alike[_FIRST:]
        found = self._estimated(first)
        yield from zip(first, found, strict=True)
        enough = [gas for gas in found if isinstance(gas, int)]
        if enough:
            gas = max(enough) + max(enough) * _ALIKE_PERCENT // 100
            answers = tries(self._ledger, self._signer.address, self._terms.contract, rest, gas)
            yield from ((call, gas) for call, answer in zip(rest, answers, strict=True) if isinstance(answer, bytes))

    def _estimated(self, data: Sequence[bytes]) -> list[int | ProMLError]:
        return estimates(self._ledger, self._signer.address, self._terms.contract, data)

    def dispatch(self, tried: Sequence[Tried]) -> None:
        """Signs operations in their order, writes all of them ahead, and hands them in.

        Raises:
            TooDear: The chain asks more than is granted; nothing was signed.
            UnreachableError: The ledger does not answer; the entries are stored as sent, and go again next time.
        """
        if not tried:
            return
        fees = self._terms.fees.offer(self._ledger.fees())
        signed: dict[bytes, list[Entry]] = {}
        for one, nonce in zip(tried, self._free_nonces(), strict=False):
            raw = self._signer.sign_transaction(
                UnsignedTransaction(
                    chain_id=self._terms.chain_id,
                    nonce=nonce,
                    to=self._terms.contract,
                    data=one.data,
                    gas=one.gas,
                    fees=fees,
                )
            )
            remembered = {"signed": True, "nonce": nonce}
            noted = [
                replace(e, detail={**e.detail, **one.details.get(e.number, {}), **remembered}) for e in one.entries
            ]
            signed[keccak256(raw)] = as_sent(noted, raw, fees, self._clock.now_ns())
        self._book.save(*(entry for entries in signed.values() for entry in entries))
        self._hand_in(signed)

    def settle(self) -> bool:
        """Brings entries up to what the chain says of their transactions; returns whether anything changed.

        A transaction that was in a block and is in none any more (a reorganisation) is handed in again.
        """
        waiting = self._book.transactions()
        self._handed.keep(waiting.keys())
        if not waiting or not self._may_have_changed():
            return False
        final = self._ledger.finalized()
        changed = self._become_final(waiting, final)
        settled = {entry.transaction_hash for entry in changed}
        in_doubt = self._in_doubt({d: entries for d, entries in waiting.items() if d not in settled}, final)
        vanished: dict[bytes, list[Entry]] = {}
        reverted: list[tuple[Receipt, Sequence[Entry]]] = []
        for (digest, entries), found in zip(in_doubt.items(), receipts(self._ledger, in_doubt), strict=True):
            receipt = found or self._earlier_receipt(entries)
            if receipt is None and entries[0].state == "confirmed":
                vanished[digest] = [_vanished(entry, self._clock.now_ns()) for entry in entries]
                changed += vanished[digest]
            elif receipt is not None and receipt.succeeded:
                changed += self._included(receipt, entries, is_final=receipt.block_number <= final)
            elif receipt is not None:
                reverted.append((receipt, entries))
        if changed:
            self._book.save(*changed)
        for receipt, entries in reverted:
            self._reverted(receipt, entries)
        self._hand_in(vanished)
        return bool(changed or reverted)

    def resend(self) -> None:
        """Hands in again what the chain has nothing of, in the order of nonces, unless that was done just now.

        What is stuck for offering too little is replaced; nonces before ours that nobody uses are filled.
        """
        self.is_held_up = False
        now = self._clock.now_ns()
        waiting = {d: entries for d, entries in self._book.transactions().items() if entries[0].state == "sent"}
        again = {digest: entries for digest, entries in waiting.items() if not self._was_replaced(entries)}
        self._hand_in({digest: es for digest, es in again.items() if not self._handed.is_recent(digest, now)})
        if not self.is_held_up:
            self._stuck.fill_gap()

    def confirm(self, entry: Entry, transaction_hash: bytes) -> bool:
        """Marks an entry whose effect was found on chain; returns False if the chain lost it again meanwhile."""
        receipt = self._ledger.receipt(transaction_hash)
        if receipt is None:
            return False
        found = replace(entry, transaction_hash=transaction_hash, raw_transaction=b"")
        if receipt.succeeded:
            final = self._ledger.finalized()
            self._book.save(*self._included(receipt, [found], is_final=receipt.block_number <= final))
        else:
            self._reverted(receipt, [found])
        return True

    # -------------------------------------------------------------------------------------------------- internal

    def _may_have_changed(self) -> bool:
        """Tells whether there is a block that was not looked through twice, or not for a while."""
        now, newest = self._clock.now_ns(), self._ledger.newest().hash
        known = [when for block, when in self._looked if block == newest]
        if len(known) > 1 and now - known[-1] < _LOOK_AGAIN_S * _NS:
            return False
        self._looked = [*self._looked[-1:], (newest, now)]
        return True

    def _become_final(self, waiting: Mapping[bytes, Sequence[Entry]], final: int) -> list[Entry]:
        """Returns entries, as they are now, whose block is final: it is, if one of its transactions is still in it."""
        in_block: dict[tuple[int, bytes], list[bytes]] = {}
        for digest, (entry, *_) in waiting.items():
            if entry.state == "confirmed" and 0 <= entry.block_number <= final:
                in_block.setdefault((entry.block_number, entry.block_hash), []).append(digest)
        found = receipts(self._ledger, [digests[0] for digests in in_block.values()])
        return [
            replace(entry, raw_transaction=b"", error="", final=True)
            for (block, digests), receipt in zip(in_block.items(), found, strict=True)
            if receipt is not None and (receipt.block_number, receipt.block_hash) == block
            for digest in digests
            for entry in waiting[digest]
        ]

    def _in_doubt(self, waiting: Mapping[bytes, Sequence[Entry]], final: int) -> dict[bytes, Sequence[Entry]]:
        """Returns all but those whose block is where it was and not final yet: of them there is nothing new to say."""
        seen = {
            (entries[0].block_number, entries[0].block_hash)
            for entries in waiting.values()
            if entries[0].state == "confirmed" and entries[0].block_number > final
        }
        standing = {
            (block.number, block.hash)
            for block in blocks(self._ledger, sorted({n for n, _ in seen}))
            if block is not None
        } & seen
        return {
            digest: entries
            for digest, entries in waiting.items()
            if (entries[0].block_number, entries[0].block_hash) not in standing
        }

    def _free_nonces(self) -> Iterator[int]:
        taken = {nonce_of(e) for entries in self._book.transactions().values() for e in entries if e.state == "sent"}
        first = self._ledger.nonce(self._signer.address)
        return (nonce for nonce in itertools.count(first) if nonce not in taken)

    def _hand_in(self, transactions: Mapping[bytes, Sequence[Entry]]) -> None:
        """Hands in signed transactions, in their order; raises the first error when all were tried."""
        known: dict[bytes, bytes] = {}
        for digest, entries in transactions.items():
            raw = raw_of(entries)
            if raw:
                known[digest] = raw
            else:
                self._sign_anew(digest, entries)
        errors: list[ProMLError] = []
        for digest, answer in zip(known, send_all(self._ledger, known.values()), strict=True):
            if isinstance(answer, ProMLError):
                error = self._not_taken(digest, transactions[digest], answer)
                errors += [error] if error is not None else []
            else:
                self._handed.note(digest, self._clock.now_ns())
        if errors:
            raise errors[0]

    def _not_taken(self, digest: bytes, entries: Sequence[Entry], error: ProMLError) -> ProMLError | None:
        """Does what follows from a refusal to take a transaction; returns the error that is to be raised, if any."""
        if isinstance(error, NotTaken):
            if not (error.is_too_cheap and self._was_replaced(entries, is_refused=True)):
                self.is_held_up = True
                if self._book.entries[entries[0].number].error == entries[0].error:  # nothing that says more was noted
                    self._stuck.note(entries, str(error))
            return None
        if isinstance(error, UnreachableError):
            return error
        if not isinstance(error, ConflictError):
            # The node takes nothing from this account as it is (no funds): no fault of the entry.
            self._stuck.note(entries, str(error))
            return error
        if (self._ledger.receipt(digest) or self._earlier_receipt(entries)) is not None:
            return None
        self._races += 1
        if self._races > _MAX_RACES:
            return ConflictError(
                f"Another program sends transactions for {self._signer.address} at the same time: it took the "
                f"nonce {_MAX_RACES} times. What is not on chain is safe in the outbox.",
                hint="Use an identity of its own (or a session key) for each program.",
            )
        self._sign_anew(digest, entries)
        return None

    def _was_replaced(self, entries: Sequence[Entry], *, is_refused: bool = False) -> bool:
        try:
            return self._stuck.was_replaced(entries, is_refused=is_refused)
        except NotTaken:
            self.is_held_up = True
            return True

    def _earlier_receipt(self, entries: Sequence[Entry]) -> Receipt | None:
        """Returns the receipt of a transaction that was replaced and came into a block all the same."""
        for earlier in hashes_in(entries[0], "replaced"):
            receipt = self._ledger.receipt(bytes.fromhex(str(earlier)[2:]))
            if receipt is not None:
                return receipt
        return None

    def _sign_anew(self, digest: bytes, entries: Sequence[Entry]) -> None:
        lost = "Another transaction of the account took its nonce, so it is signed again."
        self._book.save(
            *(
                replace(
                    entry,
                    state="pending",
                    raw_transaction=b"",
                    transaction_hash=b"",
                    error=lost,
                    detail={
                        **{name: value for name, value in entry.detail.items() if name != "replaced"},
                        "superseded": [*hashes_in(entry, "superseded"), "0x" + digest.hex()],
                    },
                )
                for entry in entries
            )
        )

    def _included(self, receipt: Receipt, entries: Sequence[Entry], *, is_final: bool) -> list[Entry]:
        """Returns those entries that a receipt changes, as they are now."""
        now = self._clock.now_ns()
        return [
            replace(
                _with_hash(entry, receipt.transaction_hash),
                state="confirmed",
                raw_transaction=b"" if is_final else entry.raw_transaction,
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
                gas_used=receipt.gas_used,
                confirmed_ns=entry.confirmed_ns or now,
                error="",
                final=is_final,
            )
            for entry in entries
            if (entry.state, entry.block_hash, entry.final) != ("confirmed", receipt.block_hash, is_final)
        ]

    def _reverted(self, receipt: Receipt, entries: Sequence[Entry]) -> None:
        """Decides about a transaction that was accepted when tried and reverted in its block: somebody was faster."""
        if len(entries) > 1:
            # One of them sank the others; alone, each is judged for itself.
            again = {"alone": True}
            self._book.save(*(pending_again(entry, again) for entry in entries))
            return
        (entry,) = entries
        contract, sender = self._terms.contract, self._signer.address
        error = why_reverted(self._ledger, receipt, contract=contract, sender=sender, names=self._terms.names)
        races = int(str(entry.detail.get("races", 0))) + 1
        if can_be_bound_anew(entry, error) and races <= MAX_REBINDS:
            self._book.save(pending_again(entry, {"races": races}))
        else:
            self._book.fail(error, replace(entry, gas_used=receipt.gas_used, block_number=-1))


def _with_margin(found: int | ProMLError) -> int | Reverted:
    if isinstance(found, int):
        return found + found * GAS_MARGIN_PERCENT // 100
    if isinstance(found, Reverted):
        return found
    raise found


def _vanished(entry: Entry, now_ns: int) -> Entry:
    return replace(
        entry,
        state="sent",
        block_number=-1,
        block_hash=b"",
        gas_used=0,
        confirmed_ns=0,
        error="Its block was replaced by another (reorganisation); it was handed in again.",
        detail={**entry.detail, "sent_ns": now_ns},
    )


def _with_hash(entry: Entry, found: bytes) -> Entry:
    """Returns an entry under the hash with which it came into a block, its replacement remembered if it was not it."""
    if entry.transaction_hash == found or not entry.detail.get("replaced"):
        return entry
    others = [one for one in hashes_in(entry, "replaced") if one != f"0x{found.hex()}"]
    others.append(f"0x{entry.transaction_hash.hex()}")
    return replace(entry, transaction_hash=found, detail={**entry.detail, "replaced": others})
