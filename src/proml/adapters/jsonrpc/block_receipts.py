"""Many receipts, by the block: a client that is asked for one looks through the whole block in which it is.

go-ethereum reads and hashes a block's transactions anew for each ``eth_getTransactionReceipt`` (milliseconds where a
block has hundreds); ``eth_getBlockReceipts`` gives all of a block for little more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.adapters.jsonrpc.transport import TimedOut, TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.adapters.jsonrpc.endpoint import EndPoints

_WORTH_IT = 16
"""From how many receipts on blocks are asked for."""
_SCOUTS = 4
_FEWEST_OF_A_BLOCK = 4


def receipts_of_blocks(end_points: EndPoints, hashes: Sequence[bytes]) -> dict[bytes, Any]:
    """Returns receipts as the client wrote them, by transaction hash, as far as whole blocks brought them.

    A few transactions tell in which blocks to look. What is in no such block, and everything if the client does not
    have the method, is left to be asked for one by one.

    Raises:
        UnreachableError: No answer.
    """
    found: dict[bytes, Any] = {}
    left = {f"0x{digest.hex()}": digest for digest in hashes}
    while len(left) >= _WORTH_IT:
        numbers = _block_numbers(end_points, list(left))
        before = len(left)
        try:
            answers = end_points.request_all([("eth_getBlockReceipts", (number,)) for number in numbers])
        except (TooLarge, TimedOut):
            break  # other people's transactions are in a block, too
        for answer in answers:
            for receipt in answer if isinstance(answer, list) else ():
                digest = left.pop(_text(receipt, "transactionHash"), None)
                if digest is not None:
                    found[digest] = receipt
        if before - len(left) < max(1, _FEWEST_OF_A_BLOCK * len(numbers)):
            break
    return found


def _block_numbers(end_points: EndPoints, hashes: Sequence[str]) -> list[str]:
    """Returns the blocks, each once, of transactions spread over all of them."""
    scouts = hashes[:: max(1, len(hashes) // _SCOUTS)]
    answers = end_points.request_all([("eth_getTransactionReceipt", (digest,)) for digest in scouts])
    return [number for number in dict.fromkeys(_text(answer, "blockNumber") for answer in answers) if number]


def _text(value: Any, member: str) -> str:
    """Returns a member of an object that is a text; empty if there is none."""
    found = value.get(member) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
