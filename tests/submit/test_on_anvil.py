"""Delivery over JSON-RPC, to a client with a real pool of waiting transactions and blocks that can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ports.ledgers import Anvil, running_anvil, wanted_anvil
from tests.submit.senders import Sender, history
from tests.worlds import World, make_world

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.ports import Fees, Finality, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running_anvil(wanted_anvil(), tmp_path_factory.mktemp("anvil")) as running:
        yield running


@pytest.fixture(scope="module")
def world(anvil: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # Nothing is final for a while, so that what a block brought is looked at again.
    ledger = JsonRpcLedger(anvil.url, finality=Finality("depth", 1000))
    made = make_world(tmp_path_factory.mktemp("world"), ledger)
    yield made
    ledger.close()
    made.engine.dispose()


@pytest.fixture
def held_back(anvil: Anvil) -> Iterator[Anvil]:
    """Anvil, making blocks only when it is asked to."""
    anvil.ask("evm_setAutomine", False)  # noqa: FBT003 - as JSON-RPC has it
    yield anvil
    anvil.ask("evm_setAutomine", True)  # noqa: FBT003 - as above
    anvil.ask("evm_mine")


def mine_now_and_then(sender: Sender, anvil: Anvil) -> None:
    """Lets a block come each time the sender waits."""

    class Mining:
        def now_ns(self) -> int:
            return sender_clock.now_ns()

        def sleep(self, _seconds: float) -> None:
            anvil.ask("evm_mine")

    sender_clock = sender.clock
    sender.clock = Mining()  # type: ignore[assignment]


def test_entries_that_follow_each_other_go_block_by_block(
    make_sender: Callable[..., Sender], world: World, held_back: Anvil, name: str
) -> None:
    sender = make_sender()
    mine_now_and_then(sender, held_back)
    numbers = [sender.submit(name, text) for text in ("one", "two", "three")]
    other = sender.submit(f"{name}-other", "one")
    report = sender.deliver()
    assert [report.raise_for(n).state for n in (*numbers, other)] == ["confirmed"] * 4
    assert len({report.raise_for(n).block_number for n in numbers}) == 3
    assert report.raise_for(other).block_number == report.raise_for(numbers[0]).block_number
    assert len(history(world, name)) == 3


def test_a_transaction_that_the_pool_dropped_is_handed_in_again(
    make_sender: Callable[..., Sender], world: World, held_back: Anvil, name: str
) -> None:
    sender = make_sender()
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    first = sender.entry(number).transaction_hash
    held_back.ask("anvil_dropTransaction", "0x" + first.hex())
    mine_now_and_then(sender, held_back)
    assert sender.deliver().raise_for(number).transaction_hash == first
    assert len(history(world, name)) == 1


def test_a_transaction_whose_nonce_another_took_is_signed_anew(
    make_sender: Callable[..., Sender], world: World, held_back: Anvil, name: str
) -> None:
    sender = make_sender()
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    lost = sender.entry(number)
    held_back.ask("anvil_dropTransaction", "0x" + lost.transaction_hash.hex())
    rival = UnsignedTransaction(
        world.file.chain_id, int(str(lost.detail["nonce"])), sender.signer.address, b"", 30_000, Fees(0, 0)
    )
    world.ledger.send(sender.signer.sign_transaction(rival))
    held_back.ask("evm_mine")
    mine_now_and_then(sender, held_back)
    entry = sender.deliver().raise_for(number)
    assert entry.detail["superseded"] == ["0x" + lost.transaction_hash.hex()]
    assert len(history(world, name)) == 1


def test_what_a_reorganisation_took_back_comes_again_once(
    make_sender: Callable[..., Sender], world: World, anvil: Anvil, name: str
) -> None:
    sender = make_sender()
    before = anvil.ask("evm_snapshot")
    numbers = [sender.submit(name, text) for text in ("one", "two")]
    sender.deliver()
    assert len(history(world, name)) == 2
    anvil.ask("evm_revert", before)
    assert history(world, name) == []
    sender.deliver()
    assert {sender.state(n) for n in numbers} == {"confirmed"}
    assert len(history(world, name)) == 2


def test_what_a_reorganisation_took_back_goes_once_though_another_took_its_nonce(
    make_sender: Callable[..., Sender], world: World, anvil: Anvil, name: str
) -> None:
    sender = make_sender()
    before = anvil.ask("evm_snapshot")
    number = sender.submit(name, "one")
    sender.deliver()
    anvil.ask("evm_revert", before)
    rival = make_sender("developer", "rival")
    rival.deliver(only={rival.submit(f"{name}-rival", "takes the nonce")}).raise_for(1)
    sender.deliver().raise_for(number)
    assert len(history(world, name)) == 1
