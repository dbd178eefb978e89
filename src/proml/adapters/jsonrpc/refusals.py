"""Tells apart why a node refused: clients agree on neither codes nor texts, so each kind is known by its texts.

Seen in go-ethereum, Erigon, Besu, Nethermind, Reth, Anvil, Hardhat, Ganache and what hosted end points put before them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from proml.ports import Reverted

if TYPE_CHECKING:
    from proml.adapters.jsonrpc.endpoint import RpcError

# go-ethereum's code for "execution reverted" (its data is the revert data); Parity's descendants use -32015.
_REVERT_CODES = (3, -32015)
_REVERTED = re.compile(r"revert|vm exception|vm execution error", re.IGNORECASE)
# Failures of the EVM itself, which carry no data.
_FAILED = re.compile(
    r"out of gas|outofgas|invalid opcode|invalidopcode|opcode .* not defined|invalid jump|stack (under|over)flow"
    r"|bad instruction|invalid instruction|write protection|gas required exceeds|max code size|evm error|halt",
    re.IGNORECASE,
)
_KNOWN = re.compile(r"already.?known|\bknown transaction|already imported|already in (the )?mempool", re.IGNORECASE)
_NONCE = re.compile(
    r"nonce.{0,20}too (low|high|distant|far)|nonce_too_low|invalid.{0,20}nonce|oldnonce|nonce.*(used|lower)"
    r"|replacement transaction|underpriced.*replace|transaction with the same nonce",
    re.IGNORECASE,
)
_INVALID = re.compile(
    r"chain.?id|intrinsic gas|insufficient (funds|balance)|insufficient_funds|underpriced|exceeds block gas limit"
    r"|gas limit|gas too low|fee per gas|fee cap|gas price|invalid sender|invalid signature|signature|rlp|decode"
    r"|transaction type|oversized|max initcode|upfront cost",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"pool.{0,20}(is )?full|pool overflow|pool limit|account limit exceeded|tries to replace pending", re.IGNORECASE
)
# What is offered, compared with what the pool or the next block wants.
_CHEAP = re.compile(
    r"underpriced|fee per gas less than block base fee|(gas price|fee).{0,20}(too low|below|less than)"
    r"|min(imum)? gas price",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"block range|range (is )?too|range limit|more than \d+|query returned|too many (results|logs|blocks)"
    r"|limit exceeded|response size|result.{0,10}(size|window|limit)|exceed|log response|query timeout|timed? ?out"
    r"|maximum.*(blocks|range)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"(daily|monthly|rate|usage|compute).{0,20}(limit|count|quota|units).{0,20}(exceeded|reached)"
    r"|request count.{0,20}exceeded|quota|unauthori[sz]ed"
    r"|invalid api key|api key.{0,20}(invalid|missing|disabled|required)|payment required",
    re.IGNORECASE,
)
# JSON-RPC 2.0: "internal error".
_INTERNAL_CODE = -32603
# EIP-1474: "limit exceeded".
_LIMIT_CODE = -32005
# JSON-RPC 2.0: "invalid params"; the only parameter is the transaction.
_PARAMETERS_CODE = -32602
_DEEPEST = 4


def revert_of(error: RpcError) -> Reverted | None:
    """Returns the revert that an error of ``eth_call`` or ``eth_estimateGas`` reports, or None if it reports another.

    Example shapes: ``{"code": 3, "data": "0x08c3…"}`` (go-ethereum, Erigon, Anvil), ``{"code": -32000, "message":
    "Execution reverted", "data": "0x…"}`` (Besu), ``{"data": "Reverted 0x…"}`` (Nethermind),
    ``{"data": {"data": "0x…"}}`` (Hardhat), ``{"data": {"0xhash": {"return": "0x…"}}}`` (Ganache).
    """
    if error.code in _REVERT_CODES or _REVERTED.search(error.message):
        return Reverted(_hexadecimal(error.data, _DEEPEST) or b"")
    return Reverted(b"") if _FAILED.search(error.message) else None


def is_known(error: RpcError) -> bool:
    """Tells whether the node already has the very transaction."""
    return bool(_KNOWN.search(error.message))


def is_nonce_conflict(error: RpcError) -> bool:
    """Tells whether another transaction has or had this nonce, or it is not the next."""
    return bool(_NONCE.search(error.message))


def is_pool_full(error: RpcError) -> bool:
    """Tells whether the node has no room for another waiting transaction."""
    return bool(_FULL.search(error.message))


def is_too_cheap(error: RpcError) -> bool:
    """Tells whether the node wants more per unit of gas than the transaction offers."""
    return bool(_CHEAP.search(error.message))


def is_invalid(error: RpcError) -> bool:
    """Tells whether the transaction itself is unacceptable, so that sending it again is no use."""
    return error.code == _PARAMETERS_CODE or bool(_INVALID.search(error.message))


def is_own_fault(error: RpcError) -> bool:
    """Tells whether the end point says of itself that it is unable to answer, whatever is asked."""
    if _QUOTA.search(error.message):
        return True
    has_meaning = revert_of(error) is not None or any(known(error) for known in _MEANINGS)
    return error.code == _INTERNAL_CODE and not has_meaning


def asks_for_less(error: RpcError) -> bool:
    """Tells whether a narrower range of blocks may be answered."""
    return error.code == _LIMIT_CODE or bool(_RANGE.search(error.message))


_MEANINGS = (is_known, is_nonce_conflict, is_pool_full, is_too_cheap, is_invalid, asks_for_less)


def _hexadecimal(data: Any, depth: int) -> bytes | None:
    """Returns the revert data wherever a client put it; the longest, as wrappers also hold hashes and addresses."""
    if isinstance(data, str):
        found = re.fullmatch(r"(?:reverted )?0x((?:[0-9a-f]{2})*)", data.strip(), re.IGNORECASE)
        return bytes.fromhex(found[1]) if found else None
    if not isinstance(data, dict) or depth == 0:
        return None
    for key in ("data", "result", "return", "output", "originalError"):
        found_bytes = _hexadecimal(data.get(key), depth - 1)
        if found_bytes is not None:
            return found_bytes
    for value in data.values():
        if isinstance(value, dict):
            found_bytes = _hexadecimal(value, depth - 1)
            if found_bytes is not None:
                return found_bytes
    return None
