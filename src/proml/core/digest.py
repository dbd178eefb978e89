"""Digests and how they are written.

SHA-256 names documents and content, Keccak-256 names what lives on chain (artefact ids, heads). Digests are raw bytes
inside the program and ``sha256:`` followed by 64 lower-case hex digits in documents.
"""

from __future__ import annotations

import hashlib
import re

from proml.errors import InvalidRecord

DIGEST_BYTES = 32
_WRITTEN = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """Returns the 32-byte SHA-256 digest (FIPS 180-4)."""
    return hashlib.sha256(data).digest()


def keccak256(data: bytes) -> bytes:
    """Returns the 32-byte Keccak-256 digest, Ethereum's (not SHA3-256, whose padding differs)."""
    from eth_hash.auto import keccak  # noqa: PLC0415  # 80 ms to import; most of ProML never needs it

    return keccak(data)


def format_digest(digest: bytes) -> str:
    """Returns a SHA-256 digest as ``sha256:`` and 64 lower-case hex digits.

    Args:
        digest: 32 bytes.

    Raises:
        InvalidRecord: The digest has another length.
    """
    if len(digest) != DIGEST_BYTES:
        raise InvalidRecord(f"A SHA-256 digest has {DIGEST_BYTES} bytes, this one has {len(digest)}.")
    return f"sha256:{digest.hex()}"


def parse_digest(text: str) -> bytes:
    """Returns the 32 bytes that :func:`format_digest` wrote.

    Raises:
        InvalidRecord: The text is anything else, upper-case hex digits included.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        shown = ascii(text if len(text) <= 100 else text[:100] + "…")  # noqa: PLR2004  # enough to recognise it
        raise InvalidRecord(
            f"Expected a digest as 'sha256:' and 64 lower-case hex digits, found {shown}.",
            hint="Copy the whole digest; a shortened one names nothing.",
        )
    return bytes.fromhex(match.group(1))
