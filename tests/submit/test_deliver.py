from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.submit.senders import Away, Proxy, Sender, SlowLedger, heads, history, registrations
from tests.worlds import World, single

from proml.adapters.store_folder import FolderStore, document_path
from proml.core.calls import decode_view, encode_view
from proml.core.digest import format_digest, sha256
from proml.core.heads import inputs_commitment
from proml.core.intent import AnchorIntent, TransitionIntent, Use, parse_intent
from proml.core.lifecycle import ROLE_BITS
from proml.core.messages import domain_separator, session_consent_hash
from proml.core.operation import ZERO, Grant, Session, Transition
from proml.core.record import SALT_BYTES, build_record, parse_record
from proml.errors import ConflictError, InvalidRecord, RefusedError, UnreachableError, VerificationError
from proml.ports import Entry, Intent
from proml.submit import intents
from proml.submit.anchoring import verify_anchored
from proml.submit.bind import Binder
from proml.submit.bound import MAX_BATCH
from proml.submit.deciding import drop, rebase
from proml.submit.intents import Act, Attended, Desk, Vote
from proml.submit.report import DeliveryReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proml.submit.report import Wait


# ------------------------------------------------------------------------------------------------------ what goes


def test_a_registration_reaches_the_chain_with_its_record_in_the_stores(sender: Sender, name: str) -> None:
    queued = intents.register(sender.desk, name, "code")
    report = sender.deliver()
    entry = report.raise_for(queued.number)
    assert queued.record is not None
    assert registrations(sender.world, name) == [queued.record.digest]
    assert sender.world.store.get(queued.record.digest) == queued.record.bytes
    assert (entry.state, entry.final, entry.raw_transaction) == ("confirmed", True, b"")
    assert entry.gas_used > 40_000
    assert entry.confirmed_ns >= entry.created_ns


def test_a_transition_registers_its_artefact_in_the_same_transaction(sender: Sender, name: str) -> None:
    number = sender.submit(name, "one")
    entry = sender.deliver().raise_for(number)
    assert len(registrations(sender.world, name)) == len(history(sender.world, name)) == 1
    record = parse_record(sender.world.store.get(registrations(sender.world, name)[0]))
    assert record.json["artefact"] == {"name": name, "kind": "code"}
    receipt = sender.ledger.receipt(entry.transaction_hash)
    assert len(receipt.logs) == 2


def test_intents_of_one_artefact_go_in_order(sender: Sender, name: str) -> None:
    numbers = [sender.submit(name, f"text {n}") for n in range(4)]
    report = sender.deliver()
    records = [bytes.fromhex(str(sender.entry(n).intent.body["record"])[7:]) for n in numbers]
    assert history(sender.world, name) == records
    assert [entry.state for entry in report.entries] == ["confirmed"] * 4


def test_changes_of_one_artefact_share_a_transaction_each_on_the_head_of_the_one_before(
    sender: Sender, name: str
) -> None:
    sender.submit(name, "first")
    sender.submit(f"{name}-other", "first")
    sender.deliver()
    numbers = [sender.submit(name, "second"), sender.submit(f"{name}-other", "second")]
    numbers += [sender.submit(name, f"text {n}") for n in range(4)]
    numbers.append(intents.act(sender.desk, Act(name, "code", "retire")).number)
    report = sender.deliver(wait=None)
    assert len({report.raise_for(number).transaction_hash for number in numbers}) == 1
    sender.deliver()
    assert [sender.state(number) for number in numbers] == ["confirmed"] * len(numbers)
    assert len(history(sender.world, name)) == 7


def test_more_changes_of_one_artefact_than_fit_in_a_transaction_go_in_several(sender: Sender, name: str) -> None:
    sender.submit(name, "first")
    sender.deliver()
    numbers = [sender.submit(name, f"text {n}") for n in range(MAX_BATCH + 3)]
    report = sender.deliver()
    assert len({report.raise_for(number).transaction_hash for number in numbers}) == 2
    records = [bytes.fromhex(str(sender.entry(n).intent.body["record"])[7:]) for n in numbers]
    assert history(sender.world, name)[1:] == records


def test_what_somebody_is_told_of_at_once_holds_nothing_back_when_it_is_refused(sender: Sender, name: str) -> None:
    """Of two commands of one participant that run at once, one delivers what both asked for."""
    sender.submit(name, "first")
    sender.deliver()
    attended = Desk(sender.store, Attended(sender.outbox), sender.clock)
    bad = intents.act(attended, Act(name, "code", "review")).number  # four eyes: not by the owner
    good = intents.act(attended, Act(name, "code", "submit", single("second"))).number
    assert sender.deliver(only={good}).raise_for(good).state == "confirmed"
    with pytest.raises(RefusedError, match="four eyes"):
        sender.deliver(only={bad}).raise_for(bad)
    assert sender.state(bad) == "refused"


