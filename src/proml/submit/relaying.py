"""A message that another one signed: checked, then put into the outbox, from which it is delivered like the rest.

Its number lets the contract take it once, whoever sends it and how often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core.calls import encode_call
from proml.core.intent import RelayIntent, new_key
from proml.core.message_file import check_workspace
from proml.core.operation import Endorsement, Transition, artefacts_of
from proml.core.refusal import PlainNames
from proml.errors import ConflictError, RefusedError, VerificationError
from proml.submit.effects import Effects
from proml.submit.patience import PatientLedger
from proml.submit.signing import next_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.core.message_file import Message
    from proml.ports import Entry, Ledger, Outbox
    from proml.submit.deliver import Channel
    from proml.submit.intents import Desk


def check(channel: Channel, message: Message, recover: Callable[[bytes, bytes], str]) -> None:
    """Checks a message against the workspace and the chain.

    Args:
        channel: Who would send it, and where to.
        message: What :func:`proml.core.message_file.parse_message` returned.
        recover: Returns the address whose key made a signature over a hash; raises VerificationError if none did.

    Raises:
        UsageError: It is for another workspace, or about another artefact than it says.
        VerificationError: The signature is not the signer's, or the chain calls the action something else.
        RefusedError: Its deadline has passed.
        ConflictError: It was used already, or earlier ones go first.
    """
    check_workspace(message, channel.workspace)
    ledger = PatientLedger(channel.ledger, channel.clock, channel.patience)
    _check_signature(ledger, message, recover)
    _check_action(channel, message)
    _check_number(channel, ledger, message)
    relay = message.relayed.relay
    # By the chain's time, which is what counts: this machine's clock may be wrong. An idle chain's is old; then the
    # contract has the last word.
    if ledger.newest().timestamp > relay.deadline:
        raise RefusedError(
            "The deadline of the message has passed.",
            rule="DeadlinePassed",
            arguments={"deadline": relay.deadline},
            hint=f"Ask {relay.signer} to sign it again (--valid-for).",
        )


def find(outbox: Outbox, message: Message) -> Entry | None:
    """Returns the entry that this message has in the outbox, if it was asked for before and not given up."""
    prefix = _key_prefix(message)
    entries = outbox.entries("pending", "sent", "confirmed")
    return next((entry for entry in entries if entry.intent.key.startswith(prefix)), None)


def queue(desk: Desk, message: Message) -> int:
    """Stores a message's documents, asks for it to be sent, and returns the entry's number."""
    relay = message.relayed.relay
    wanted = RelayIntent(
        call=encode_call(message.relayed.operation),
        signer=relay.signer,
        nonce=relay.nonce,
        deadline=relay.deadline,
        signature=relay.signature,
        summary=message.summary,
        documents=tuple(desk.store.put(document) for document in message.documents),
    )
    return desk.outbox.add([wanted.intent(new_key(_key_prefix(message)))])[0]


def already_used(message: Message, transaction_hash: bytes | None) -> ConflictError:
    """Returns the error that says that a message cannot be used again.

    Args:
        message: The message.
        transaction_hash: The transaction that used it; None if another message used its number.
    """
    relay = message.relayed.relay
    if transaction_hash is None:
        return ConflictError(
            f"The number of this message ({relay.nonce}) was used already, by another message of {relay.signer}.",
            hint="It can never be used; ask its signer to sign it again.",
        )
    return ConflictError(
        f"This message was used already: to {message.summary}, in transaction 0x{transaction_hash.hex()}.",
        hint="Nothing is left to do.",
    )


def _check_signature(ledger: Ledger, message: Message, recover: Callable[[bytes, bytes], str]) -> None:
    relay = message.relayed.relay
    try:
        found = recover(message.signed_hash, relay.signature)
    except VerificationError:
        found = "nobody's key"
    # What a contract signs is for the contract to say (EIP-1271): it is asked when the message is tried.
    if found != relay.signer and not ledger.code(relay.signer):
        raise VerificationError(
            f"Expected a signature by {relay.signer} over this message, found one by {found}: the file was changed, or "
            "somebody else signed it.",
            hint="Ask the signer for the file again; nothing was sent.",
        )


def _check_action(channel: Channel, message: Message) -> None:
    """Compares what the message calls its transition with what its lifecycle on chain calls it."""
    operation, names = message.relayed.operation, channel.resolver.names
    for artefact in artefacts_of(operation):
        channel.resolver.artefact_id(message.name)  # lets messages call it by its name
        if isinstance(operation, Transition | Endorsement):
            called = names.rule(artefact, operation.rule)
            if called not in (message.action, PlainNames().rule(artefact, operation.rule)):
                raise VerificationError(
                    f"The message says that it is to {message.summary}; on chain, its transition is {called!r}.",
                    hint="Its signer was misled, or misleads; nothing was sent.",
                )


def _check_number(channel: Channel, ledger: Ledger, message: Message) -> None:
    relay, pins = message.relayed.relay, channel.workspace
    following = next_number(ledger, pins.contract, relay.signer)
    if relay.nonce > following:
        raise ConflictError(
            f"Earlier messages of {relay.signer} go first: this one has number {relay.nonce}, the next one to be used "
            f"has number {following}.",
            hint="Relay those first; if one was lost, the signer can sign anew after its deadline.",
        )
    if relay.nonce < following:
        effects = Effects(ledger, pins.contract, pins.first_block, channel.resolver, relay.signer)
        wanted = RelayIntent(
            encode_call(message.relayed.operation), relay.signer, relay.nonce, relay.deadline, relay.signature
        )
        raise already_used(message, effects.find(wanted))


def _key_prefix(message: Message) -> str:
    return f"relay:{message.signed_hash.hex()}"
