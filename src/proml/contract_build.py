"""The committed build of the contracts: ABI, creation code, runtime code and its hash.

``make contracts`` writes the files under ``src/proml/contracts/``; continuous integration proves that they are the
source's. Nothing here compiles.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from proml.core.canonical import parse_json
from proml.errors import ConfigError, InvalidRecord


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


@cache
def load_contract(name: str) -> ContractBuild:
    """Returns a contract's build.

    Args:
        name: ``Workspace`` or ``WorkspaceFactory``.

    Raises:
        ConfigError: The installation lacks it, or the file is damaged.
    """
    file = importlib.resources.files("proml") / "contracts" / f"{name}.json"
    try:
        document = cast("dict[str, Any]", parse_json(file.read_bytes(), f"the contract build {file}"))
        return ContractBuild(
            name=name,
            abi=document["abi"],
            creation_code=_from_hex(document["bytecode"]),
            runtime_code=_from_hex(document["runtime_code"]),
            code_hash=_from_hex(document["runtime_code_hash"]),
        )
    except (OSError, InvalidRecord, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"expected the build of the contract {name} at {file}, found none that can be read: {error}",
            hint="Install ProML anew; in a source checkout run `make contracts`.",
        ) from error


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
