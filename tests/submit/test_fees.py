"""What is offered per unit of gas: laws of the policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.ports import Fees
from proml.submit.fees import FeePolicy, TooDear, in_gwei, is_too_cheap

wei = st.integers(0, 10**13)
asked_fees = st.builds(lambda base, tip: Fees(2 * base + tip, tip), wei, wei) | wei.map(
    lambda p: Fees(p, p, is_legacy=True)
)


@given(asked_fees)
def test_without_a_cap_what_is_asked_is_offered(asked: Fees) -> None:
    assert FeePolicy().offer(asked) == asked
    assert not is_too_cheap(asked, asked)


@given(asked_fees, wei)
def test_an_offer_keeps_to_the_cap_and_suffices_for_the_next_block_or_there_is_none(asked: Fees, cap: int) -> None:
    try:
        offer = FeePolicy(cap).offer(asked)
    except TooDear:
        assert asked.least > cap
    else:
        assert offer.max_priority_fee <= offer.max_fee <= max(cap, 0)
        assert offer.max_fee >= asked.least
        assert offer.is_legacy == asked.is_legacy


@given(asked_fees, asked_fees, st.none() | wei)
def test_a_replacement_offers_a_tenth_more_of_both_and_what_is_asked(old: Fees, asked: Fees, cap: int | None) -> None:
    raised = FeePolicy(cap).raised(old, asked)
    if raised is None:
        assert cap is not None
        return
    assert raised.max_fee * 10 >= old.max_fee * 11
    assert raised.max_priority_fee * 10 >= old.max_priority_fee * 11
    assert raised.max_priority_fee <= raised.max_fee
    assert raised.max_fee >= asked.least
    assert cap is None or raised.max_fee <= cap
    assert not old.is_legacy or raised.max_fee == raised.max_priority_fee


@pytest.mark.parametrize(("amount", "text"), [(0, "0 gwei"), (1, "0.000000001 gwei"), (15 * 10**8, "1.5 gwei")])
def test_amounts_are_said_in_gwei(amount: int, text: str) -> None:
    assert in_gwei(amount) == text
