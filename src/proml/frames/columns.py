"""How one Arrow column becomes bytes: form ``proml/frame/v1``, little-endian.

| type | bytes, one after the other |
|---|---|
| any but categories | one byte: 1 if there are nulls, else 0; if there are, one byte for each row: 0 for null, else 1 |
| integers, floats, decimals, times | the values; null is zero, every not-a-number of 32 or 64 bits the same one |
| truth values | one byte for each row |
| text, binary | length of each value as 8 bytes, then all values; null is empty |
| categories | if they are ordered, the list of them as a column of its own; then the values as a column of theirs |
| lists | length of each list as 8 bytes, then all elements as a column of their own |
| structures | each field as a column of its own |

Large and small variants of a type, views, dictionaries and chunks make no difference.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from proml.errors import ContentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLICE_ROWS = 1 << 20  # conversions are made on so many rows at once, so that memory stays bounded
_WIDEST_BITS = 64


def describe(kind: Any, name: str) -> object:
    """Returns an Arrow type as JSON.

    Args:
        kind: The type.
        name: The column's name, for messages.

    Raises:
        ContentError: It has no agreed form.
    """
    from pyarrow import types  # noqa: PLC0415 - an extra

    if types.is_dictionary(kind):
        return {"categories": describe(kind.value_type, name), "ordered": kind.ordered}
    if types.is_struct(kind):
        return {"fields": [{"name": one.name, "type": describe(one.type, name)} for one in kind]}
    if _is_list(kind):
        return {"list": describe(kind.value_type, name)}
    if _is_text(kind):
        return "utf8"
    if _is_binary(kind):
        return "binary"
    if types.is_primitive(kind) or types.is_decimal(kind) or types.is_null(kind):
        return str(kind)
    raise ContentError(
        f"column {name!a} has the type {kind}, for which there is no agreed form.",
        hint="Convert the column, or save the frame as a file and use that.",
    )


def parts(column: Any) -> Iterator[Any]:
    """Yields a column's bytes, piece by piece, as objects that have the buffer protocol.

    Args:
        column: An Arrow chunked array.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra

    kind = column.type
    if pa.types.is_dictionary(kind):
        if kind.ordered:
            yield from parts(_categories(column))
        values = [_plain(chunk.dictionary).take(chunk.indices) for chunk in column.chunks]
        yield from parts(pa.chunked_array(values, None if values else kind.value_type))
        return
    chunks = list(_slices(column))
    yield b"\x01" if column.null_count else b"\x00"
    if column.null_count:
        yield from (_buffer(chunk.is_valid().cast(pa.uint8())) for chunk in chunks)
    if pa.types.is_struct(kind):
        for number, field in enumerate(kind):
            yield from parts(pa.chunked_array([chunk.flatten()[number] for chunk in chunks], field.type))
    elif _is_list(kind):
        yield from map(_list_lengths, chunks)
        yield from parts(pa.chunked_array([chunk.flatten() for chunk in chunks], kind.value_type))
    elif _is_text(kind) or _is_binary(kind):
        yield from _texts(chunks)
    elif not pa.types.is_null(kind):
        yield from map(_values, chunks)


def _slices(column: Any) -> Iterator[Any]:
    for chunk in column.chunks:
        for start in range(0, len(chunk), _SLICE_ROWS):
            yield chunk.slice(start, _SLICE_ROWS)


def _categories(column: Any) -> Any:
    """Returns the ordered categories: those of all chunks, which belong to one list."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    chunks = [pa.DictionaryArray.from_arrays(chunk.indices, _plain(chunk.dictionary)) for chunk in column.chunks]
    if len(chunks) > 1:
        chunks = pa.chunked_array(chunks).unify_dictionaries().chunks
    return pa.chunked_array([chunk.dictionary for chunk in chunks[:1]], None if chunks else column.type.value_type)


def _plain(values: Any) -> Any:
    """Returns text that is held in views as text in one piece, which more can be done with."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return values.cast(pa.large_string()) if _is_text(values.type) else values


def _values(chunk: Any) -> Any:
    """Returns the bytes of values of fixed width."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    kind = chunk.type
    if pa.types.is_boolean(kind):
        chunk = chunk.cast(pa.uint8())
    elif kind.bit_width > _WIDEST_BITS:  # decimals
        return _buffer(pc.fill_null(chunk, pa.scalar(Decimal(0), kind)) if chunk.null_count else chunk)
    else:
        if pa.types.is_float32(kind) or pa.types.is_float64(kind):
            not_a_number = pc.is_nan(chunk)
            if pc.any(not_a_number).as_py():
                chunk = pc.if_else(not_a_number, pa.scalar(float("nan"), kind), chunk)
        chunk = chunk.view(f"uint{kind.bit_width}")  # the same bits, for which zero is simply 0
    return _buffer(pc.fill_null(chunk, 0) if chunk.null_count else chunk)


def _texts(chunks: list[Any]) -> Iterator[Any]:
    """Yields lengths, then all text."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    plain = [pc.fill_null(_plain(chunk).cast(pa.large_binary()), b"") for chunk in chunks]
    for chunk in plain:
        yield _buffer(pc.binary_length(chunk).cast(pa.int64()))
    for chunk in plain:
        if len(chunk):
            _, offsets, data = chunk.buffers()
            bounds = memoryview(offsets).cast("q")[chunk.offset : chunk.offset + len(chunk) + 1]
            if data is not None:
                yield memoryview(data)[bounds[0] : bounds[-1]]


def _list_lengths(chunk: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    return _buffer(pc.fill_null(pc.list_value_length(chunk).cast(pa.int64()), 0))


def _buffer(chunk: Any) -> Any:
    """Returns the bytes of an array of fixed width without nulls; nothing is copied."""
    width = chunk.type.bit_width // 8
    data = chunk.buffers()[1]
    return b"" if data is None else memoryview(data)[chunk.offset * width : (chunk.offset + len(chunk)) * width]


def _is_text(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - an extra

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_binary(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - an extra

    wide = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(wide or types.is_fixed_size_binary(kind))


def _is_list(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - an extra

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
