"""The Signer port with a private key in memory.

``eth_account`` would do it, and takes 0.75 s to import, ``eth_keys`` 0.2 s; every command that signs would pay that. So
this stands on what they stand on: coincurve, the maintained binding of libsecp256k1 (0.03 s). The tests compare
transactions and signatures with ``eth_account``'s.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from proml.adapters.transaction_bytes import decode_signed, encode_signed, signing_hash
from proml.core.digest import keccak256
from proml.core.words import checksum_address
from proml.errors import IdentityError, MissingExtra, VerificationError

if TYPE_CHECKING:
    from types import ModuleType

    from proml.ports import Fees, UnsignedTransaction

_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_KEY_BYTES = 32
_SIGNATURE_BYTES = 65
_FIRST_V = 27


class LocalSigner:
    """The Signer port with a private key in memory.

    Args:
        private_key: 32 bytes, a number from 1 to the order of secp256k1 less one.

    Raises:
        IdentityError: These are not 32 bytes, or no key.
    """

    __slots__ = ("_address", "_key")

    def __init__(self, private_key: bytes) -> None:
        if len(private_key) != _KEY_BYTES or not 0 < int.from_bytes(private_key, "big") < _CURVE_ORDER:
            raise IdentityError(
                "expected a private key of 32 bytes within the order of secp256k1, found something else"
            )
        self._key = _coincurve().PrivateKey(private_key)
        self._address = _address_of(self._key.public_key)

    @classmethod
    def generate(cls) -> LocalSigner:
        """Returns a signer with a new random key."""
        return LocalSigner((1 + secrets.randbelow(_CURVE_ORDER - 1)).to_bytes(_KEY_BYTES, "big"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address}>"

    @property
    def address(self) -> str:
        """The account's EIP-55 address."""
        return self._address

    @property
    def public_key(self) -> bytes:
        """The uncompressed public key without its leading 04: 64 bytes."""
        return cast("bytes", self._key.public_key.format(compressed=False)[1:])

    @property
    def private_key(self) -> bytes:
        """The 32 secret bytes, for writing a keystore."""
        return cast("bytes", self._key.secret)

    def sign_transaction(self, transaction: UnsignedTransaction) -> bytes:
        """Returns the signed raw transaction (EIP-2718 envelope of type 2, or a legacy one)."""
        return encode_signed(transaction, self.sign_hash(signing_hash(transaction)))

    def reprice(self, raw_transaction: bytes, fees: Fees) -> bytes:
        """Returns a raw transaction of this account with other fees and all else as it was, signed anew."""
        return self.sign_transaction(replace(decode_signed(raw_transaction), fees=fees))

    def sign_hash(self, digest: bytes) -> bytes:
        """Returns the 65-byte signature r‖s‖v (v is 27 or 28) over a 32-byte hash.

        The nonce is deterministic (RFC 6979) and s is in the lower half (EIP-2).
        """
        signature: bytes = self._key.sign_recoverable(digest, hasher=None)
        return signature[:-1] + bytes([signature[-1] + _FIRST_V])


def recover_address(digest: bytes, signature: bytes) -> str:
    """Returns the address whose key made a 65-byte signature over a hash.

    Raises:
        VerificationError: No key made it, or s is in the upper half (EIP-2), which the contract refuses too.
    """
    if len(signature) == _SIGNATURE_BYTES and int.from_bytes(signature[32:64], "big") <= _CURVE_ORDER // 2:
        recoverable = signature[:-1] + bytes([(signature[-1] - _FIRST_V) % 256])
        with contextlib.suppress(ValueError):
            return _address_of(_coincurve().PublicKey.from_signature_and_message(recoverable, digest, hasher=None))
    raise VerificationError(f"expected a 65-byte signature by some key over 0x{digest.hex()}, found another thing")


def _coincurve() -> ModuleType:
    try:
        import coincurve  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise missing_package("coincurve") from error
    return coincurve


def missing_package(package: str) -> MissingExtra:
    """Returns the error that says which package signing needs."""
    return MissingExtra(
        f"signing needs the Python package {package!r}, which is not installed.",
        hint="Install it with `pip install 'proml[ledger]'`.",
    )


def _address_of(public_key: Any) -> str:
    return checksum_address(keccak256(public_key.format(compressed=False)[1:])[-20:])
