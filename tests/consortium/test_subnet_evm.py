"""What is written for Subnet-EVM: keys, genesis and founding transactions that everybody computes alike."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from Crypto.PublicKey import ECC
from tests.consortium.conftest import ACCOUNTS, NAMES, PLAN
from tests.consortium.platform_transactions import Spent, read_transaction

from proml.adapters.local_signer import LocalSigner
from proml.consortium import client, keys
from proml.consortium.avalanche import founding, issuing, staking
from proml.consortium.avalanche.encoding import address, cb58, key_id
from proml.consortium.avalanche.staking import make_staking
from proml.consortium.folder import Network, write_folder
from proml.consortium.keys import make_keys, read_public
from proml.consortium.plan import Plan, read_plan
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

PLAN_TEXT = PLAN.replace("geth-clique", "subnet-evm")
EWOQ = "56289e99c94b6912bfc12adc093c9b51124f0dc54ac7a766b2bc5ccf558d8027"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plan is, with everybody's keys: made once, a BLS key takes a second."""
    folder = tmp_path_factory.mktemp("subnet-evm")
    for name, account in zip(NAMES, ACCOUNTS, strict=True):
        make_keys(folder / name, name, [account], staking=True)
    (folder / "study.toml").write_text(PLAN_TEXT)
    return folder


@pytest.fixture(scope="module")
def final_plan(made: Path) -> Plan:
    return read_plan(made / "study.toml")


@pytest.fixture(scope="module")
def networks(made: Path, final_plan: Plan) -> dict[str, Network]:
    return {name: write_folder(final_plan, name, made / name) for name in NAMES}


def document(network: Network, name: str) -> Any:
    return json.loads((network.root / name).read_text())


def test_identifiers_and_addresses_are_written_as_avalanche_writes_them() -> None:
    key = LocalSigner(bytes.fromhex(EWOQ))  # published for tests, with its address
    assert address(key_id(key.public_key)) == "X-custom18jma8ppw3nhx5r4ap8clazz0dps7rv5u9xde7p"
    assert cb58(founding.VM_ID) == "srEXiWaHuhNyGwPUi444Tu47ZEDwxTWrbQiuD7FmgSAQ6X7Dy"
    assert cb58(bytes(32)) == "11111111111111111111111111111111LpoYY"


def test_the_certificate_and_its_key_belong_together(made: Path) -> None:
    secret = made / "lab" / "keys"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secret / "staker.crt", secret / "staker.key")
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(secret / "staker.crt", made / "clinic" / "keys" / "staker.key")
    assert {path.stat().st_mode & 0o777 for path in secret.rglob("*") if path.is_file()} == {0o600}


def test_everybody_writes_the_same_network_chain_and_transactions(networks: dict[str, Network]) -> None:
    for name in ("genesis.json", "network-genesis.json", issuing.FILE):
        assert len({(network.root / name).read_bytes() for network in networks.values()}) == 1, name
    assert len({network.rpc_url.partition("/ext/")[2] for network in networks.values()}) == 1
    lab = networks["lab"]
    assert lab.rpc_url == f"http://127.0.0.1:8545/ext/bc/{document(lab, issuing.FILE)['chain']}/rpc"
    assert (lab.finality, lab.engine) == ("immediate", "subnet-evm")


def test_writing_it_again_changes_nothing(final_plan: Plan, networks: dict[str, Network]) -> None:
    root = networks["lab"].root
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    write_folder(final_plan, "lab", root)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_the_chains_genesis_commits_to_the_network_around_it(networks: dict[str, Network]) -> None:
    lab = networks["lab"]
    genesis = document(lab, "genesis.json")
    around = (lab.root / "network-genesis.json").read_bytes()
    assert genesis["extraData"] == f"0x{hashlib.sha256(around).hexdigest()}"
    assert genesis["config"]["feeConfig"]["minBaseFee"] == 1
    stakers = [staker["nodeID"] for staker in json.loads(around)["initialStakers"]]
    assert stakers == [lab.validators[name] for name in NAMES]


def test_all_validators_weigh_the_same_and_more_than_two_thirds_decide(networks: dict[str, Network]) -> None:
    lab = networks["lab"]
    stake = document(lab, "network-genesis.json")["allocations"][1]
    assert stake["unlockSchedule"] == [{"amount": 2 * len(NAMES), "locktime": 0}]
    subnet = document(lab, f"configs/subnets/{document(lab, issuing.FILE)['subnet']}.json")
    assert subnet["consensusParameters"] == {"k": 7, "alphaPreference": 4, "alphaConfidence": 5}
    script = (lab.root / "start.sh").read_text().replace(" \\\n ", "")
    assert "--snow-sample-size=7 --snow-preference-quorum-size=4 --snow-confidence-quorum-size=5" in script
    assert [founding.quorum(n) for n in (1, 2, 3, 4, 5, 6, 7, 10, 100)] == [1, 2, 3, 3, 4, 5, 5, 7, 67]


