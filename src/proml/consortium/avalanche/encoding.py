"""How Avalanche writes things: its packed binary form, CB58 for identifiers, Bech32 (BIP 173) for addresses.

Numbers are big-endian; lists and bytes are preceded by their length in 4 bytes, text by its length in 2.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HRP = "custom"
"""The human-readable part of addresses in networks that are not Avalanche's own."""
ID_BYTES, SHORT_ID_BYTES = 32, 20
_CHECKSUM_BYTES = 4
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CHECKSUM_DIGITS = 6


def uint16(value: int) -> bytes:
    """Returns a number of 2 bytes."""
    return value.to_bytes(2, "big")


def uint32(value: int) -> bytes:
    """Returns a number of 4 bytes."""
    return value.to_bytes(4, "big")


def uint64(value: int) -> bytes:
    """Returns a number of 8 bytes."""
    return value.to_bytes(8, "big")


def sequence(items: Sequence[bytes]) -> bytes:
    """Returns a list of things that are packed already."""
    return uint32(len(items)) + b"".join(items)


def blob(data: bytes) -> bytes:
    """Returns bytes with their length."""
    return uint32(len(data)) + data


def text(value: str) -> bytes:
    """Returns text with its length."""
    encoded = value.encode()
    return uint16(len(encoded)) + encoded


def sha256(data: bytes) -> bytes:
    """Returns the digest of 32 bytes by which Avalanche names transactions."""
    return hashlib.sha256(data).digest()


def short_id(data: bytes) -> bytes:
    """Returns the 20 bytes by which Avalanche names keys and certificates: RIPEMD-160 of SHA-256."""
    from Crypto.Hash import RIPEMD160  # noqa: PLC0415 - an optional extra; OpenSSL has it no more

    return RIPEMD160.new(sha256(data)).digest()


def key_id(public_key: bytes) -> bytes:
    """Returns how Avalanche names a key of secp256k1, given its 64 bytes x‖y."""
    x, y = public_key[:32], public_key[32:]
    return short_id(bytes([2 + (y[-1] & 1)]) + x)


def node_id(certificate: bytes) -> str:
    """Returns how Avalanche names a node, given its certificate in DER."""
    return f"NodeID-{cb58(short_id(certificate))}"


def checked(data: bytes) -> bytes:
    """Returns data with the checksum that follows it in CB58 and in the hex of avalanchego's interface."""
    return data + sha256(data)[-_CHECKSUM_BYTES:]


def cb58(data: bytes) -> str:
    """Returns data with its checksum in base 58."""
    whole = checked(data)
    value, digits = int.from_bytes(whole, "big"), ""
    while value:
        value, digit = divmod(value, len(_BASE58))
        digits = _BASE58[digit] + digits
    return "1" * (len(whole) - len(whole.lstrip(b"\0"))) + digits


def address(identifier: bytes, chain: str = "X") -> str:
    """Returns the address of a key's 20 bytes on one of the network's own chains."""
    digits = list(_five_bits(identifier))
    expanded = [ord(character) >> 5 for character in HRP] + [0] + [ord(character) & 31 for character in HRP]
    rest = _polymod([*expanded, *digits, *[0] * _BECH32_CHECKSUM_DIGITS]) ^ 1
    checksum = [rest >> 5 * place & 31 for place in reversed(range(_BECH32_CHECKSUM_DIGITS))]
    return f"{chain}-{HRP}1" + "".join(_BECH32[digit] for digit in (*digits, *checksum))


def _five_bits(data: bytes) -> Iterator[int]:
    bits = len(data) * 8
    padding = -bits % 5
    value = int.from_bytes(data, "big") << padding
    for place in reversed(range(0, bits + padding, 5)):
        yield value >> place & 31


def _polymod(digits: Sequence[int]) -> int:
    state = 1
    for digit in digits:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ digit
        for bit, generator in enumerate(_BECH32_GENERATOR):
            state ^= generator if top >> bit & 1 else 0
    return state
