"""The ledger of any Ethereum client: the Ledger port over JSON-RPC by HTTP, WebSocket or IPC.

    ledger = JsonRpcLedger(["https://node-a.example", "wss://node-b.example"])

Inwards: :mod:`.ledger` serves the port, :mod:`.answers` reads what a client answered and believes nothing of it,
:mod:`.refusals` tells the clients' many error texts apart, :mod:`.endpoint` speaks JSON-RPC 2.0 and moves on to the
next end point when one fails, :mod:`.transport` moves bytes. web3.py is not used: importing it takes 0.8 s, which
every command would pay, and a dozen methods need none of it.
"""

from __future__ import annotations

from proml.adapters.jsonrpc.ledger import JsonRpcLedger
from proml.adapters.jsonrpc.witnessed import WitnessedLedger

__all__ = ["JsonRpcLedger", "WitnessedLedger"]
