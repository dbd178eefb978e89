"""``proml consortium fund``: give accounts coins where gas costs something."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, Overflow
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.accounts import account_of
from proml.cli.group import command
from proml.errors import UsageError

if TYPE_CHECKING:
    from proml.cli.session import Session

_COIN_WEI = 10**18
_MOST_COINS = 10**12
_SENDER_WAIT_S = 60.0
_DEFAULT = "1"


@command(
    "fund",
    examples="""
        proml consortium fund newcomer.json
        proml consortium fund 0x71C7656EC7ab88b098defB751B7401B5f6d8976F --amount 0.5
    """,
)
@click.argument("accounts", metavar="ACCOUNT...", nargs=-1, required=True)
@click.option("--amount", metavar="COINS", help=f"For each, in coins of 10^18 wei; {_DEFAULT} on a consortium's chain.")
def fund(session: Session, accounts: tuple[str, ...], amount: str | None) -> None:
    """Give accounts coins of the chain, from this working folder's identity, to pay for their transactions.

    ACCOUNT is an address, or a file of `proml id export`: a newcomer's, a session key's. On a chain whose blocks are
    final by the client's tag, as on public chains, coins may be worth money, and --amount has to be given.
    """
    from proml.submit.single import Transaction, transact_all  # noqa: PLC0415 - takes long to import

    addresses = [account_of(one) for one in accounts]
    with session.participant() as participant:
        ledger, signer = participant.ledger, participant.signer
        if amount is None and ledger.finality.kind == "tag":
            raise UsageError(
                "the coins of this chain may be worth money: expected how many are to be given, found no --amount.",
                hint="Say it, for example --amount 0.01.",
            )
        if ledger.fees().max_fee == 0:
            raise UsageError("gas costs nothing on this chain: nobody needs coins.", hint="Just send.")
        wei = _wei(amount or _DEFAULT)
        gifts = [Transaction(address, b"", f"giving coins to {address}", value=wei) for address in addresses]
        with participant.outbox.lock_sender(signer.address, timeout_s=_SENDER_WAIT_S):
            receipts = transact_all(ledger, signer, participant.clock, gifts)
    coins = f"{Decimal(wei) / _COIN_WEI:f}"
    document = {
        "from": signer.address, "amount_wei": str(wei),
        "funded": [
            {"account": address, "transaction": receipt.transaction_hash, "block_number": receipt.block_number}
            for address, receipt in zip(addresses, receipts, strict=True)
        ],
    }  # fmt: skip
    rows = [(address, coins, str(receipt.block_number)) for address, receipt in zip(addresses, receipts, strict=True)]
    session.answer(document, output.table(("account", "coins", "block"), rows))


def _wei(text: str) -> int:
    try:
        wei = Decimal(text) * _COIN_WEI
    except (InvalidOperation, Overflow):
        wei = Decimal(0)
    if not (wei.is_finite() and 0 < wei <= _MOST_COINS * _COIN_WEI and wei == int(wei)):
        raise UsageError(
            f"expected a number of coins above 0 with at most 18 decimals as --amount, found {text!r:.60}.",
            hint="For example --amount 0.5.",
        )
    return int(wei)
