"""Typed checks of JSON values: what documents are validated with.

A check takes a value and its JSON path and returns nothing, or raises InvalidRecord naming the path, what was expected
and what was found. Checks are made by the functions here and combined into the shape of a document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NoReturn, TypeAlias

from proml.core.canonical import MAX_SAFE_INTEGER
from proml.core.name import check_name, deceptive_character, describe_character, show
from proml.errors import InvalidName, InvalidRecord

Check: TypeAlias = Callable[[object, str], None]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_SHOWN_CHARACTERS = 60
_MOST_SHOWN = 10**50
MAX_IDENTIFIER = 64
MAX_LABEL_BYTES = 4096


def refuse(path: str, expected: str, found: object) -> NoReturn:
    """Raises InvalidRecord saying what was expected at a path and what was found there."""
    if isinstance(found, str):
        shown = show(found, _SHOWN_CHARACTERS)
    elif isinstance(found, dict):
        shown = "an object"
    elif isinstance(found, list):
        shown = "a list"
    elif found is None:
        shown = "null"
    elif isinstance(found, bool):
        shown = "true" if found else "false"
    elif isinstance(found, int) and abs(found) >= _MOST_SHOWN:
        shown = "a number of more than 50 digits"  # Python writes none out that has thousands
    else:
        shown = repr(found)[:_SHOWN_CHARACTERS]
    raise InvalidRecord(f"Expected {expected} at {path}, found {shown}.")


def anything(_value: object, _path: str) -> None:
    """Passes every JSON value."""


def text(value: object, path: str) -> None:
    """Passes any text."""
    if not isinstance(value, str):
        refuse(path, "text", value)


def label(value: object, path: str) -> None:
    """Passes text of one line that shows as what it is: not empty, no control characters, no bidirectional marks."""
    if not isinstance(value, str):
        refuse(path, "text", value)
    if not value or len(value.encode("utf-8", "surrogatepass")) > MAX_LABEL_BYTES:
        refuse(path, f"1 to {MAX_LABEL_BYTES} bytes of text", value)
    deceptive = deceptive_character(value)
    if deceptive is not None:
        refuse(path, f"text without {describe_character(deceptive)}", value)


def artefact_name(value: object, path: str) -> None:
    """Passes a valid artefact name."""
    if not isinstance(value, str):
        refuse(path, "an artefact's name", value)
    try:
        check_name(value)
    except InvalidName as error:
        raise InvalidRecord(f"Expected an artefact's name at {path}. {error.message}", hint=error.hint) from error


def identifier(value: object, path: str) -> None:
    """Passes the name of a kind, state, action or role: lower-case letters, digits and single dashes, at most 64."""
    if not isinstance(value, str) or len(value) > MAX_IDENTIFIER or not _IDENTIFIER.fullmatch(value):
        refuse(path, "lower-case letters, digits and single dashes, starting with a letter", value)


def time(value: object, path: str) -> None:
    """Passes a UTC time with six decimals: ``2026-11-22T10:00:00.000000Z``."""
    expected = "a UTC time like 2026-11-22T10:00:00.000000Z"
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        refuse(path, expected, value)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        refuse(path, expected, value)


def number(value: object, path: str) -> None:
    """Passes a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        refuse(path, "a finite number", value)


def boolean(value: object, path: str) -> None:
    """Passes true and false."""
    if not isinstance(value, bool):
        refuse(path, "true or false", value)


def integer(minimum: int = 0, maximum: int = MAX_SAFE_INTEGER) -> Check:
    """Makes a check for whole numbers within bounds, both inclusive."""

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            refuse(path, f"a whole number from {minimum} to {maximum}", value)

    return check


def constant(*, value: bool | str) -> Check:
    """Makes a check for exactly this value."""

    def check(found: object, path: str) -> None:
        if type(found) is not type(value) or found != value:
            refuse(path, str(value).lower() if isinstance(value, bool) else f"'{value}'", found)

    return check


def one_of(*values: str) -> Check:
    """Makes a check for one of these texts."""

    def check(value: object, path: str) -> None:
        if value not in values or not isinstance(value, str):
            refuse(path, " or ".join(f"'{one}'" for one in values), value)

    return check


def pattern(regex: str, described: str) -> Check:
    """Makes a check for text that matches a regular expression as a whole; ``described`` says it in words."""
    compiled = re.compile(regex, re.ASCII)

    def check(value: object, path: str) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            refuse(path, described, value)

    return check


def array(item: Check, maximum: int = 1_000_000) -> Check:
    """Makes a check for lists of at most ``maximum`` items that all pass a check."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            refuse(path, "a list", value)
        if len(value) > maximum:
            raise InvalidRecord(f"Expected at most {maximum} items at {path}, found {len(value)}.")
        for position, one in enumerate(value):
            item(one, f"{path}[{position}]")

    return check


def mapping(key: Check, item: Check) -> Check:
    """Makes a check for objects with free keys: all keys and all values pass their checks."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            refuse(path, "an object", value)
        for name, one in value.items():
            key(name, f"{path} (key)")
            item(one, member(path, name))

    return check


_STRUCTURES: dict[Check, tuple[str, ...]] = {}


def structure(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, *, closed: bool = True
) -> Check:
    """Makes a check for objects with named fields.

    Args:
        required: Checks of fields that must be there.
        optional: Checks of fields that may be there.
        closed: Refuse other fields; if false they may hold anything.
    """
    known = {**required, **(optional or {})}

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            refuse(path, "an object", value)
        for name in required:
            if name not in value:
                raise InvalidRecord(f"Expected a field '{name}' at {path}, found none.")
        for name, one in value.items():
            if not isinstance(name, str) or (closed and name not in known):
                raise InvalidRecord(
                    f"Found an unknown field {show(str(name), _SHOWN_CHARACTERS)} at {path}.",
                    hint="Known fields are " + ", ".join(sorted(known)) + ".",
                )
            known.get(name, anything)(one, member(path, name))

    _STRUCTURES[check] = tuple(known)
    return check


def fields_of(check: Check) -> tuple[str, ...]:
    """Returns the names of the fields that a check made by :func:`structure` knows."""
    return _STRUCTURES[check]


def member(path: str, name: str) -> str:
    """Returns the JSON path (RFC 9535) of an object's member."""
    return f"{path}.{name}" if _PLAIN_KEY.fullmatch(name) else f"{path}[{show(name, _SHOWN_CHARACTERS)}]"


digest = pattern(r"sha256:[0-9a-f]{64}", "'sha256:' and 64 lower-case hex digits")
"""Passes a written SHA-256 digest."""

hex32 = pattern(r"[0-9a-f]{64}", "64 lower-case hex digits")
"""Passes 32 bytes in hex."""
