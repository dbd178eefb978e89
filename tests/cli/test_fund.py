"""``proml consortium fund``: coins for accounts that have none, on a real client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ports.ledgers import Anvil, running_anvil, wanted_anvil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Person

COIN = 10**18
NOBODY = "0x" + "00" * 18 + "a1b2"


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running_anvil(wanted_anvil(), tmp_path_factory.mktemp("anvil")) as running:
        yield running


def balance(anvil: Anvil, address: str) -> int:
    return int(str(anvil.ask("eth_getBalance", address, "latest")), 16)


def endow(anvil: Anvil, address: str) -> None:
    """Gives somebody 100 coins, on a chain where gas costs something from now on."""
    anvil.ask("anvil_setBalance", address, hex(100 * COIN))
    anvil.ask("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    anvil.ask("anvil_mine", "0x1")


@pytest.fixture
def founder(newcomer: Callable[[str], Person], anvil: Anvil) -> Person:
    """Somebody with coins and a workspace on a chain where gas costs something."""
    alice = newcomer("alice")
    address = alice.json("id", "new", "alice")["address"]
    endow(anvil, address)
    alice("workspace", "new", "--name", "study", "--member", "clinic:all", "--ledger", anvil.url,
          "--finality", "immediate", "--store", alice.folder / "store")  # fmt: skip
    return alice


@pytest.mark.engine
def test_a_newcomer_who_has_no_coins_can_send_once_it_is_given_some(
    founder: Person, newcomer: Callable[[str], Person], anvil: Anvil, tmp_path: Path
) -> None:
    bob = newcomer("bob")
    address = bob.json("id", "new", "bob")["address"]
    bob("id", "export", "bob", "-o", tmp_path / "bob.json")
    founder("workspace", "propose", "set-member", f"lab:contributor:{tmp_path / 'bob.json'}")
    founder("workspace", "file", "-o", tmp_path / "study.json")
    bob("init", "--workspace", tmp_path / "study.json")
    assert balance(anvil, address) == 0
    assert "balance" in bob("register", "rows", "--kind", "dataset", code=2).err
    document = founder.json("consortium", "fund", tmp_path / "bob.json", NOBODY, "--amount", "0.5")
    assert [gift["account"] for gift in document["funded"]] == [address, document["funded"][1]["account"]]
    assert (balance(anvil, address), balance(anvil, NOBODY)) == (COIN // 2, COIN // 2)
    bob("sync")
    assert [artefact["name"] for artefact in bob.json("status")["artefacts"]] == ["rows"]


@pytest.mark.engine
def test_one_coin_is_given_when_nobody_says_how_many(founder: Person, anvil: Anvil) -> None:
    before = balance(anvil, NOBODY)
    assert "1" in founder("consortium", "fund", NOBODY).out
    assert balance(anvil, NOBODY) - before == COIN


@pytest.mark.engine
@pytest.mark.parametrize("amount", ["0", "-1", "x", "nan", "1e999", "0.0000000000000000001"])
def test_an_amount_that_is_none_sends_nothing(founder: Person, anvil: Anvil, amount: str) -> None:
    before = balance(anvil, NOBODY)
    assert "number of coins" in founder("consortium", "fund", NOBODY, f"--amount={amount}", code=2).err
    assert balance(anvil, NOBODY) == before


@pytest.mark.engine
def test_where_coins_may_be_money_the_amount_has_to_be_said(newcomer: Callable[[str], Person], anvil: Anvil) -> None:
    carol = newcomer("carol")
    address = carol.json("id", "new", "carol")["address"]
    endow(anvil, address)
    carol("workspace", "new", "--name", "study", "--member", "clinic:all", "--ledger", anvil.url)
    before = balance(anvil, NOBODY)
    assert "--amount" in carol("consortium", "fund", NOBODY, code=2).err
    carol("consortium", "fund", NOBODY, "--amount", "0.25")
    assert balance(anvil, NOBODY) - before == COIN // 4


@pytest.mark.engine
def test_more_than_the_giver_has_is_refused(founder: Person, anvil: Anvil) -> None:
    before = balance(anvil, NOBODY)
    assert "insufficient" in founder("consortium", "fund", NOBODY, "--amount", "1000", code=2).err.lower()
    assert balance(anvil, NOBODY) == before


def test_where_gas_is_free_nobody_needs_coins(newcomer: Callable[[str], Person]) -> None:
    dave = newcomer("dave")
    dave("init", "--name", "study")
    assert "gas costs nothing" in dave("consortium", "fund", NOBODY, code=2).err
