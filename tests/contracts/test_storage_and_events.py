"""Events, errors, functions and storage stay what they are until the version is raised."""

from __future__ import annotations

import shutil

import pytest
from tests.contracts.schema import CONTRACTS, golden, interface_schema, storage_schema

from proml.core import interface
from proml.core.interface import selector, topic

COMPILER_MISSING = shutil.which("node") is None or not (CONTRACTS / "node_modules" / "solc").is_dir()


def test_the_interface_is_the_frozen_one() -> None:
    frozen = golden("events")
    assert interface_schema() == frozen["schema"], raise_the_version(frozen["version"])


@pytest.mark.skipif(COMPILER_MISSING, reason="needs Node.js and the compiler (make contracts)")
def test_the_storage_is_the_frozen_one() -> None:
    frozen = golden("storage")
    assert storage_schema() == frozen["schema"], raise_the_version(frozen["version"])


def test_both_frozen_files_are_of_one_version() -> None:
    assert golden("events")["version"] == golden("storage")["version"]


def test_python_knows_every_frozen_event_and_error_by_its_hash() -> None:
    frozen = golden("events")["schema"]["Workspace"]
    topics = {f"0x{topic(name, declaration).hex()}" for name, declaration in interface.EVENTS.items()}
    selectors = {f"0x{selector(name, declaration).hex()}" for name, declaration in interface.ERRORS.items()}
    assert topics == set(frozen["events"].values())
    assert selectors <= set(frozen["errors"].values())


def raise_the_version(version: int) -> str:
    return (
        f"what others rely on has changed since version {version}. If that is meant, raise the version: run "
        f"`python -m tests.contracts.schema {version + 1}`, and say in CHANGELOG.md what readers of the chain must do."
    )
