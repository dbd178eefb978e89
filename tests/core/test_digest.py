from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.digest import format_digest, keccak256, parse_digest, sha256
from proml.errors import InvalidRecord


def test_the_digest_of_nothing_is_the_one_of_fips_180_4() -> None:
    assert sha256(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_keccak_is_that_of_ethereum_and_not_sha3() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@given(st.binary(min_size=32, max_size=32))
def test_a_written_digest_reads_back(digest: bytes) -> None:
    """Law: parse_digest(format_digest(x)) == x."""
    assert parse_digest(format_digest(digest)) == digest


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "ab" * 32, "sha256:" + "AB" * 32, "sha256:" + "ab" * 31, "sha256:" + "ab" * 32 + "\n", "x" * 9999],
)
def test_anything_else_is_no_digest(text: str) -> None:
    with pytest.raises(InvalidRecord, match="64 lower-case hex digits"):
        parse_digest(text)


def test_a_digest_of_another_length_is_not_written() -> None:
    with pytest.raises(InvalidRecord, match="32 bytes"):
        format_digest(b"short")
