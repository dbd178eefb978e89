"""Delivery over JSON-RPC, to a client with a real pool of waiting transactions and blocks that can be taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.ledgers import Anvil, running_anvil, wanted_anvil
from tests.submit.senders import Proxy, Sender, history
from tests.worlds import World, make_world

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.ports import Fees, Finality, UnsignedTransaction
from proml.submit.deliver import Channel, deliver
from proml.submit.fees import FeePolicy, TooDear
from proml.submit.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


def test_what_follows_a_registration_goes_together_a_block_later(
    make_sender: Callable[..., Sender], world: World, held_back: Anvil, name: str
) -> None:
    sender = make_sender()
    mine_now_and_then(sender, held_back)
    numbers = [sender.submit(name, text) for text in ("one", "two", "three")]
    other = sender.submit(f"{name}-other", "one")
    report = sender.deliver()
    assert [report.raise_for(n).state for n in (*numbers, other)] == ["confirmed"] * 4
    first, *following = (report.raise_for(n).block_number for n in numbers)
    assert len(set(following)) == 1
    assert following[0] > first
    assert report.raise_for(other).block_number == report.raise_for(numbers[0]).block_number
    assert len(history(world, name)) == 3


class Settling(Proxy):
    """A chain whose blocks are final at once, which remembers for which transactions it was asked."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.receipts: list[bytes] = []
        self.moved = False

    def finalized(self) -> int:
        return int(self.real.newest().number)

    def receipt(self, transaction_hash: bytes) -> Any:
        self.receipts.append(transaction_hash)
        found = self.real.receipt(transaction_hash)
        return replace(found, block_hash=bytes(32)) if self.moved and len(self.receipts) == 1 else found


@pytest.mark.parametrize("moved", [False, True], ids=["stands", "moved"])
def test_a_block_becomes_final_with_all_that_is_in_it(
    make_sender: Callable[..., Sender], world: World, held_back: Anvil, name: str, *, moved: bool
) -> None:
    sender = make_sender()
    mine_now_and_then(sender, held_back)
    numbers = [sender.submit(f"{name}-{n}", "text") for n in range(6)]
    sender.deliver()
    blocks = {(sender.entry(n).block_number, sender.entry(n).block_hash) for n in numbers}
    assert (len(blocks), {sender.entry(n).final for n in numbers}) == (1, {False})
    sender.ledger = settling = Settling(world.ledger)
    settling.moved = moved  # then each has to be asked for
    sender.deliver(wait="final")
    assert {(sender.entry(n).final, sender.entry(n).raw_transaction) for n in numbers} == {(True, b"")}
    assert {(sender.entry(n).block_number, sender.entry(n).block_hash) for n in numbers} == blocks
    assert len(settling.receipts) == (1 + len(numbers) if moved else 1)


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


# ------------------------------------------------------------------------------------------------ fees and stuck ones

GWEI = 10**9
COINS = hex(10**21)
STUCK_AT_ONCE = Patience(tries=1, stuck_s=0.0)


@pytest.fixture
def dear(held_back: Anvil, world: World) -> Iterator[Anvil]:
    """Anvil, making no block by itself, where the next blocks ask for 10 gwei; everybody has coins."""
    for signer in world.people.values():
        held_back.ask("anvil_setBalance", signer.address, COINS)
    yield held_back
    held_back.ask("anvil_setNextBlockBaseFeePerGas", "0x0")
    held_back.ask("evm_mine")


def make_dear(anvil: Anvil, wei: int = 10 * GWEI) -> None:
    anvil.ask("anvil_setNextBlockBaseFeePerGas", hex(wei))
    anvil.ask("evm_mine")


def impatient(sender: Sender, cap: int | None = None) -> Channel:
    return replace(sender.channel, patience=STUCK_AT_ONCE, fees=FeePolicy(cap))


def test_a_transaction_that_offers_too_little_is_replaced_and_lands_once(
    make_sender: Callable[..., Sender], world: World, dear: Anvil, name: str
) -> None:
    sender = make_sender()
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    cheap = sender.entry(number)
    make_dear(dear)
    deliver(impatient(sender), wait=None)
    replaced = sender.entry(number)
    assert replaced.detail["replaced"] == ["0x" + cheap.transaction_hash.hex()]
    assert replaced.detail["nonce"] == cheap.detail["nonce"]
    assert "replaced by one with up to" in replaced.error
    dear.ask("evm_mine")
    (entry,) = deliver(impatient(sender)).entries
    assert (entry.state, entry.error, entry.transaction_hash) == ("confirmed", "", replaced.transaction_hash)
    assert len(history(world, name)) == 1


