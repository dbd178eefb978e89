"""A ledger that is asked again when it does not answer: capped exponential backoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from proml.errors import NotAvailable, UnreachableError
from proml.ports import NotTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proml.asking import Question
    from proml.ports import Block, Clock, Fees, Finality, Ledger, Log, LogQuery, Receipt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how fast something unreachable is tried again.

    Attributes:
        tries: Number of tries in all, at least 1.
        first_s: Pause after the first, in seconds; each further pause is twice as long.
        longest_s: Longest pause, in seconds.
        stuck_s: After how many seconds outside a block a transaction counts as stuck, and something is done about it.
    """

    tries: int = 4
    first_s: float = 0.25
    longest_s: float = 4.0
    stuck_s: float = 30.0

    def attempt(self, step: Callable[[], T], clock: Clock) -> T:
        """Returns what the step returns, trying again while it raises UnreachableError (not NotAvailable, NotTaken)."""
        pause = self.first_s
        for _ in range(self.tries - 1):
            try:
                return step()
            except (NotAvailable, NotTaken):
                raise
            except UnreachableError:
                clock.sleep(min(pause, self.longest_s))
                pause *= 2
        return step()


class PatientLedger:
    """The same ledger, every question asked with patience. Asking twice does no harm: sending is idempotent.

    Args:
        ledger: The ledger.
        clock: Waits between tries.
        patience: How often to try.
    """

    def __init__(self, ledger: Ledger, clock: Clock, patience: Patience) -> None:
        self._ledger = ledger
        self._clock = clock
        self._patience = patience

    @property
    def chain_id(self) -> int:
        """The chain's EIP-155 id."""
        return self._try(lambda: self._ledger.chain_id)

    @property
    def genesis_hash(self) -> bytes:
        """Hash of block 0."""
        return self._try(lambda: self._ledger.genesis_hash)

    @property
    def finality(self) -> Finality:
        """When a block counts as final."""
        return self._try(lambda: self._ledger.finality)

    def newest(self) -> Block:
        """Returns the newest block."""
        return self._try(self._ledger.newest)

    def finalized(self) -> int:
        """Returns the number of the newest final block."""
        return self._try(self._ledger.finalized)

    def block(self, number: int) -> Block | None:
        """Returns the block of that height."""
        return self._try(lambda: self._ledger.block(number))

    def code(self, address: str) -> bytes:
        """Returns the runtime code at an address."""
        return self._try(lambda: self._ledger.code(address))

    def call(
        self, to: str, data: bytes, sender: str | None = None, block: int | None = None, gas: int | None = None
    ) -> bytes:
        """Executes a call without a transaction."""
        return self._try(lambda: self._ledger.call(to, data, sender, block, gas))

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        """Returns gas that suffices."""
        return self._try(lambda: self._ledger.estimate_gas(sender, to, data))

    def fees(self) -> Fees:
        """Returns fees with which a transaction is included soon."""
        return self._try(self._ledger.fees)

    def nonce(self, address: str) -> int:
        """Returns the account's next transaction nonce."""
        return self._try(lambda: self._ledger.nonce(address))

    def send(self, raw_transaction: bytes) -> bytes:
        """Hands a signed transaction in."""
        return self._try(lambda: self._ledger.send(raw_transaction))

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Returns the receipt, if any."""
        return self._try(lambda: self._ledger.receipt(transaction_hash))

    def logs(self, query: LogQuery) -> Sequence[Log]:
        """Returns the matching logs."""
        return self._try(lambda: self._ledger.logs(query))

    def transaction_input(self, transaction_hash: bytes) -> bytes | None:
        """Returns a mined transaction's call data."""
        return self._try(lambda: self._ledger.transaction_input(transaction_hash))

    def together(self, questions: Sequence[Question]) -> Sequence[object]:
        """Answers questions, all at once; what alone was not answered is asked again with patience."""
        answers = self._try(lambda: self._ledger.together(questions))
        return [
            question.ask(self) if isinstance(answer, UnreachableError) and not isinstance(answer, NotTaken) else answer
            for question, answer in zip(questions, answers, strict=True)
        ]

    def close(self) -> None:
        """Closes the ledger."""
        self._ledger.close()

    def _try(self, step: Callable[[], T]) -> T:
        return self._patience.attempt(step, self._clock)
