"""The evidence port over JSON-RPC: headers and receipts of one end point, none of them believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.adapters.clock import SystemClock
from proml.adapters.jsonrpc.answers import Reader
from proml.adapters.jsonrpc.endpoint import EndPoints, RpcError
from proml.adapters.jsonrpc.proof import header_of, may_hold, prove_receipts, prove_transactions
from proml.adapters.jsonrpc.transport import Limits
from proml.core.words import address_bytes
from proml.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.ports import Header, Receipt

_LIMITS = Limits(timeout_s=60.0, answer_bytes=64 * 2**20)
_HEADERS_AT_ONCE = 100


class JsonRpcEvidence:
    """What one end point says, with what proves it.

    Args:
        urls: The end point, or several of one chain of which the first that answers is asked.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._end_points = EndPoints(urls, _LIMITS, SystemClock(), lambda _: None)

    @property
    def where(self) -> str:
        """Which end point it is, without secrets."""
        return self._end_points.where

    def headers(self, first: int, last: int) -> Iterator[Header]:
        """Yields headers in order, each with its hash computed anew.

        Raises:
            VerificationError: A header is missing, has another number, or its members do not make its hash.
            UnreachableError: No answer.
        """
        for start in range(first, last + 1, _HEADERS_AT_ONCE):
            numbers = range(start, min(start + _HEADERS_AT_ONCE, last + 1))
            method = "eth_getBlockByNumber"
            read = Reader(method, self.where)
            found = self._end_points.request_all([(method, (hex(number), False)) for number in numbers])
            for number, value in zip(numbers, found, strict=True):
                if isinstance(value, RpcError):
                    raise value.unexpected(method)
                header = header_of(value, read) if value is not None else None
                if header is None or header.number != number:
                    found_number = "none" if header is None else header.number
                    raise VerificationError(
                        f"expected block {number} from {self.where}, found {found_number}",
                        hint="The node contradicts itself: ask another one.",
                    )
                yield header

    def may_hold(self, header: Header, address: str) -> bool:
        """Tells whether a block may have logs of a contract; never wrong when it says no."""
        return may_hold(header, address_bytes(address))

    def receipts(self, header: Header) -> Sequence[Receipt]:
        """Returns a block's receipts, proved against the header's roots, transactions' hashes included.

        Raises:
            VerificationError: They do not make the roots.
            UnreachableError: No answer.
        """
        block_hash = f"0x{header.hash.hex()}"
        read = Reader("eth_getBlockByHash", self.where)
        block = read.object(self._ask("eth_getBlockByHash", block_hash, True))  # noqa: FBT003 - with transactions
        hashes = prove_transactions(header, read.list(block.get("transactions")), read)
        return prove_receipts(
            header, self._receipts(block_hash, hashes), hashes, Reader("eth_getBlockReceipts", self.where)
        )

    def close(self) -> None:
        """Drops the connection; safe to call twice."""
        self._end_points.close()

    def _receipts(self, block_hash: str, hashes: Sequence[bytes]) -> list[Any]:
        try:
            found = self._end_points.request("eth_getBlockReceipts", block_hash)
            if isinstance(found, list) and len(found) == len(hashes):
                return found
        except RpcError:
            pass  # not every client has the method
        method = "eth_getTransactionReceipt"
        many = self._end_points.request_all([(method, (f"0x{digest.hex()}",)) for digest in hashes])
        refused = next((one for one in many if isinstance(one, RpcError)), None)
        if refused is not None:
            raise refused.unexpected(method)
        return many

    def _ask(self, method: str, *parameters: Any) -> Any:
        try:
            return self._end_points.request(method, *parameters)
        except RpcError as error:
            raise error.unexpected(method) from error