@pytest.mark.parametrize("place", [0, 1, 4, 6])
def test_a_refused_change_does_not_sink_those_before_it_and_holds_back_those_after_it(
    sender: Sender, name: str, place: int
) -> None:
    sender.submit(name, "first")
    other = f"{name}-other"
    sender.submit(other, "first")
    sender.deliver()
    numbers = [sender.submit(name, f"text {n}") for n in range(place)]
    bad = intents.act(sender.desk, Act(name, "code", "review")).number  # four eyes: not by the owner
    after = [sender.submit(name, f"later {n}") for n in range(2)]
    free = [sender.submit(other, f"text {n}") for n in range(3)]
    report = sender.deliver()
    assert [sender.state(number) for number in [*numbers, *free]] == ["confirmed"] * (place + 3)
    assert [sender.state(number) for number in [bad, *after]] == ["refused", "pending", "pending"]
    assert f"--rebase {bad}" in report.waiting[after[0]]
    with pytest.raises(RefusedError) as caught:
        report.raise_for(bad)
    assert caught.value.rule == "FourEyes"
    drop(sender.outbox, sender.signer.address, bad)
    sender.deliver()
    assert len(history(sender.world, name)) == 1 + place + 2


def test_a_change_to_a_named_head_that_will_not_be_is_a_conflict(sender: Sender, name: str) -> None:
    sender.submit(name, "first")
    sender.deliver()
    good = sender.submit(name, "second")
    bad = sender.submit(name, "third", expected_head=sha256(b"no head"))
    sender.deliver()
    assert (sender.state(good), sender.state(bad)) == ("confirmed", "conflict")


def test_changes_that_lost_their_block_are_found_on_the_chain_and_not_sent_again(sender: Sender, name: str) -> None:
    sender.submit(name, "first")
    sender.deliver()
    numbers = [sender.submit(name, f"text {n}") for n in range(4)]
    sender.deliver()
    for number in numbers[:3]:  # as after a transaction whose nonce another one took
        entry = sender.entry(number)
        lost = replace(
            entry, state="pending", final=False, transaction_hash=b"", detail={**entry.detail, "signed": True}
        )
        sender.outbox.update([lost])
    sender.submit(name, "last")
    sender.deliver()
    assert [sender.state(number) for number in numbers] == ["confirmed"] * 4
    assert len(history(sender.world, name)) == 6


def test_a_change_that_has_to_be_signed_again_goes_with_the_one_before_it(sender: Sender, name: str) -> None:
    sender.submit(name, "first")
    sender.deliver()
    before, again = sender.submit(name, "second"), sender.submit(name, "third")
    sender.outbox.update([replace(sender.entry(again), detail={"signed": True})])
    report = sender.deliver()
    assert report.raise_for(before).transaction_hash == report.raise_for(again).transaction_hash


def test_nothing_is_bound_to_what_votes_decide_or_to_inputs_that_are_not_on_the_chain_yet(
    world: World, sender: Sender, name: str
) -> None:
    data, model = f"{name}-d", f"{name}-m"
    world.dataset(data, name)
    world.trained(model, data)
    numbers = [
        intents.act(sender.desk, wanted).number
        for wanted in (
            Act(model, "model", "train", single(f"more {name}"), (Use("training data", data),)),
            Act(model, "model", "approve"),
            Act(model, "model", "retire"),
        )
    ]
    train, approve, retire = (
        (entry, cast("TransitionIntent", parse_intent(entry.intent))) for entry in map(sender.entry, numbers)
    )
    binder = Binder(sender.resolver, sender.signer.address, world.file.chain_id, world.file.contract, no_registration)
    assert isinstance(binder.bind(*train), Transition)
    assert binder.bind_next(*approve) is None  # it repeats the inputs of a version that is not there
    binder.bind(*approve)
    assert binder.bind_next(*retire) is None


def no_registration(_entry: Entry, _typed: TransitionIntent) -> bytes:
    raise AssertionError


def test_what_was_used_is_used_before_it_changes(sender: Sender, name: str) -> None:
    data, model = f"{name}-data", f"{name}-model"
    for one in (data, model):
        sender.submit(one, "first")
    sender.deliver()
    sender.submit(data, "second")
    user = sender.submit(model, "trained", uses=(Use(name=data),))
    sender.submit(data, "third")
    sender.deliver()
    (used,) = sender.resolver.current_inputs(sender.world.artefact(model))
    assert sender.state(user) == "confirmed"
    assert used.head == heads(sender.world, data)[1]


