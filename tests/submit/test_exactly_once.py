"""Whatever happens between the outbox and the chain, an intent is on chain once."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.submit.senders import (
    Cut,
    CutOff,
    LaterFinal,
    Proxy,
    Sender,
    SlowLedger,
    forked,
    history,
    registrations,
)
from tests.worlds import ORGANISATIONS, World

from proml.adapters.clock import ManualClock
from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner
from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.core.digest import sha256
from proml.core.events import Anchored, decode_event
from proml.errors import ConflictError, UnreachableError
from proml.ports import LogQuery
from proml.submit import intents
from proml.submit.transactions import HandedIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_STEPS = 400


def anchored(world: World) -> list[bytes]:
    events = [decode_event(log) for log in world.ledger.logs(LogQuery(world.file.contract))]
    return [event.root for event in events if isinstance(event, Anchored)]


@pytest.mark.slow
def test_a_process_that_ends_after_any_call_neither_loses_nor_doubles(world: World, tmp_path: Path, name: str) -> None:
    step = 0
    while True:
        step += 1
        assert step < MOST_STEPS
        mine = f"{name}-{step}"
        sender = Sender(world, tmp_path / str(step))
        for text in ("one", "two"):
            sender.submit(mine, text)
        intents.anchor(sender.desk, sha256(mine.encode()), 1)
        counter = [step]
        whole = sender.outbox
        sender.outbox = CutOff(whole, counter)
        sender.ledger = CutOff(world.ledger, counter)
        try:
            sender.deliver()
            was_cut = False
        except Cut:
            was_cut = True
        whole.close()
        sender.ledger, sender.outbox = world.ledger, SqliteOutbox(sender.folder / "outbox.sqlite")
        sender.deliver()
        assert {entry.state for entry in sender.outbox.entries()} == {"confirmed"}, step
        assert len(history(world, mine)) == 2, step
        assert anchored(world).count(sha256(mine.encode())) == 1, step
        sender.outbox.close()
        if not was_cut:
            break
    assert step > 20  # the cuts really went through the whole delivery


def test_the_same_bytes_are_handed_in_again_after_a_node_forgot_them(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    slow = SlowLedger(world.ledger)
    sender = make_sender(ledger=slow)
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    (first,) = slow.pool
    slow.forget()
    sender.deliver(wait=None)
    assert list(slow.pool) == [first]
    slow.mine()
    assert sender.deliver().raise_for(number).transaction_hash == first


def test_a_lost_transaction_whose_nonce_was_taken_is_signed_anew(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    slow = SlowLedger(world.ledger)
    one, other = make_sender("developer", "one", ledger=slow), make_sender("developer", "other")
    number = one.submit(name, "one")
    one.deliver(wait=None)
    slow.forget()
    other.deliver(only={other.submit(f"{name}-other", "takes the nonce")}).raise_for(1)
    one.ledger = world.ledger
    entry = one.deliver().raise_for(number)
    assert len(entry.detail["superseded"]) == 1  # type: ignore[arg-type]
    assert len(history(world, name)) == 1


def test_an_effect_that_is_there_already_is_recognised_by_its_record(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    sender = make_sender()
    number = sender.submit(name, "one")
    done = sender.deliver().raise_for(number)
    # As if the outbox had been restored from a backup that was taken before the transaction was seen in a block.
    lost = {**done.detail, "signed": True}
    sender.outbox.update([replace(done, state="pending", transaction_hash=b"", final=False, detail=lost)])
    again = sender.deliver().raise_for(number)
    assert again.transaction_hash == done.transaction_hash
    assert len(history(world, name)) == 1


def test_a_node_that_shows_a_head_without_its_events_is_not_believed(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    class Behind(Proxy):
        def logs(self, query: LogQuery) -> list[Any]:
            return []

    sender = make_sender()
    number = sender.submit(name, "one")
    done = sender.deliver().raise_for(number)
    sender.outbox.update([replace(done, state="pending", transaction_hash=b"", final=False)])
    sender.ledger = Behind(world.ledger)
    with pytest.raises(UnreachableError, match="no event that led there"):
        sender.deliver()
    assert len(history(world, name)) == 1


def test_a_transaction_reverted_in_its_block_by_a_faster_one_is_bound_anew(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    slow = SlowLedger(world.ledger)
    sender = make_sender(ledger=slow)
    sender.submit(name, "one")
    sender.deliver(wait=None)
    slow.mine()
    sender.deliver(wait=None)
    number = sender.submit(name, "two")
    sender.deliver(wait=None)  # bound to the head after "one"
    (raw,) = slow.pool.values()
    slow.forget()
    # Another program of the same account is faster; then the transaction's nonce is gone, so it is signed anew.
    rival = make_sender("developer", "rival")
    rival.deliver(only={rival.submit(name, "rival")}).raise_for(1)
    with pytest.raises(ConflictError):
        world.ledger.send(raw)
    sender.ledger = world.ledger
    sender.deliver().raise_for(number)
    assert len(history(world, name)) == 3


def test_an_operation_that_another_member_overtook_in_the_block_is_bound_anew(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    content = sha256(name.encode())
    slow = SlowLedger(world.ledger)
    sender = make_sender("data", ledger=slow)
    world.dataset(name, name)
    number = intents.act(sender.desk, intents.Act(name, "dataset", "retire")).number
    sender.deliver(wait=None)
    world.act("verifier", name, "validate")  # the head moves on while the transaction waits
    (receipt,) = slow.mine()
    assert not receipt.succeeded
    sender.ledger = world.ledger
    sender.deliver().raise_for(number)
    assert sender.entry(number).attempts == 2
    assert content


def test_a_named_head_that_another_member_overtook_in_the_block_is_a_conflict(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    slow = SlowLedger(world.ledger)
    sender = make_sender("data", ledger=slow)
    world.dataset(name, name)
    wanted = intents.Act(name, "dataset", "retire", expected_head=world.head(name))
    number = intents.act(sender.desk, wanted).number
    sender.deliver(wait=None)
    world.act("verifier", name, "validate")
    slow.mine()
    with pytest.raises(ConflictError, match="moved on"):
        sender.deliver().raise_for(number)


def test_what_a_reorganisation_took_back_is_handed_in_again(
    make_sender: Callable[..., Sender], world: World, name: str, tmp_path: Path
) -> None:
    assert isinstance(world.ledger, EmbeddedLedger)
    other_branch = forked(world.ledger, tmp_path / "fork.sqlite")
    sender = make_sender(ledger=LaterFinal(world.ledger))
    numbers = [sender.submit(name, text) for text in ("one", "two", "three")]
    sender.deliver()
    assert {sender.state(n) for n in numbers} == {"confirmed"}
    assert not sender.entry(numbers[0]).final
    sender.ledger = LaterFinal(other_branch)
    sender.deliver()
    assert {sender.state(n) for n in numbers} == {"confirmed"}
    assert len(history(world, name, other_branch)) == 3
    assert {other_branch.receipt(sender.entry(n).transaction_hash).succeeded for n in numbers} == {True}  # type: ignore[union-attr]
    sender.ledger = other_branch
    sender.deliver(wait="final")
    assert {(sender.entry(n).final, sender.entry(n).raw_transaction) for n in numbers} == {(True, b"")}
    other_branch.close()


class Asked(LaterFinal):
    """A chain without final blocks that remembers for which transactions it was asked."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.receipts: list[bytes] = []

    def receipt(self, transaction_hash: bytes) -> Any:
        self.receipts.append(transaction_hash)
        return self.real.receipt(transaction_hash)


