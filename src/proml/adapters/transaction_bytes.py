"""Transactions as bytes: what is signed, the envelope that is sent, and back. EIP-1559, and legacy with EIP-155.

A few lines of RLP instead of a library: ``eth_account`` and ``rlp`` take 0.75 s and 0.23 s to import, which every
command that sends would pay. The tests compare each byte with ``eth_account``'s. Sources: EIP-1559, EIP-2718, Yellow
Paper appendix B (RLP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core.digest import keccak256
from proml.core.words import address_bytes, checksum_address
from proml.ports import Fees, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPE = b"\x02"
_FIRST_V = 35  # EIP-155: v is 35 + 2 * chain id + parity
_SHORT, _BYTES, _LIST = 55, 0x80, 0xC0
_LONG = _SHORT + 1


def signing_hash(transaction: UnsignedTransaction) -> bytes:
    """Returns the hash that the sender signs."""
    if transaction.fees.is_legacy:
        domain = [_rlp_number(transaction.chain_id), _rlp_number(0), _rlp_number(0)]
        return keccak256(_rlp_list([*_legacy_members(transaction), *domain]))
    return keccak256(_TYPE + _rlp_list(_members(transaction)))


def encode_signed(transaction: UnsignedTransaction, signature: bytes) -> bytes:
    """Returns the raw transaction, ready to send.

    Args:
        transaction: What was signed.
        signature: 65 bytes r‖s‖v over :func:`signing_hash`; v is 27 or 28.
    """
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    parity = signature[64] - 27
    if transaction.fees.is_legacy:
        v = _FIRST_V + 2 * transaction.chain_id + parity
        return _rlp_list([*_legacy_members(transaction), _rlp_number(v), _rlp_number(r), _rlp_number(s)])
    return _TYPE + _rlp_list([*_members(transaction), _rlp_number(parity), _rlp_number(r), _rlp_number(s)])


def decode_signed(raw_transaction: bytes) -> UnsignedTransaction:
    """Returns what was signed, of bytes that :func:`encode_signed` made."""
    if raw_transaction[:1] == _TYPE:
        members = list(_items(raw_transaction[1:]))
        chain_id, nonce, tip, most, gas = map(_number, members[:5])
        to, value, data = members[5:8]
        fees = Fees(most, tip)
    else:
        members = list(_items(raw_transaction))
        nonce, price, gas = map(_number, members[:3])
        to, value, data = members[3:6]
        chain_id, fees = (_number(members[6]) - _FIRST_V) // 2, Fees(price, price, is_legacy=True)
    return UnsignedTransaction(
        chain_id, nonce, checksum_address(to) if to else None, data, gas, fees, value=_number(value)
    )


def _members(transaction: UnsignedTransaction) -> list[bytes]:
    """The members in EIP-1559's order, each in RLP; the access list is empty."""
    t = transaction
    numbers = [t.chain_id, t.nonce, t.fees.max_priority_fee, t.fees.max_fee, t.gas]
    to = _rlp_bytes(address_bytes(t.to) if t.to else b"")
    return [*map(_rlp_number, numbers), to, _rlp_number(t.value), _rlp_bytes(t.data), _rlp_list([])]


def _legacy_members(transaction: UnsignedTransaction) -> list[bytes]:
    """The members in the Yellow Paper's order, each in RLP."""
    t = transaction
    numbers = [t.nonce, t.fees.max_fee, t.gas]
    to = _rlp_bytes(address_bytes(t.to) if t.to else b"")
    return [*map(_rlp_number, numbers), to, _rlp_number(t.value), _rlp_bytes(t.data)]


def _items(encoded: bytes) -> Iterator[bytes]:
    """Yields the contents of a list's items; those that are lists themselves undivided."""
    position, end = _span(encoded, 0)
    while position < end:
        start, stop = _span(encoded, position)
        yield encoded[start:stop]
        position = stop


def _span(encoded: bytes, position: int) -> tuple[int, int]:
    """Returns where the content of the item at a position begins and ends."""
    first = encoded[position]
    if first < _BYTES:
        return position, position + 1
    size = first - (_LIST if first >= _LIST else _BYTES)
    start = position + 1
    if size > _SHORT:
        start += size - _SHORT
        size = int.from_bytes(encoded[position + 1 : start], "big")
    return start, start + size


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _rlp_number(number: int) -> bytes:
    return _rlp_bytes(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _rlp_bytes(data: bytes) -> bytes:
    if len(data) == 1 and data[0] < _BYTES:
        return data
    return _rlp_prefix(_BYTES, len(data)) + data


def _rlp_list(encoded: list[bytes]) -> bytes:
    payload = b"".join(encoded)
    return _rlp_prefix(_LIST, len(payload)) + payload


def _rlp_prefix(kind: int, size: int) -> bytes:
    if size < _LONG:
        return bytes([kind + size])
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([kind + _SHORT + len(digits)]) + digits
