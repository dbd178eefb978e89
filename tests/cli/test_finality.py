"""``proml workspace new --finality``: what a workspace file pins of its chain's engine, on a real client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ports.ledgers import Anvil, running_anvil, wanted_anvil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Person

NEW = ("workspace", "new", "--name", "study", "--member", "clinic:all")


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running_anvil(wanted_anvil(), tmp_path_factory.mktemp("anvil")) as running:
        yield running


@pytest.mark.engine
def test_what_is_final_follows_the_pinned_rule(newcomer: Callable[[str], Person], anvil: Anvil, tmp_path: Path) -> None:
    alice = newcomer("alice")
    alice("id", "new", "alice")
    document = alice.json(*NEW, "--ledger", anvil.url, "--finality", "depth:3")
    assert document["finality"] == "depth:3"
    alice("workspace", "file", "-o", tmp_path / "study.json")
    assert '"finality": "depth:3"' in (tmp_path / "study.json").read_text()
    alice("register", "rows", "--kind", "dataset")
    position = alice.json("status")["position"]
    assert position["finalized"] == position["block_number"] - 3
    alice.write("rows.csv", "1,2")
    alice("act", "rows", "collect", "rows.csv")
    assert "not-confirmed" in alice("verify", "rows", "--final", code=4).out
    anvil.ask("anvil_mine", "0x3")
    alice("verify", "rows", "--final")


@pytest.mark.engine
def test_nobody_has_to_wait_for_a_block(newcomer: Callable[[str], Person], anvil: Anvil) -> None:
    bob = newcomer("bob")
    bob("id", "new", "bob")
    bob(*NEW, "--ledger", anvil.url)
    bob.write("more.csv", "1,2")
    bob("run", "--publish", "more=more.csv", "--kind", "source", "--action", "collect", "--no-observe", "--", "true")
    anvil.ask("evm_setAutomine", False)  # noqa: FBT003  (the method's own parameter)
    try:
        assert [entry["state"] for entry in bob.json("sync", "--no-wait")["entries"]] == ["sent"]
        assert "waits for blocks" in bob("sync", "--no-wait", "--final", code=2).err
    finally:
        anvil.ask("evm_setAutomine", True)  # noqa: FBT003  (as above)
    anvil.ask("anvil_mine", "0x1")
    assert [entry["state"] for entry in bob.json("sync")["entries"]] == ["confirmed"]


@pytest.mark.parametrize("rule", ["soon", "depth:0", "depth:"])
def test_a_rule_that_is_none_is_a_mistake_in_usage(newcomer: Callable[[str], Person], rule: str) -> None:
    answer = newcomer("alice")(*NEW, "--finality", rule, code=2)
    assert "immediate, finalized or depth:K" in answer.err


def test_an_embedded_ledger_takes_no_rule(newcomer: Callable[[str], Person]) -> None:
    alice = newcomer("alice")
    alice("id", "new", "alice")
    assert "final at once" in alice(*NEW, "--finality", "depth:3", code=2).err
