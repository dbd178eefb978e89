"""``--sign FILE`` and ``proml relay``: an operation that one signs and another sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from proml.cli import output
from proml.cli.group import command
from proml.cli.parameters import Duration
from proml.errors import ContentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.cli.session import Session
    from proml.ports import Intent
    from proml.submit.intents import Desk, Queued
    from proml.wiring import Participant

_SIZE_LIMIT = 1 << 20
_F = TypeVar("_F", bound=Callable[..., None])


def signing_options(function: _F) -> _F:
    """Adds ``--sign`` and ``--valid-for`` to a command."""
    lifetime = click.option(
        "--valid-for", "lifetime_s", type=Duration(), default="1d", show_default=True,
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
        target: File to write.
        lifetime_s: How long the message may be sent, in seconds.
    """
    from proml.config import write_atomically  # noqa: PLC0415 - only with --sign
    from proml.submit.intents import Desk  # noqa: PLC0415 - takes long to import
    from proml.submit.single import sign_message  # noqa: PLC0415 - takes long to import

    taken = _Taken()
    queue(Desk(participant.store, taken, participant.clock))
    write_atomically(target, sign_message(participant.channel, taken.intents[0], lifetime_s=lifetime_s), mode=0o644)
    line = f"signed; whoever runs `proml relay {output.printable(target)}` sends it"
    session.answer({"signed": str(target), "signer": participant.signer.address}, [line])


@command("relay", examples="proml endorse tumour-model approve --sign vote.json\nproml relay vote.json")
@click.argument("file", type=click.Path(path_type=Path))
def relay(session: Session, file: Path) -> None:
    """Send a message that another member signed (`--sign FILE`), and pay for it. It counts as that member's."""
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.submit.single import Transaction, read_message, transact  # noqa: PLC0415 - takes long to import

    try:
        with file.open("rb") as opened:
            data = opened.read(_SIZE_LIMIT)
    except OSError as error:
        raise ContentError(f"{file} cannot be read: {error.strerror}.", hint="Check the path.") from error
    with session.participant() as participant:
        workspace = participant.workspace
        call, operation, signed = read_message(data, workspace, str(file))
        participant.check_pins()
        wanted = Transaction(workspace.contract, call, "the signed message", participant.resolver.names)
        receipt = transact(participant.ledger, participant.signer, participant.clock, wanted)
        up_to_date(session, participant, must=True)
        what = type(operation).__name__.lower()
        document = {
            "operation": what, "signer": signed.signer, "transaction": receipt.transaction_hash,
            "block": receipt.block_number, "gas": receipt.gas_used,
        }  # fmt: skip
        lines = [
            f"sent the {what} that {output.short(signed.signer)} signed",
            output.colour(
                f"transaction {output.short(receipt.transaction_hash)}  block {receipt.block_number}  "
                f"gas {receipt.gas_used:,}",
                "dim",
            ),
        ]
        session.answer(document, lines)


class _Taken:
    """Takes intents in without sending them."""

    def __init__(self) -> None:
        self.intents: list[Intent] = []

    def add(self, intents: Sequence[Intent]) -> Sequence[int]:
        """Keeps them."""
        self.intents.extend(intents)
        return range(1, len(intents) + 1)
