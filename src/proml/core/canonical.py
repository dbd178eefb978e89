"""JSON in, canonical JSON out (RFC 8785), strictly.

Everything that ProML names by a digest is canonical JSON, so that equal documents have equal digests. What is read is
refused where readers could disagree about it: duplicate keys, NaN, lone surrogates, numbers a double cannot hold.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn, TypeAlias, cast

from proml.errors import InvalidRecord

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_BYTES = 4 * 1024 * 1024
"""Largest document that :func:`parse_json` reads unless told otherwise: a record's limit."""

MAX_DEPTH = 64
"""Deepest nesting of lists and objects; a scalar has depth 0."""

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer that RFC 8785 can carry: JSON numbers are doubles."""


def canonical_json(value: object) -> bytes:
    """Returns the one canonical encoding of a JSON value (RFC 8785): UTF-8, sorted keys, no white space.

    Args:
        value: None, bool, int (magnitude below 2**53), finite float, str, list or tuple, dict with str keys.

    Raises:
        InvalidRecord: The value has no canonical encoding: another type, NaN, infinity, an integer beyond 2**53 - 1,
            a lone surrogate, or nesting beyond :data:`MAX_DEPTH`.
    """
    import rfc8785  # noqa: PLC0415  # imported on first use: keeps `import proml` light

    check_depth(value)
    try:
        return rfc8785.dumps(cast("JSON", value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, TypeError, AttributeError) as error:
        raise InvalidRecord(
            f"The value cannot be written as canonical JSON: {error}.",
            hint="Use text, whole numbers below 2**53, finite numbers, lists and objects with text keys; "
            "write larger integers as text.",
        ) from error


def parse_json(data: bytes | str, what: str, *, max_bytes: int = MAX_BYTES) -> JSON:
    """Returns the value of a JSON text, or refuses it.

    A whole number beyond 2**53 - 1 is read as a float if it is the canonical writing of one (RFC 8785 writes 1e20 with
    21 digits), so that ``canonical_json(parse_json(canonical_json(x))) == canonical_json(x)`` for every x.

    Args:
        data: UTF-8 bytes (no byte order mark) or text.
        what: What is being read, for the message: ``"the record"`` or a file's path.
        max_bytes: Refuse more than this.

    Raises:
        InvalidRecord: Not UTF-8, not JSON, too large, nested beyond :data:`MAX_DEPTH`, a duplicate key, NaN or
            infinity, a number that a double cannot hold, or a lone surrogate.
    """
    size_bytes = len(data)
    if size_bytes > max_bytes:
        raise InvalidRecord(f"Expected at most {max_bytes} bytes in {what}, found {size_bytes}.")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        _check_text_depth(text)
        value = json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_no_constant, parse_int=_integer, parse_float=_double
        )
        text.encode("utf-8")
        check_depth(value)
        _check_strings(value)
    except UnicodeError as error:
        raise InvalidRecord(f"Expected UTF-8 text in {what}: {error}.") from error
    except ValueError as error:
        raise InvalidRecord(f"Expected JSON in {what}: {error}.") from error
    except InvalidRecord as error:
        raise InvalidRecord(f"In {what}: {error.message}", hint=error.hint) from error
    return cast("JSON", value)


def check_depth(value: object) -> None:
    """Refuses a value whose lists and objects nest deeper than :data:`MAX_DEPTH`, without recursion.

    Raises:
        InvalidRecord: It does.
    """
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, (list, tuple)):
                deeper.extend(item)
        if not deeper:
            return
        level = deeper
    raise InvalidRecord(f"Expected at most {MAX_DEPTH} levels of nesting.", hint="Flatten the value.")


_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def _check_text_depth(text: str) -> None:
    """Refuses deep nesting before it is parsed.

    ``json`` recurses on the C stack, guarded only by the interpreter's recursion limit, which py-evm raises for the
    whole process so far that deep JSON would end it.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRUCTURE.finditer(text):
        character = found[0]
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidRecord(f"Expected at most {MAX_DEPTH} levels of nesting.", hint="Flatten the value.")
        elif character in "]}":
            depth -= 1


def _distinct(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:100]!a} occurs twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int | float:
    value = int(digits)  # refuses more than 4300 digits by ValueError
    if abs(value) <= MAX_SAFE_INTEGER:
        return value
    try:
        double = float(value)
    except OverflowError as error:
        raise ValueError("a number is too large for a double") from error
    if canonical_json(double).decode() != digits:
        raise ValueError(f"the whole number {digits[:40]} is beyond 2**53 - 1 and no double holds it exactly")
    return double


def _double(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large for a double")
    return value


def _check_strings(value: object) -> None:
    r"""Refuses lone surrogates, which JSON's ``\ud800`` can smuggle in and UTF-8 cannot carry."""
    waiting: list[object] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
