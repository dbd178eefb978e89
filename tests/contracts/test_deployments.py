"""What is published about a build is true of the committed build, and what is installed is what is published."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.schema import CONTRACTS, golden
from tests.ports.ledgers import running_anvil, wanted_anvil

from proml import contract_build
from proml.contract_build import load_contract, load_releases, release_of
from proml.core.digest import keccak256
from proml.core.words import checksum_address
from proml.errors import ConfigError

PUBLISHED = CONTRACTS / "deployments"
BUILDS = Path(contract_build.__file__).parent / "contracts"
PACKAGE = json.loads((CONTRACTS / "package.json").read_text())
FILES = sorted(PUBLISHED.glob("*.json"))


def current() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PUBLISHED / f"{PACKAGE['version']}.json").read_text())
    return found


def hexed(value: bytes) -> str:
    return f"0x{value.hex()}"


@pytest.mark.parametrize("name", ["Workspace", "WorkspaceFactory"])
def test_the_current_version_is_that_of_the_committed_build(name: str) -> None:
    build, committed = load_contract(name), json.loads((BUILDS / f"{name}.json").read_text())
    document = current()
    assert document["contracts"][name] == {
        "creation_code_hash": hexed(keccak256(build.creation_code)),
        "runtime_code_hash": hexed(keccak256(build.runtime_code)),
        "runtime_bytes": len(build.runtime_code),
    }, "the published description is not of this build: run `make contracts`"
    for key in ("compiler", "settings", "source_hash"):
        assert document[key] == committed[key], key


def test_the_current_version_names_what_it_was_built_from() -> None:
    document = current()
    assert document["version"] == PACKAGE["version"]
    assert document["openzeppelin"] == PACKAGE["devDependencies"]["@openzeppelin/contracts"]
    assert f"solc {PACKAGE['devDependencies']['solc']}+" in document["compiler"]
    assert document["interface"] == PACKAGE["proml"]["interface"] == golden("events")["version"]


def test_what_is_installed_is_what_is_published() -> None:
    installed = {path.name: path.read_bytes() for path in (BUILDS / "deployments").glob("*.json")}
    assert installed == {path.name: path.read_bytes() for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_factorys_address_follows_from_its_code(path: Path) -> None:
    document = json.loads(path.read_text())
    factory = document["factory"]
    code_hash = document["contracts"]["WorkspaceFactory"]["creation_code_hash"]
    parts = (b"\xff", *(bytes.fromhex(text[2:]) for text in (factory["deployer"], factory["salt"], code_hash)))
    assert factory["address"] == checksum_address(keccak256(b"".join(parts))[12:])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_chains_entry_says_which_chain_and_where(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["version"] == path.stem
    assert document["released"] is None or re.fullmatch(r"\d{4}-\d\d-\d\d", document["released"])
    for chain in document["chains"]:
        assert set(chain) == {"name", "chain_id", "genesis_hash", "factory", "block", "transaction_hash"}
        assert chain["factory"] == document["factory"]["address"]


def test_a_build_is_found_by_the_code_hash_of_its_workspaces() -> None:
    mine = release_of(load_contract("Workspace").code_hash)
    assert mine in load_releases()
    assert mine is not None
    assert mine.version == PACKAGE["version"]
    assert release_of(bytes(32)) is None


def test_a_damaged_description_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "contracts" / "deployments"
    folder.mkdir(parents=True)
    (folder / "9.json").write_text('{"version": "9"}')
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    load_releases.cache_clear()
    try:
        with pytest.raises(ConfigError, match="deployments"):
            load_releases()
    finally:
        load_releases.cache_clear()


@pytest.mark.engine
def test_the_deployment_proxy_is_the_one_that_test_chains_carry(tmp_path: Path) -> None:
    with running_anvil(wanted_anvil(), tmp_path) as anvil:
        code = bytes.fromhex(anvil.ask("eth_getCode", current()["factory"]["deployer"], "latest")[2:])
    assert keccak256(code) == contract_build.DEPLOYER_CODE_HASH
