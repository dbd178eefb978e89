"""``proml endorse`` and ``proml reject``: votes on transitions that need a quorum of organisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import actions, artefacts
from proml.cli.group import command
from proml.cli.relay import sign, signing_options
from proml.errors import ConflictError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proml.cli.choosing import Choice
    from proml.cli.sending import Sent
    from proml.cli.session import Session
    from proml.core.intent import Use
    from proml.index.views import BallotView
    from proml.wiring import Participant


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.argument("name", shell_complete=artefacts),
        click.argument("action", shell_complete=actions),
        click.argument("path", required=False),
        click.option(
            "--use", "uses", multiple=True, metavar="[ROLE=]ARTEFACT[@VERSION]", shell_complete=artefacts,
            help="What the transition will name as used; those of the open ballot by default.",
        ),
        click.option("--reason", default="", help="Why, in words."),
        signing_options,
    )[::-1]:  # fmt: skip
        function = option(function)
    return function


@command(
    "endorse",
    examples="""
        proml endorse tumour-model approve --use evaluation=tumour-evaluation
        proml endorse tumour-model approve --reason "sensitivity is above what was agreed"
    """,
)
@_options
def endorse(  # one option each
    session: Session, *, name: str, action: str, path: str | None, uses: tuple[str, ...], reason: str,
    message: Path | None, lifetime_s: int,
) -> None:  # fmt: skip
    """Vote for a transition, exactly as it is to be performed: on this head, with this content and these inputs.

    Your vote is void when the artefact moves on. Without --use and PATH, and with one ballot open, it is for what the
    others voted on; that is shown.
    """
    _vote(session, _Wish(name, action, path, uses, reason, message, lifetime_s, approve=True))


@command("reject", examples='proml reject tumour-model approve --reason "the test set is too small"')
@_options
def reject(  # one option each
    session: Session, *, name: str, action: str, path: str | None, uses: tuple[str, ...], reason: str,
    message: Path | None, lifetime_s: int,
) -> None:  # fmt: skip
    """Vote against a transition: signed and recorded like an endorsement."""
    _vote(session, _Wish(name, action, path, uses, reason, message, lifetime_s, approve=False))


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for on the command line."""

    name: str
    action: str
    path: str | None
    uses: tuple[str, ...]
    reason: str
    message: Path | None
    lifetime_s: int
    approve: bool


def _vote(session: Session, wish: _Wish) -> None:
    from proml.cli import choosing  # noqa: PLC0415 - takes long to import
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - as above
    from proml.cli.sending import send  # noqa: PLC0415 - as above
    from proml.core.heads import inputs_commitment  # noqa: PLC0415 - as above
    from proml.submit import intents  # noqa: PLC0415 - as above

    with session.participant() as participant:
        up_to_date(session, participant, must=True)
        choice = choosing.choose(participant, wish.name, wish.action)
        _check_votable(choice)
        content, uses = _subject(session, participant, choice, wish)
        vote = intents.Vote(
            name=wish.name, kind=choice.definition.name, action=wish.action, expected_head=choice.artefact.head,
            content=content, inputs_commitment=inputs_commitment(choosing.resolve(participant, uses)), uses=uses,
            reason=wish.reason,
        )  # fmt: skip
        queue = intents.endorse if wish.approve else intents.reject
        if wish.message is not None:
            sign(session, participant, lambda desk: queue(desk, vote), wish.message, wish.lifetime_s)
            return
        sent = send(session, participant, [queue(participant.desk, vote).number])
        up_to_date(session, participant, must=True)
        ballot = next(
            (b for b in choosing.open_ballots(participant, choice)
             if b.inputs_commitment == vote.inputs_commitment or not any(b.inputs_commitment + vote.inputs_commitment)),
            None,
        )  # fmt: skip
        document = {
            "artefact": choice.artefact.to_json(), "action": wish.action, "approve": wish.approve,
            "content": f"sha256:{content.hex()}" if content else None, "uses": [use.to_json() for use in uses],
            "ballot": ballot.to_json() if ballot else None, **sent.document,
        }  # fmt: skip
        session.answer(document, _lines(wish, uses, ballot, sent))


def _check_votable(choice: Choice) -> None:
    if choice.transition is None:
        now = choice.definition.actions(choice.artefact.state)
        raise RefusedError(
            f"{choice.action} does not start in the state {choice.artefact.state} that {choice.artefact.label} is in.",
            rule="WrongState",
            hint=f"Possible now: {', '.join(now) or 'nothing'}.",
        )
    if not choice.transition.quorum:
        raise RefusedError(
            f"{choice.action} takes no votes.", rule="NoQuorum",
            hint=f"`proml act {choice.artefact.label} {choice.action}` performs it.",
        )  # fmt: skip


def _subject(
    session: Session, participant: Participant, choice: Choice, wish: _Wish
) -> tuple[bytes | None, tuple[Use, ...]]:
    """What is voted on: content and inputs as named, or those of the one open ballot."""
    from proml.cli import choosing  # noqa: PLC0415 - takes long to import

    if wish.path is not None or wish.uses:
        content = choosing.hash_content(session, wish.path).manifest.digest if wish.path is not None else None
        return content, choosing.parse_uses(session, participant, wish.uses)
    ballots = choosing.open_ballots(participant, choice)
    if len(ballots) > 1:
        raise ConflictError(
            f"{len(ballots)} ballots on {choice.action} are open, for different content or inputs.",
            hint="Say which you mean with --use (and PATH); `proml status NAME` shows them.",
        )
    if ballots:
        uses = choosing.uses_of_ballot(participant, ballots[0])
        content = ballots[0].content if any(ballots[0].content) else None
        for text in (f"content sha256:{content.hex()}" if content else "", ", ".join(map(choosing.use_label, uses))):
            if text:
                session.say(f"as voted on by others: {output.printable(text)}")
        return content, uses
    if choice.transition is not None and "needs-content" in choice.transition.guards:
        raise UsageError(
            f"{choice.action} brings new content, and a vote is for exactly that content.",
            hint=f"Name it: proml endorse {choice.artefact.label} {choice.action} PATH",
        )
    if choice.transition is not None and choice.transition.evidence:
        raise UsageError(
            f"{choice.action} needs an {choice.transition.evidence} as evidence, and a vote is for exactly that one.",
            hint=f"Name it: proml endorse {choice.artefact.label} {choice.action} --use NAME",
        )
    return None, ()


def _lines(wish: _Wish, uses: tuple[Use, ...], ballot: BallotView | None, sent: Sent) -> Iterator[str]:
    from proml.cli.choosing import use_label  # noqa: PLC0415 - takes long to import

    verdict = output.colour("endorsed", "good") if wish.approve else output.colour("rejected", "bad")
    yield f"{verdict} {output.printable(wish.action)} of {output.colour(wish.name, 'name')}"
    if uses:
        yield from output.fields([("using", ", ".join(map(use_label, uses)))])
    if ballot is not None:
        reached = f"; `proml act {wish.name} {wish.action}` can be performed" if ballot.reached else ""
        yield f"{ballot.endorsed} of {ballot.needed} organisations have endorsed, {ballot.rejected} rejected{reached}"
    yield from sent.lines
