"""The workspace file: what pins a workspace, handed from member to member. Schema ``proml/workspace/v1``.

It holds the name key, a secret of the workspace: whoever writes the file keeps it unreadable for others.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from proml.core import shape
from proml.core.canonical import JSON, parse_json
from proml.core.digest import keccak256
from proml.core.finality import Finality, parse_finality
from proml.errors import InvalidRecord, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "proml/workspace/v1"
MAX_ORGANISATIONS = 65535
FREE_ROLE_BITS = range(6, 16)
_LEDGER = re.compile(r"(?:embedded:|ipc:|https?://|wss?://)\S.*", re.DOTALL)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """What a client pins, and where it finds ledger and records.

    Attributes:
        name: Display name of the undertaking.
        chain_id: EIP-155 chain id.
        genesis_hash: Hash of block 0, 32 bytes.
        contract: Address of the workspace, EIP-55.
        code_hash: Keccak-256 of the contract's runtime code, 32 bytes.
        first_block: Number of the block in which the contract was created.
        name_key: Secret from which artefact ids are derived, 32 bytes.
        factory: Address of the factory that created it, EIP-55, or None.
        organisations: Names by number, from 1.
        roles: Names of free roles by bit number, 6 to 15.
        ledgers: URLs: ``embedded:PATH``, http(s)://, ws(s)://, or ``ipc:PATH``.
        stores: fsspec URLs where members publish records.
        finality: When a block of this chain counts as final; None leaves it to the ledger: ``immediate`` for an
            embedded one, for others the block that the client tags as finalized.
    """

    name: str
    chain_id: int
    genesis_hash: bytes
    contract: str
    code_hash: bytes
    first_block: int
    name_key: bytes = field(repr=False)
    factory: str | None = None
    organisations: Mapping[int, str] = field(default_factory=dict)
    roles: Mapping[int, str] = field(default_factory=dict)
    ledgers: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    finality: Finality | None = None

    def to_bytes(self) -> bytes:
        """Returns the file's content: indented JSON that ends with a line feed.

        Raises:
            InvalidRecord: A value is malformed.
        """
        fields: dict[str, JSON] = {
            "schema": SCHEMA,
            "name": self.name,
            "chain_id": self.chain_id,
            "genesis_hash": "0x" + self.genesis_hash.hex(),
            "contract": self.contract,
            "code_hash": "0x" + self.code_hash.hex(),
            "first_block": self.first_block,
            "name_key": "0x" + self.name_key.hex(),
            "organisations": {str(number): name for number, name in sorted(self.organisations.items())},
            "roles": {str(bit): name for bit, name in sorted(self.roles.items())},
            "ledgers": list(self.ledgers),
            "stores": list(self.stores),
        }
        if self.factory is not None:
            fields["factory"] = self.factory
        if self.finality is not None:
            fields["finality"] = str(self.finality)
        _check(fields)
        return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def parse_workspace_file(data: bytes, what: str = "the workspace file") -> WorkspaceFile:
    """Returns the workspace file with this content.

    Args:
        data: The file's bytes.
        what: Its path or another name, for messages.

    Raises:
        InvalidRecord: Malformed; the message names the JSON path, what was expected and what was found.
    """
    value = parse_json(data, what)
    try:
        _check(value)
    except InvalidRecord as error:
        hint = error.hint or "Ask a member of the workspace for its file again."
        raise InvalidRecord(f"In {what}: {error.message}", hint=hint) from error
    fields = cast("dict[str, Any]", value)
    return WorkspaceFile(
        name=fields["name"],
        chain_id=fields["chain_id"],
        genesis_hash=bytes.fromhex(fields["genesis_hash"][2:]),
        contract=fields["contract"],
        code_hash=bytes.fromhex(fields["code_hash"][2:]),
        first_block=fields["first_block"],
        name_key=bytes.fromhex(fields["name_key"][2:]),
        factory=fields.get("factory"),
        organisations={int(number): name for number, name in fields["organisations"].items()},
        roles={int(bit): name for bit, name in fields["roles"].items()},
        ledgers=tuple(fields["ledgers"]),
        stores=tuple(fields["stores"]),
        finality=parse_finality(fields["finality"]) if "finality" in fields else None,
    )


def checksum_address(address: str) -> str:
    """Returns an address with the mixed-case checksum of EIP-55.

    Args:
        address: ``0x`` and 40 hex digits in any case.

    Raises:
        InvalidRecord: It is anything else.
    """
    if not _ADDRESS.fullmatch(address):
        shape.refuse("the address", "'0x' and 40 hex digits", address)
    digits = address[2:].lower()
    digest = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit  # noqa: PLR2004  # EIP-55: the nibble's top bit
        for digit, nibble in zip(digits, digest, strict=False)
    )


def _address(value: object, path: str) -> None:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value) or checksum_address(value) != value:
        shape.refuse(path, "an address with an EIP-55 checksum", value)


def _ledger(value: object, path: str) -> None:
    shape.label(value, path)
    if not _LEDGER.fullmatch(cast("str", value)):
        shape.refuse(path, "a ledger's URL: embedded:PATH, ipc:PATH, http(s)://… or ws(s)://…", value)


def _finality(value: object, path: str) -> None:
    try:
        parse_finality(value if isinstance(value, str) else "")
    except UsageError:
        shape.refuse(path, "immediate, finalized or depth:K", value)


def _check(value: object) -> None:
    _SHAPE(value, "$")
    for group in ("organisations", "roles"):
        names = cast("dict[str, dict[str, str]]", value)[group]
        seen: dict[str, str] = {}
        for number, name in names.items():
            key = unicodedata.normalize("NFKC", name).casefold()
            if key in seen:
                shape.refuse(shape.member(f"$.{group}", number), f"a name that differs from that of {seen[key]}", name)
            seen[key] = number


def _number(allowed: range) -> shape.Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, str) or not re.fullmatch("[1-9][0-9]{0,4}", value) or int(value) not in allowed:
            shape.refuse(path, f"a number from {allowed[0]} to {allowed[-1]}", value)

    return check


_HASH = shape.pattern("0x[0-9a-f]{64}", "'0x' and 64 lower-case hex digits")
_SHAPE = shape.structure(
    {
        "schema": shape.constant(value=SCHEMA),
        "name": shape.label,
        "chain_id": shape.integer(1),
        "genesis_hash": _HASH,
        "contract": _address,
        "code_hash": _HASH,
        "first_block": shape.integer(),
        "name_key": _HASH,
        "organisations": shape.mapping(_number(range(1, MAX_ORGANISATIONS + 1)), shape.label),
        "roles": shape.mapping(_number(FREE_ROLE_BITS), shape.identifier),
        "ledgers": shape.array(_ledger, 100),
        "stores": shape.array(shape.label, 100),
    },
    {"factory": _address, "finality": _finality},
)
