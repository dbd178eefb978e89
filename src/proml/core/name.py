"""Names of artefacts: what they may contain, which ones look alike, and the id a name has on chain.

Why ASCII only: docs/decisions/0003-names.md.
"""

from __future__ import annotations

import re
import unicodedata

from proml.core.digest import keccak256
from proml.errors import InvalidName

MAX_NAME_BYTES = 128
NAME_KEY_BYTES = 32

_ALLOWED = (
    "A name has 1 to 128 ASCII letters, digits, '-', '_' and '.'; '/' separates its segments; "
    "each segment starts and ends with a letter or digit."
)
_CHARACTER = re.compile(r"[A-Za-z0-9._/-]", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,9}|0x[0-9a-f]{4,64}", re.ASCII)
_SEPARATORS = re.compile(r"[-_.]+")
_LOOK_ALIKES = str.maketrans({"1": "l", "i": "l", "0": "o"})
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_name(name: str) -> str:
    """Returns the name if it obeys the rules for names.

    ASCII text is in NFC already, so a name that passes is normalised; nothing is changed silently.

    Raises:
        InvalidName: It breaks a rule; the message shows the offending character by code point and name.
    """
    for position, character in enumerate(name, start=1):
        if not _CHARACTER.fullmatch(character):
            raise InvalidName(
                f"The name {show(name)} has {describe_character(character)} at position {position}.", hint=_ALLOWED
            )
    if not name or len(name) > MAX_NAME_BYTES:
        raise InvalidName(
            f"The name {show(name)} has {len(name)} bytes; 1 to {MAX_NAME_BYTES} are allowed.", hint=_ALLOWED
        )
    for segment in name.split("/"):
        if not _SEGMENT.fullmatch(segment):
            fault = f"the segment {segment!a}" if segment else "an empty segment"
            raise InvalidName(f"The name {show(name)} has {fault}.", hint=_ALLOWED)
    return name


def skeleton(name: str) -> str:
    """Returns a key that is equal for names that people could take for one another (after UTS #39).

    Case, l/1/I/i, O/0, rn/m, vv/w and the separators ``-``, ``_``, ``.`` (and runs of them) do not tell names apart.
    A new name whose key some existing name has is refused by whoever registers it.

    Args:
        name: A name that :func:`check_name` passed.
    """
    folded = _SEPARATORS.sub("-", name.lower())
    return folded.translate(_LOOK_ALIKES).replace("rn", "m").replace("vv", "w")


def artefact_id(name_key: bytes, name: str) -> bytes:
    """Returns the artefact's 32-byte id on chain: keccak256(name key ‖ UTF-8 name).

    Args:
        name_key: The workspace's secret, 32 bytes.
        name: A valid name.

    Raises:
        InvalidName: The name breaks the rules for names.
        ValueError: The key has another length.
    """
    if len(name_key) != NAME_KEY_BYTES:
        raise ValueError(f"the name key has {NAME_KEY_BYTES} bytes, not {len(name_key)}")
    return keccak256(name_key + check_name(name).encode("utf-8"))


def parse_reference(reference: str) -> tuple[str, str | None]:
    """Splits ``NAME[@VERSION]``.

    Args:
        reference: ``NAME``, ``NAME@2`` (the second version) or ``NAME@0xabcd…`` (at least four lower-case hex digits
            of a head).

    Returns:
        The name and the version as written, None if there is none.

    Raises:
        InvalidName: The name or the version is malformed.
    """
    name, at, version = reference.partition("@")
    check_name(name)
    if not at:
        return name, None
    if not _VERSION.fullmatch(version):
        raise InvalidName(
            f"The version {show(version)} of {name} is neither a number nor the beginning of a head.",
            hint=f"Write {name}@2 for the second version or {name}@0xabcd… with at least four hex digits of its head.",
        )
    return name, version


def describe_character(character: str) -> str:
    """Returns a character as code point and Unicode name, for example ``U+202E RIGHT-TO-LEFT OVERRIDE``."""
    unnamed = {"Cc": "control character", "Cs": "lone surrogate or undecodable byte"}
    fallback = unnamed.get(unicodedata.category(character), "unnamed character")
    return f"U+{ord(character):04X} {unicodedata.name(character, fallback)}"


def deceptive_character(text: str) -> str | None:
    """Returns the first character that makes text show as something else, or None.

    Control characters, line and paragraph separators, lone surrogates and bidirectional marks are such; other text of
    any script is not.
    """
    if text.isascii() and text.isprintable():  # nearly every name of a file; 20 times faster
        return None
    for character in text:
        if character in _BIDIRECTIONAL or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            return character
    return None


def show(text: str, limit: int = 80) -> str:
    """Returns text quoted and escaped for a message, so that no character in it acts on a terminal.

    Args:
        text: Anything.
        limit: Characters of the text to show at most.
    """
    shortened = text if len(text) <= limit else text[:limit] + "…"
    return repr(shortened) if deceptive_character(shortened) is None else ascii(shortened)
