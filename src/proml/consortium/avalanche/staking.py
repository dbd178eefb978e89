"""The keys by which a participant's avalanchego is known: a certificate for TLS, and a BLS key.

A node is named after its certificate. Its BLS key signs what validators say to other chains; nothing here uses that,
but a validator has one. ``keys/`` gets ``staker.crt``, ``staker.key`` (PEM) and ``signer.key`` (32 bytes).
"""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from proml.adapters.new_file import write_new_file
from proml.consortium.avalanche.encoding import node_id
from proml.core import shape
from proml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
_CURVE = "NIST P-256"
_SEQUENCE = b"\x30"
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION_3 = 2


@dataclass(frozen=True, slots=True)
class Staking:
    """What others know of these keys.

    Attributes:
        certificate: In DER.
        bls_key: Compressed public key, 48 bytes.
        bls_proof: Proof of possession of that key, 96 bytes.
    """

    certificate: bytes
    bls_key: bytes
    bls_proof: bytes

    @property
    def node(self) -> str:
        """How the network names the node."""
        return node_id(self.certificate)

    def described(self) -> tuple[str, ...]:
        """Returns what a participant's keys sign of them."""
        return (self.certificate.hex(), self.bls_key.hex(), self.bls_proof.hex())


@dataclass(frozen=True, slots=True)
class StakingKeys:
    """The secret halves, until they are written."""

    public: Staking
    key: Any

    def sign(self, digest: bytes) -> bytes:
        """Returns the certificate's signature over 32 bytes."""
        return _sign(self.key, digest)


def make_staking(keys: Path) -> StakingKeys:
    """Makes the keys and writes them into an existing folder.

    Raises:
        LocalStorageError: They cannot be written.
    """
    from Crypto.PublicKey import ECC  # noqa: PLC0415 - an optional extra
    from py_ecc.bls.ciphersuites import G2ProofOfPossession as Bls  # noqa: PLC0415 - takes long to import

    key = ECC.generate(curve=_CURVE)
    certificate = _certificate(key)
    secret = Bls.KeyGen(secrets.token_bytes(32))
    write_new_file(keys / "staker.crt", ssl.DER_cert_to_PEM_cert(certificate).encode())
    write_new_file(keys / "staker.key", key.export_key(format="PEM", use_pkcs8=True).encode() + b"\n")
    write_new_file(keys / "signer.key", secret.to_bytes(32, "big"))
    return StakingKeys(Staking(certificate, bytes(Bls.SkToPk(secret)), bytes(Bls.PopProve(secret))), key)


def document_of(staking: Staking, signature: bytes) -> dict[str, str]:
    """Returns the part of a public file that :func:`read_staking` reads."""
    return {
        "certificate": f"0x{staking.certificate.hex()}",
        "bls_key": f"0x{staking.bls_key.hex()}",
        "bls_proof": f"0x{staking.bls_proof.hex()}",
        "signature": f"0x{signature.hex()}",
    }


def read_staking(fields: Mapping[str, str]) -> Staking:
    """Returns what a public file says; who made it is checked by :func:`check_staking`."""
    found = {name: bytes.fromhex(fields[name][2:]) for name in ("certificate", "bls_key", "bls_proof")}
    return Staking(**found)


def check_staking(staking: Staking, digest: bytes, signature: bytes, where: str) -> None:
    """Checks that a public file was made by who has the keys.

    Args:
        staking: What the file says.
        digest: What the certificate's key signed.
        signature: Its signature.
        where: The file, for messages.

    Raises:
        ConfigError: The certificate or the BLS key is none, or a signature is not theirs.
    """
    from Crypto.Hash import SHA256  # noqa: PLC0415 - an optional extra
    from Crypto.PublicKey import ECC  # noqa: PLC0415 - as above
    from Crypto.Signature import DSS  # noqa: PLC0415 - as above
    from py_ecc.bls.ciphersuites import G2ProofOfPossession as Bls  # noqa: PLC0415 - takes long to import

    try:
        key = ECC.import_key(_checked_certificate(staking.certificate))
        DSS.new(key, "fips-186-3").verify(SHA256.new(digest), signature)
        is_good = key.curve == _CURVE
    except (ValueError, IndexError, TypeError):
        is_good = False
    if not is_good:
        raise ConfigError(
            f"In {where}: expected a certificate of the curve P-256 whose key signed the file, found another.",
            hint="Somebody changed the file, or made it with the certificate of another. Ask for it again.",
        )
    if not Bls.PopVerify(cast("Any", staking.bls_key), cast("Any", staking.bls_proof)):
        raise ConfigError(
            f"In {where}: expected a BLS key with the proof that its owner has it, found another proof.",
            hint="Somebody changed the file, or made it with the key of another. Ask for it again.",
        )


def _checked_certificate(data: bytes) -> bytes:
    """Passes what has the outer form of a certificate (RFC 5280, section 4.1): other keys are taken for one as well."""
    from Crypto.Util.asn1 import DerSequence  # noqa: PLC0415 - an optional extra

    signed = DerSequence().decode(data, strict=True, nr_elements=3)[0]
    if not isinstance(signed, bytes) or signed[:1] != _SEQUENCE:
        raise ValueError("expected a certificate")
    return data


def _sign(key: Any, digest: bytes) -> bytes:
    from Crypto.Hash import SHA256  # noqa: PLC0415 - an optional extra
    from Crypto.Signature import DSS  # noqa: PLC0415 - as above

    return bytes(DSS.new(key, "fips-186-3").sign(SHA256.new(digest)))


def _certificate(key: Any) -> bytes:
    """Returns a certificate in DER that the key gives itself (RFC 5280): of nobody, and valid for good.

    Whom it belongs to is said by the public file, and peers look at nothing but its key.
    """
    from Crypto.Hash import SHA256  # noqa: PLC0415 - an optional extra
    from Crypto.Signature import DSS  # noqa: PLC0415 - as above
    from Crypto.Util.asn1 import DerBitString, DerInteger, DerObject, DerObjectId, DerSequence  # noqa: PLC0415 - as above

    def der(*items: Any) -> bytes:
        return DerSequence(items).encode()

    algorithm, nobody = der(DerObjectId(_ECDSA_WITH_SHA256)), der()
    validity = der(DerObject(_UTC_TIME, b"000101000000Z"), DerObject(_GENERALIZED_TIME, b"21000101000000Z"))
    its_key = key.public_key().export_key(format="DER")
    signed = der(DerInteger(_VERSION_3, explicit=0), 1, algorithm, nobody, validity, nobody, its_key)
    signature = DSS.new(key, "fips-186-3", encoding="der").sign(SHA256.new(signed))
    return der(signed, algorithm, DerBitString(signature))


SHAPE = shape.structure(
    {
        "certificate": shape.pattern("0x([0-9a-f]{2}){100,1024}", "'0x' and the certificate's DER in lower-case hex"),
        "bls_key": shape.pattern("0x[0-9a-f]{96}", "'0x' and 96 lower-case hex digits"),
        "bls_proof": shape.pattern("0x[0-9a-f]{192}", "'0x' and 192 lower-case hex digits"),
        "signature": shape.pattern("0x[0-9a-f]{128}", "'0x' and 128 lower-case hex digits"),
    }
)
