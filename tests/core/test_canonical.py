from __future__ import annotations

import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, canonical_json, check_depth, parse_json
from proml.errors import InvalidRecord

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(), children, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_canonical_json_is_a_fixed_point_of_reading_and_writing(value: object) -> None:
    """Law: canonical(parse(canonical(x))) == canonical(x), large floats written as whole numbers included."""
    written = canonical_json(value)
    assert canonical_json(parse_json(written, "it")) == written


def test_keys_are_sorted_by_utf_16_as_rfc_8785_demands() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}
    written = [json.loads(key) for key in re.findall(r'"[^"]+"', canonical_json(value).decode())]
    assert written == ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    ("number", "written"),
    [(1e20, b"100000000000000000000"), (1e21, b"1e+21"), (-0.0, b"0"), (1e-7, b"1e-7"), (4.50, b"4.5"), (2.0, b"2")],
)
def test_numbers_are_written_as_ecmascript_does(number: float, written: bytes) -> None:
    assert canonical_json(number) == written


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), MAX_SAFE_INTEGER + 1, "\ud800", {"\ud800": 1}, {1: 2}, object(), {1, 2}, b"bytes"],
)
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises(InvalidRecord, match="cannot be written as canonical JSON"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":2}', "occurs twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "too large for a double"),
        (b"[9007199254740993]", r"beyond 2\*\*53"),
        (b"[" + b"9" * 5000 + b"]", "Expected JSON"),
        (b'["\\ud800"]', "UTF-8"),
        (b'{"\\udfff":1}', "UTF-8"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "Expected JSON"),
        (b"{} x", "Expected JSON"),
        (b"", "Expected JSON"),
        (b"[" * 100_000, "nesting"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nesting"),
    ],
)
def test_hostile_json_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidRecord, match=reason) as caught:
        parse_json(data, "the file x.json")
    assert "the file x.json" in caught.value.message


def test_more_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(InvalidRecord, match="at most 3 bytes"):
        parse_json(b'"ab"', "it", max_bytes=3)


def test_nesting_up_to_the_limit_is_read() -> None:
    value: object = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert parse_json(canonical_json(value), "it") == value
    with pytest.raises(InvalidRecord, match="nesting"):
        check_depth([value])


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidRecord, match="nesting"):
        canonical_json(loop)


@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_deep_nesting_is_refused_whatever_the_recursion_limit(opener: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)  # an EVM raises it too
    try:
        with pytest.raises(InvalidRecord, match="nesting"):
            parse_json(opener * 200_000, "the record")
    finally:
        sys.setrecursionlimit(limit)


def test_brackets_in_text_are_no_nesting() -> None:
    value = {"a": "[{" * 100 + '"\\', "b": [[]] * 70}
    assert parse_json(canonical_json(value), "the record") == value
