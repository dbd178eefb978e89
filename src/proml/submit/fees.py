"""What transactions offer per unit of gas: what the chain asks, within what their owner grants. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from proml.errors import UnreachableError
from proml.ports import Fees

BUMP_PERCENT = 12
"""By how much an offer is raised to replace a waiting transaction; clients want 10 % more of both fees (go-ethereum's
``txpool.pricebump``, and alike elsewhere)."""
_WEI_PER_GWEI = 10**9


class TooDear(UnreachableError):
    """The chain asks more per unit of gas than is granted; what waits goes when it asks less, or more is granted."""


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How much an account's owner grants.

    Attributes:
        cap: Most per unit of gas, in wei; None for whatever the chain asks.
    """

    cap: int | None = None

    def offer(self, asked: Fees) -> Fees:
        """Returns what to offer where a ledger asks for so much.

        Raises:
            TooDear: The newest block would not have taken what is granted.
        """
        if self.cap is None or asked.max_fee <= self.cap:
            return asked
        if asked.least > self.cap:
            raise TooDear(
                f"The chain asks {in_gwei(asked.least)} per unit of gas, and at most {in_gwei(self.cap)} is granted. "
                "Nothing was sent.",
                hint="What waits goes when the chain asks less; or raise max_gwei in [fees] of .proml/config.toml, or "
                "PROML_MAX_GWEI.",
            )
        return Fees(self.cap, min(asked.max_priority_fee, self.cap), asked.is_legacy)

    def raised(self, old: Fees, asked: Fees) -> Fees | None:
        """Returns fees that replace a waiting transaction and that the chain asks; None if the cap forbids."""
        most = max(_more(old.max_fee), asked.max_fee)
        tip = max(_more(old.max_priority_fee), asked.max_priority_fee)
        if self.cap is not None and most > self.cap:
            most = self.cap
        if most < max(_more(old.max_fee), asked.least) or tip > most:
            return None
        return Fees(most, most if old.is_legacy else tip, old.is_legacy)


def is_too_cheap(offered: Fees, asked: Fees) -> bool:
    """Tells whether the next block may leave out what offers so much."""
    return offered.max_fee < asked.least or offered.max_priority_fee < asked.max_priority_fee


def in_gwei(wei: int) -> str:
    """Returns an amount as people say it."""
    return f"{wei / _WEI_PER_GWEI:.9f}".rstrip("0").rstrip(".") + " gwei"


def _more(fee: int) -> int:
    return fee + -(-fee * BUMP_PERCENT // 100)