def test_transitions_of_different_artefacts_share_a_transaction(sender: Sender, name: str) -> None:
    names = [f"{name}-{n}" for n in range(5)]
    for one in names:
        intents.register(sender.desk, one, "code")
    sender.deliver()
    numbers = [sender.submit(one, "text") for one in names]
    report = sender.deliver()
    assert len({report.raise_for(number).transaction_hash for number in numbers}) == 1


def test_a_refused_one_does_not_sink_the_others_of_its_batch(sender: Sender, name: str) -> None:
    names = [f"{name}-{n}" for n in range(4)]
    for one in names:
        sender.submit(one, "text")
    sender.deliver()
    numbers = [sender.submit(one, "more") for one in names[:2]]
    bad = intents.act(sender.desk, Act(names[2], "code", "review")).number  # four eyes: not by the owner
    numbers.append(sender.submit(names[3], "more"))
    report = sender.deliver()
    assert [sender.state(number) for number in numbers] == ["confirmed"] * 3
    assert sender.state(bad) == "refused"
    with pytest.raises(RefusedError) as caught:
        report.raise_for(bad)
    assert caught.value.rule == "FourEyes"


def test_more_than_a_batch_goes_in_several_transactions(sender: Sender, name: str) -> None:
    names = [f"{name}-{n}" for n in range(53)]
    for one in names:
        intents.register(sender.desk, one, "code")
    sender.deliver()
    for one in names:
        sender.submit(one, "text")
    report = sender.deliver()
    assert {entry.state for entry in report.entries} == {"confirmed"}
    assert len({entry.transaction_hash for entry in report.entries}) == 2


