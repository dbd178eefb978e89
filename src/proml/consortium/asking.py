"""Asks the client of one participant's folder, also for what it offers its owner only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from proml.adapters.jsonrpc.administration import Administration
from proml.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.consortium.engines import Ask, Engine
    from proml.consortium.folder import Network


class _Asking:
    """An :class:`~proml.consortium.engines.Ask` with a connection for each path."""

    def __init__(self, network: Network, socket: str) -> None:
        self.folder = network.root
        self._where = str(network.root / socket) if socket else network.rpc_url
        self._open: dict[str, Administration] = {}

    def __call__(self, method: str, *parameters: Any, at: str = "") -> Any:
        if at not in self._open:
            self._open[at] = Administration(urljoin(self._where, at) if at else self._where)
        return self._open[at].ask(method, *parameters)

    def close(self) -> None:
        for one in self._open.values():
            one.close()


@contextlib.contextmanager
def administer(network: Network, engine: Engine) -> Iterator[Ask]:
    """Yields what asks the client; what it asks raises UnreachableError if there is no answer."""
    asking = _Asking(network, engine.admin_socket())
    try:
        yield asking
    finally:
        asking.close()


def answers(network: Network, engine: Engine) -> bool:
    """Tells whether a client of this chain answers where this folder's would."""
    with contextlib.suppress(UnreachableError), administer(network, engine) as ask:
        return int(str(ask("eth_chainId")), 16) == network.chain_id
    return False
