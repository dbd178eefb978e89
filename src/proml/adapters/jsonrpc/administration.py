"""Asks one client what no ledger offers: who seals its blocks, whom it knows, how it votes."""

from __future__ import annotations

from typing import Any

from proml.adapters.clock import SystemClock
from proml.adapters.jsonrpc.endpoint import EndPoints, RpcError
from proml.adapters.jsonrpc.transport import Limits

_LIMITS = Limits(timeout_s=10.0, answer_bytes=16 * 2**20)


class Administration:
    """One client's JSON-RPC, for methods outside the Ledger port.

    Args:
        url: ``http(s)://…``, ``ws(s)://…``, or the path of an IPC socket.
    """

    def __init__(self, url: str) -> None:
        self._end_point = EndPoints([url], _LIMITS, SystemClock(), lambda _: None)

    def ask(self, method: str, *parameters: Any) -> Any:
        """Returns a method's result.

        Raises:
            UnreachableError: No answer, or a refusal.
        """
        try:
            return self._end_point.request(method, *parameters)
        except RpcError as error:
            raise error.unexpected(method) from error

    def close(self) -> None:
        """Drops the connection; safe to call twice."""
        self._end_point.close()