def test_nobody_asks_again_for_what_is_in_a_block_that_stands(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    ledger = Asked(world.ledger)
    sender = make_sender(ledger=ledger)
    numbers = [sender.submit(f"{name}-{n}", "text") for n in range(3)]
    sender.deliver()
    ledger.receipts.clear()
    other = make_sender("data")
    other.submit(f"{name}-other", "text")
    other.deliver()
    sender.deliver()
    assert ledger.receipts == []
    sender.ledger = world.ledger
    sender.deliver(wait="final")
    assert all(sender.entry(n).final for n in numbers)


def _deliver_some(world_parts: tuple[Any, ...], folder: Path, name: str, count: int) -> None:
    chain, file, store = world_parts
    ledger = EmbeddedLedger.open(chain)
    people = {who: LocalSigner(sha256(who.encode())) for who in ORGANISATIONS}
    world = World(folder, ledger, store, file, people, None)  # type: ignore[arg-type]
    sender = Sender(world, folder)
    for n in range(count):
        sender.submit(name, f"{folder.name} {n}")
        sender.deliver()
    ledger.close()


def test_processes_with_outboxes_of_their_own_share_one_account_and_artefact(
    world: World, tmp_path: Path, name: str
) -> None:
    Sender(world, tmp_path / "first").deliver()
    assert isinstance(world.ledger, EmbeddedLedger)
    parts = (world.ledger.path, world.file, world.store)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_deliver_some, args=(parts, tmp_path / f"w{n}", name, 4)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert len(history(world, name)) == len(set(history(world, name))) == 12
    assert len(registrations(world, name)) == 1


def test_two_deliveries_at_once_send_an_entry_once(
    make_sender: Callable[..., Sender], world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.submit.turn.LOCK_TIMEOUT_S", 0.05)
    sender = make_sender()
    number = sender.submit(name, "one")
    with (
        SqliteOutbox(sender.folder / "outbox.sqlite").lock_sender(sender.signer.address, timeout_s=1),
        pytest.raises(UnreachableError, match="Another process is sending"),
    ):
        sender.deliver()
    sender.deliver().raise_for(number)
    assert len(history(world, name)) == 1


class CountedSends(SlowLedger):
    """A slow chain that counts what is handed in."""

    sends = 0

    def send(self, raw: bytes) -> bytes:
        self.sends += 1
        return super().send(raw)


def test_a_process_that_goes_on_hands_in_what_waits_only_now_and_then(world: World, tmp_path: Path, name: str) -> None:
    slow = CountedSends(world.ledger)
    sender = Sender(world, tmp_path / "sender", ledger=slow)
    sender.handed, sender.clock = HandedIn(), ManualClock(1_800_000_000)
    number = sender.submit(name, "one")
    for _ in range(3):
        sender.deliver(wait=None)
    assert slow.sends == 1
    slow.forget()  # the client restarts and has lost it
    sender.clock.advance(20)
    sender.deliver(wait=None)
    assert slow.sends == 2
    slow.mine()
    sender.deliver(wait=None)
    assert sender.state(number) == "confirmed"
    assert len(history(world, name)) == 1


def test_a_clock_that_was_set_back_keeps_nothing_from_being_handed_in(world: World, tmp_path: Path, name: str) -> None:
    slow = CountedSends(world.ledger)
    sender = Sender(world, tmp_path / "sender", ledger=slow)
    sender.handed, sender.clock = HandedIn(), ManualClock(1_800_000_000)
    sender.submit(name, "one")
    sender.deliver(wait=None)
    slow.forget()
    sender.clock.advance(-3600)
    sender.deliver(wait=None)
    assert slow.sends == 2


def test_many_are_handed_in_together_and_all_of_them_were_written_ahead(
    world: World, tmp_path: Path, name: str
) -> None:
    sender = Sender(world, tmp_path / "sender")
    numbers = [sender.submit(f"{name}-{n}", "one") for n in range(7)]
    written: list[str] = []

    class Watched(Proxy):
        def together(self, questions: Any) -> list[object]:
            if questions[0].method == "send":
                written.extend(sender.state(number) for number in numbers)
            return super().together(questions)

    sender.ledger = Watched(world.ledger)
    sender.deliver()
    assert written == ["sent"] * 7
    assert [sender.state(number) for number in numbers] == ["confirmed"] * 7
