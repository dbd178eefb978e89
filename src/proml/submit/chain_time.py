"""What time it is where deadlines count: the contract compares them with the time of blocks, not with this machine's.

A chain that makes no blocks for want of transactions shows an old time, so its clock is only trusted to be late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.errors import UnreachableError

if TYPE_CHECKING:
    from proml.ports import Clock, Ledger

AHEAD_S = 300
"""By how much this machine may be ahead of the newest block before that is worth telling."""
_NS = 1_000_000_000


def now_s(ledger: Ledger, clock: Clock) -> int:
    """Returns the Unix time that a deadline counts from: the newest block's, if this machine's clock is behind it."""
    return max(clock.now_ns() // _NS, _block_time(ledger))


def ahead_s(ledger: Ledger, clock: Clock) -> int:
    """Returns by how many seconds this machine is ahead of the newest block; 0 if that is little, or not known.

    Either the chain is idle, or this machine's clock is wrong and deadlines from it are later than they were meant.
    """
    newest = _block_time(ledger)
    ahead = clock.now_ns() // _NS - newest
    return ahead if newest and ahead > AHEAD_S else 0


def _block_time(ledger: Ledger) -> int:
    try:
        return ledger.newest().timestamp
    except UnreachableError:
        return 0
