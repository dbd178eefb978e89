"""Events, errors, functions and storage stay what they are until the version is raised."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts import schema
from tests.contracts.schema import (
    CONTRACTS,
    golden,
    interface_schema,
    interface_version,
    storage_schema,
    write_golden,
)

from proml.core import interface
from proml.core.interface import selector, topic

if TYPE_CHECKING:
    from pathlib import Path

COMPILER_MISSING = shutil.which("node") is None or not (CONTRACTS / "node_modules" / "solc").is_dir()


def test_the_interface_is_the_frozen_one() -> None:
    frozen = golden("events")
    assert interface_schema() == frozen["schema"], raise_the_version(frozen["version"])


@pytest.mark.skipif(COMPILER_MISSING, reason="needs Node.js and the compiler (make contracts)")
def test_the_storage_is_the_frozen_one() -> None:
    frozen = golden("storage")
    assert storage_schema() == frozen["schema"], raise_the_version(frozen["version"])


def test_both_frozen_files_are_of_the_version_that_the_contracts_claim() -> None:
    assert golden("events")["version"] == golden("storage")["version"] == interface_version()


@pytest.mark.parametrize("kind", ["events", "storage"])
def test_a_version_that_is_taken_cannot_be_given_to_another_schema(kind: str) -> None:
    version = interface_version()
    schemas = {name: golden(name)["schema"] for name in ("events", "storage")}
    changed = {**schemas, kind: {**schemas[kind], "Workspace": {}}}
    with pytest.raises(ValueError, match="Raise"):
        write_golden(changed, version)
    with pytest.raises(ValueError, match="Raise"):
        write_golden(schemas, version - 1)
    assert golden(kind)["schema"] == schemas[kind]


def test_a_higher_version_freezes_the_new_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(schema.GOLDEN, tmp_path / "golden")
    monkeypatch.setattr(schema, "GOLDEN", tmp_path / "golden")
    changed: dict[str, dict[str, Any]] = {"events": {"Workspace": {}}, "storage": {"Workspace": {}}}
    write_golden(changed, interface_version() + 1)
    assert golden("events") == {"version": interface_version() + 1, "schema": changed["events"]}


def test_python_knows_every_frozen_event_and_error_by_its_hash() -> None:
    frozen = golden("events")["schema"]["Workspace"]
    topics = {f"0x{topic(name, declaration).hex()}" for name, declaration in interface.EVENTS.items()}
    selectors = {f"0x{selector(name, declaration).hex()}" for name, declaration in interface.ERRORS.items()}
    assert topics == set(frozen["events"].values())
    assert selectors <= set(frozen["errors"].values())


def raise_the_version(version: int) -> str:
    return (
        f"what others rely on has changed since version {version}. If that is meant, raise the version: set "
        f"`interface` in contracts/package.json to {version + 1}, run `make contracts` and "
        "`python -m tests.contracts.schema`, and say in CHANGELOG.md what readers of the chain must do."
    )
