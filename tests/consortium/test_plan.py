"""What a plan may say, and what is said of one that may not be."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.consortium.conftest import NAMES, PLAN

from proml.consortium.keys import make_keys, read_public
from proml.consortium.plan import Plan, plan_text, read_plan
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plan_and_the_public_files_make_the_whole(plan: Plan, folder: Path) -> None:
    assert [seat.name for seat in plan.seats] == list(NAMES)
    clinic = plan.seat("clinic")
    assert (clinic.organisation, clinic.host, clinic.p2p_port, clinic.rpc_port) == (
        "City clinic", "10.77.0.1", 30_303, 8_545,
    )  # fmt: skip
    assert plan.seat("lab").organisation == "lab"
    assert clinic.keys == read_public(folder / "clinic" / "clinic.public.json", "clinic")
    assert plan.genesis_time == int(datetime(2026, 11, 25, 10, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "study"', "", "'name'"),
        ("geth-clique", "geth-pow", "geth-clique"),
        ("chain_id = 7071", "chain_id = 0", "chain_id"),
        ("period_s = 1", "period_s = 1.5", "period_s"),
        ("period_s = 1", "period = 1", "period"),
        ("2026-11-25T10:00:00Z", "2026-11-25T10:00:00", "its zone"),
        ("2026-11-25T10:00:00Z", '"now"', "its zone"),
        ("rpc_port = 8600", "rpc_port = 70000", "developer.rpc_port"),
        ("rpc_port = 8600", "rpc = 8600", "'rpc'"),
        ("10.77.0.3", "host with blanks", "developer.host"),
        ("10.77.0.3", "x; rm -rf ~", "developer.host"),
        ("[participants.lab]", "[participants.Lab]", "Lab"),
        ("[participants.lab]", '[participants."../lab"]', "lower-case"),
        ("10.77.0.3", "10.77.0.4", "same host"),
        ("period_s = 1", "period_s = 1\ngas_limit = 1000", "gas_limit"),
        ("period_s = 1", "period_s = [", "not valid TOML"),
        pytest.param("period_s = 1", f"period_s = {'9' * 5000}", "not valid TOML", id="thousands of digits"),
        pytest.param("period_s = 1", f"period_s = 0x{'f' * 5000}", "more than 50 digits", id="thousands in hex"),
        ("period_s = 1", "period_s = 0", "found 0"),
        ("rpc_port = 8600", "rpc_port = 30303", "both p2p_port and rpc_port"),
    ],
)
def test_a_plan_that_cannot_be_used_says_where_and_why(folder: Path, old: str, new: str, said: str) -> None:
    assert old in PLAN
    (folder / "study.toml").write_text(PLAN.replace(old, new))
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        read_plan(folder / "study.toml")
    assert caught.value.hint


def test_without_founders_nobody_would_seal(folder: Path) -> None:
    (folder / "study.toml").write_text(re.sub(r"(host = .*)", r"\1\nfounder = false", PLAN))
    with pytest.raises(ConfigError, match="no founder"):
        read_plan(folder / "study.toml")


def test_who_has_not_sent_its_public_file_is_named(folder: Path) -> None:
    (folder / "lab" / "lab.public.json").unlink()
    with pytest.raises(ConfigError, match="found none of lab") as caught:
        read_plan(folder / "study.toml")
    assert "proml consortium keys" in caught.value.hint


@pytest.mark.parametrize("field", ["validator", "node_key", "accounts", "name"])
def test_a_public_file_that_somebody_changed_is_refused(folder: Path, field: str) -> None:
    file = folder / "lab" / "lab.public.json"
    document, other = json.loads(file.read_text()), json.loads((folder / "clinic" / "clinic.public.json").read_text())
    file.write_text(json.dumps({**document, field: other[field]}))
    with pytest.raises(ConfigError, match="lab") as caught:
        read_plan(folder / "study.toml")
    assert caught.value.hint


def test_keys_of_another_cannot_be_passed_off(folder: Path) -> None:
    stolen = json.loads((folder / "clinic" / "clinic.public.json").read_text())
    (folder / "lab" / "lab.public.json").write_text(json.dumps({**stolen, "name": "lab"}))
    with pytest.raises(ConfigError, match="own signature"):
        read_plan(folder / "study.toml")


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = (folder / "lab" / "keys" / "node.key").read_bytes()
    with pytest.raises(UsageError, match="not overwritten"):
        make_keys(folder / "lab", "lab", [])
    assert (folder / "lab" / "keys" / "node.key").read_bytes() == before


def test_keys_are_for_their_owner_only(folder: Path) -> None:
    secret = [path for path in (folder / "lab" / "keys").rglob("*") if path.is_file()]
    assert len(secret) == 3
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    assert (folder / "lab" / "keys").stat().st_mode & 0o777 == 0o700


def test_a_written_plan_is_read_as_it_was_meant() -> None:
    whole = {"name": 'A "study" \\', "period_s": 2, "genesis_time": datetime(2026, 11, 25, 10, tzinfo=UTC)}
    assert tomllib.loads(plan_text(whole, {"lab": {"host": "h", "founder": False}})) == {
        **whole,
        "participants": {"lab": {"host": "h", "founder": False}},
    }
