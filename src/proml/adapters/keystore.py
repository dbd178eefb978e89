"""Private keys on disk and the signatures they make: the Signer port over Web3 Secret Storage v3 files."""

from __future__ import annotations

from pathlib import Path

from proml.ports import UnsignedTransaction


class LocalSigner:
    """The Signer port with a private key in memory.

    Args:
        private_key: 32 bytes.
    """

    def __init__(self, private_key: bytes) -> None:
        raise NotImplementedError

    @classmethod
    def generate(cls) -> LocalSigner:
        """Returns a signer with a new random key."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """The account's EIP-55 address."""
        raise NotImplementedError

    @property
    def private_key(self) -> bytes:
        """The 32 secret bytes, for writing a keystore."""
        raise NotImplementedError

    def sign_transaction(self, transaction: UnsignedTransaction) -> bytes:
        """Returns the signed raw transaction (EIP-2718 envelope of type 2)."""
        raise NotImplementedError

    def sign_hash(self, digest: bytes) -> bytes:
        """Returns the 65-byte signature r‖s‖v (v is 27 or 28) over a 32-byte hash."""
        raise NotImplementedError


class KeystoreSigner(LocalSigner):
    """A signer whose key came from a keystore file."""

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> KeystoreSigner:
        """Unlocks a keystore file; raises IdentityError if it is broken or the passphrase is wrong."""
        raise NotImplementedError


def write_keystore(path: Path, private_key: bytes, passphrase: bytes, *, light: bool = False, name: str = "") -> None:
    """Writes a new keystore file durably, mode 0600; refuses to overwrite.

    Args:
        light: Cheap key derivation, enough for a generated 256-bit passphrase and for nothing less.
        name: Kept in the file in the clear beside the address.
    """
    raise NotImplementedError


def recover_address(digest: bytes, signature: bytes) -> str:
    """Returns the address whose key made a 65-byte signature over a hash; raises VerificationError if none did."""
    raise NotImplementedError
