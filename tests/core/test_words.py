"""Words and addresses."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from proml.core.words import address_word, checksum_address, parse_address, word_address
from proml.errors import UsageError

# EIP-55's own examples.
EXAMPLE = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@given(st.binary(min_size=20, max_size=20))
def test_checksums_equal_those_of_eth_utils(raw: bytes) -> None:
    assert checksum_address(raw) == to_checksum_address(raw)


@given(st.binary(min_size=20, max_size=20))
def test_an_address_survives_the_way_through_a_word(raw: bytes) -> None:
    assert word_address(address_word(checksum_address(raw))) == checksum_address(raw)


@pytest.mark.parametrize("typed", [EXAMPLE, EXAMPLE.lower(), "0x" + EXAMPLE[2:].upper(), EXAMPLE[2:]])
def test_an_address_without_mixed_capitals_or_with_the_right_ones_is_taken(typed: str) -> None:
    assert parse_address(typed) == EXAMPLE


def test_an_address_with_a_wrong_capital_is_a_typing_error() -> None:
    with pytest.raises(UsageError, match="typing error"):
        parse_address(EXAMPLE[:-1] + "D")


@pytest.mark.parametrize("typed", ["", "0x", "0x12", EXAMPLE + "00", "0x" + "g" * 40, "0x" + " " * 40, "zoë"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="expected an address"):
        parse_address(typed)
