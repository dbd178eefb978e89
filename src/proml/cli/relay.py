"""``--sign FILE`` and ``proml relay``: an operation that one signs and another sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from proml.cli import output
from proml.cli.group import command
from proml.cli.parameters import Duration
from proml.errors import ConflictError, ContentError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.sending import Sent
    from proml.cli.session import Session
    from proml.core.message_file import Message
    from proml.ports import Intent
    from proml.submit.intents import Desk, Queued
    from proml.submit.signing import Signed
    from proml.wiring import Participant

_F = TypeVar("_F", bound=Callable[..., None])


def signing_options(function: _F) -> _F:
    """Adds ``--sign`` and ``--valid-for`` to a command."""
    lifetime = click.option(
        "--valid-for", "lifetime_s", type=Duration(), default="7d", show_default=True,
        help="With --sign: how long the message may be sent.",
    )  # fmt: skip
    sign = click.option(
        "--sign", "message", type=click.Path(path_type=Path), metavar="FILE",
        help="Send nothing: write a signed message that anybody may send (`proml relay FILE`).",
    )  # fmt: skip
    return sign(lifetime(function))


def sign(
    session: Session, participant: Participant, queue: Callable[[Desk], Queued], target: Path, lifetime_s: int
) -> None:
    """Writes what would go into the outbox as a signed message instead.

    Args:
        session: This invocation.
        participant: Who signs.
        queue: Writes the request down at a desk.
        target: File to write; it must not exist.
        lifetime_s: How long the message may be sent, in seconds.
    """
    from proml.config import write_atomically  # noqa: PLC0415 - only with --sign
    from proml.submit.intents import Desk  # noqa: PLC0415 - takes long to import
    from proml.submit.signing import Commission, sign  # noqa: PLC0415 - as above

    if target.exists():
        raise UsageError(f"{target} exists and is not overwritten.", hint="Choose another name.")
    participant.check_pins()
    taken = _Taken()
    queue(Desk(participant.store, taken, participant.clock))

    def write(data: bytes) -> None:
        write_atomically(target, data, mode=0o644, replace=False)

    commission = Commission(taken.intents[0], lifetime_s, str(target), write)
    signed = sign(participant.channel, participant.issued, commission)
    relay = signed.message.relayed.relay
    document = {
        "signed": str(target), "summary": signed.message.summary, "signer": relay.signer, "nonce": relay.nonce,
        "deadline": relay.deadline, "send_before": [one.name for one in signed.earlier], "doubt": signed.doubt or None,
    }  # fmt: skip
    session.answer(document, _signed_lines(signed, target))


@command("relay", examples="proml endorse tumour-model approve --sign vote.json\nproml relay vote.json")
@click.argument("file", type=click.Path(path_type=Path))
def relay(session: Session, file: Path) -> None:
    """Send a message that another member signed (`--sign FILE`), and pay for it. It counts as that member's.

    A message can be used once, by whoever sends it first, until its deadline, and after the same signer's earlier ones.
    """
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.core.message_file import parse_message  # noqa: PLC0415 - as above

    with session.participant() as participant:
        message = parse_message(_read(file), str(file))
        participant.check_pins()
        up_to_date(session, participant, must=True)
        facts = _facts(participant, message)
        sent = _send(session, participant, message, facts)
        up_to_date(session, participant, must=True)
        entry = sent.entries[0]
        transaction = {"transaction": entry.transaction_hash, "block": entry.block_number, "gas": entry.gas_used}
        line = f"sent what {facts['organisation']} signed: {output.colour(message.summary, 'good')}"
        session.answer({**facts, **transaction, **sent.document}, [line, *sent.lines])


def _send(session: Session, participant: Participant, message: Message, facts: dict[str, object]) -> Sent:
    """Sends a message; one that was asked for before and is on its way goes on from there."""
    from proml.cli.sending import send  # noqa: PLC0415 - takes long to import
    from proml.submit import relaying  # noqa: PLC0415 - as above

    known = relaying.find(participant.outbox, message)
    if known is not None and known.state == "confirmed":
        raise relaying.already_used(message, known.transaction_hash)
    if known is None:
        participant.check_message(message)
    for line in _message_lines(facts):
        session.say(line)
    number = known.number if known is not None else relaying.queue(participant.desk, message)
    try:
        return send(session, participant, [number])
    except (ConflictError, RefusedError) as error:
        # It can be bound to nothing else, so there is nothing to try again with the same entry.
        if participant.outbox.entry(number).state in ("refused", "conflict"):
            participant.drop(number)
        if isinstance(error, ConflictError):
            error.hint = "Look at what changed; only its signer can sign it anew."
        raise


def _facts(participant: Participant, message: Message) -> dict[str, object]:
    """Says what a message does and on whose behalf."""
    relay = message.relayed.relay
    member = participant.resolver.actor(relay.signer).member
    known = {one.account: one.organisation_name or str(one.organisation) for one in participant.model.members()}
    return {
        "summary": message.summary, "name": message.name, "action": message.action, "signer": relay.signer,
        "member": member, "organisation": known.get(member, "no member"), "nonce": relay.nonce,
        "deadline": relay.deadline,
    }  # fmt: skip


def _message_lines(facts: dict[str, object]) -> Iterator[str]:
    """Tells what will be done before it is done."""
    member = f", a session key of {facts['member']}" if facts["member"] != facts["signer"] else ""
    yield from output.fields([
        ("to", facts["summary"]),
        ("signed by", f"{facts['organisation']}  {facts['signer']}{member}"),
        ("valid until", output.when(int(str(facts["deadline"])))),
    ])  # fmt: skip


def _signed_lines(signed: Signed, target: Path) -> Iterator[str]:
    relay, name = signed.message.relayed.relay, output.printable(target)
    yield f"signed, not sent: {output.colour(signed.message.summary, 'name')}"
    yield f"until {output.when(relay.deadline)}, whoever runs `proml relay {name}` sends it"
    if signed.earlier:
        yield f"after {', '.join(output.printable(one.name) for one in signed.earlier)}, signed before and not used yet"
    if signed.doubt:
        yield f"{output.colour('as things are, it would be refused:', 'warn')} {output.printable(signed.doubt)}"


def _read(file: Path) -> bytes:
    from proml.core.message_file import MAX_BYTES  # noqa: PLC0415 - takes long to import

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ContentError(f"{file} cannot be read: {error.strerror}.", hint="Check the path.") from error


class _Taken:
    """Takes intents in without sending them."""

    def __init__(self) -> None:
        self.intents: list[Intent] = []

    def add(self, intents: Sequence[Intent]) -> Sequence[int]:
        """Keeps them."""
        self.intents.extend(intents)
        return range(1, len(intents) + 1)
