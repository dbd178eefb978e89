"""IPFS's blocks: content identifiers, and files and folders as blocks that link to blocks (DAG-PB, UnixFS).

Read only, and only what IPFS writes for files: SHA-256, raw and DAG-PB blocks. Sources: multiformats CID and multihash,
the DAG-PB specification (ipld.io), UnixFS (specs.ipfs.tech/unixfs).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.errors import UnreachableError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

RAW, DAG_PB = 0x55, 0x70
MAX_BLOCK_BYTES = 2 << 20
"""The largest block that IPFS passes on."""
_SHA256 = b"\x12\x20"
_DIGEST_BYTES = 32
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BYTES_FIELD, _NUMBER_FIELD = 2, 0
_MOST_VARINT_BITS = 63
_FOLDER, _FILE, _RAW_LEAF, _SHARDED_FOLDER = 1, 2, 0, 5


@dataclass(frozen=True, slots=True)
class Cid:
    """Name of a block.

    Attributes:
        codec: ``RAW`` or ``DAG_PB``.
        digest: SHA-256 of the block, 32 bytes.
    """

    codec: int
    digest: bytes

    def __str__(self) -> str:
        data = b"\x01" + bytes([self.codec]) + _SHA256 + self.digest
        return "b" + base64.b32encode(data).decode().lower().rstrip("=")


@dataclass(frozen=True, slots=True)
class Node:
    """A block that was understood.

    Attributes:
        links: Name and target of each link, in order.
        is_folder: Whether the names are files' names.
        data: Bytes of the file that are in this block.
        size_bytes: Length of the file that begins here.
        sizes: Length of the part of the file behind each link.
    """

    links: tuple[tuple[str, Cid], ...] = ()
    is_folder: bool = False
    data: bytes = b""
    size_bytes: int = 0
    sizes: tuple[int, ...] = ()


def parse_cid(text: str) -> Cid:
    """Returns a CID that people pass on: version 1 in base 32 (``bafy…``), or version 0 (``Qm…``).

    Raises:
        UsageError: It is none, or of a hash other than SHA-256.
    """
    try:
        if text.startswith("Qm"):
            number = 0
            for character in text:
                number = number * 58 + _BASE58.index(character)
            return _binary_cid(number.to_bytes(len(_SHA256) + _DIGEST_BYTES))
        if text.startswith("b"):
            padded = text[1:].upper() + "=" * (-len(text[1:]) % 8)
            return _binary_cid(base64.b32decode(padded))
    except (ValueError, OverflowError, VerificationError):
        pass
    raise UsageError(
        f"expected an IPFS content identifier by SHA-256, such as bafybei…, found {text!r:.100}.",
        hint="`ipfs files stat --hash /proml` prints it where the content was pushed.",
    )


def check_block(cid: Cid, block: bytes, where: str) -> None:
    """Raises VerificationError unless a block is what its CID says."""
    if hashlib.sha256(block).digest() != cid.digest:
        raise VerificationError(
            f"{where} sent another block than {cid}.", hint="Do not use this gateway; take it from elsewhere."
        )


def parse_node(cid: Cid, block: bytes) -> Node:
    """Returns what a block says.

    Raises:
        VerificationError: It is not what IPFS writes for a file or folder.
        UnreachableError: It is a folder that is spread over several blocks, which is not read here.
    """
    if cid.codec == RAW:
        return Node(data=block, size_bytes=len(block))
    links: list[tuple[str, Cid]] = []
    unixfs = b""
    for field, value in _fields(block):
        if field == 2 and isinstance(value, bytes):  # noqa: PLR2004 - PBNode.Links
            links.append(_link(value))
        elif field == 1 and isinstance(value, bytes):
            unixfs = value
    kind, data, size_bytes, sizes = _unixfs(unixfs)
    if kind == _SHARDED_FOLDER:
        raise UnreachableError(f"the folder {cid} is spread over several blocks, which only a daemon reads.")
    if kind == _FOLDER:
        return Node(tuple(links), is_folder=True)
    if kind not in (_FILE, _RAW_LEAF) or len(sizes) != len(links) or size_bytes != len(data) + sum(sizes):
        raise VerificationError(f"the block {cid} is no file or folder as IPFS writes them.")
    return Node(tuple(links), data=data, size_bytes=size_bytes, sizes=tuple(sizes))


def _unixfs(message: bytes) -> tuple[int, bytes, int, list[int]]:
    kind, data, size_bytes, sizes = -1, b"", 0, []
    for field, value in _fields(message):
        match field, value:
            case 1, int():
                kind = value
            case 2, bytes():
                data = value
            case 3, int():
                size_bytes = value
            case 4, int():
                sizes.append(value)
            case 4, bytes():  # packed
                sizes += list(_varints(value))
            case _:
                pass
    return kind, data, size_bytes, sizes


def _link(message: bytes) -> tuple[str, Cid]:
    name, target = "", b""
    for field, value in _fields(message):
        if field == 1 and isinstance(value, bytes):
            target = value
        elif field == 2 and isinstance(value, bytes):  # noqa: PLR2004 - PBLink.Name
            name = value.decode("utf-8", "surrogateescape")
    return name, _binary_cid(target)


def _binary_cid(data: bytes) -> Cid:
    codec, rest = (data[1], data[2:]) if data[:1] == b"\x01" and len(data) > 1 else (DAG_PB, data)
    if rest[:2] != _SHA256 or len(rest) != len(_SHA256) + _DIGEST_BYTES or codec not in (RAW, DAG_PB):
        raise VerificationError(f"expected the name of a block by SHA-256, found 0x{data[:40].hex()}.")
    return Cid(codec, rest[2:])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields the fields of a protobuf message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == _NUMBER_FIELD:
            value, position = _varint(message, position)
            yield key >> 3, value
        elif key & 7 == _BYTES_FIELD:
            length, position = _varint(message, position)
            if length > len(message) - position:
                raise VerificationError("a block of IPFS ends within a field.")
            yield key >> 3, message[position : position + length]
            position += length
        else:
            raise VerificationError(f"a block of IPFS has a field of the unknown kind {key & 7}.")


def _varints(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < _MOST_VARINT_BITS:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of the number
            return value, position
        shift += 7
    raise VerificationError("a block of IPFS ends within a number.")
