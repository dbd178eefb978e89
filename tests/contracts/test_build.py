"""``contracts/build.mjs`` itself, on sources of a few lines: what is released stays what it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.contracts.schema import CONTRACTS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (CONTRACTS / "node_modules" / "solc").is_dir(),
    reason="needs Node.js and the compiler (make contracts)",
)
SOURCE = (
    "// SPDX-License-Identifier: Apache-2.0\npragma solidity ^0.8.28;\ncontract {name} {{ uint256 public x = {x}; }}\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small contracts with the real build, built once."""
    contracts = tmp_path / "contracts"
    (contracts / "src").mkdir(parents=True)
    for name in ("build.mjs", "package.json"):
        shutil.copy2(CONTRACTS / name, contracts / name)
    (contracts / "node_modules").symlink_to(CONTRACTS / "node_modules")
    change(contracts, 1)
    assert built(contracts).returncode == 0
    return contracts


def change(folder: Path, x: int) -> None:
    for name in ("Workspace", "WorkspaceFactory"):
        (folder / "src" / f"{name}.sol").write_text(SOURCE.format(name=name, x=x))


def built(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(folder / "build.mjs"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def record(folder: Path) -> Path:
    (path,) = (folder / "deployments").glob("*.json")
    return path


def release(folder: Path, **entries: object) -> str:
    """Enters what people enter at a release, and returns the record."""
    path = record(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}, indent=1, sort_keys=True) + "\n")
    return path.read_text()


def test_what_is_not_released_is_written_anew(folder: Path) -> None:
    before = record(folder).read_text()
    change(folder, 2)
    assert built(folder).returncode == 0
    assert record(folder).read_text() != before


@pytest.mark.parametrize("entries", [{"released": "2026-01-31"}, {"chains": [{"name": "a chain", "chain_id": 1}]}])
def test_a_released_record_is_not_rewritten_for_other_sources(folder: Path, entries: dict[str, object]) -> None:
    before = release(folder, **entries)
    change(folder, 2)
    ran = built(folder)
    assert ran.returncode != 0
    assert 'is released and describes another build; raise "version"' in ran.stderr
    assert record(folder).read_text() == before


def test_a_released_record_stays_for_the_same_sources(folder: Path) -> None:
    before = release(folder, released="2026-01-31")
    assert built(folder).returncode == 0
    assert record(folder).read_text() == before


def test_a_committed_build_of_other_sources_is_found(folder: Path) -> None:
    assert built(folder, "--check").returncode == 0
    change(folder, 2)
    ran = built(folder, "--check")
    assert ran.returncode == 1
    assert "is not what the sources compile to" in ran.stderr
