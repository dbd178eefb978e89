"""A participant's keys, made on its own machine, and the public file that it hands to the others.

``keys/`` in the participant's folder never leaves it: ``validator/`` (a keystore, Web3 Secret Storage v3, whose key
seals blocks), ``passphrase`` (unlocks it), ``node.key`` (names the client to its peers; hex), and avalanchego's own
(:mod:`.avalanche.staking`) if wanted. The public file has the public halves and a signature by each key, so that nobody
can pass another's keys off as its own.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from proml.adapters.keystore import write_keystore
from proml.adapters.local_signer import LocalSigner, recover_address
from proml.adapters.new_file import write_new_file
from proml.config import make_private_folder, write_atomically
from proml.consortium.avalanche.staking import SHAPE as STAKING_SHAPE
from proml.consortium.avalanche.staking import Staking, check_staking, document_of, make_staking, read_staking
from proml.core import shape
from proml.core.canonical import parse_json
from proml.core.digest import keccak256
from proml.core.words import checksum_address, parse_address
from proml.errors import ConfigError, InvalidRecord, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA = "proml/consortium-participant/v1"
_SIZE_LIMIT = 1 << 20
_MOST_ACCOUNTS = 1_000


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What others know of a participant's keys.

    Attributes:
        node_key: Uncompressed public key of its client without the leading 04, 64 bytes (devp2p's node id).
        validator: Address of the key that seals blocks, EIP-55.
        accounts: Addresses that get coins in the genesis block, to pay for their transactions.
        staking: Certificate and BLS key of an avalanchego; None if it was not to have any.
    """

    node_key: bytes
    validator: str
    accounts: tuple[str, ...]
    staking: Staking | None = None


def make_keys(folder: Path, name: str, accounts: Sequence[str], *, staking: bool = False) -> PublicKeys:
    """Makes the keys of a participant in ``folder``/keys.

    Args:
        folder: The participant's folder; made if needed.
        name: The participant.
        accounts: Who gets coins in the genesis block.
        staking: Make avalanchego's keys too, without which the engine ``subnet-evm`` cannot be used.

    Raises:
        UsageError: There are keys already: they are never overwritten.
        LocalStorageError: They cannot be written.
    """
    keys = folder / "keys"
    if keys.exists():
        raise UsageError(
            f"{keys} exists: the keys of {name} were made already and are not overwritten.",
            hint="Use them, or move the folder away yourself if the network never ran with them.",
        )
    make_private_folder(folder)
    make_private_folder(keys)
    validator, node = LocalSigner.generate(), LocalSigner.generate()
    passphrase = secrets.token_hex(32)
    write_keystore(keys / "validator" / _keystore_name(validator.address), validator, passphrase.encode(), light=True)
    write_new_file(keys / "passphrase", passphrase.encode())
    write_new_file(keys / "node.key", node.private_key.hex().encode())
    more = make_staking(keys) if staking else None
    public = PublicKeys(node.public_key, validator.address, tuple(accounts), more.public if more else None)
    digest = _digest(name, public)
    document: dict[str, object] = {
        "schema": SCHEMA,
        "name": name,
        "node_key": f"0x{public.node_key.hex()}",
        "validator": public.validator,
        "accounts": list(public.accounts),
        "proofs": {"node": _hex(node.sign_hash(digest)), "validator": _hex(validator.sign_hash(digest))},
    }
    if more is not None:
        document["staking"] = document_of(more.public, more.sign(digest))
    write_atomically(folder / f"{name}.public.json", (json.dumps(document, indent=2) + "\n").encode(), mode=0o644)
    return public


def read_public(path: Path, name: str) -> PublicKeys:
    """Reads a participant's public file.

    Raises:
        ConfigError: It is broken, of another participant, or its signatures are not by its keys.
    """
    try:
        document = parse_json(path.read_bytes()[:_SIZE_LIMIT], str(path))
        _SHAPE(document, "$")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint=f"Ask {name} for it.") from error
    except InvalidRecord as error:
        raise ConfigError(f"In {path}: {error.message}", hint=f"Ask {name} for its public file again.") from error
    fields = cast("dict[str, Any]", document)
    staking = read_staking(fields["staking"]) if "staking" in fields else None
    public = PublicKeys(bytes.fromhex(fields["node_key"][2:]), fields["validator"], tuple(fields["accounts"]), staking)
    digest = _digest(fields["name"], public)
    if fields["name"] != name:
        raise ConfigError(f"{path} is the public file of {fields['name']!r}, not of {name}.", hint="Rename it back.")
    if staking is not None:
        check_staking(staking, digest, bytes.fromhex(fields["staking"]["signature"][2:]), str(path))
    signers = {"node": address_of(public.node_key), "validator": public.validator}
    for which, address in signers.items():
        try:
            found = recover_address(digest, bytes.fromhex(fields["proofs"][which][2:]))
        except VerificationError:
            found = "nobody"
        if found != address:
            raise ConfigError(
                f"In {path}: expected the {which} key's own signature over the file, found one by {found}.",
                hint=f"Somebody changed the file, or made it for keys of another. Ask {name} for it again.",
            )
    return public


def address_of(node_key: bytes) -> str:
    """Returns the address of a public key of 64 bytes: how engines whose clients seal with their node key name it."""
    return checksum_address(keccak256(node_key)[-20:])


def _digest(name: str, public: PublicKeys) -> bytes:
    parts = [SCHEMA, name, public.node_key.hex(), public.validator, *public.accounts]
    parts += public.staking.described() if public.staking else ()
    return keccak256("\n".join(parts).encode())


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _keystore_name(address: str) -> str:
    """Returns a file name by which clients find the key of an address."""
    return f"UTC--2026-01-01T00-00-00.000000000Z--{address[2:].lower()}"


def _address(value: object, path: str) -> None:
    try:
        canonical = parse_address(value) if isinstance(value, str) else ""
    except UsageError:
        canonical = ""
    if not canonical or canonical != value:
        shape.refuse(path, "an address with an EIP-55 checksum", value)


_SIGNATURE = shape.pattern("0x[0-9a-f]{130}", "'0x' and 130 lower-case hex digits")
_SHAPE = shape.structure(
    {
        "schema": shape.constant(value=SCHEMA),
        "name": shape.identifier,
        "node_key": shape.pattern("0x[0-9a-f]{128}", "'0x' and 128 lower-case hex digits"),
        "validator": _address,
        "accounts": shape.array(_address, _MOST_ACCOUNTS),
        "proofs": shape.structure({"node": _SIGNATURE, "validator": _SIGNATURE}),
    },
    {"staking": STAKING_SHAPE},
)
