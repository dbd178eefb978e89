"""The workspace file: what pins a workspace, handed from member to member. Schema ``proml/workspace/v1``.

It holds the name key, a secret of the workspace: whoever writes the file keeps it unreadable for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCHEMA = "proml/workspace/v1"


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

    def to_bytes(self) -> bytes:
        """Returns the file's content: indented JSON that ends with a line feed.

        Raises:
            InvalidRecord: A value is malformed.
        """
        raise NotImplementedError


def parse_workspace_file(data: bytes, what: str = "the workspace file") -> WorkspaceFile:
    """Returns the workspace file with this content.

    Raises:
        InvalidRecord: Malformed; the message names the JSON path, what was expected and what was found.
    """
    raise NotImplementedError
