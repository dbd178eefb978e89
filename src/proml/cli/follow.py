"""Following the chain before an answer: commands that read show what the chain says now, or say how old it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.cli import output
from proml.errors import UnreachableError

if TYPE_CHECKING:
    from proml.cli.session import Session
    from proml.wiring import Participant


def up_to_date(session: Session, participant: Participant, *, must: bool = False) -> dict[str, object]:
    """Follows the chain into the read model.

    Args:
        session: This invocation.
        participant: Whose working folder.
        must: Raise when the ledger does not answer, instead of answering from what is known.

    Returns:
        Up to which block the answer is, and, when the ledger did not answer, why.
    """
    try:
        with output.progress("following the chain", quiet=session.as_json) as advance:
            report = participant.follow(advance)
    except UnreachableError as error:
        position = participant.model.position()
        if must or position.block_number < 0:
            raise
        session.say(
            f"{output.colour('warning:', 'warn')} the ledger does not answer; this is as of "
            f"{output.when(position.followed_at)}, block {position.block_number}."
        )
        return {"block": position.block_number, "unreachable": error.message}
    if report.rolled_back_to is not None:
        session.say(f"the chain was reorganised; followed again from block {report.rolled_back_to}.")
    if report.rebuilt:
        session.detail("the read model was made anew.")
    return {"block": report.last_block, "rolled_back_to": report.rolled_back_to, "rebuilt": report.rebuilt}
