"""Transactions of one account: signed, written ahead, handed in, followed until they are final.

A signed transaction is in the outbox before it is handed in, so that whatever happens then, the next delivery hands in
the same bytes. A transaction of which the chain has nothing is signed anew only after another one took its nonce.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.core.calls import encode_call
from proml.core.digest import keccak256
from proml.core.refusal import explain
from proml.errors import ConflictError, ProMLError, RefusedError, UnreachableError
from proml.ports import Receipt, Reverted, UnsignedTransaction
from proml.submit.book import nonce_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.core.operation import Operation, Relayed
    from proml.core.refusal import Names
    from proml.ports import Clock, Entry, Ledger, Signer
    from proml.submit.book import Book

_MAX_RACES = 20
"""How often in one delivery another program may take the account's nonce before that is reported."""

GAS_MARGIN_PERCENT = 20
"""Between the estimate and the block, other members' transactions may make ours dearer by a slot or two."""


@dataclass(frozen=True, slots=True)
class Place:
    """The contract that is spoken to."""

    chain_id: int
    contract: str
    names: Names


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
        self._races = 0

    def estimate(self, operation: Operation | Relayed) -> int:
        """Returns gas that suffices; raises Reverted if the contract would refuse the operation now."""
        gas = self._ledger.estimate_gas(self._signer.address, self._place.contract, encode_call(operation))
        return gas + gas * GAS_MARGIN_PERCENT // 100

    def dispatch(
        self,
        entries: Sequence[Entry],
        operation: Operation | Relayed,
        gas: int,
        details: Mapping[int, Mapping[str, object]],
    ) -> None:
        """Signs an operation, writes it ahead, and hands it in.

        Args:
            entries: What it fulfils, all of them.
            operation: Bound to heads and rules.
            gas: Its gas limit.
            details: What is to be remembered with entries, by number.

        Raises:
            UnreachableError: The ledger does not answer; the entries are stored as sent, and go again next time.
        """
        nonce = self._next_nonce()
        raw = self._signer.sign_transaction(
            UnsignedTransaction(
                chain_id=self._place.chain_id,
                nonce=nonce,
                to=self._place.contract,
                data=encode_call(operation),
                gas=gas,
                fees=self._ledger.fees(),
            )
        )
        digest = keccak256(raw)
        written = [
            replace(
                entry,
                state="sent",
                # One copy is enough: entries of one transaction are found by its hash.
                raw_transaction=b"" if position else raw,
                transaction_hash=digest,
                attempts=entry.attempts + 1,
                error="",
                detail={**entry.detail, **details.get(entry.number, {}), "signed": True, "nonce": nonce},
            )
            for position, entry in enumerate(entries)
        ]
        self._book.save(*written)
        self._hand_in(digest, written)

    def settle(self) -> bool:
        """Brings entries up to what the chain says of their transactions; returns whether anything changed.

        A transaction that was in a block and is in none any more (a reorganisation) is handed in again.
        """
        final = self._ledger.finalized()
        changed = False
        for digest, entries in self._book.transactions().items():
            receipt = self._ledger.receipt(digest)
            if receipt is not None:
                changed |= self._take(receipt, entries, is_final=receipt.block_number <= final)
            elif entries[0].state == "confirmed":
                self._vanish(digest, entries)
                changed = True
        return changed

    def resend(self) -> None:
        """Hands in again what the chain has nothing of, in the order of nonces."""
        for digest, entries in self._book.transactions().items():
            if entries[0].state == "sent":
                self._hand_in(digest, entries)

    def confirm(self, entry: Entry, transaction_hash: bytes) -> bool:
        """Marks an entry whose effect was found on chain; returns False if the chain lost it again meanwhile."""
        receipt = self._ledger.receipt(transaction_hash)
        if receipt is None:
            return False
        found = replace(entry, transaction_hash=transaction_hash, raw_transaction=b"")
        self._take(receipt, [found], is_final=receipt.block_number <= self._ledger.finalized())
        return True

    # -------------------------------------------------------------------------------------------------- internal

    def _next_nonce(self) -> int:
        taken = {nonce_of(e) for entries in self._book.transactions().values() for e in entries if e.state == "sent"}
        nonce = self._ledger.nonce(self._signer.address)
        while nonce in taken:
            nonce += 1
        return nonce

    def _hand_in(self, digest: bytes, entries: Sequence[Entry]) -> None:
        raw = next((entry.raw_transaction for entry in entries if entry.raw_transaction), b"")
        if not raw:
            self._sign_anew(digest, entries)
            return
        try:
            self._ledger.send(raw)
        except ConflictError:
            if self._ledger.receipt(digest) is None:
                self._races += 1
                if self._races > _MAX_RACES:
                    raise ConflictError(
                        f"Another program sends transactions for {self._signer.address} at the same time: it took the "
                        f"nonce {_MAX_RACES} times. What is not on chain is safe in the outbox.",
                        hint="Use an identity of its own (or a session key) for each program.",
                    ) from None
                self._sign_anew(digest, entries)
        except UnreachableError:
            raise
        except ProMLError as error:
            # The node takes nothing from this account as it is (no funds, fees too low): that is no fault of the entry.
            self._book.save(*(replace(entry, error=str(error)) for entry in entries))
            raise

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

    def _vanish(self, digest: bytes, entries: Sequence[Entry]) -> None:
        gone = [
            replace(
                entry,
                state="sent",
                block_number=-1,
                block_hash=b"",
                gas_used=0,
                confirmed_ns=0,
                error="Its block was replaced by another (reorganisation); it was handed in again.",
            )
            for entry in entries
        ]
        self._book.save(*gone)
        self._hand_in(digest, gone)

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
