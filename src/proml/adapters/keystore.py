"""Private keys in Web3 Secret Storage v3 files, and the Signer port over them.

``eth_keyfile`` would do it, and takes 0.7 s to import, which every command that signs would pay. So this stands on what
it stands on: the standard library's scrypt and PBKDF2 (OpenSSL), and pycryptodome's AES (0.02 s). The tests compare
files with ``eth_account``'s. Source: Web3 Secret Storage Definition, version 3.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from proml.adapters.local_signer import LocalSigner, missing_package
from proml.adapters.new_file import write_new_file
from proml.core.canonical import parse_json
from proml.core.digest import keccak256
from proml.errors import IdentityError, InvalidRecord, LocalStorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY_BYTES = 32
_MAX_FILE_BYTES = 64 * 1024
# What a file may ask of the machine that opens it: 1 GiB of memory, and eight times the work of the usual parameters.
_MAX_SCRYPT_BYTES = 2**30
_MAX_SCRYPT_WORK = 2**24
_MAX_PBKDF2_ROUNDS = 10_000_000
_MIN_DERIVED_BYTES, _MAX_DERIVED_BYTES = 32, 64
_MAX_SALT_BYTES = 1024
_IV_BYTES = 16

# (n, r, p): some 0.7 s and 256 MiB against guessing a person's passphrase; 256 random bits need no such thing.
_HEAVY, _LIGHT = (262_144, 8, 1), (4_096, 8, 6)


class KeystoreSigner(LocalSigner):
    """A signer whose key came from a keystore file."""

    __slots__ = ()

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> KeystoreSigner:
        """Unlocks a keystore file.

        Raises:
            IdentityError: The file is missing, broken or hostile, or the passphrase is wrong.
        """
        document = read_keystore(path)
        signer = cls(_decrypt(document, passphrase, f"the keystore {path}"))
        named = document.get("address")
        if isinstance(named, str) and named.removeprefix("0x").lower() != signer.address[2:].lower():
            raise IdentityError(
                f"the keystore {path} says it holds {named!r} and holds the key of {signer.address}: it was altered",
                hint="Use a backup of the file, or correct its address.",
            )
        return signer


def read_keystore(path: Path) -> dict[str, Any]:
    """Returns a keystore file's document, locked; nothing in it is checked but that it is a v3 keystore.

    Raises:
        IdentityError: There is no such file, or it is not one.
        LocalStorageError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise IdentityError(f"expected a keystore at {path}, found no file", hint="See `proml id list`.") from None
    except OSError as error:
        raise LocalStorageError(f"the keystore {path} cannot be read: {error.strerror}") from error
    try:
        document = parse_json(data, f"the keystore {path}", max_bytes=_MAX_FILE_BYTES)
    except InvalidRecord as error:
        raise IdentityError(error.message, hint="Use a backup of the file.") from error
    if not isinstance(document, dict) or document.get("version") != 3:  # noqa: PLR2004  # the version of the format
        raise IdentityError(f"expected a Web3 Secret Storage file of version 3 at {path}, found something else")
    return cast("dict[str, Any]", document)


def write_keystore(
    path: Path,
    signer: LocalSigner,
    passphrase: bytes,
    *,
    light: bool = False,
    beside: Mapping[str, object] | None = None,
) -> None:
    """Writes a new keystore file durably, mode 0600; refuses to overwrite.

    Args:
        path: The file.
        signer: Whose key it keeps.
        passphrase: What unlocks it; not empty.
        light: Cheap key derivation, enough for a generated 256-bit passphrase and for nothing less.
        beside: Kept in the file in the clear beside the address.

    Raises:
        IdentityError: The file exists, or the passphrase is empty.
        LocalStorageError: It cannot be written.
    """
    if not passphrase:
        raise IdentityError("expected a passphrase for the new keystore, found an empty one")
    n, r, p = _LIGHT if light else _HEAVY
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(_IV_BYTES)
    derived = _Scrypt(salt, 32, n, r, p).derive(passphrase)
    ciphertext = _aes_128_ctr(derived[:16], iv, signer.private_key)
    document = {
        **(beside or {}),
        "version": 3,
        "id": str(uuid.uuid4()),
        "address": signer.address[2:].lower(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": {"dklen": 32, "n": n, "r": r, "p": p, "salt": salt.hex()},
            "mac": keccak256(derived[16:32] + ciphertext).hex(),
        },
    }
    write_new_file(path, (json.dumps(document, indent=1) + "\n").encode())


# ------------------------------------------------------------------------------------------------------- decryption


@dataclass(frozen=True, slots=True)
class _Scrypt:
    """Key derivation by RFC 7914."""

    salt: bytes
    dklen: int
    n: int
    r: int
    p: int

    def check(self, what: str) -> None:
        memory, work = 128 * self.n * self.r, self.n * self.r * self.p
        if self.n < 2 or self.n & (self.n - 1):  # noqa: PLR2004  # RFC 7914, section 2: a power of two above 1
            raise IdentityError(f"expected a power of two as scrypt's n in {what}, found {self.n}")
        if memory > _MAX_SCRYPT_BYTES or work > _MAX_SCRYPT_WORK:
            raise IdentityError(
                f"expected scrypt parameters within 1 GiB and 2^24 steps in {what}, found n={self.n}, r={self.r}, "
                f"p={self.p}: unlocking it would exhaust this machine",
                hint="Do not use this file unless you made it yourself; then write it again with usual parameters.",
            )

    def derive(self, passphrase: bytes) -> bytes:
        if self.n >= 2 ** (16 * self.r):
            # RFC 7914, section 2, forbids it and OpenSSL refuses; the format's own test vector is of this kind.
            return _scrypt_of_any_n(self, passphrase)
        # OpenSSL counts some bookkeeping too, hence twice the memory of the blocks.
        memory = 256 * self.r * (self.n + self.p) + 2**20
        return hashlib.scrypt(passphrase, salt=self.salt, n=self.n, r=self.r, p=self.p, dklen=self.dklen, maxmem=memory)


