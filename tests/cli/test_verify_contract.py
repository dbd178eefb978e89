"""``proml workspace verify-contract``: a fitting contract, look-alikes, other chains, by the command line itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.ledgers import Anvil, running_anvil, wanted_anvil

from proml.contract_build import load_contract, load_releases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Person

VERIFY = ("workspace", "verify-contract")
ALL = [
    "chain id", "genesis block", "code of the contract", "build", "build of this ProML", "code of the factory",
    "created",
]  # fmt: skip
RELEASE = load_releases()[-1]
NOWHERE = "http://127.0.0.1:9"


@dataclass
class OnAnvil:
    """Somebody whose workspace is on an anvil of their own."""

    anvil: Anvil
    person: Person
    file: dict[str, Any]

    def differing(self, **environment: str) -> list[str]:
        """Returns what differs, after checking that the command says so by its code, its error and its lines."""
        document = self.person.json(*VERIFY, code=4, **environment)
        assert document["ok"] is False
        names = [check["name"] for check in document["checks"] if not check["ok"]]
        assert document["error"]["type"] == "VerificationError"
        assert f"{len(names)} of {len(ALL)}" in document["error"]["message"]
        text = self.person(*VERIFY, code=4, **environment)
        for check in document["checks"]:
            if not check["ok"]:
                assert check["expected"] != check["found"]
                assert f"✗ {check['name']} differs" in text.out
                assert check["expected"] in text.out
                assert check["found"] in text.out
        return names


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running_anvil(wanted_anvil(), tmp_path_factory.mktemp("anvil")) as running:
        yield running


@pytest.fixture(scope="module")
def founded(anvil: Anvil, newcomer: Callable[[str], Person]) -> OnAnvil:
    person = newcomer("founder")
    person("id", "new", "clinic")
    person(
        "workspace", "new", "--name", "on-anvil", "--member", "clinic:all", "--ledger", anvil.url, "--store", "store"
    )
    person("workspace", "file", "-o", "workspace.json")
    return OnAnvil(anvil, person, json.loads((person.folder / "workspace.json").read_text()))


@pytest.fixture
def on_anvil(founded: OnAnvil) -> Iterator[OnAnvil]:
    """The workspace on anvil; what a test does to the chain is undone."""
    before = founded.anvil.ask("evm_snapshot")
    yield founded
    assert founded.anvil.ask("evm_revert", before)


def test_on_the_embedded_ledger_everything_fits(alone: Person) -> None:
    answer = alone(*VERIFY)
    assert [line.split(":")[0].removeprefix("  ✓ ") for line in answer.out.splitlines()[1:]] == ALL
    document = alone.json(*VERIFY)
    assert document["ok"] is True
    assert document["release"] == RELEASE.version
    assert [check["name"] for check in document["checks"] if check["ok"]] == ALL


def test_a_workspace_file_is_checked_before_joining(alone: Person, newcomer: Callable[[str], Person]) -> None:
    alone("workspace", "file", "-o", "handed-out.json")
    outsider = newcomer("outsider")
    assert "✓ created" in outsider(*VERIFY, alone.folder / "handed-out.json").out
    assert "does not exist" in outsider(*VERIFY, "missing.json", code=2).err
    outsider(*VERIFY, code=2)


@pytest.mark.engine
def test_on_a_node_everything_fits_and_the_factory_is_at_its_published_address(on_anvil: OnAnvil) -> None:
    assert on_anvil.person.json(*VERIFY)["ok"] is True
    assert on_anvil.file["factory"] == RELEASE.factory


@pytest.mark.engine
def test_the_next_workspace_uses_the_factory_that_is_there(
    on_anvil: OnAnvil, newcomer: Callable[[str], Person]
) -> None:
    second = newcomer("second")
    second("id", "new", "lab")
    before = int(on_anvil.anvil.ask("eth_blockNumber"), 16)
    second(
        "workspace", "new", "--name", "two", "--member", "lab:all", "--ledger", on_anvil.anvil.url, "--store", "store"
    )
    assert int(on_anvil.anvil.ask("eth_blockNumber"), 16) == before + 1
    shown = second.json("workspace", "show")
    assert shown["factory"] == RELEASE.factory
    assert second.json(*VERIFY)["ok"] is True


@pytest.mark.engine
def test_without_the_deployment_proxy_a_factory_is_deployed_all_the_same(
    on_anvil: OnAnvil, newcomer: Callable[[str], Person]
) -> None:
    for address in (RELEASE.deployer, RELEASE.factory):
        on_anvil.anvil.ask("anvil_setCode", address, "0x")
    third = newcomer("third")
    third("id", "new", "lab")
    third(
        "workspace", "new", "--name", "three", "--member", "lab:all", "--ledger", on_anvil.anvil.url, "--store", "store"
    )
    assert third.json("workspace", "show")["factory"] != RELEASE.factory
    assert third.json(*VERIFY)["ok"] is True


@pytest.mark.engine
def test_a_look_alike_with_other_code_is_told_apart(on_anvil: OnAnvil) -> None:
    on_anvil.anvil.ask(
        "anvil_setCode", on_anvil.file["contract"], f"0x{load_contract('Workspace').runtime_code.hex()}00"
    )
    assert on_anvil.differing() == ["code of the contract", "build"]


@pytest.mark.engine
def test_an_address_without_contract_is_told(on_anvil: OnAnvil) -> None:
    on_anvil.anvil.ask("anvil_setCode", on_anvil.file["contract"], "0x")
    assert on_anvil.differing() == ["code of the contract", "build"]
    assert "no contract" in on_anvil.person(*VERIFY, code=4).out


@pytest.mark.engine
def test_the_right_code_that_no_factory_created_is_told_apart(on_anvil: OnAnvil) -> None:
    # Somebody who rules a chain can put the right code anywhere, over storage of their own making.
    elsewhere = "0x52908400098527886E0F7030069857D2E4169EE7"
    on_anvil.anvil.ask("anvil_setCode", elsewhere, f"0x{load_contract('Workspace').runtime_code.hex()}")
    forged = on_anvil.person.write("forged.json", json.dumps({**on_anvil.file, "contract": elsewhere}))
    document = on_anvil.person.json(*VERIFY, forged, code=4)
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["created"]


@pytest.mark.engine
def test_another_factory_is_told_apart(on_anvil: OnAnvil) -> None:
    on_anvil.anvil.ask("anvil_setCode", on_anvil.file["factory"], "0x60006000fd")
    assert on_anvil.differing() == ["code of the factory"]


@pytest.mark.engine
def test_a_file_without_factory_cannot_prove_who_created_the_contract(on_anvil: OnAnvil) -> None:
    fields = {name: value for name, value in on_anvil.file.items() if name != "factory"}
    without = on_anvil.person.write("without.json", json.dumps(fields))
    document = on_anvil.person.json(*VERIFY, without, code=4)
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["factory"]


@pytest.mark.engine
def test_a_contract_of_an_unknown_build_is_not_trusted_for_being_pinned(on_anvil: OnAnvil) -> None:
    # The file and the chain agree; only the published builds tell that this is nobody's release.
    pinned = on_anvil.person.write("unknown.json", json.dumps({**on_anvil.file, "code_hash": f"0x{'17' * 32}"}))
    document = on_anvil.person.json(*VERIFY, pinned, code=4)
    differing = {check["name"]: check for check in document["checks"] if not check["ok"]}
    assert set(differing) == {"code of the contract", "build", "build of this ProML", "code of the factory"}
    assert "no release" in differing["build"]["expected"]
    assert document["release"] is None


@pytest.mark.engine
def test_another_chain_is_told_apart(on_anvil: OnAnvil, tmp_path: Path) -> None:
    with running_anvil(wanted_anvil(), tmp_path, "--chain-id", "4711", "--timestamp", "1700000000") as other:
        names = on_anvil.differing(PROML_LEDGER=other.url)
    assert names == [name for name in ALL if name != "build of this ProML"]


def test_a_ledger_that_does_not_answer_is_5(alone: Person) -> None:
    document = alone.json(*VERIFY, code=5, PROML_LEDGER=NOWHERE)
    assert document["error"]["type"] == "UnreachableError"
