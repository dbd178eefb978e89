"""A ledger whose end point is believed only what a second one, another participant's for instance, says too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.adapters.jsonrpc.ledger import JsonRpcLedger
from proml.adapters.jsonrpc.transport import without_secrets
from proml.asking import one_by_one
from proml.errors import UnreachableError, VerificationError
from proml.ports import Finality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.asking import Question
    from proml.ports import Block, Log, LogQuery, Receipt

BEHIND_BLOCKS, BEHIND_S = 10, 30
"""How far the end point in use may be behind the witness before it is not asked any more."""


class WitnessedLedger(JsonRpcLedger):
    """A :class:`JsonRpcLedger` with a witness.

    What is in a block is in it, and final, when both say so. Where both take a block for final and still differ, one of
    them is not honest, which is told; before that, the two may just be at different blocks, and nothing is believed.

    Args:
        urls: As for :class:`JsonRpcLedger`.
        witness: URL of the second end point.
        finality: When a block counts as final.
    """

    def __init__(self, urls: str | Sequence[str], witness: str, *, finality: Finality = Finality("tag")) -> None:  # noqa: B008  (frozen)
        super().__init__(urls, finality=finality)
        self._witness = JsonRpcLedger(witness, finality=finality)
        self._names = (without_secrets(urls if isinstance(urls, str) else urls[0]), without_secrets(witness))

    @property
    def chain_id(self) -> int:
        """The chain's id; raises VerificationError if the two serve different chains."""
        self._same("the chain id", super().chain_id, self._witness.chain_id)
        return super().chain_id

    @property
    def genesis_hash(self) -> bytes:
        """Hash of block 0; raises VerificationError if the two serve different chains."""
        self._same("the genesis block", super().genesis_hash.hex(), self._witness.genesis_hash.hex())
        return super().genesis_hash

    def newest(self) -> Block:
        """Returns the newest block; raises UnreachableError if the end point is far behind the witness."""
        ours, theirs = super().newest(), self._witness.newest()
        if theirs.number - ours.number > BEHIND_BLOCKS and theirs.timestamp - ours.timestamp > BEHIND_S:
            raise UnreachableError(
                f"the ledger at {self._names[0]} is behind: its newest block is {ours.number}, and that of "
                f"{self._names[1]} is {theirs.number}.",
                hint="Wait until it has caught up, or use another one. What was captured is safe.",
            )
        return ours

    def finalized(self) -> int:
        """Returns the number of the newest block that is final for both."""
        return min(super().finalized(), self._witness.finalized())

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Returns the receipt if both have it.

        Raises:
            VerificationError: Of a block that is final for the witness the two say different things.
        """
        ours, theirs = self._receipts(transaction_hash)
        if ours is None or ours == theirs:
            return ours
        # The block may have come to one of them between the two answers. What is final now is asked for again.
        final = self._witness.finalized()
        ours, theirs = self._receipts(transaction_hash)
        if ours is not None and ours != theirs and ours.block_number <= final:
            expected = f"it in block {theirs.block_number}" if theirs is not None else "it in no block"
            self._differ(f"transaction 0x{transaction_hash.hex()}", f"it in block {ours.block_number}", expected)
        return ours if ours == theirs else None

    def _receipts(self, transaction_hash: bytes) -> tuple[Receipt | None, Receipt | None]:
        ours = super().receipt(transaction_hash)
        return ours, None if ours is None else self._witness.receipt(transaction_hash)

    def together(self, questions: Sequence[Question]) -> Sequence[object]:
        """Answers questions in their order; receipts as :meth:`receipt` does."""
        return one_by_one(self, questions)

    def logs(self, query: LogQuery) -> Sequence[Log]:
        """Returns the matching logs.

        Raises:
            VerificationError: In blocks that are final for both the two have different ones.
        """
        final = self.finalized()  # before both are asked: a block may come between the two answers
        ours = super().logs(query)
        theirs = [log for log in self._witness.logs(query) if log.block_number <= final]
        settled = [log for log in ours if log.block_number <= final]
        if settled != theirs:
            odd = min(set(settled) ^ set(theirs), key=lambda log: (log.block_number, log.log_index))
            there = ["it" if odd in logs else "no such log" for logs in (settled, theirs)]
            self._differ(f"log {odd.log_index} of block {odd.block_number}", *there)
        return ours

    def close(self) -> None:
        """Drops the connections; safe to call twice."""
        super().close()
        self._witness.close()

    def _same(self, what: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            self._differ(what, str(ours), str(theirs))

    def _differ(self, what: str, ours: str, theirs: str) -> None:
        raise VerificationError(
            f"two end points differ in {what}: {self._names[0]} has {ours}, {self._names[1]} has {theirs}. One of them "
            "is not honest, or of another chain.",
            hint="Ask a third one: `proml audit --prove --with URL`. Nothing was taken for confirmed.",
        )
