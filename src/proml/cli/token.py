"""``proml node token``: which participants may read the content that is shared here, and place some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.group import Group, Lazy, command
from proml.cli.parameters import Size

if TYPE_CHECKING:
    from proml.adapters.sharing_sqlite import Peer, SqliteSharing
    from proml.cli.session import Session
    from proml.wiring import Participant

_HERE = "proml.cli.token"


@click.group(
    "token",
    cls=Group,
    lazy={
        "new": Lazy(f"{_HERE}:new", "Make a token for another participant."),
        "list": Lazy(f"{_HERE}:list_", "Who has a token, and what they placed."),
        "revoke": Lazy(f"{_HERE}:revoke", "Make a participant's token void."),
    },
    examples="""
        proml node token new clinic -o clinic.token
        proml node token new clinic --may-put 100G
        proml node token revoke clinic
    """,
)
def token() -> None:
    """Tokens of other participants: for the content that you share (`proml content share`), and nothing else."""


@command("new", examples="proml node token new clinic -o clinic.token\nproml node token new archive --may-put 2T")
@click.argument("peer")
@click.option("--may-put", "quota_bytes", type=Size(), default=0, metavar="SIZE",
              help="It may also place content here, of so many bytes in all, such as 100G.")  # fmt: skip
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the token there, readable for you only, instead of printing it.")  # fmt: skip
def new(session: Session, peer: str, *, quota_bytes: int, path: Path | None) -> None:
    """Make a token for another participant.

    Hand it over as you would a password. It is kept here as a hash, so it cannot be shown again; a node that runs
    knows it at once.
    """
    from proml.config import write_atomically  # noqa: PLC0415 - keeps --help quick
    from proml.errors import UsageError  # noqa: PLC0415 - as above
    from proml.places import check_name  # noqa: PLC0415 - as above

    check_name(peer, "the peer")
    if path is not None and path.exists():
        raise UsageError(f"{path} exists and is not overwritten.", hint="Choose another name.")
    with session.participant() as participant:
        made = _sharing(participant).new_peer(peer, may_put=bool(quota_bytes), quota_bytes=quota_bytes)
    if path is not None:
        write_atomically(path, f"{made}\n".encode(), replace=False)
    allowed = f"may read, and place {output.size(quota_bytes)}" if quota_bytes else "may read"
    document = {"peer": peer, "may_put": bool(quota_bytes), "quota_bytes": quota_bytes}
    session.answer(
        {**document, "token_file": str(path)} if path else {**document, "token": made},
        [f"{output.colour(peer, 'name')} {allowed}", *output.fields([("token", path or made)])],
    )


@command("list", examples="proml node token list")
def list_(session: Session) -> None:
    """Who has a token, and what they placed."""
    with session.participant() as participant:
        peers = _sharing(participant).peers()
    rows = [(peer.name, *_allowance(peer), output.when(peer.created)) for peer in peers]
    lines = output.table(("peer", "may", "placed", "since"), rows) if peers else ["Nobody has a token."]
    session.answer({"peers": [output.plain(peer) for peer in peers]}, lines)


@command("revoke", examples="proml node token revoke clinic")
@click.argument("peer")
def revoke(session: Session, peer: str) -> None:
    """Make a participant's token void, at once. What it placed stays."""
    with session.participant() as participant:
        _sharing(participant).revoke(peer)
    session.answer({"revoked": peer}, [f"the token of {output.colour(peer, 'name')} is void"])


def _allowance(peer: Peer) -> tuple[str, str]:
    placed = output.size(peer.placed_bytes)
    if not peer.may_put:
        return "read", placed
    return "read, put", f"{placed} of {output.size(peer.quota_bytes)}"


def _sharing(participant: Participant) -> SqliteSharing:
    from proml.content_wiring import open_sharing  # noqa: PLC0415 - keeps --help quick

    return open_sharing(participant)
