"""The 32-byte words that the ABI, heads and messages are made of, and EIP-55 addresses.

Everything whose type is static (integers, booleans, addresses, digests) is one word each, so most of the protocol needs
no ABI library: :mod:`proml.core.heads`, :mod:`proml.core.messages` and :mod:`proml.core.events` join and cut words.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from proml.core.digest import keccak256
from proml.errors import InvalidRecord, UsageError

WORD_BYTES = 32
_ADDRESS_BYTES = 20


def number_word(number: int) -> bytes:
    """Returns a non-negative number (or a boolean) as one word; raises OverflowError if it does not fit."""
    return int(number).to_bytes(WORD_BYTES, "big")


def bytes_word(value: bytes) -> bytes:
    """Returns the 32 bytes given, and insists that they are 32."""
    if len(value) != WORD_BYTES:
        raise UsageError(f"expected 32 bytes for an id, head or digest, found {len(value)}: 0x{value.hex()}")
    return bytes(value)


@lru_cache(maxsize=4096)
def address_word(address: str) -> bytes:
    """Returns an address as one word, left-padded."""
    return bytes(WORD_BYTES - _ADDRESS_BYTES) + address_bytes(address)


def words(data: bytes) -> list[bytes]:
    """Cuts data into words; a last, shorter piece is left out."""
    return [data[at : at + WORD_BYTES] for at in range(0, len(data) - WORD_BYTES + 1, WORD_BYTES)]


def word_number(word: bytes) -> int:
    """Returns the number that a word holds."""
    return int.from_bytes(word, "big")


def unpack_word(word: bytes, name: str, widths: tuple[int, ...]) -> list[str | int]:
    """Returns the values that lie in a word side by side, from its lowest bit: an address, then numbers.

    Args:
        word: The word.
        name: What it is called, for the error.
        widths: The bits of each value; the first is 160.

    Raises:
        InvalidRecord: There is something above the last value.
    """
    rest = word_number(word)
    if rest >> sum(widths):
        raise InvalidRecord(f"expected {name} to have {sum(widths)} bits, found {rest.bit_length()}")
    values: list[str | int] = [word_address(word)]
    for before, width in pairwise(widths):
        rest >>= before
        values.append(rest & (1 << width) - 1)
    return values


def word_address(word: bytes) -> str:
    """Returns the address in a word's last 20 bytes, in EIP-55 form."""
    return checksum_address(word[-_ADDRESS_BYTES:])


@lru_cache(maxsize=4096)
def checksum_address(raw: bytes) -> str:
    """Returns 20 raw bytes as an EIP-55 string.

    Source: EIP-55.
    """
    if len(raw) != _ADDRESS_BYTES:
        raise UsageError(f"expected 20 bytes for an address, found {len(raw)}: 0x{raw.hex()}")
    digits = raw.hex()
    nibbles = keccak256(digits.encode()).hex()
    upper = "89abcdef"
    return "0x" + "".join(c.upper() if nibbles[i] in upper else c for i, c in enumerate(digits))


def address_bytes(address: str) -> bytes:
    """Returns an address's 20 bytes; accepts any capitals, with or without ``0x``.

    Raises:
        UsageError: It is not an address.
    """
    digits = address.removeprefix("0x").removeprefix("0X")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != _ADDRESS_BYTES or len(digits) != 2 * _ADDRESS_BYTES:
        raise UsageError(f"expected an address (0x and 40 hexadecimal digits), found {address!r}")
    return raw


def parse_address(text: str) -> str:
    """Returns what a person typed as an EIP-55 address.

    Raises:
        UsageError: It is not an address, or its capitals break EIP-55, which shows a typing error.
    """
    canonical = checksum_address(address_bytes(text))
    digits = text.removeprefix("0x").removeprefix("0X")
    if digits not in (digits.lower(), digits.upper()) and "0x" + digits != canonical:
        raise UsageError(
            f"the address {text} has a typing error: its capital letters do not fit its digits (EIP-55)",
            hint="Copy the address again, whole.",
        )
    return canonical