@pytest.mark.parametrize("validators", range(1, 101))
def test_a_poll_counts_with_more_than_two_thirds_of_the_validators_and_never_with_fewer(validators: int) -> None:
    poll, quorum = founding.poll_of(validators), founding.quorum(validators)
    assert 3 * quorum > 2 * validators
    assert 3 * (quorum - 1) <= 2 * validators
    assert founding.WEIGHT * quorum - 1 >= poll.confidence, "one place less, and a quorum would not do"
    assert founding.WEIGHT * (quorum - 1) < poll.confidence, "fewer than a quorum would do"
    assert poll.k / 2 < poll.preference <= poll.confidence <= poll.k, "what Snowman demands"
    assert poll.k % 2 == 1, "two halves could wait for each other for ever"
    assert poll.k <= founding.WEIGHT * validators


def test_the_database_is_the_one_that_survives_the_death_of_all(networks: dict[str, Network]) -> None:
    lab = networks["lab"]
    settings = document(lab, f"configs/chains/{document(lab, issuing.FILE)['chain']}/config.json")
    assert settings["use-standalone-database"] is False
    assert settings["pruning-enabled"] is False


def test_each_founding_transaction_spends_what_the_one_before_left(final_plan: Plan) -> None:
    transactions = founding.found(final_plan, b"{}").transactions
    read = [read_transaction(one.data) for one in transactions]
    assert [one.kind for one in read] == [
        "create subnet", *["add subnet validator"] * 4, "create chain", "transfer subnet",
    ]  # fmt: skip
    assert read[0].spent == Spent(bytes(32), 0, 10**12)
    for before, one, after in zip(transactions, read, read[1:], strict=False):
        assert after.spent == Spent(before.id, 0, one.left)
        assert 0 < one.spent.amount - one.left <= 10**7
        assert one.id == before.id
    keys = {key for one in read for key in one.signers}
    assert len(keys) == 1, "the founding key signs all"
    assert {one.network for one in read} == {2**31 + 7071}


def test_in_the_end_a_majority_of_the_founders_owns_the_subnet_and_its_coins(final_plan: Plan) -> None:
    *before, last = (read_transaction(one.data) for one in founding.found(final_plan, b"{}").transactions)
    founders = sorted(key_id(seat.keys.node_key) for seat in final_plan.seats)
    assert last.change_owners == last.owners == (3, founders)
    assert all(one.change_owners == before[0].owners for one in before)


def test_the_validators_of_the_chain_are_the_founders(made: Path, final_plan: Plan) -> None:
    seats = tuple(dataclasses.replace(seat, founder=seat.name != "lab") for seat in final_plan.seats)
    plan = dataclasses.replace(final_plan, seats=seats)
    read = [read_transaction(one.data) for one in founding.found(plan, b"{}").transactions]
    added = [one.node for one in read if one.kind == "add subnet validator"]
    assert [f"NodeID-{cb58(node)}" for node in added] == [
        founding.staking_of(plan.seat(name)).node for name in NAMES if name != "lab"
    ]


def test_another_plan_has_another_chain(final_plan: Plan) -> None:
    changes: list[dict[str, Any]] = [
        {"name": "other"}, {"chain_id": 7072}, {"genesis_time": final_plan.genesis_time + 1},
        {"seats": final_plan.seats[1:]},
    ]  # fmt: skip
    plans = [final_plan, *(dataclasses.replace(final_plan, **change) for change in changes)]
    assert len({founding.found(plan, b"{}").chain for plan in plans}) == len(plans)
    assert founding.found(final_plan, b"{ }").chain != founding.found(final_plan, b"{}").chain


def test_who_comes_later_changes_neither_network_nor_chain(
    made: Path, final_plan: Plan, networks: dict[str, Network], tmp_path: Path
) -> None:
    late_keys = make_keys(tmp_path / "newcomer", "newcomer", [ACCOUNTS[0]], staking=True)
    late = dataclasses.replace(final_plan.seat("lab"), name="newcomer", host="10.77.0.5", founder=False, keys=late_keys)
    grown = dataclasses.replace(final_plan, seats=(*final_plan.seats, late))
    network = write_folder(grown, "newcomer", tmp_path / "newcomer")
    assert network.genesis == networks["lab"].genesis
    assert network.rpc_url.partition("/ext/")[2] == networks["lab"].rpc_url.partition("/ext/")[2]


def test_the_start_script_is_a_shell_script_without_secrets(networks: dict[str, Network]) -> None:
    root = networks["lab"].root
    subprocess.run(["/bin/sh", "-n", root / "start.sh"], check=True)
    written = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file() and "keys" not in path.parts)
    for name in ("staker.key", "signer.key", "node.key", "passphrase"):
        assert (root / "keys" / name).read_bytes().strip() not in written, name


