"""Single transactions outside the outbox, such as the one that creates a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.core.refusal import explain
from proml.errors import ConflictError, UnreachableError
from proml.ports import Reverted, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.core.refusal import Names
    from proml.ports import Clock, Ledger, Receipt, Signer

_WAIT_S = 180.0
_POLL_S = 0.2
_GAS_MARGIN_PERCENT = 15


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is to be sent.

    Attributes:
        to: Contract; None creates one.
        doing: What it does, as a noun phrase for messages.
        names: What things are called, for messages.
        value: The chain's coins that go with it, in wei.
    """

    to: str | None
    data: bytes
    doing: str
    names: Names | None = None
    value: int = 0


def transact(ledger: Ledger, signer: Signer, clock: Clock, wanted: Transaction) -> Receipt:
    """Sends one transaction and waits for its block.

    Raises:
        RefusedError: It is reverted; also ConflictError, if a second try may succeed.
        UnreachableError: No answer, or no block within three minutes.
    """
    return transact_all(ledger, signer, clock, [wanted])[0]


def transact_all(ledger: Ledger, signer: Signer, clock: Clock, wanted: Sequence[Transaction]) -> list[Receipt]:
    """Sends transactions of one account, one right after the other, and waits for the blocks of all.

    Raises:
        RefusedError: One is reverted; also ConflictError, if a second try may succeed.
        UnreachableError: No answer, or no block within three minutes.
    """
    nonce = ledger.nonce(signer.address)
    digests = [_send(ledger, signer, one, nonce + place) for place, one in enumerate(wanted)]
    return [_wait(ledger, clock, digest) for digest in digests]


def _send(ledger: Ledger, signer: Signer, wanted: Transaction, nonce: int) -> bytes:
    try:
        gas = ledger.estimate_gas(signer.address, wanted.to, wanted.data)
    except Reverted as error:
        raise explain(error.data, wanted.names, doing=wanted.doing) from error
    transaction = UnsignedTransaction(
        chain_id=ledger.chain_id,
        nonce=nonce,
        to=wanted.to,
        data=wanted.data,
        gas=gas + gas * _GAS_MARGIN_PERCENT // 100,
        fees=ledger.fees(),
        value=wanted.value,
    )
    return ledger.send(signer.sign_transaction(transaction))


def _wait(ledger: Ledger, clock: Clock, digest: bytes) -> Receipt:
    waited = 0.0
    while (receipt := ledger.receipt(digest)) is None:
        if waited >= _WAIT_S:
            raise UnreachableError(
                f"the transaction 0x{digest.hex()} is in no block after {_WAIT_S:.0f} s.",
                hint="Check that the chain makes blocks and that the account can pay, then try again.",
            )
        clock.sleep(_POLL_S)
        waited += _POLL_S
    if not receipt.succeeded:
        raise ConflictError(
            f"the transaction 0x{digest.hex()} was reverted in block {receipt.block_number}, "
            "though it was accepted when it was tried.",
            hint="Try again.",
        )
    return receipt