@dataclass(frozen=True, slots=True)
class _Pbkdf2:
    """Key derivation by RFC 8018 with HMAC-SHA-256."""

    salt: bytes
    dklen: int
    c: int

    def check(self, what: str) -> None:
        if self.c > _MAX_PBKDF2_ROUNDS:
            raise IdentityError(f"expected at most {_MAX_PBKDF2_ROUNDS} rounds of PBKDF2 in {what}, found {self.c}")

    def derive(self, passphrase: bytes) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", passphrase, self.salt, self.c, self.dklen)


def _decrypt(document: dict[str, Any], passphrase: bytes, what: str) -> bytes:
    """Returns a keystore's private key. Every parameter is checked before anything is computed with it."""
    crypto = _member(document, "crypto" if "crypto" in document else "Crypto", dict, what)
    if crypto.get("cipher") != "aes-128-ctr":
        raise IdentityError(f"expected the cipher aes-128-ctr in {what}, found {crypto.get('cipher')!r}")
    iv = _hex_member(_member(crypto, "cipherparams", dict, what), "iv", _IV_BYTES, what)
    ciphertext = _hex_member(crypto, "ciphertext", _KEY_BYTES, what)
    mac = _hex_member(crypto, "mac", 32, what)
    derivation = _derivation(crypto, what)
    derivation.check(what)
    try:
        derived = derivation.derive(passphrase)
    except (ValueError, MemoryError, OverflowError) as error:
        raise IdentityError(f"the key of {what} cannot be derived: {error}") from error
    if not hmac.compare_digest(keccak256(derived[16:32] + ciphertext), mac):
        raise IdentityError(
            f"wrong passphrase for {what}",
            hint="Type it again, or point PROML_PASSPHRASE_FILE at the file that holds it.",
        )
    return _aes_128_ctr(derived[:16], iv.rjust(_IV_BYTES, b"\0"), ciphertext).rjust(_KEY_BYTES, b"\0")


def _derivation(crypto: dict[str, Any], what: str) -> _Scrypt | _Pbkdf2:
    parameters = _member(crypto, "kdfparams", dict, what)
    salt = _hex_member(parameters, "salt", _MAX_SALT_BYTES, what)
    dklen = _number(parameters, "dklen", what)
    if not _MIN_DERIVED_BYTES <= dklen <= _MAX_DERIVED_BYTES:
        raise IdentityError(f"expected dklen from 32 to 64 in {what}, found {dklen}")
    match crypto.get("kdf"), parameters.get("prf"):
        case "scrypt", _:
            n, r, p = (_number(parameters, name, what) for name in "nrp")
            return _Scrypt(salt, dklen, n, r, p)
        case "pbkdf2", "hmac-sha256":
            return _Pbkdf2(salt, dklen, _number(parameters, "c", what))
        case kdf, prf:
            raise IdentityError(f"expected scrypt or pbkdf2 with hmac-sha256 in {what}, found {kdf!r} with {prf!r}")


def _member(document: dict[str, Any], name: str, kind: type, what: str) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        raise IdentityError(
            f"{what} is broken: expected {name!r} as {kind.__name__}, found {type(value).__name__}",
            hint="Use a backup of the file.",
        )
    return value


def _number(document: dict[str, Any], name: str, what: str) -> int:
    value: int = _member(document, name, int, what)
    if isinstance(value, bool) or value < 1:
        raise IdentityError(f"{what} is broken: expected a positive number as {name!r}, found {value!r}")
    return value


def _hex_member(document: dict[str, Any], name: str, most_bytes: int, what: str) -> bytes:
    text: str = _member(document, name, str, what)
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if not 0 < len(value) <= most_bytes:
        raise IdentityError(
            f"{what} is broken: expected 1 to {most_bytes} bytes in hexadecimal as {name!r}, found {text[:80]!r}",
            hint="Use a backup of the file.",
        )
    return value


def _scrypt_of_any_n(parameters: _Scrypt, passphrase: bytes) -> bytes:
    try:
        from Crypto.Protocol.KDF import scrypt  # noqa: PLC0415  # an optional extra, and rarely needed
    except ImportError as error:
        raise missing_package("pycryptodome") from error
    o = parameters
    # The stubs ask for text where the library takes bytes as well.
    derived = scrypt(cast("str", passphrase), cast("str", o.salt), o.dklen, N=o.n, r=o.r, p=o.p)
    return cast("bytes", derived)


def _aes_128_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypts or decrypts: the two are the same in counter mode."""
    try:
        from Crypto.Cipher import AES  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise missing_package("pycryptodome") from error
    # 8 bytes of nonce and 8 of counter would wrap differently: the whole block is the counter.
    cipher = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv)
    return cipher.encrypt(data)
