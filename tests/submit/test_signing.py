"""A message that one member signs and another sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.submit.senders import Away, Cut, CutOff, Proxy, Sender, SlowLedger, history, registrations
from tests.worlds import World, single

from proml.adapters.issued_file import IssuedFile
from proml.adapters.local_signer import LocalSigner, recover_address
from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.adapters.store_folder import FolderStore
from proml.core.digest import sha256
from proml.core.lifecycle import ROLE_BITS
from proml.core.message_file import Message, parse_message
from proml.core.messages import domain_separator, session_consent_hash
from proml.core.operation import ZERO, Grant, Relayed, Session, Transition
from proml.errors import ConflictError, RefusedError, UnreachableError, VerificationError
from proml.submit import intents
from proml.submit.intents import Act, Desk
from proml.submit.relaying import check, find, queue
from proml.submit.signing import Commission, Signed, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from proml.core.intent import Intent
    from proml.ports import Block
    from proml.submit.intents import Queued

DAY_S = 86_400
MOST_STEPS = 200


class Later:
    """A clock that is ahead by so many seconds."""

    def __init__(self, clock: Any, seconds: int) -> None:
        self._clock = clock
        self._seconds = seconds

    def now_ns(self) -> int:
        return int(self._clock.now_ns()) + self._seconds * 10**9

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


class Taken:
    def __init__(self) -> None:
        self.intents: list[Intent] = []

    def add(self, intents: Sequence[Intent]) -> Sequence[int]:
        self.intents.extend(intents)
        return [len(self.intents)]


def signed(sender: Sender, request: Callable[[Desk], Queued], name: str = "message.json") -> Signed:
    taken = Taken()
    request(Desk(sender.store, taken, sender.clock))
    written: list[bytes] = []
    issued = IssuedFile(sender.folder / "messages.jsonl")
    found = sign(sender.channel, issued, Commission(taken.intents[0], DAY_S, name, written.append))
    assert parse_message(written[0]) == found.message
    return found


def submitted(sender: Sender, name: str, text: str) -> Signed:
    wanted = Act(name, "code", "submit", single(text), register=True)
    return signed(sender, lambda desk: intents.act(desk, wanted), text)


def relay(sender: Sender, message: Message) -> int:
    check(sender.channel, message, recover_address)
    return queue(sender.desk, message)


@pytest.fixture
def pair(make_sender: Callable[..., Sender], world: World, tmp_path: Path) -> tuple[Sender, Sender]:
    """One who signs, by a key that no other test uses, and one who sends."""
    author, carrier = make_sender("developer"), make_sender("auditor")
    key = LocalSigner.generate()
    session = Session(key.address, ROLE_BITS["contributor"], ZERO, 2**39)
    domain = domain_separator(world.file.chain_id, world.file.contract)
    consent = key.sign_hash(session_consent_hash(session, member=author.signer.address, domain=domain))
    author.deliver(only={intents.grant_session(author.desk, Grant(session, consent)).number}).raise_for(1)
    author.signer = key
    return author, carrier


# -------------------------------------------------------------------------------------------------------- signing


def test_signing_only_reads_the_ledger_and_leaves_outbox_and_stores_alone(
    pair: tuple[Sender, Sender], tmp_path: Path, name: str
) -> None:
    author, _ = pair
    author.ledger = Away(author.ledger, {"send", "estimate_gas", "fees", "nonce"})
    author.stores = (FolderStore(tmp_path / "nobody writes here"),)
    entries = len(list(author.outbox.entries()))
    message = submitted(author, name, "text").message
    assert len(message.documents) == 2
    assert len(list(author.outbox.entries())) == entries
    assert not any(author.stores[0].has(sha256(document)) for document in message.documents)


def test_messages_are_numbered_on_from_those_handed_out_and_not_used(pair: tuple[Sender, Sender], name: str) -> None:
    author, carrier = pair
    first, second = submitted(author, f"{name}-1", "one"), submitted(author, f"{name}-2", "two")
    assert [one.message.relayed.relay.nonce for one in (first, second)] == [0, 1]
    assert [one.name for one in second.earlier] == ["one"]
    carrier.deliver(only={relay(carrier, first.message)})
    third = submitted(author, f"{name}-3", "three")
    assert third.message.relayed.relay.nonce == 2
    assert [one.name for one in third.earlier] == ["two"]


def test_the_number_of_a_message_that_is_void_is_given_out_again(pair: tuple[Sender, Sender], name: str) -> None:
    author, _ = pair
    submitted(author, name, "lost")
    author.clock = Later(author.clock, DAY_S + 5)  # type: ignore[assignment]
    again = submitted(author, name, "again")
    assert (again.message.relayed.relay.nonce, again.earlier) == (0, ())


def test_a_number_that_nobody_got_is_not_used_up(pair: tuple[Sender, Sender], name: str) -> None:
    author, _ = pair
    taken = Taken()
    intents.register(Desk(author.store, taken, author.clock), name, "code")

    def fail(_: bytes) -> None:
        raise UnreachableError("the disk is full")

    issued = IssuedFile(author.folder / "messages.jsonl")
    with pytest.raises(UnreachableError):
        sign(author.channel, issued, Commission(taken.intents[0], DAY_S, name, fail))
    assert submitted(author, name, "text").message.relayed.relay.nonce == 0


def test_a_doubt_is_told_in_words(pair: tuple[Sender, Sender], name: str) -> None:
    author, _ = pair
    assert submitted(author, name, "text").doubt == ""
    author.submit(name, "text")
    author.deliver()
    review = signed(author, lambda desk: intents.act(desk, Act(name, "code", "review")))
    assert "review" in review.message.summary
    assert review.doubt


# ------------------------------------------------------------------------------------------------------- relaying


def test_a_relayed_transition_is_its_signers_and_its_records_are_published(
    pair: tuple[Sender, Sender], world: World, name: str
) -> None:
    author, carrier = pair
    message = submitted(author, name, "text").message
    entry = carrier.deliver(only={relay(carrier, message)}).raise_for(1)
    assert (entry.state, entry.intent.kind, entry.intent.artefact) == ("confirmed", "relay", "")
    standing = carrier.resolver.standing(world.artefact(name))
    assert standing is not None
    assert standing.owner == world.people["developer"].address
    assert [world.store.get(sha256(one)) for one in message.documents] == list(message.documents)
    assert {sha256(one) for one in message.documents} == {*history(world, name), *registrations(world, name)}


def test_messages_of_one_signer_in_one_outbox_go_one_after_another(
    pair: tuple[Sender, Sender], world: World, name: str
) -> None:
    author, carrier = pair
    messages = [submitted(author, f"{name}-{n}", "text").message for n in range(3)]
    numbers = [queue(carrier.desk, message) for message in messages]
    report = carrier.deliver()
    assert [report.raise_for(number).state for number in numbers] == ["confirmed"] * 3


def test_a_used_message_is_refused_with_the_transaction_that_used_it(
    pair: tuple[Sender, Sender], make_sender: Callable[..., Sender], name: str
) -> None:
    author, carrier = pair
    message = submitted(author, name, "text").message
    entry = carrier.deliver(only={relay(carrier, message)}).raise_for(1)
    known = find(carrier.outbox, message)
    assert known is not None
    assert known.state == "confirmed"
    with pytest.raises(ConflictError, match=f"used already.*{entry.transaction_hash.hex()}"):
        relay(make_sender("client"), message)


def test_a_message_whose_number_another_one_used_can_never_be_used(pair: tuple[Sender, Sender], name: str) -> None:
    author, carrier = pair
    first = submitted(author, name, "first").message
    (author.folder / "messages.jsonl").unlink()  # as from another folder
    second = submitted(author, f"{name}-2", "second").message
    carrier.deliver(only={relay(carrier, second)}).raise_for(1)
    with pytest.raises(ConflictError, match="by another message"):
        relay(carrier, first)


def test_of_two_who_send_the_same_message_one_is_told_that_it_was_used(
    pair: tuple[Sender, Sender], make_sender: Callable[..., Sender], world: World, name: str
) -> None:
    author, carrier = pair
    message = submitted(author, name, "text").message
    slow = SlowLedger(world.ledger)
    other = make_sender("client", ledger=slow)
    late = relay(other, message)
    other.deliver(wait=None)
    carrier.deliver(only={relay(carrier, message)}).raise_for(1)
    slow.mine()
    with pytest.raises(ConflictError, match="number 0"):
        other.deliver().raise_for(late)
    assert len(history(world, name)) == 1


def test_a_grant_can_be_relayed(make_sender: Callable[..., Sender], world: World) -> None:
    member, carrier, key = make_sender("data"), make_sender("auditor"), LocalSigner.generate()
    session = Session(key.address, ROLE_BITS["contributor"], ZERO, 2**39)
    domain = domain_separator(world.file.chain_id, world.file.contract)
    consent = key.sign_hash(session_consent_hash(session, member=member.signer.address, domain=domain))
    message = signed(member, lambda desk: intents.grant_session(desk, Grant(session, consent))).message
    carrier.deliver(only={relay(carrier, message)}).raise_for(1)
    assert carrier.resolver.actor(key.address).member == member.signer.address
    with pytest.raises(ConflictError, match="used already: to let the session key"):
        relay(make_sender("client"), message)


# -------------------------------------------------------------------------------------------------------- hostile


def test_a_signature_by_somebody_else_is_refused(pair: tuple[Sender, Sender], name: str) -> None:
    author, carrier = pair
    message = submitted(author, name, "text").message
    forged = replace(message.relayed.relay, signature=carrier.signer.sign_hash(message.signed_hash))
    with pytest.raises(VerificationError, match=f"found one by {carrier.signer.address}"):
        relay(carrier, replace(message, relayed=replace(message.relayed, relay=forged)))


def test_the_signature_of_a_contract_is_left_to_the_contract(
    pair: tuple[Sender, Sender], world: World, name: str
) -> None:
    author, carrier = pair
    message = submitted(author, name, "text").message
    by_contract = replace(message.relayed.relay, signer=world.file.contract, signature=b"whatever it takes")
    number = relay(carrier, replace(message, relayed=replace(message.relayed, relay=by_contract)))
    with pytest.raises(RefusedError) as caught:
        carrier.deliver(only={number}).raise_for(number)
    assert caught.value.rule == "SignatureInvalid"


def test_a_signer_who_lies_about_the_transition_is_found_out(pair: tuple[Sender, Sender], name: str) -> None:
    author, carrier = pair
    author.submit(name, "text")
    author.deliver()
    message = submitted(author, name, "harmless").message
    change = message.relayed.operation
    assert isinstance(change, Transition)
    relay_, other = message.relayed.relay, replace(change, rule=2)
    lie = replace(message, relayed=Relayed(other, relay_))
    lie = replace(lie, relayed=Relayed(other, replace(relay_, signature=author.signer.sign_hash(lie.signed_hash))))
    with pytest.raises(VerificationError, match="its transition is 'retire'"):
        relay(carrier, lie)


class LaterChain(Proxy):
    """A chain whose newest block is a day old already when it comes."""

    def newest(self) -> Block:
        block: Block = self.real.newest()
        return replace(block, timestamp=block.timestamp + DAY_S + 5)


def test_a_message_is_sent_from_a_machine_whose_clock_is_ahead(pair: tuple[Sender, Sender], name: str) -> None:
    author, carrier = pair
    carrier.clock = Later(carrier.clock, DAY_S + 5)  # type: ignore[assignment]
    relay(carrier, submitted(author, name, "text").message)


def test_a_message_that_a_machine_whose_clock_is_behind_signs_is_valid_as_long_as_it_says(
    pair: tuple[Sender, Sender], name: str
) -> None:
    author, carrier = pair
    author.clock = Later(author.clock, -2 * DAY_S)  # type: ignore[assignment]
    relay(carrier, submitted(author, name, "text").message)


def test_a_message_that_is_void_is_refused(pair: tuple[Sender, Sender], name: str) -> None:
    author, carrier = pair
    message = submitted(author, name, "text").message
    carrier.ledger = LaterChain(carrier.ledger)
    with pytest.raises(RefusedError) as caught:
        relay(carrier, message)
    assert caught.value.rule == "DeadlinePassed"


# --------------------------------------------------------------------------------------------------- exactly once


@pytest.mark.slow
def test_a_process_that_ends_after_any_call_sends_a_message_once(
    pair: tuple[Sender, Sender], world: World, tmp_path: Path, name: str
) -> None:
    author, _ = pair
    for step in range(1, MOST_STEPS):
        mine = f"{name}-{step}"
        message = submitted(author, mine, "text").message
        carrier = Sender(world, tmp_path / f"carrier-{step}", "auditor")
        number = relay(carrier, message)
        whole, counter = carrier.outbox, [step]
        carrier.outbox, carrier.ledger = CutOff(whole, counter), CutOff(world.ledger, counter)
        try:
            carrier.deliver()
            was_cut = False
        except Cut:
            was_cut = True
        whole.close()
        carrier.ledger, carrier.outbox = world.ledger, SqliteOutbox(carrier.folder / "outbox.sqlite")
        assert carrier.deliver() is not None
        assert carrier.state(number) == "confirmed", step
        assert len(history(world, mine)) == len(registrations(world, mine)) == 1, step
        carrier.outbox.close()
        if not was_cut:
            assert step > 8  # the cuts really went through the whole delivery
            return
    pytest.fail("no delivery came to its end")


def test_a_relayed_message_whose_transaction_the_outbox_lost_is_recognised(
    pair: tuple[Sender, Sender], world: World, name: str
) -> None:
    author, carrier = pair
    number = relay(carrier, submitted(author, name, "text").message)
    done = carrier.deliver().raise_for(number)
    carrier.outbox.update([replace(done, state="pending", transaction_hash=b"", final=False)])
    assert carrier.deliver().raise_for(number).transaction_hash == done.transaction_hash
    assert len(history(world, name)) == 1
