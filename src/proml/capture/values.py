"""Makes any Python value fit for a record: JSON that RFC 8785 accepts, of bounded size."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from proml.core.name import deceptive_character

TEXT_LIMIT = 10_000
NAME_LIMIT = 200
_ITEMS_LIMIT = 1_000
_DEPTH_LIMIT = 8
_SAFE_INTEGER = 2**53 - 1  # RFC 8785 numbers are IEEE 754 doubles


def tidy(value: object, *, depth: int = 0) -> object:  # noqa: C901, PLR0911 - one line for each type, in one place
    """Returns the value as JSON: what JSON cannot hold becomes text, what is too long is cut and says so.

    Args:
        value: Anything; objects are taken by ``item()`` (NumPy, PyTorch scalars), else by ``str()``.
        depth: How deep in the whole value this one is.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else large_integer(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else non_finite(number)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return text(f"bytes of length {len(value)}")
    if depth >= _DEPTH_LIMIT:
        return f"({type(value).__name__} too deep to record)"
    if isinstance(value, Mapping):
        return {label(str(key), NAME_LIMIT): tidy(value[key], depth=depth + 1) for key in list(value)[:_ITEMS_LIMIT]}
    if isinstance(value, Sequence):
        return [tidy(item, depth=depth + 1) for item in value[:_ITEMS_LIMIT]]
    if isinstance(value, AbstractSet):
        return sorted(text(str(item)) for item in list(value)[:_ITEMS_LIMIT])
    if isinstance(value, os.PathLike):
        return text(os.fsdecode(value))
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", 1) == 1:
        inner = item()
        return text(str(inner)) if type(inner) is type(value) else tidy(inner, depth=depth + 1)
    return text(str(value))


def text(value: str, limit: int = TEXT_LIMIT) -> str:
    """Returns text that UTF-8 can hold (a path may not), cut to a number of characters."""
    value = value.encode("utf-8", "backslashreplace").decode()
    return value if len(value) <= limit else f"{value[: limit - 1]}…"


def label(value: str, limit: int = 1_000) -> str:
    """Returns text as one line that shows as what it is: what would act on a terminal or reorder text is escaped."""
    value = text(value, limit)
    if deceptive_character(value) is not None:
        value = "".join(_escaped(character) if deceptive_character(character) else character for character in value)
    return value or "(empty)"


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def non_finite(number: float) -> str:
    """Returns the name of a number that JSON lacks: ``NaN``, ``Infinity`` or ``-Infinity``."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def large_integer(number: int) -> str:
    """Returns an integer's digits; in hexadecimal where Python refuses to spell out the decimal ones (4300 digits)."""
    return text(str(number) if number.bit_length() < 1 << 10 else hex(number))


def shown(path: object) -> str:
    """Returns a path as text; nothing for what is no path, such as a data frame."""
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
