"""The committed build of the contracts: ABI, creation code, runtime code and its hash; and every release's hashes.

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

# Keccak-256 of the deterministic deployment proxy's code: it creates, by CREATE2, the code that follows the salt.
DEPLOYER_CODE_HASH = bytes.fromhex("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989")


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


@dataclass(frozen=True, slots=True)
class Release:
    """What was published about one version of the contracts, in ``contracts/deployments/VERSION.json``.

    Attributes:
        version: Of the contracts.
        interface: Version of the frozen events, errors, functions and storage.
        released: Day of the release, ``YYYY-MM-DD``; None before it.
        compiler: Name and whole version.
        workspace_code_hash: Keccak-256 of a workspace's runtime code.
        factory_code_hash: Keccak-256 of the factory's runtime code.
        deployer: Address of the deterministic deployment proxy.
        salt: With which it creates the factory, 32 bytes.
        factory: Address of the factory on every chain where the proxy created it.
    """

    version: str
    interface: int
    released: str | None
    compiler: str
    workspace_code_hash: bytes
    factory_code_hash: bytes
    deployer: str
    salt: bytes
    factory: str


@cache
def load_releases() -> tuple[Release, ...]:
    """Returns every version of the contracts that this installation knows.

    Raises:
        ConfigError: The installation lacks them, or a file is damaged.
    """
    folder = importlib.resources.files("proml") / "contracts" / "deployments"
    try:
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
        found = tuple(_release(parse_json(file.read_bytes(), f"the deployment {file}")) for file in files)
    except (OSError, InvalidRecord, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"expected descriptions of the contracts' releases in {folder}, found one that cannot be read: {error}",
            hint="Install ProML anew; in a source checkout run `make contracts`.",
        ) from error
    return found


def release_of(workspace_code_hash: bytes) -> Release | None:
    """Returns the release whose workspaces have this code hash, or None if this installation knows none."""
    return next((one for one in load_releases() if one.workspace_code_hash == workspace_code_hash), None)


def _release(document: Any) -> Release:
    contracts, factory = document["contracts"], document["factory"]
    return Release(
        version=document["version"],
        interface=document["interface"],
        released=document["released"],
        compiler=document["compiler"],
        workspace_code_hash=_from_hex(contracts["Workspace"]["runtime_code_hash"]),
        factory_code_hash=_from_hex(contracts["WorkspaceFactory"]["runtime_code_hash"]),
        deployer=factory["deployer"],
        salt=_from_hex(factory["salt"]),
        factory=factory["address"],
    )


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