def test_keys_without_those_of_avalanchego_do_not_do(folder: Path) -> None:
    (folder / "study.toml").write_text(PLAN_TEXT)
    with pytest.raises(ConfigError, match="public file of auditor, clinic, developer, lab has no keys") as caught:
        read_plan(folder / "study.toml")
    assert "--engine subnet-evm" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10.77.0.3", "developer.example", "expected an IP address"),
        ("2026-11-25", "2019-11-25", "after 2020-12-05"),
    ],
)
def test_what_avalanchego_would_stumble_over_is_refused_at_once(
    made: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "study.toml").write_text(PLAN_TEXT.replace(old, new))
    with pytest.raises(ConfigError, match=said):
        write_folder(read_plan(tmp_path / "study.toml", made), "lab", tmp_path / "lab")


def test_a_genesis_that_no_transaction_can_hold_is_refused(made: Path, final_plan: Plan, tmp_path: Path) -> None:
    many = tuple(f"0x{number:040x}" for number in range(1000))
    first = final_plan.seats[0]
    rich = dataclasses.replace(first, keys=dataclasses.replace(first.keys, accounts=many))
    plan = dataclasses.replace(final_plan, seats=(rich, *final_plan.seats[1:]))
    with pytest.raises(ConfigError, match="at most 60000 bytes"):
        write_folder(plan, "lab", tmp_path / "lab")


@pytest.mark.parametrize("field", ["certificate", "bls_key", "bls_proof", "signature"])
def test_a_public_file_with_anothers_staking_keys_is_refused(made: Path, tmp_path: Path, field: str) -> None:
    mine, other = (json.loads((made / name / f"{name}.public.json").read_text()) for name in ("lab", "clinic"))
    mine["staking"][field] = other["staking"][field]
    (tmp_path / "lab.public.json").write_text(json.dumps(mine))
    with pytest.raises(ConfigError, match=r"lab\.public\.json"):
        read_public(tmp_path / "lab.public.json", "lab")


_KEY = ECC.construct(curve="P-256", d=5)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(b"0" * 200, id="nonsense"),
        pytest.param(b"ecdsa-sha2-nistp256 AAAA" + b"\0" * 100, id="nonsense of OpenSSH"),
        pytest.param(_KEY.export_key(format="DER"), id="private key"),
        pytest.param(_KEY.export_key(format="DER", use_pkcs8=False), id="private key without its algorithm"),
        pytest.param(_KEY.public_key().export_key(format="OpenSSH").encode(), id="OpenSSH"),
        pytest.param(_KEY.export_key(format="PEM").encode(), id="PEM"),
    ],
)
def test_a_certificate_that_is_none_is_refused(made: Path, tmp_path: Path, given: bytes) -> None:
    mine = json.loads((made / "lab" / "lab.public.json").read_text())
    mine["staking"]["certificate"] = f"0x{given.hex()}"
    (tmp_path / "lab.public.json").write_text(json.dumps(mine))
    with pytest.raises(ConfigError, match="certificate of the curve P-256"):
        read_public(tmp_path / "lab.public.json", "lab")


def test_nobody_is_made_to_believe_that_validators_can_be_voted_on(networks: dict[str, Network]) -> None:
    for admit in (True, False):
        with pytest.raises(UsageError, match="no command that changes them") as caught:
            client.vote(networks["lab"], "clinic", admit=admit)
        assert "follows the chain" in caught.value.hint


def test_what_has_nothing_to_found_says_so(plan: Plan, folder: Path) -> None:
    with pytest.raises(UsageError, match="begins by itself"):
        client.found(write_folder(plan, "lab", folder / "lab"))


def test_a_broken_founding_file_is_said(networks: dict[str, Network], tmp_path: Path) -> None:
    (tmp_path / issuing.FILE).write_text('{"subnet": "x"}')
    with pytest.raises(ConfigError, match=issuing.FILE):
        issuing.read(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        issuing.read(tmp_path / "nowhere")


def test_a_bls_key_without_the_proof_that_its_owner_has_it_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = read_public(made / "clinic" / "clinic.public.json", "clinic").staking
    assert others is not None

    def with_anothers_key(folder: Path) -> staking.StakingKeys:
        mine = make_staking(folder)
        return staking.StakingKeys(dataclasses.replace(mine.public, bls_key=others.bls_key), mine.key)

    monkeypatch.setattr(keys, "make_staking", with_anothers_key)
    make_keys(tmp_path / "lab", "lab", [], staking=True)
    with pytest.raises(ConfigError, match="BLS key with the proof"):
        read_public(tmp_path / "lab" / "lab.public.json", "lab")


def test_two_with_the_same_certificate_are_refused(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    shared = make_staking(tmp_path / "scratch")
    monkeypatch.setattr(keys, "make_staking", lambda _: shared)
    for name in ("clinic", "lab"):
        make_keys(tmp_path / name, name, [], staking=True)
    plan = PLAN_TEXT.partition("[participants.developer]")[0]
    (tmp_path / "study.toml").write_text(plan)
    with pytest.raises(ConfigError, match="same certificate"):
        read_plan(tmp_path / "study.toml")