def test_if_the_one_that_was_replaced_gets_into_a_block_it_counts_and_nothing_goes_twice(
    make_sender: Callable[..., Sender], world: World, dear: Anvil, name: str
) -> None:
    sender = make_sender()
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    cheap = sender.entry(number)
    make_dear(dear)
    deliver(impatient(sender), wait=None)
    dear.ask("anvil_dropTransaction", "0x" + sender.entry(number).transaction_hash.hex())
    dear.ask("anvil_setNextBlockBaseFeePerGas", "0x0")
    world.ledger.send(cheap.raw_transaction)  # another client had kept it
    dear.ask("evm_mine")
    (entry,) = deliver(impatient(sender)).entries
    assert (entry.state, entry.transaction_hash) == ("confirmed", cheap.transaction_hash)
    assert len(history(world, name)) == 1


def test_a_replacement_keeps_to_what_is_granted_and_says_so(
    make_sender: Callable[..., Sender], dear: Anvil, name: str
) -> None:
    sender = make_sender()
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    cheap = sender.entry(number)
    make_dear(dear)
    deliver(impatient(sender, cap=2 * GWEI), wait=None)
    entry = sender.entry(number)
    assert entry.transaction_hash == cheap.transaction_hash
    assert "what is granted (max_gwei) is too little" in entry.error


def test_nothing_is_signed_while_the_chain_asks_more_than_is_granted(
    make_sender: Callable[..., Sender], dear: Anvil, name: str
) -> None:
    make_dear(dear)
    sender = make_sender()
    number = sender.submit(name, "one")
    report = deliver(impatient(sender, cap=2 * GWEI), wait=None)
    entry = sender.entry(number)
    assert (entry.state, entry.raw_transaction) == ("pending", b"")
    assert isinstance(report.errors[number], TooDear)
    assert "at most 2 gwei is granted" in report.errors[number].message
    deliver(impatient(sender, cap=50 * GWEI), wait=None)
    assert sender.state(number) == "sent"
    dear.ask("evm_mine")
    deliver(impatient(sender))
    assert sender.state(number) == "confirmed"


def test_a_nonce_that_another_program_left_open_is_filled(
    make_sender: Callable[..., Sender], world: World, held_back: Anvil, name: str
) -> None:
    sender = make_sender()
    nonce = world.ledger.nonce(sender.signer.address)
    taken = UnsignedTransaction(world.file.chain_id, nonce, sender.signer.address, b"", 30_000, Fees(0, 0))
    foreign = world.ledger.send(sender.signer.sign_transaction(taken))
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    assert sender.entry(number).detail["nonce"] == nonce + 1
    held_back.ask("anvil_dropTransaction", "0x" + foreign.hex())
    held_back.ask("evm_mine")
    sender.deliver(wait=None)
    assert sender.state(number) == "sent", "it waits for a nonce that nobody uses"
    deliver(impatient(sender), wait=None)
    assert "empty transactions took their place" in sender.entry(number).error
    held_back.ask("evm_mine")
    deliver(impatient(sender))
    assert sender.state(number) == "confirmed"
    assert len(history(world, name)) == 1


def test_a_chain_before_london_takes_transactions_with_one_price(tmp_path: Path) -> None:
    with running_anvil(wanted_anvil(), tmp_path, hardfork="berlin") as old:
        ledger = JsonRpcLedger(old.url, finality=Finality("depth", 1))
        assert ledger.fees().is_legacy
        world = make_world(tmp_path, ledger)
        sender = Sender(world, tmp_path / "sender")
        number = sender.submit("rows", "one")
        sender.deliver()
        assert sender.state(number) == "confirmed"
        sent = "0x" + sender.entry(number).transaction_hash.hex()
        assert old.ask("eth_getTransactionByHash", sent)["type"] == "0x0"
        ledger.close()
        world.engine.dispose()
