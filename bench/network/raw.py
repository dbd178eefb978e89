"""What ProML is compared with: transactions signed beforehand, and handed in as fast as the clients take them."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.network.clients import CHAIN_ID
from proml.core.calls import encode_call
from proml.core.digest import keccak256
from proml.ports import Fees, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.adapters.local_signer import LocalSigner
    from proml.core.operation import Operation

AT_ONCE = 100
FEES = Fees(2_000_000_000, 1_000_000_000)
_ids = itertools.count(1)


def ask(url: str, *calls: tuple[str, Sequence[Any]]) -> list[Any]:
    """Sends calls in one JSON-RPC batch and returns their results in order; raises RuntimeError if one was refused."""
    first = next(_ids)
    batch = [{"jsonrpc": "2.0", "id": first + n, "method": m, "params": list(p)} for n, (m, p) in enumerate(calls)]
    request = urllib.request.Request(url, json.dumps(batch).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        found = {one["id"]: one for one in json.load(answer)}
    results = [found[first + number] for number in range(len(calls))]
    refused = [one["error"] for one in results if "error" in one]
    if refused:
        raise RuntimeError(f"{len(refused)} of {len(calls)} calls were refused; the first: {refused[0]}")
    return [one["result"] for one in results]


def newest(url: str) -> int:
    """Returns the number of a client's newest block."""
    return int(ask(url, ("eth_blockNumber", ()))[0], 16)


@dataclass
class Account:
    """An account that signs beforehand, in the order of its nonces."""

    signer: LocalSigner
    url: str
    nonce: int = 0
    signed: list[bytes] = field(default_factory=list)

    def sign(self, contract: str, operation: Operation, gas: int) -> bytes:
        """Signs one transaction, keeps it for :func:`send_all`, and returns its hash."""
        raw = self.signer.sign_transaction(
            UnsignedTransaction(CHAIN_ID, self.nonce, contract, encode_call(operation), gas, FEES)
        )
        self.nonce += 1
        self.signed.append(raw)
        return keccak256(raw)

    def send(self) -> None:
        """Hands in what was signed."""
        for start in range(0, len(self.signed), AT_ONCE):
            some = self.signed[start : start + AT_ONCE]
            ask(self.url, *(("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in some))
        self.signed.clear()


def send_all(accounts: Sequence[Account], timeout_s: float = 300.0) -> float:
    """Hands in what all accounts signed, each by its own client, and returns the seconds until all is in blocks."""
    begun = time.monotonic()
    threads = [threading.Thread(target=account.send) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while any(_used(account) < account.nonce for account in accounts):
        if time.monotonic() - begun > timeout_s:
            raise TimeoutError("the clients did not include what was handed in")
        time.sleep(0.02)
    return time.monotonic() - begun


def _used(account: Account) -> int:
    (count,) = ask(account.url, ("eth_getTransactionCount", [account.signer.address, "latest"]))
    return int(count, 16)
