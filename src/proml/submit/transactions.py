"""Transactions of one account: signed, written ahead, handed in, followed until they are final.

A signed transaction is in the outbox before it is handed in, so that whatever happens then, the next delivery hands in
the same bytes. A transaction of which the chain has nothing is signed anew only after another one took its nonce.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.asking import estimates, receipts, send_all
from proml.core.calls import encode_call
from proml.core.digest import keccak256
from proml.core.refusal import explain
from proml.errors import ConflictError, ProMLError, RefusedError, UnreachableError
from proml.ports import Receipt, Reverted, UnsignedTransaction
from proml.submit.book import nonce_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proml.core.operation import Operation, Relayed
    from proml.core.refusal import Names
    from proml.ports import Clock, Entry, Ledger, Signer
    from proml.submit.book import Book

_MAX_RACES = 20
"""How often in one delivery another program may take the account's nonce before that is reported."""

GAS_MARGIN_PERCENT = 20
"""Between the estimate and the block, other members' transactions may make ours dearer by a slot or two."""


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
        operation: Bound to heads and rules.
        gas: Its gas limit.
        details: What is to be remembered with entries, by number.
    """

    entries: tuple[Entry, ...]
    operation: Operation | Relayed
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


@dataclass(frozen=True, slots=True)
class Place:
    """The contract that is spoken to, and what this process handed in there."""

    chain_id: int
    contract: str
    names: Names
    handed: HandedIn


class Transactions:
    """Sends and follows the transactions of one account.

    Args:
        book: The entries.
        ledger: Where to.
        signer: Signs.
        clock: Says when a block was seen.
        place: The contract.
    """

    def __init__(self, book: Book, ledger: Ledger, signer: Signer, clock: Clock, place: Place) -> None:
        self._book = book
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._place = place
        self._handed = place.handed
        self._races = 0
        self._looked: list[tuple[bytes, int]] = []  # through which block and when, the last two times

    def estimates(self, operations: Sequence[Operation | Relayed]) -> list[int | Reverted]:
        """Returns for each operation gas that suffices now, or how the contract would refuse it.

        Raises:
            UnreachableError: The ledger does not answer.
        """
        data = [encode_call(operation) for operation in operations]
        found = estimates(self._ledger, self._signer.address, self._place.contract, data)
        return [_with_margin(one) for one in found]

    def dispatch(self, tried: Sequence[Tried]) -> None:
        """Signs operations in their order, writes all of them ahead, and hands them in.

        Raises:
            UnreachableError: The ledger does not answer; the entries are stored as sent, and go again next time.
        """
        if not tried:
            return
        fees = self._ledger.fees()
        signed: dict[bytes, list[Entry]] = {}
        for one, nonce in zip(tried, self._free_nonces(), strict=False):
            raw = self._signer.sign_transaction(
                UnsignedTransaction(
                    chain_id=self._place.chain_id,
                    nonce=nonce,
                    to=self._place.contract,
                    data=encode_call(one.operation),
                    gas=one.gas,
                    fees=fees,
                )
            )
            signed[keccak256(raw)] = _sent(one, raw, nonce)
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
        changed = False
        vanished: dict[bytes, list[Entry]] = {}
        for (digest, entries), receipt in zip(waiting.items(), receipts(self._ledger, waiting), strict=True):
            if receipt is not None:
                changed |= self._take(receipt, entries, is_final=receipt.block_number <= final)
            elif entries[0].state == "confirmed":
                vanished[digest] = [_vanished(entry) for entry in entries]
        if vanished:
            self._book.save(*(entry for entries in vanished.values() for entry in entries))
            self._hand_in(vanished)
        return changed or bool(vanished)

    def resend(self) -> None:
        """Hands in again what the chain has nothing of, in the order of nonces, unless that was done just now."""
        now = self._clock.now_ns()
        self._hand_in({
            digest: entries for digest, entries in self._book.transactions().items()
            if entries[0].state == "sent" and not self._handed.is_recent(digest, now)
        })  # fmt: skip

    def confirm(self, entry: Entry, transaction_hash: bytes) -> bool:
        """Marks an entry whose effect was found on chain; returns False if the chain lost it again meanwhile."""
        receipt = self._ledger.receipt(transaction_hash)
        if receipt is None:
            return False
        found = replace(entry, transaction_hash=transaction_hash, raw_transaction=b"")
        self._take(receipt, [found], is_final=receipt.block_number <= self._ledger.finalized())
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

    def _free_nonces(self) -> Iterator[int]:
        taken = {nonce_of(e) for entries in self._book.transactions().values() for e in entries if e.state == "sent"}
        first = self._ledger.nonce(self._signer.address)
        return (nonce for nonce in itertools.count(first) if nonce not in taken)

    def _hand_in(self, transactions: Mapping[bytes, Sequence[Entry]]) -> None:
        """Hands in signed transactions, in their order; raises the first error when all were tried."""
        known: dict[bytes, bytes] = {}
        for digest, entries in transactions.items():
            raw = next((entry.raw_transaction for entry in entries if entry.raw_transaction), b"")
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
        if isinstance(error, UnreachableError):
            return error
        if not isinstance(error, ConflictError):
            # The node takes nothing from this account as it is (no funds, fees too low): no fault of the entry.
            self._book.save(*(replace(entry, error=str(error)) for entry in entries))
            return error
        if self._ledger.receipt(digest) is not None:
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
                    detail={**entry.detail, "superseded": [*_superseded(entry), "0x" + digest.hex()]},
                )
                for entry in entries
            )
        )

    def _take(self, receipt: Receipt, entries: Sequence[Entry], *, is_final: bool) -> bool:
        if not receipt.succeeded:
            self._reverted(receipt, entries)
            return True
        now = self._clock.now_ns()
        changed = [
            replace(
                entry,
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
        if changed:
            self._book.save(*changed)
        return bool(changed)

    def _reverted(self, receipt: Receipt, entries: Sequence[Entry]) -> None:
        """Decides about a transaction that was accepted when tried and reverted in its block: somebody was faster."""
        if len(entries) > 1:
            # One of them sank the others; alone, each is judged for itself.
            again = {"alone": True}
            self._book.save(*(_pending(entry, again) for entry in entries))
            return
        (entry,) = entries
        error = self._why(receipt)
        races = int(str(entry.detail.get("races", 0))) + 1
        if can_be_bound_anew(entry, error) and races <= MAX_REBINDS:
            self._book.save(_pending(entry, {"races": races}))
        else:
            self._book.fail(error, replace(entry, gas_used=receipt.gas_used, block_number=-1))

    def _why(self, receipt: Receipt) -> ProMLError:
        data = self._ledger.transaction_input(receipt.transaction_hash) or b""
        where = f"transaction 0x{receipt.transaction_hash.hex()} in block {receipt.block_number}"
        try:
            self._ledger.call(self._place.contract, data, sender=self._signer.address, block=receipt.block_number)
        except Reverted as error:
            known = explain(error.data, self._place.names)
            if isinstance(known, ConflictError):
                return ConflictError(f"{known.message} ({where})", hint=known.hint)
            return RefusedError(
                f"{known.message} ({where})", rule=known.rule, arguments=known.arguments, hint=known.hint
            )
        except UnreachableError:
            pass  # a node may have forgotten the state of that block; the reason stays unknown
        return RefusedError(
            f"The contract reverted {where}, and would not now.", hint="Try again with `proml sync --rebase`."
        )


def _with_margin(found: int | ProMLError) -> int | Reverted:
    if isinstance(found, int):
        return found + found * GAS_MARGIN_PERCENT // 100
    if isinstance(found, Reverted):
        return found
    raise found


def _sent(tried: Tried, raw: bytes, nonce: int) -> list[Entry]:
    """Returns the entries of a transaction as they are written ahead."""
    return [
        replace(
            entry,
            state="sent",
            # One copy is enough: entries of one transaction are found by its hash.
            raw_transaction=b"" if position else raw,
            transaction_hash=keccak256(raw),
            attempts=entry.attempts + 1,
            error="",
            detail={**entry.detail, **tried.details.get(entry.number, {}), "signed": True, "nonce": nonce},
        )
        for position, entry in enumerate(tried.entries)
    ]


def _vanished(entry: Entry) -> Entry:
    return replace(
        entry,
        state="sent",
        block_number=-1,
        block_hash=b"",
        gas_used=0,
        confirmed_ns=0,
        error="Its block was replaced by another (reorganisation); it was handed in again.",
    )


MAX_REBINDS = 20
"""How often an intent that leaves something open is bound anew when somebody else was faster."""

_RACES = frozenset({"AlreadyRegistered", "InputNotUsable"})


def can_be_bound_anew(entry: Entry, error: ProMLError) -> bool:
    """Tells whether what stopped an entry may be a race that binding it anew, to things as they are now, gets over.

    Only what the entry's owner left open is bound anew: the head of a transition or anchor, whether an artefact has to
    be registered on the way, and which heads its inputs have.
    """
    if isinstance(error, ConflictError):
        if entry.intent.kind == "transition":
            return entry.intent.body.get("expected_head") is None or bool(entry.detail.get("rebased"))
        return entry.intent.kind == "anchor"
    return isinstance(error, RefusedError) and error.rule in _RACES and entry.intent.kind == "transition"


def _pending(entry: Entry, remembered: Mapping[str, object]) -> Entry:
    return replace(
        entry,
        state="pending",
        raw_transaction=b"",
        transaction_hash=b"",
        error="It was reverted because of another transaction in the same block; it is tried again.",
        detail={**entry.detail, **remembered},
    )


def _superseded(entry: Entry) -> list[object]:
    known = entry.detail.get("superseded", [])
    return list(known) if isinstance(known, list) else []