class Estimated(Proxy):
    """A ledger that counts its estimates and calls."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.estimates = 0
        self.tried = 0

    def estimate_gas(self, *arguments: Any) -> int:
        self.estimates += 1
        return int(self.real.estimate_gas(*arguments))

    def call(self, *arguments: Any, **options: Any) -> bytes:
        self.tried += len(arguments) > 2
        return bytes(self.real.call(*arguments, **options))


def test_of_many_alike_a_few_are_estimated_and_the_others_tried(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    sender = make_sender(ledger=Estimated(world.ledger))
    theirs = [f"{name}-theirs-{n}" for n in range(2)]
    other = make_sender("data")
    for one in theirs:
        other.submit(one, "of somebody else")
    other.deliver()
    numbers = [sender.submit(f"{name}-{n}", "text") for n in range(11)]
    plain = [f"{name}-plain-{n}" for n in range(9)]
    wanted = [theirs[0], *plain[:5], theirs[1], *plain[5:]]  # one is refused when estimated, one when tried
    registered = {one: intents.register(sender.desk, one, "code").number for one in wanted}
    report = sender.deliver()
    assert {sender.state(registered[one]) for one in theirs} == {"refused"}
    assert all(isinstance(report.errors[registered[one]], RefusedError) for one in theirs)
    assert sender.ledger.estimates == 3 + 3 + 1
    assert sender.ledger.tried == 8 + 8
    sent = [*numbers, *(registered[one] for one in plain)]
    assert {sender.state(n) for n in sent} == {"confirmed"}
    assert len({sender.entry(n).transaction_hash for n in sent}) == 20


class FirstSent(Proxy):
    """A ledger that remembers how many records a store had when the first transaction was handed in."""

    def __init__(self, real: Any, store: FolderStore) -> None:
        super().__init__(real)
        self._store = store
        self.records: list[int] = []

    def send(self, raw: bytes) -> bytes:
        self.records.append(len(list(self._store.root.glob("sha256/*/*"))))
        return bytes(self.real.send(raw))


def test_the_first_go_before_the_last_are_prepared(
    make_sender: Callable[..., Sender], world: World, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.submit.deliver.PORTION", 4)
    shared = FolderStore(tmp_path / "shared")
    sender = make_sender(stores=(world.store, shared))
    sender.ledger = ledger = FirstSent(world.ledger, shared)
    numbers = [sender.submit(f"{name}-{n}", "text") for n in range(10)]
    sender.deliver()
    assert {sender.state(n) for n in numbers} == {"confirmed"}
    # Each has a record of its transition and one of its registration, both there before it goes.
    assert 8 <= ledger.records[0] <= 12  # those of the next four transitions are published meanwhile
    assert ledger.records[-1] == 20


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_record_made_on_the_way_is_on_disk_where_it_is_looked_for(
    make_sender: Callable[..., Sender], world: World, name: str, synced: set[Path], *, is_shared: bool
) -> None:
    sender = make_sender(stores=(world.store,) if is_shared else ())
    sender.submit(name, "one")
    synced.clear()
    sender.deliver()
    (record,) = registrations(world, name)
    folders = {Path(store.root, document_path(record)).parent: store for store in (sender.store, world.store)}
    assert [folder in synced for folder in folders] == [not is_shared, is_shared]
    assert [store.has(record) for store in folders.values()] == [True, is_shared]


def test_only_the_named_entry_goes_with_what_it_follows(sender: Sender, name: str) -> None:
    first, other, second, third = (
        sender.submit(name, "one"),
        sender.submit(f"{name}-other", "one"),
        sender.submit(name, "two"),
        sender.submit(name, "three"),
    )
    report = sender.deliver(only={second})
    assert [entry.number for entry in report.entries] == [first, second]
    assert [sender.state(n) for n in (first, other, second, third)] == ["confirmed", "pending", "confirmed", "pending"]


def test_progress_is_told_entry_by_entry(sender: Sender, name: str) -> None:
    told: list[tuple[int, int, int]] = []
    for text in "abc":
        sender.submit(name, text)
    sender.deliver(progress=lambda done, total, entry: told.append((done, total, entry.number)))
    assert told == [(1, 3, 1), (2, 3, 2), (3, 3, 3)]


def test_delivering_an_empty_outbox_does_nothing(sender: Sender) -> None:
    assert sender.deliver().entries == ()


def test_delivering_again_sends_nothing_again(sender: Sender, name: str) -> None:
    sender.submit(name, "one")
    sender.deliver()
    block = sender.ledger.newest().number
    assert sender.deliver().entries == ()
    assert sender.ledger.newest().number == block


# --------------------------------------------------------------------------------------------------------- inputs


def test_what_another_process_sent_first_is_in_the_report_all_the_same(sender: Sender, name: str) -> None:
    number = sender.submit(name, "one")
    sender.deliver()
    assert sender.entry(number).final
    assert sender.deliver(only={number}).raise_for(number).state == "confirmed"


def test_what_was_used_is_found_by_its_content(sender: Sender, name: str) -> None:
    sender.submit(f"{name}-data", name)
    sender.deliver()
    number = sender.submit(name, "made of it", uses=(Use(content=single(name).digest),))
    sender.deliver().raise_for(number)
    (used,) = sender.resolver.current_inputs(sender.world.artefact(name))
    assert (used.artefact, used.head) == (sender.world.artefact(f"{name}-data"), sender.world.head(f"{name}-data"))


def test_what_was_used_is_found_though_it_comes_from_the_same_outbox(sender: Sender, name: str) -> None:
    sender.submit(f"{name}-data", name)
    number = sender.submit(name, "made of it", uses=(Use(content=single(name).digest),))
    sender.deliver().raise_for(number)
    assert len(sender.resolver.current_inputs(sender.world.artefact(name))) == 1


def test_the_same_version_used_in_two_roles_is_one_input(sender: Sender, name: str) -> None:
    sender.submit(f"{name}-data", name)
    uses = (Use("training data", f"{name}-data"), Use("test data", f"{name}-data"))
    sender.deliver().raise_for(1)
    sender.deliver(only={sender.submit(name, "x", uses=uses)})
    assert len(sender.resolver.current_inputs(sender.world.artefact(name))) == 1


def test_a_named_input_that_does_not_exist_is_refused_in_words(sender: Sender, name: str) -> None:
    number = sender.submit(name, "x", uses=(Use(name="no-such-data"),))
    report = sender.deliver()
    assert report.failed[0].number == number
    assert "no-such-data" in report.failed[0].error


def test_a_file_that_no_version_has_stays_in_the_record_only(sender: Sender, name: str) -> None:
    sender.deliver(only={sender.submit(name, "x", uses=(Use(content=sha256(b"nobody has this")),))})
    assert sender.state(1) == "confirmed"
    assert sender.resolver.current_inputs(sender.world.artefact(name)) == ()


def test_a_refusal_for_want_of_an_input_names_the_files_that_no_version_has(sender: Sender, name: str) -> None:
    content = sha256(b"nobody has this either")
    weights = single("weights")
    record = build_record(
        "transition",
        created_ns=0,
        salt=bytes(SALT_BYTES),
        artefact={"name": name, "kind": "model"},
        action="train",
        content=weights.to_record_field(),
        uses=[{"role": "training data", "path": "data/train.csv", "content": format_digest(content)}],
    )
    sender.store.put(record.bytes)
    used = (Use("training data", content=content),)
    wanted = TransitionIntent(name, "train", record.digest, "model", weights.digest, used, register=True)
    number = sender.outbox.add([wanted.intent()])[0]
    with pytest.raises(RefusedError, match=r"'data/train\.csv' \('training data'\)") as caught:
        sender.deliver().raise_for(number)
    assert caught.value.rule == "InputNeeded"
    assert f"--rebase {number}" in caught.value.hint


def test_what_uses_something_refused_is_held_back_until_it_is_decided(sender: Sender, name: str) -> None:
    sender.submit(f"{name}-data", "first")
    sender.deliver()
    bad = intents.act(sender.desk, Act(f"{name}-data", "code", "review", single("reviewed text"))).number
    held = sender.submit(name, "made of it", uses=(Use(content=single("reviewed text").digest),))
    report = sender.deliver()
    assert [sender.state(n) for n in (bad, held)] == ["refused", "pending"]
    assert f"entry {bad}" in report.waiting[held]
    assert sender.entry(held).error == report.waiting[held]
    drop(sender.outbox, sender.signer.address, bad)
    sender.deliver().raise_for(held)
    assert sender.resolver.current_inputs(sender.world.artefact(name)) == ()


# ------------------------------------------------------------------------------------------------ votes, held inputs


def test_a_model_goes_from_training_to_release_through_five_outboxes(
    world: World, make_sender: Callable[..., Sender], name: str
) -> None:
    data, model, report = f"{name}-d", f"{name}-m", f"{name}-e"
    world.dataset(data, name)
    developer, verifier, client, auditor = (make_sender(who) for who in ("developer", "verifier", "client", "auditor"))

    intents.act(
        developer.desk,
        Act(model, "model", "train", single(f"weights {name}"), (Use("training data", data),), register=True),
    )
    developer.deliver().raise_for(1)
    uses = (Use("model", content=single(f"weights {name}").digest), Use("test data", data))
    intents.act(verifier.desk, Act(report, "evaluation", "report", single(f"good {name}"), uses, register=True))
    verifier.deliver().raise_for(1)
    evidence = client.resolver.input_for(Use(name=report))
    assert evidence is not None
    vote = Vote(model, "model", "approve", world.head(model), None, inputs_commitment((evidence,)), reason="fine")
    for voter in (client, auditor):
        queued = intents.endorse(voter.desk, vote)
        voter.deliver().raise_for(queued.number)
    approval = Act(model, "model", "approve", uses=(Use("evaluation", report),), expected_head=vote.expected_head)
    approved = intents.act(client.desk, approval)
    released = intents.act(client.desk, Act(model, "model", "release"))
    # What votes decide has a head that they decide too, so nothing is bound to it before it is in a block.
    together = client.deliver()
    assert together.raise_for(approved.number).block_number < together.raise_for(released.number).block_number
    standing = client.resolver.standing(world.artefact(model))
    assert standing is not None
    assert client.resolver.definition(standing.lifecycle).state_name(standing.state) == "released"


def test_a_vote_for_an_old_head_is_a_conflict_and_cannot_be_rebased(
    world: World, make_sender: Callable[..., Sender], name: str
) -> None:
    world.dataset(f"{name}-d", name)
    world.trained(name, f"{name}-d")
    seen = world.head(name)
    world.act("developer", name, "train", single("swapped"), uses=(f"{name}-d",), kind="model")
    client = make_sender("client")
    number = intents.endorse(client.desk, Vote(name, "model", "approve", seen)).number
    report = client.deliver()
    with pytest.raises(ConflictError):
        report.raise_for(number)
    with pytest.raises(Exception, match="vote anew"):
        rebase(client.outbox, client.signer.address, number)


# ------------------------------------------------------------------------------------------- conflicts and refusals


@pytest.mark.parametrize(
    ("state", "is_final", "wait", "is_so_far"),
    [
        ("sent", False, None, True),
        ("sent", False, "included", False),
        ("confirmed", False, "included", True),
        ("confirmed", False, "final", False),
        ("confirmed", True, "final", True),
    ],
)
def test_what_did_not_come_as_far_as_was_waited_for_is_no_success(
    state: str,
    is_final: bool,  # noqa: FBT001
    wait: Wait,
    is_so_far: bool,  # noqa: FBT001
) -> None:
    intent = TransitionIntent("a", "submit", bytes(32)).intent("k")
    report = DeliveryReport((Entry(1, intent, state, block_number=7, final=is_final),))
    if is_so_far:
        assert report.raise_for(1, wait).number == 1
    else:
        with pytest.raises(UnreachableError, match=r"not in a block yet|not final yet"):
            report.raise_for(1, wait)


def test_others_send_while_one_waits_for_a_block(world: World, make_sender: Callable[..., Sender], name: str) -> None:
    slow = SlowLedger(world.ledger)
    one, other = (make_sender("developer", "same", ledger=slow) for _ in range(2))
    first, second = one.submit(f"{name}-1", "one"), one.submit(f"{name}-2", "two")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(one.deliver, only={first})
        ends = time.monotonic() + 60
        while one.state(first) != "sent":
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert other.deliver(only={second}, wait=None).raise_for(second).state == "sent"
        assert not waiting.done()
        slow.mine()
        assert waiting.result().raise_for(first, "included").state == "confirmed"
    other.deliver()
    assert other.state(second) == "confirmed"
    assert [len(history(world, f"{name}-{number}")) for number in (1, 2)] == [1, 1]


def test_the_loser_of_a_race_for_a_named_head_gets_a_conflict_and_can_rebase(
    world: World, make_sender: Callable[..., Sender], name: str
) -> None:
    one = make_sender("developer", "one")
    other = make_sender("developer", "other")
    one.deliver(only={one.submit(name, "first")})
    seen = world.head(name)
    winner = one.submit(name, "winner", expected_head=seen)
    loser = other.submit(name, "loser", expected_head=seen)
    one.deliver().raise_for(winner)
    with pytest.raises(ConflictError, match="moved on"):
        other.deliver().raise_for(loser)
    assert len(history(world, name)) == 2
    rebase(other.outbox, other.signer.address, loser)
    other.deliver().raise_for(loser)
    assert len(history(world, name)) == 3


def test_an_unnamed_head_is_whatever_it_is_at_sending(
    world: World, make_sender: Callable[..., Sender], name: str
) -> None:
    one, other = make_sender("developer", "one"), make_sender("developer", "other")
    first, second = one.submit(name, "first"), other.submit(name, "second")
    one.deliver().raise_for(first)
    other.deliver().raise_for(second)
    assert len(history(world, name)) == 2


def test_a_failed_entry_blocks_only_its_own_artefact(sender: Sender, name: str) -> None:
    sender.submit(name, "one")
    sender.deliver()
    bad = intents.act(sender.desk, Act(name, "code", "review")).number
    blocked, free = sender.submit(name, "two"), sender.submit(f"{name}-free", "one")
    report = sender.deliver()
    assert [sender.state(n) for n in (bad, blocked, free)] == ["refused", "pending", "confirmed"]
    assert f"--drop {bad}" in sender.entry(blocked).error
    with pytest.raises(UnreachableError, match=f"entry {bad}"):
        report.raise_for(blocked)
    drop(sender.outbox, sender.signer.address, bad)
    sender.deliver().raise_for(blocked)


def test_a_refused_entry_stays_refused_until_somebody_decides(sender: Sender, name: str) -> None:
    number = intents.act(sender.desk, Act(name, "code", "submit", single("x"))).number  # not registered
    sender.deliver()
    intents_before = sender.entry(number)
    assert sender.deliver().failed == (intents_before,)
    assert "proml register" in intents_before.error


def test_an_entry_that_is_on_the_chain_is_found_there_when_it_is_rebased(
    world: World, sender: Sender, name: str
) -> None:
    number = sender.submit(name, "one")
    sender.deliver()
    before = sender.entry(number)
    rebase(sender.outbox, sender.signer.address, number)
    assert sender.state(number) == "pending"
    after = sender.deliver().raise_for(number)
    assert (after.state, after.transaction_hash) == ("confirmed", before.transaction_hash)
    assert len(history(world, name)) == 1


def test_an_entry_that_only_seemed_to_be_on_the_chain_is_sent_when_it_is_rebased(
    world: World, sender: Sender, name: str
) -> None:
    number = sender.submit(name, "one")
    made_up = sender.entry(number)
    sender.outbox.update(
        [
            replace(
                made_up,
                state="confirmed",
                transaction_hash=b"\x07" * 32,
                block_number=1,
                block_hash=b"\x08" * 32,
                final=True,
                detail={"signed": True, "nonce": 0},
            )
        ]
    )
    assert sender.deliver().entries == ()
    rebase(sender.outbox, sender.signer.address, number)
    assert sender.deliver().raise_for(number).state == "confirmed"
    assert len(history(world, name)) == 1


def test_a_refused_entry_goes_when_it_is_rebased_after_the_reason_is_gone(sender: Sender, name: str) -> None:
    number = intents.act(sender.desk, Act(name, "code", "submit", single("x"))).number
    sender.deliver()
    sender.world.register("developer", name, "code")
    rebase(sender.outbox, sender.signer.address, number)
    sender.deliver().raise_for(number)


@pytest.mark.parametrize(("kind", "action", "word"), [("no-kind", "submit", "no-kind"), ("code", "fly", "fly")])
def test_unknown_kinds_and_actions_are_refused_by_name(
    sender: Sender, name: str, kind: str, action: str, word: str
) -> None:
    number = intents.act(sender.desk, Act(name, kind, action, single("x"), register=True)).number
    sender.deliver()
    assert sender.state(number) == "refused"
    assert word in sender.entry(number).error


def test_a_step_skipped_is_refused_by_the_contract_in_words(
    world: World, make_sender: Callable[..., Sender], name: str
) -> None:
    sender = make_sender("data")
    world.register("data", name, "dataset")
    report = sender.deliver(only={intents.act(sender.desk, Act(name, "dataset", "publish")).number})
    with pytest.raises(RefusedError) as caught:
        report.raise_for(1)
    assert caught.value.rule == "WrongState"
    assert "registered" in str(caught.value)


def test_somebody_who_is_no_member_is_refused(world: World, make_sender: Callable[..., Sender], name: str) -> None:
    sender = make_sender()
    sender.signer = type(sender.signer)(sha256(b"a stranger"))
    report = sender.deliver(only={sender.submit(name, "x")})
    with pytest.raises(RefusedError) as caught:
        report.raise_for(1)
    assert caught.value.rule == "NotAMember"


def test_an_entry_that_cannot_be_read_is_refused_and_the_others_go(sender: Sender, name: str) -> None:
    sender.outbox.add([Intent("broken", "transition", {"name": "x"}, "x"), Intent("odd", "teleport", {}, "")])
    good = sender.submit(name, "x")
    report = sender.deliver()
    assert [entry.state for entry in report.entries] == ["refused", "refused", "confirmed"]
    report.raise_for(good)
    with pytest.raises(InvalidRecord, match="intent broken"):
        report.raise_for(1)


# ------------------------------------------------------------------------------------------ sessions, governance


def test_a_session_key_registers_and_publishes_for_its_member(
    world: World, make_sender: Callable[..., Sender], name: str
) -> None:
    member, job = make_sender("developer"), make_sender("developer", "job")
    key = type(member.signer).generate()
    session = Session(key.address, ROLE_BITS["contributor"], ZERO, 2**39)
    domain = domain_separator(world.file.chain_id, world.file.contract)
    consent = key.sign_hash(session_consent_hash(session, member=member.signer.address, domain=domain))
    member.deliver(only={intents.grant_session(member.desk, Grant(session, consent)).number}).raise_for(1)
    job.signer = key
    job.submit(name, "one")
    job.submit(name, "two")
    assert {entry.state for entry in job.deliver().entries} == {"confirmed"}
    standing = job.resolver.standing(world.artefact(name))
    assert standing is not None
    assert standing.owner == member.signer.address
    member.deliver(only={intents.revoke_session(member.desk, key.address).number}).raise_for(2)
    late = job.submit(name, "three")
    assert job.deliver().failed[0].number == late


def test_an_approval_reaches_the_chain_with_its_documents_in_the_stores(
    world: World, make_sender: Callable[..., Sender]
) -> None:
    from proml.core.calls import set_quorum  # noqa: PLC0415 - only here

    client = make_sender("client")
    proposal = set_quorum(2, sha256(b"salt"))
    queued = intents.govern(client.desk, proposal, documents=(b"{}",))
    client.deliver().raise_for(queued.number)
    answer = world.ledger.call(world.file.contract, encode_view("proposalOf", proposal))
    assert decode_view("proposalOf", answer)[1] == 1
    assert world.store.has(sha256(b"{}"))


# --------------------------------------------------------------------------------------------------------- anchors


def test_one_root_is_anchored_as_it_is(sender: Sender) -> None:
    number = intents.anchor(sender.desk, sha256(b"one root"), 12).number
    entry = sender.deliver().raise_for(number)
    anchored = entry.detail["anchor"]
    assert anchored == {"root": "0x" + sha256(b"one root").hex(), "leaves": 12}


def test_many_roots_share_one_anchor_and_each_keeps_its_proof(sender: Sender) -> None:
    roots = [sha256(b"root %d" % n) for n in range(7)]
    sender.outbox.add([AnchorIntent(root, 3 + n).intent() for n, root in enumerate(roots)])
    report = sender.deliver()
    assert len({entry.transaction_hash for entry in report.confirmed}) == 1
    assert len(report.confirmed) == 7
    for n, entry in enumerate(report.confirmed):
        detail = entry.detail["anchor"]
        assert isinstance(detail, dict)
        assert verify_anchored(roots[n], 3 + n, detail)
        assert not verify_anchored(roots[n], 4 + n, detail)


def test_a_members_anchors_form_a_chain(sender: Sender) -> None:
    for n in range(3):
        intents.anchor(sender.desk, sha256(b"chained %d" % n), 1)
        assert len(sender.deliver().confirmed) == 1
    assert sender.resolver.anchor_head(sender.signer.address) != ZERO


# ---------------------------------------------------------------------------------- stores and ledgers that are away


class AwayStore:
    name = "s3://away"

    def put(self, data: bytes) -> bytes:
        raise UnreachableError("the store is away")

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        raise UnreachableError("the store is away")

    def get(self, digest: bytes) -> bytes:
        raise UnreachableError("the store is away")

    def has(self, digest: bytes) -> bool:
        raise UnreachableError("the store is away")


def test_nothing_is_sent_while_a_store_is_away_and_all_goes_when_it_is_back(
    make_sender: Callable[..., Sender], name: str
) -> None:
    sender = make_sender(stores=[AwayStore()])
    number = sender.submit(name, "one")
    follower = sender.submit(name, "two")
    report = sender.deliver()
    assert [sender.state(n) for n in (number, follower)] == ["pending", "pending"]
    assert "s3://away" in sender.entry(number).error
    with pytest.raises(UnreachableError, match="the store is away"):
        report.raise_for(number)
    assert history(sender.world, name) == []
    sender.stores = (sender.world.store,)
    assert len(sender.deliver().confirmed) == 2


def test_the_other_stores_get_their_copy_while_one_is_away(make_sender: Callable[..., Sender], name: str) -> None:
    sender = make_sender()
    sender.stores = (AwayStore(), sender.world.store)
    queued = intents.register(sender.desk, name, "code")
    sender.deliver()
    assert queued.record is not None
    assert sender.world.store.has(queued.record.digest)


def test_an_entry_whose_record_is_lost_is_not_sent(make_sender: Callable[..., Sender], name: str) -> None:
    sender = make_sender(stores=[])
    number = sender.submit(name, "one")
    for file in (sender.folder / "store").rglob("*"):
        if file.is_file():
            file.unlink()
    sender.deliver()
    assert sender.state(number) == "pending"
    assert "does not have the document" in sender.entry(number).error


@pytest.mark.parametrize("method", ["chain_id", "finalized", "call", "estimate_gas", "fees", "nonce", "send"])
def test_a_ledger_that_goes_away_at_any_step_loses_nothing(
    make_sender: Callable[..., Sender], world: World, name: str, method: str
) -> None:
    sender = make_sender(ledger=Away(world.ledger, {method}))
    number = sender.submit(name, "one")
    if method == "chain_id":
        sender.ledger = _NoChainId(world.ledger)
    with pytest.raises(UnreachableError, match="no answer"):
        sender.deliver()
    assert sender.state(number) in ("pending", "sent")
    sender.ledger = world.ledger
    sender.deliver().raise_for(number)
    assert len(history(world, name)) == 1


class _NoChainId(Proxy):
    @property
    def chain_id(self) -> int:
        raise UnreachableError("chain_id: no answer")


def test_a_ledger_that_is_away_for_a_moment_is_asked_again(
    make_sender: Callable[..., Sender], world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proml.submit.patience import Patience  # noqa: PLC0415 - only here

    monkeypatch.setattr("tests.submit.senders.IMPATIENT", Patience(tries=4, first_s=0.001))
    sender = make_sender(ledger=Away(world.ledger, {"estimate_gas", "send", "receipt"}, calls=3))
    sender.deliver(only={sender.submit(name, "one")}).raise_for(1)


def test_another_chain_than_the_pinned_one_gets_nothing(
    make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    class Other(Proxy):
        genesis_hash = bytes(32)

    sender = make_sender(ledger=Other(world.ledger))
    number = sender.submit(name, "one")
    with pytest.raises(VerificationError, match="not the one of workspace"):
        sender.deliver()
    assert sender.state(number) == "pending"


# --------------------------------------------------------------------------------------------------------- waiting


def test_without_waiting_an_entry_is_left_as_sent(make_sender: Callable[..., Sender], world: World, name: str) -> None:
    slow = SlowLedger(world.ledger)
    sender = make_sender(ledger=slow)
    first, second = sender.submit(name, "one"), sender.submit(name, "two")
    report = sender.deliver(wait=None)
    assert [sender.state(n) for n in (first, second)] == ["sent", "pending"]
    assert "follows entry" in report.waiting[second]
    slow.mine()
    sender.deliver(wait=None)
    slow.mine()
    assert {entry.state for entry in sender.deliver(wait=None).entries} == {"confirmed"}
    assert len(history(world, name)) == 2


def test_waiting_ends_after_the_time_given(make_sender: Callable[..., Sender], world: World, name: str) -> None:
    sender = make_sender(ledger=SlowLedger(world.ledger))
    number = sender.submit(name, "one")
    sender.deliver(timeout_s=0.05)
    assert sender.state(number) == "sent"


def test_what_was_handed_in_cannot_be_dropped(make_sender: Callable[..., Sender], world: World, name: str) -> None:
    sender = make_sender(ledger=SlowLedger(world.ledger))
    number = sender.submit(name, "one")
    sender.deliver(wait=None)
    with pytest.raises(ConflictError, match="handed in already"):
        drop(sender.outbox, sender.signer.address, number)
