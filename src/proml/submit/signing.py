"""An operation that is bound and signed for somebody else to send (EIP-712), instead of being sent.

The ledger is only read, so the signer needs no funds. The messages of one signer are numbered and go in order; one that
is lost holds the later ones up until its deadline, when its number is given out again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proml.core.calls import decode_view, encode_call, encode_view
from proml.core.intent import EndorseIntent, RegisterIntent, TransitionIntent, documents_of, parse_intent
from proml.core.message_file import Message
from proml.core.operation import Relay, Relayed, records_of
from proml.core.refusal import explain
from proml.errors import UsageError
from proml.ports import Entry, IssuedMessage, Reverted
from proml.submit import chain_time
from proml.submit.bind import Binder
from proml.submit.patience import PatientLedger
from proml.submit.publishing import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.core.operation import Operation
    from proml.ports import Intent, IssuedMessages, Ledger
    from proml.submit.deliver import Channel

_LOCK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Commission:
    """What is to be signed, and how.

    Attributes:
        intent: What is wanted, with its records in the local store.
        lifetime_s: How long the message may be sent, in seconds.
        name: Where the message goes, for people.
        write: Writes the message's bytes there, whole or not at all.
    """

    intent: Intent
    lifetime_s: int
    name: str
    write: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed.

    Attributes:
        message: The message.
        earlier: Messages that were handed out before and not used, which have to be sent before this one.
        doubt: Why the contract would refuse it as things are; empty if it would not.
    """

    message: Message
    earlier: tuple[IssuedMessage, ...] = ()
    doubt: str = ""


def sign(channel: Channel, issued: IssuedMessages, commission: Commission) -> Signed:
    """Signs a message, hands it out, and remembers its number.

    Args:
        channel: Whose key signs, in which workspace; its stores are not written to.
        issued: The messages that were handed out before.
        commission: What is to be signed; bound to rules, heads and inputs as they are now, as delivery would.

    Raises:
        UnknownName: An artefact, kind, action or input does not exist.
        UnreachableError: The ledger does not answer.
        ConflictError: Another process is signing for this account.
    """
    pins, account = channel.workspace, channel.signer.address
    ledger = PatientLedger(channel.ledger, channel.clock, channel.patience)
    with channel.outbox.lock_sender(account, timeout_s=_LOCK_TIMEOUT_S):
        now = chain_time.now_s(ledger, channel.clock)
        operation, documents = _bind(channel, commission.intent)
        first = next_number(ledger, pins.contract, account)
        handed_out = {
            one.nonce: one
            for one in issued.all()
            if (one.contract, one.signer) == (pins.contract, account) and one.nonce >= first and one.deadline >= now
        }
        number = next(n for n in range(first, first + len(handed_out) + 1) if n not in handed_out)
        relay = Relay(account, number, now + commission.lifetime_s, b"")
        unsigned = Message(
            pins.chain_id, pins.contract, Relayed(operation, relay), documents, *_words(commission.intent)
        )
        relay = replace(relay, signature=channel.signer.sign_hash(unsigned.signed_hash))
        message = replace(unsigned, relayed=Relayed(operation, relay))
        doubt = _doubt(channel, ledger, message)
        commission.write(message.to_bytes())
        issued.add(IssuedMessage(pins.contract, account, number, relay.deadline, commission.name))
        earlier = tuple(handed_out[n] for n in sorted(handed_out) if n < number)
        return Signed(message, earlier, doubt)


def next_number(ledger: Ledger, contract: str, signer: str) -> int:
    """Returns the number that the signer's next message must have (``nonceOf``)."""
    (number,) = decode_view("nonceOf", ledger.call(contract, encode_view("nonceOf", signer)))
    return int(number)


def _bind(channel: Channel, intent: Intent) -> tuple[Operation, tuple[bytes, ...]]:
    """Returns the operation that an intent means now, and the documents that go with it."""
    pins, typed = channel.workspace, parse_intent(intent)
    publisher = Publisher(channel.store, (), channel.clock, channel.patience)
    binder = Binder(
        channel.resolver, channel.signer.address, pins.chain_id, pins.contract, publisher.registration_record
    )
    operation = binder.bind(Entry(0, intent, created_ns=channel.clock.now_ns()), typed)
    publisher.publish_made()
    if isinstance(operation, Relayed):
        raise UsageError("a message that another one signed cannot be signed again.", hint="Send it as it is.")
    digests = dict.fromkeys((*records_of(operation), *documents_of(typed)))
    return operation, tuple(channel.store.get(digest) for digest in digests)


def _words(intent: Intent) -> tuple[str, str]:
    """Returns the names of the artefact and of the transition that an intent is about; empty if none."""
    typed = parse_intent(intent)
    action = typed.action if isinstance(typed, TransitionIntent | EndorseIntent) else ""
    name = typed.name if isinstance(typed, RegisterIntent | TransitionIntent | EndorseIntent) else ""
    return name, action


def _doubt(channel: Channel, ledger: Ledger, message: Message) -> str:
    relayed = message.relayed
    try:
        ledger.call(message.contract, encode_call(relayed.operation), sender=relayed.relay.signer)
    except Reverted as reverted:
        return explain(reverted.data, channel.resolver.names, doing="it").message
    return ""
