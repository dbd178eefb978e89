"""The committed build of the contracts: ABI, creation code, runtime code and its hash.

``make contracts`` writes the files under ``src/proml/contracts/``; continuous integration proves that they are the
source's. Nothing here compiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ContractBuild:
    """One compiled contract.

    Attributes:
        name: ``Workspace`` or ``WorkspaceFactory``.
        abi: The JSON ABI.
        creation_code: Code that a transaction without ``to`` carries, before its constructor's arguments.
        runtime_code: Code that stands at the contract's address afterwards.
        code_hash: Keccak-256 of the runtime code: what a workspace file pins.
    """

    name: str
    abi: list[dict[str, Any]]
    creation_code: bytes
    runtime_code: bytes
    code_hash: bytes


def load_contract(name: str) -> ContractBuild:
    """Returns a contract's build; raises ConfigError if the installation lacks it or the file is damaged."""
    raise NotImplementedError
