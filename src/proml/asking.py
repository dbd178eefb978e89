"""Several questions to a ledger at once: one way there and back instead of one for each.

A ledger behind a network answers :meth:`proml.ports.Ledger.together` in one exchange; one without a network takes the
questions one by one (:func:`one_by_one`). What is asked and answered is the same as by the ledger's own methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from proml.errors import ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proml.ports import Block, Ledger, Receipt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a method of the ledger port.

    Attributes:
        method: Its name; ``view`` is a ``call`` that changes nothing and whose answer is the same whoever asks.
        arguments: Its positional arguments.
    """

    method: Literal["block", "call", "estimate_gas", "receipt", "send", "view"]
    arguments: tuple[object, ...]

    def ask(self, ledger: Ledger) -> object:
        """Returns the method's result, or the error that it raised."""
        try:
            return getattr(ledger, "call" if self.method == "view" else self.method)(*self.arguments)
        except ProMLError as error:
            return error


def one_by_one(ledger: Ledger, questions: Iterable[Question]) -> list[object]:
    """Returns each question's answer or the error that it raised, asking one after the other."""
    return [question.ask(ledger) for question in questions]


def views(ledger: Ledger, to: str, data: Iterable[bytes]) -> list[bytes | ProMLError]:
    """Returns what :meth:`~proml.ports.Ledger.call` returns for each view, or the error that it raises.

    Only for functions that change nothing and do not look at who calls.
    """
    return _ask(ledger, [Question("view", (to, one)) for one in data])


def tries(ledger: Ledger, sender: str, to: str, data: Iterable[bytes], gas: int) -> list[bytes | ProMLError]:
    """Returns what each call of a sender with so much gas returns, or the error that it raises."""
    return _ask(ledger, [Question("call", (to, one, sender, None, gas)) for one in data])


def estimates(ledger: Ledger, sender: str, to: str, data: Iterable[bytes]) -> list[int | ProMLError]:
    """Returns what :meth:`~proml.ports.Ledger.estimate_gas` returns for each, or the error that it raises."""
    return _ask(ledger, [Question("estimate_gas", (sender, to, one)) for one in data])


def send_all(ledger: Ledger, raw_transactions: Iterable[bytes]) -> list[bytes | ProMLError]:
    """Hands in signed transactions in order; returns each one's hash, or the error that it raised."""
    return _ask(ledger, [Question("send", (raw,)) for raw in raw_transactions])


def receipts(ledger: Ledger, transaction_hashes: Iterable[bytes]) -> list[Receipt | None]:
    """Returns the receipts of transactions; raises what :meth:`~proml.ports.Ledger.receipt` raises for any of them."""
    found: list[Receipt | ProMLError | None] = _ask(ledger, [Question("receipt", (one,)) for one in transaction_hashes])
    return _all(found)


def blocks(ledger: Ledger, numbers: Iterable[int]) -> list[Block | None]:
    """Returns the blocks of these heights; raises what :meth:`~proml.ports.Ledger.block` raises for any of them."""
    found: list[Block | ProMLError | None] = _ask(ledger, [Question("block", (one,)) for one in numbers])
    return _all(found)


def _all(found: Sequence[T | ProMLError]) -> list[T]:
    """Returns the answers; raises the first error among them."""
    for answer in found:
        if isinstance(answer, ProMLError):
            raise answer
    return cast("list[T]", found)


def _ask(ledger: Ledger, questions: Sequence[Question]) -> list[T]:
    return cast("list[T]", ledger.together(questions) if questions else [])
