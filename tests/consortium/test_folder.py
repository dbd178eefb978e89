"""What is written into a participant's folder: the same genesis for all, nothing secret, nothing of another network."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from rlp.codec import decode
from tests.consortium.conftest import ACCOUNTS, NAMES

from proml.consortium.besu_qbft import BesuQbft
from proml.consortium.engines import DEPLOYER_CODE, engine_of
from proml.consortium.folder import read_network, write_folder
from proml.consortium.keys import address_of, make_keys, read_public
from proml.consortium.names import ENGINES, WITH_STAKING
from proml.consortium.plan import Plan, Seat
from proml.contract_build import DEPLOYER_CODE_HASH
from proml.core.digest import keccak256
from proml.core.words import address_bytes
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=sorted(set(ENGINES) - set(WITH_STAKING)))
def any_plan(plan: Plan, request: pytest.FixtureRequest) -> Plan:
    return dataclasses.replace(plan, engine=request.param)


def newcomer(folder: Path, *, founder: bool = False) -> Seat:
    keys = make_keys(folder / "newcomer", "newcomer", ["0x" + "5" * 40])
    return Seat("newcomer", "Newcomer", "10.77.0.5", 30_303, 8_545, founder, keys)


def test_everybody_writes_the_same_genesis_block(any_plan: Plan, folder: Path) -> None:
    networks = [write_folder(any_plan, name, folder / name) for name in NAMES]
    assert len({network.genesis for network in networks}) == 1
    assert [network.participant for network in networks] == list(NAMES)
    assert networks[0] == read_network(folder / NAMES[0])


def test_the_genesis_pays_the_founders_and_has_the_deployment_proxy(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    genesis = json.loads((folder / "lab" / "genesis.json").read_text())
    assert genesis["config"]["chainId"] == 7071
    paid = {address for address, account in genesis["alloc"].items() if account["balance"] != "0x0"}
    assert paid == set(ACCOUNTS)
    assert keccak256(bytes.fromhex(DEPLOYER_CODE[2:])) == DEPLOYER_CODE_HASH
    assert [account["code"] for account in genesis["alloc"].values() if "code" in account] == [DEPLOYER_CODE]


def test_peers_are_all_others(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    file = {"geth-clique": "client.toml", "besu-qbft": "static-nodes.json"}[any_plan.engine]
    text = (folder / "lab" / file).read_text()
    assert [seat.name for seat in any_plan.seats if f"@{seat.host}:{seat.p2p_port}" in text] == [
        "auditor", "clinic", "developer",
    ]  # fmt: skip


def test_nothing_secret_is_written(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    written = b"".join(path.read_bytes() for path in (folder / "lab").iterdir() if path.is_file())
    for path in (folder / "lab" / "keys" / "node.key", folder / "lab" / "keys" / "passphrase"):
        assert path.read_bytes().strip() not in written


def test_the_start_script_is_a_shell_script(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    script = folder / "lab" / "start.sh"
    subprocess.run(["/bin/sh", "-n", script], check=True)
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize(("user", "written"), [(1, "daemon"), (4_000_123, "4000123")])
def test_the_client_runs_as_whoever_made_its_folder(
    any_plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch, user: int, written: str
) -> None:
    monkeypatch.setattr("os.getuid", lambda: user)
    write_folder(any_plan, "lab", folder / "lab")
    assert f"\nUser={written}\n" in (folder / "lab" / "proml-consortium.service").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    for unit in (folder / "lab").glob("*.service"):
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        mine = [line for line in done.stderr.splitlines() if unit.name in line]
        assert (done.returncode, mine) == (0, []), done.stderr


def test_someone_who_comes_later_changes_the_peers_only(any_plan: Plan, folder: Path) -> None:
    before = write_folder(any_plan, "lab", folder / "lab")
    grown = dataclasses.replace(any_plan, seats=(*any_plan.seats, newcomer(folder)))
    after = write_folder(grown, "lab", folder / "lab")
    assert after.genesis == before.genesis
    assert set(after.validators) - set(before.validators) == {"newcomer"}
    assert write_folder(grown, "newcomer", folder / "newcomer").genesis == before.genesis


def test_another_genesis_for_a_folder_that_has_one_is_refused(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    for changed in (
        dataclasses.replace(any_plan, period_s=2),
        dataclasses.replace(any_plan, seats=(*any_plan.seats, newcomer(folder, founder=True))),
    ):
        with pytest.raises(ConfigError, match="another genesis block"):
            write_folder(changed, "lab", folder / "lab")


@pytest.mark.parametrize("harm", ["cut", "no genesis", "both"])
def test_a_damaged_folder_is_written_anew_as_the_hint_says(any_plan: Plan, folder: Path, harm: str) -> None:
    root = folder / "lab"
    before = write_folder(any_plan, "lab", root)
    if harm != "no genesis":
        (root / "network.json").write_bytes((root / "network.json").read_bytes()[:50])
    if harm != "cut":
        (root / "genesis.json").unlink()
    with pytest.raises(ConfigError):
        read_network(root)
    if harm == "cut":
        with pytest.raises(ConfigError, match="another genesis block"):
            write_folder(dataclasses.replace(any_plan, period_s=2), "lab", root)
    assert write_folder(any_plan, "lab", root) == before == read_network(root)


def test_a_folder_of_somebody_who_does_not_take_part_is_refused(any_plan: Plan, folder: Path) -> None:
    root = write_folder(any_plan, "lab", folder / "lab").root
    document = (root / "network.json").read_text()
    (root / "network.json").write_text(document.replace('"participant": "lab"', '"participant": "stranger"'))
    with pytest.raises(ConfigError, match="expected stranger among the validators"):
        read_network(root)


def test_a_unit_for_a_folder_with_signs_that_units_read_otherwise(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "100%h $A" / "lab")
    unit = (folder / "100%h $A" / "lab" / "proml-consortium.service").read_text()
    assert f"WorkingDirectory={folder}/100%%h $A/lab\n" in unit
    assert f'ExecStart="{folder}/100%%h $$A/lab/start.sh"\n' in unit
    if any_plan.engine == "geth-clique":
        watch = (folder / "100%h $A" / "lab" / "proml-consortium-watch.service").read_text()
        assert f'ExecStart=/usr/bin/env proml consortium watch "{folder}/100%%h $$A/lab"\n' in watch


def test_a_folder_is_one_participants(any_plan: Plan, folder: Path) -> None:
    write_folder(any_plan, "lab", folder / "lab")
    with pytest.raises(ConfigError, match="folder of lab"):
        write_folder(any_plan, "clinic", folder / "lab")


def test_keys_that_the_others_do_not_know_are_noticed(plan: Plan, folder: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "again", "lab", [])
    with pytest.raises(ConfigError, match="not those of the public file"):
        write_folder(plan, "lab", tmp_path / "again")


def test_a_path_too_long_for_a_socket_is_refused_at_once(plan: Plan, folder: Path) -> None:
    with pytest.raises(UsageError, match="90 bytes"):
        write_folder(plan, "lab", folder / ("x" * 90))


def test_what_is_no_participants_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a participant's folder"):
        read_network(tmp_path)


def test_qbft_extra_data_is_as_besu_documents_it(plan: Plan, folder: Path) -> None:
    seats = tuple(dataclasses.replace(seat, founder=seat.name != "lab") for seat in plan.seats)
    files = BesuQbft().files(dataclasses.replace(plan, engine="besu-qbft", seats=seats), plan.seats[0])
    extra = bytes.fromhex(json.loads(files["genesis.json"])["extraData"][2:])
    vanity, validators, votes, round_number, seals = decode(extra)  # type: ignore[no-untyped-call]  # rlp has no types
    assert vanity == bytes(32)
    expected = [
        address_bytes(address_of(read_public(folder / name / f"{name}.public.json", name).node_key))
        for name in ("auditor", "clinic", "developer")
    ]
    assert list(validators) == sorted(expected)
    assert (list(votes), round_number, list(seals)) == ([], b"", [])


@pytest.mark.parametrize("engine", ["besu-qbft"])
def test_a_host_name_is_refused_where_the_program_takes_addresses_only(plan: Plan, folder: Path, engine: str) -> None:
    named = dataclasses.replace(plan.seats[0], host="auditor.example")
    with pytest.raises(ConfigError, match="IP address as the host of auditor"):
        write_folder(dataclasses.replace(plan, engine=engine, seats=(named, *plan.seats[1:])), "lab", folder / "lab")


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ConfigError, match="geth-clique, subnet-evm, besu-qbft"):
        engine_of("geth-pow")
