"""What became of a transaction that was accepted when it was tried and reverted in its block: somebody was faster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proml.core.refusal import explain
from proml.errors import ConflictError, ProMLError, RefusedError, UnreachableError
from proml.ports import Reverted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proml.core.refusal import Names
    from proml.ports import Entry, Ledger, Receipt

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


def pending_again(entry: Entry, remembered: Mapping[str, object]) -> Entry:
    """Returns an entry that was reverted as one that is to be tried again."""
    return replace(
        entry,
        state="pending",
        raw_transaction=b"",
        transaction_hash=b"",
        error="It was reverted because of another transaction in the same block; it is tried again.",
        detail={**entry.detail, **remembered},
    )


def why_reverted(ledger: Ledger, receipt: Receipt, *, contract: str, sender: str, names: Names) -> ProMLError:
    """Asks the ledger why the contract reverted a transaction, and returns it in words."""
    data = ledger.transaction_input(receipt.transaction_hash) or b""
    where = f"transaction 0x{receipt.transaction_hash.hex()} in block {receipt.block_number}"
    try:
        ledger.call(contract, data, sender=sender, block=receipt.block_number)
    except Reverted as error:
        known = explain(error.data, names)
        if isinstance(known, ConflictError):
            return ConflictError(f"{known.message} ({where})", hint=known.hint)
        return RefusedError(f"{known.message} ({where})", rule=known.rule, arguments=known.arguments, hint=known.hint)
    except UnreachableError:
        pass  # a node may have forgotten the state of that block; the reason stays unknown
    return RefusedError(
        f"The contract reverted {where}, and would not now.", hint="Try again with `proml sync --rebase`."
    )
