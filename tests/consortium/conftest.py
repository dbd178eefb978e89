"""A plan of four participants whose keys are made here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proml.consortium.keys import make_keys
from proml.consortium.plan import Plan, read_plan

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("auditor", "clinic", "developer", "lab")
ACCOUNTS = tuple(f"0x{digit * 40}" for digit in "1234")
PLAN = """
name = "study"
engine = "geth-clique"
chain_id = 7071
period_s = 1
genesis_time = 2026-11-25T10:00:00Z

[participants.clinic]
host = "10.77.0.1"
organisation = "City clinic"

[participants.lab]
host = "10.77.0.2"

[participants.developer]
host = "10.77.0.3"
rpc_port = 8600

[participants.auditor]
host = "10.77.0.4"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the plan is, with everybody's public files."""
    for name, account in zip(NAMES, ACCOUNTS, strict=True):
        make_keys(tmp_path / name, name, [account])
    (tmp_path / "study.toml").write_text(PLAN)
    return tmp_path


@pytest.fixture
def plan(folder: Path) -> Plan:
    return read_plan(folder / "study.toml")
