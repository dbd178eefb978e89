"""ABI codec: eth_abi reads its bytes, and writes the same where no transition is; nothing but its own bytes is read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_abi.abi import decode as eth_abi_decode
from eth_abi.abi import encode as eth_abi_encode
from hypothesis import assume, given
from hypothesis import strategies as st

from proml.core import abi, interface
from proml.core.interface import Field, canonical_type, struct_class
from proml.core.words import checksum_address
from proml.errors import InvalidRecord, UsageError


def value_of(type_name: str) -> st.SearchStrategy[Any]:
    if type_name in interface.STRUCTS:
        members = [value_of(f.type) for f in interface.struct_fields(type_name)]
        return st.tuples(*members).map(lambda values: struct_class(type_name)(*values))
    if type_name.endswith("[]"):
        return st.lists(value_of(type_name.removesuffix("[]")), max_size=3).map(tuple)
    simple: dict[str, st.SearchStrategy[Any]] = {
        "address": st.binary(min_size=20, max_size=20).map(checksum_address),
        "bytes32": st.binary(min_size=32, max_size=32),
        "bytes": st.binary(max_size=70),
        "bool": st.booleans(),
    }
    return simple[type_name] if type_name in simple else st.integers(0, 2 ** int(type_name.removeprefix("uint")) - 1)


def plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return tuple(plain(getattr(value, f.name)) for f in dataclasses.fields(value))
    return [plain(element) for element in value] if isinstance(value, tuple) else value


def lowered(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [lowered(element) for element in value]
    return value.lower() if isinstance(value, str) else value


DECLARATIONS = [
    *interface.FUNCTIONS.values(),
    *map(interface.relayed, interface.FUNCTIONS.values()),
    *(answer for _, answer in interface.VIEWS.values()),
    *interface.ERRORS.values(),
    interface.CREATE,
    interface.CONSTRUCTOR,
]


@st.composite
def declared_values(draw: st.DrawFn) -> tuple[tuple[Field, ...], list[Any]]:
    declared = interface.fields(draw(st.sampled_from(DECLARATIONS)))
    return declared, [draw(value_of(f.type)) for f in declared]


@given(declared_values())
def test_encoding_equals_that_of_eth_abi(case: tuple[tuple[Field, ...], list[Any]]) -> None:
    declared, values = case
    assume(not any(f.type.startswith("Transition") for f in declared))
    theirs = eth_abi_encode([canonical_type(f.type) for f in declared], [plain(v) for v in values])
    assert abi.encode(declared, values) == theirs


@given(declared_values())
def test_eth_abi_reads_the_encoded_values(case: tuple[tuple[Field, ...], list[Any]]) -> None:
    declared, values = case
    read = eth_abi_decode([canonical_type(f.type) for f in declared], abi.encode(declared, values))
    assert lowered(read) == lowered(tuple(plain(v) for v in values))


CHANGES = st.lists(value_of("Transition"), max_size=4).map(tuple)


@given(CHANGES)
def test_all_empty_lists_of_inputs_are_one_word(changes: tuple[Any, ...]) -> None:
    declared = interface.fields("Transition[] changes")
    theirs = eth_abi_encode([canonical_type(f.type) for f in declared], [plain(changes)])
    empty = sum(not items for change in changes for items in (change.inputs, change.held))
    assert len(theirs) - len(abi.encode(declared, [changes])) == 32 * max(0, empty - 1)


@given(CHANGES.filter(lambda changes: any(not c.inputs or not c.held for c in changes)))
def test_a_word_for_each_empty_list_is_refused(changes: tuple[Any, ...]) -> None:
    declared = interface.fields("Transition[] changes")
    theirs = eth_abi_encode([canonical_type(f.type) for f in declared], [plain(changes)])
    assume(theirs != abi.encode(declared, [changes]))
    with pytest.raises(InvalidRecord, match=r"empty list of inputs|offset"):
        abi.decode(declared, theirs)


@given(declared_values())
def test_decoding_inverts_encoding(case: tuple[tuple[Field, ...], list[Any]]) -> None:
    declared, values = case
    assert abi.decode(declared, abi.encode(declared, values)) == tuple(values)


@given(declared_values(), st.data())
def test_a_changed_byte_is_refused_or_changes_the_value(
    case: tuple[tuple[Field, ...], list[Any]], data: st.DataObject
) -> None:
    declared, values = case
    encoded = bytearray(abi.encode(declared, values))
    if not encoded:
        return
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = abi.decode(declared, bytes(encoded))
    except InvalidRecord:
        return
    assert read != tuple(values)
    assert abi.encode(declared, read) == bytes(encoded)


@given(declared_values(), st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(
    case: tuple[tuple[Field, ...], list[Any]], data: bytes
) -> None:
    declared, _ = case
    try:
        read = abi.decode(declared, data)
    except InvalidRecord:
        return
    assert abi.encode(declared, read) == data


def test_an_array_longer_than_the_data_is_refused_at_once() -> None:
    declared = interface.fields("Transition[] changes")
    huge = (32).to_bytes(32, "big") + (2**60).to_bytes(32, "big")
    with pytest.raises(InvalidRecord, match="length of 1152921504606846976"):
        abi.decode(declared, huge)


def test_an_offset_back_into_the_data_is_refused() -> None:
    declared = interface.fields("bytes first, bytes second")
    encoded = bytearray(abi.encode(declared, [b"abc", b"abc"]))
    encoded[32:64] = encoded[0:32]
    with pytest.raises(InvalidRecord, match="offset"):
        abi.decode(declared, bytes(encoded))


@pytest.mark.parametrize(("type_name", "value"), [("uint8", 256), ("uint8", -1), ("uint40", 2**40), ("bool", 2)])
def test_a_number_that_does_not_fit_is_refused(type_name: str, value: int) -> None:
    with pytest.raises(UsageError, match="expected a number"):
        abi.static_word(type_name, value)


def test_an_id_of_31_bytes_is_refused() -> None:
    with pytest.raises(UsageError, match="expected 32 bytes"):
        abi.static_word("bytes32", bytes(31))


def test_an_address_with_a_digit_missing_is_refused() -> None:
    with pytest.raises(UsageError, match="expected an address"):
        abi.static_word("address", "0x" + "1" * 39)
