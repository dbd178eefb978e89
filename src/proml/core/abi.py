"""Encodes and decodes values by the contract's ABI, for the types of :mod:`proml.core.interface` only.

Small on purpose: ``eth_abi`` does the same, but importing it takes 0.2 s, which every command that touches a chain
would pay; the tests compare the two on random values. Decoding is strict: only the one layout that :func:`encode` makes
is accepted, so no offset can point back into the data to blow a small payload up, and equal values have equal bytes.

The layout is that of ``abi.encode`` but for transitions, alone or in a list: all their empty lists of inputs are one
zero word, which stands behind them. Any decoder reads that as it reads a zero word for each, and a transition in a
batch costs 230 gas less.

Source: Solidity documentation, "Contract ABI Specification".
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

from proml.core.interface import STRUCTS, Field, struct_class, struct_fields
from proml.core.words import WORD_BYTES, address_word, bytes_word, number_word, word_address, word_number
from proml.errors import InvalidRecord, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ADDRESS_BITS = 160
_INPUTS = "Input[]"


def static_word(type_name: str, value: Any) -> bytes:
    """Returns a value of a static, elementary type as one word.

    Raises:
        UsageError: The value does not fit the type.
    """
    if type_name == "address":
        return address_word(value)
    if type_name == "bytes32":
        return bytes_word(value)
    bits = 1 if type_name == "bool" else int(type_name.removeprefix("uint"))
    if not 0 <= value < 2**bits:
        raise UsageError(f"expected a number from 0 to {2**bits - 1} ({type_name}), found {value}")
    return number_word(value)


def encode(types: Sequence[Field], values: Sequence[Any]) -> bytes:
    """Returns the values as the contract reads them; structs are the dataclasses of :mod:`proml.core.operation`.

    Raises:
        UsageError: A value does not fit its type.
    """
    return _encode_all([f.type for f in types], values)


def decode(types: Sequence[Field], data: bytes) -> tuple[Any, ...]:
    """Returns the values that the data was made of: the inverse of :func:`encode`.

    Raises:
        InvalidRecord: The data is not what :func:`encode` makes of these types.
    """
    values, end = _decode_all([f.type for f in types], data, 0)
    if end != len(data):
        raise InvalidRecord(f"expected {end} bytes of ABI-encoded data, found {len(data)}")
    return values


@cache
def _is_dynamic(type_name: str) -> bool:
    if type_name in STRUCTS:
        return any(_is_dynamic(f.type) for f in struct_fields(type_name))
    return type_name in ("bytes", "string") or type_name.endswith("[]")


@cache
def _head_bytes(type_name: str) -> int:
    """Bytes that a value takes where it stands: its offset if dynamic, itself if static."""
    if type_name in STRUCTS and not _is_dynamic(type_name):
        return sum(_head_bytes(f.type) for f in struct_fields(type_name))
    return WORD_BYTES


def _encode_all(types: Sequence[str], values: Sequence[Any]) -> bytes:
    if len(types) != len(values):
        raise UsageError(f"expected {len(types)} values, found {len(values)}")
    heads, tails = [], []
    offset = sum(map(_head_bytes, types))
    for type_name, value in zip(types, values, strict=True):
        encoded = _encode_one(type_name, value)
        if _is_dynamic(type_name):
            heads.append(number_word(offset))
            tails.append(encoded)
            offset += len(encoded)
        else:
            heads.append(encoded)
    return b"".join(heads + tails)


def _encode_one(type_name: str, value: Any) -> bytes:
    if type_name == "Transition":
        return b"".join(_encode_transitions([value]))
    if type_name == "Transition[]":
        starts, encoded = [], _encode_transitions(value)
        offset = len(value) * WORD_BYTES
        for change in encoded[: len(value)]:
            starts.append(number_word(offset))
            offset += len(change)
        return b"".join([number_word(len(value)), *starts, *encoded])
    if type_name in STRUCTS:
        members = [getattr(value, f.name) for f in dataclasses.fields(value)]
        return _encode_all([f.type for f in struct_fields(type_name)], members)
    if type_name.endswith("[]"):
        return number_word(len(value)) + _encode_all([type_name.removesuffix("[]")] * len(value), value)
    if type_name == "bytes":
        return number_word(len(value)) + bytes(value) + bytes(-len(value) % WORD_BYTES)
    return static_word(type_name, value)


def _encode_transitions(changes: Sequence[Any]) -> list[bytes]:
    """Returns each transition without its empty lists of inputs, then the word that is all of these, if any."""
    declared = struct_fields("Transition")
    heads, tails = [], []
    for change in changes:
        members = [getattr(change, f.name) for f in dataclasses.fields(change)]
        heads.append([static_word(f.type, v) for f, v in zip(declared, members, strict=True) if f.type != _INPUTS])
        lists = [v for f, v in zip(declared, members, strict=True) if f.type == _INPUTS]
        tails.append([_encode_one(_INPUTS, items) if items else b"" for items in lists])
    head_bytes = len(declared) * WORD_BYTES
    to_the_end = sum(head_bytes + sum(map(len, both)) for both in tails)
    encoded = []
    for words, both in zip(heads, tails, strict=True):
        offset = head_bytes
        for tail in both:
            words.append(number_word(offset if tail else to_the_end))
            offset += len(tail)
        encoded.append(b"".join(words + both))
        to_the_end -= offset
    return encoded + [bytes(WORD_BYTES)] * any(not tail for both in tails for tail in both)


def _decode_transitions(data: bytes, at: int, offsets: Sequence[int], end: int) -> tuple[tuple[Any, ...], int]:
    """Decodes transitions at these offsets from ``at``, the first of which begins at ``end``; returns their end."""
    changes, shared = [], set()
    for offset in offsets:
        start = end
        if at + offset != start:
            raise InvalidRecord(f"expected a transition at offset {start - at} of ABI-encoded data, found {offset}")
        values: list[Any] = []
        end += len(struct_fields("Transition")) * WORD_BYTES
        for position, field in enumerate(struct_fields("Transition")):
            word = _word(data, start + position * WORD_BYTES)
            if field.type != _INPUTS:
                values.append(static_reader(field.type)(word))
            elif start + word_number(word) == end and word_number(_word(data, end)):
                items, end = _decode_one(field.type, data, end)
                values.append(items)
            else:
                shared.add(start + word_number(word))
                values.append(())
        changes.append(struct_class("Transition")(*values))
    if shared and (shared != {end} or any(_word(data, end))):
        raise InvalidRecord(f"expected every empty list of inputs at byte {end} of ABI-encoded data, found {shared}")
    return tuple(changes), end + WORD_BYTES * bool(shared)


def _decode_all(types: Sequence[str], data: bytes, start: int) -> tuple[tuple[Any, ...], int]:
    """Decodes values whose heads begin at ``start``; returns them and where the last tail ends."""
    at, end = start, start + sum(map(_head_bytes, types))
    values = []
    for type_name in types:
        if _is_dynamic(type_name):
            # Offsets count from where this sequence of heads begins; a tail begins where the one before ends.
            offset = word_number(_word(data, at))
            if offset != end - start:
                raise InvalidRecord(f"expected offset {end - start} at byte {at} of ABI-encoded data, found {offset}")
            value, end = _decode_one(type_name, data, end)
        else:
            value, _ = _decode_one(type_name, data, at)
        values.append(value)
        at += _head_bytes(type_name)
    return tuple(values), end


def _decode_one(type_name: str, data: bytes, at: int) -> tuple[Any, int]:
    if type_name == "Transition":
        (change,), end = _decode_transitions(data, at, [0], at)
        return change, end
    if type_name in STRUCTS:
        values, end = _decode_all([f.type for f in struct_fields(type_name)], data, at)
        return struct_class(type_name)(*values), end
    if type_name.endswith("[]"):
        element = type_name.removesuffix("[]")
        count = word_number(_word(data, at))
        if count * _head_bytes(element) > len(data):
            raise InvalidRecord(f"expected an array within {len(data)} bytes, found a length of {count} at byte {at}")
        at += WORD_BYTES
        if element == "Transition":
            offsets = [word_number(_word(data, at + i * WORD_BYTES)) for i in range(count)]
            return _decode_transitions(data, at, offsets, at + count * WORD_BYTES)
        return _decode_all([element] * count, data, at)
    if type_name in ("bytes", "string"):
        return _decode_bytes(type_name, data, at)
    return static_reader(type_name)(_word(data, at)), at + WORD_BYTES


def _decode_bytes(type_name: str, data: bytes, at: int) -> tuple[bytes | str, int]:
    size = word_number(_word(data, at))
    begin = at + WORD_BYTES
    end = begin + size + -size % WORD_BYTES
    if end > len(data) or any(data[begin + size : end]):
        raise InvalidRecord(f"expected {size} bytes and zeros up to a whole word at byte {begin}, found something else")
    value = data[begin : begin + size]
    return (value.decode("utf-8", "replace") if type_name == "string" else value), end


@cache
def static_reader(type_name: str) -> Callable[[bytes], Any]:
    """Returns what reads a word of a static, elementary type; it raises InvalidRecord for a word out of range."""
    if type_name == "bytes32":
        return bytes
    bits = {"address": _ADDRESS_BITS, "bool": 1}.get(type_name) or int(type_name.removeprefix("uint"))
    convert: Callable[[Any], Any] = {"address": word_address, "bool": lambda word: word[-1] == 1}.get(
        type_name, word_number
    )

    def read(word: bytes) -> Any:
        if word_number(word) >> bits:
            raise InvalidRecord(f"expected a value of type {type_name}, found 0x{word.hex()}")
        return convert(word)

    return read


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + WORD_BYTES]
    if len(word) != WORD_BYTES:
        raise InvalidRecord(f"expected 32 bytes at byte {at} of ABI-encoded data, found {len(word)}")
    return word
