"""``proml id rotate``: replace a member's key by a new one, step by step, through governance."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.group import command
from proml.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.cli.session import Session
    from proml.core.operation import Proposal
    from proml.identity import Identity
    from proml.wiring import Participant


@dataclass(frozen=True, slots=True)
class _Rotation:
    """From which key to which."""

    participant: Participant
    old: Identity
    new: Identity

    def steps(self) -> Iterator[tuple[str, Proposal]]:
        """Yields what is still to be done, in order, as the chain stands; each only when those before are done.

        The new key first becomes a member beside the old one, since artefacts can only go to a member, and the old one
        is removed last, so that at no time nobody of the organisation can act.
        """
        from proml.cli import governing  # noqa: PLC0415 - takes long to import
        from proml.core.operation import Member  # noqa: PLC0415 - as above

        model = self.participant.model
        members = {member.account: member for member in model.members()}
        old, new = members.get(self.old.address), members.get(self.new.address)
        roles, organisation = (old.roles, old.organisation) if old is not None else (0, 0)
        if roles and (new is None or new.roles & roles != roles):
            member = Member(self.new.address, organisation, roles | (new.roles if new else 0))
            yield "make the new key a member", governing.calls.set_member(member, secrets.token_bytes(32))
            return
        artefacts = tuple(artefact.id for artefact in model.artefacts(owner=self.old.address))
        if artefacts:
            recovery = governing.Recovery(self.old.address, self.new.address, artefacts)
            yield f"give it {len(artefacts)} artefacts", governing.calls.recover(recovery, secrets.token_bytes(32))
            return
        if roles:
            gone = Member(self.old.address, organisation, 0)
            yield "remove the old key", governing.calls.set_member(gone, secrets.token_bytes(32))


@command(
    "rotate",
    examples="""
        proml id rotate
        proml id rotate alice --to alice-2027
    """,
)
@click.argument("name", required=False)
@click.option("--to", "successor", default="", help="Name of the new identity; made if it does not exist.")
def rotate(session: Session, name: str | None, successor: str) -> None:
    """Replace a member's key by a new one: same organisation, same roles, all its artefacts.

    These are changes of governance: where it needs admins of several organisations, each step waits for their approval,
    and running the command again goes on from there. What the old key signed stays valid.
    """
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.wiring import open_participant  # noqa: PLC0415 - as above

    with open_participant(session.start, identity=name) as participant:
        up_to_date(session, participant, must=True)
        old = participant.identity
        if old.member:
            raise IdentityError(f"{old.name} is a session key.", hint="Make a new one with `proml id session`.")
        successor = successor or f"{old.name}-new"
        known = {identity.name for identity in participant.identities.list()}
        new = participant.identities.get(successor) if successor in known else participant.identities.new(successor)
        done = _go(session, _Rotation(participant, old, new))
        finished = done is None
        if finished:
            _use_from_now_on(participant, new)
        document = {
            "old": {"name": old.name, "address": old.address}, "new": {"name": new.name, "address": new.address},
            "finished": finished, "waiting_for": done,
        }  # fmt: skip
        lines = [
            f"{old.name} is replaced by {output.colour(new.name, 'name')}  {new.address}; it signs here from now on."
            if finished
            else f"waiting for approval: {done}. Then run the command again."
        ]
        session.answer(document, lines)


def _go(session: Session, rotation: _Rotation) -> str | None:
    """Takes the steps that can be taken; returns the one that waits for approval by others, or None at the end."""
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.cli.sending import send  # noqa: PLC0415 - as above
    from proml.core.operation import Proposal  # noqa: PLC0415 - as above
    from proml.submit import intents  # noqa: PLC0415 - as above

    participant = rotation.participant
    while step := next(rotation.steps(), None):
        what, proposal = step
        open_now = [
            view for view in participant.model.proposals()
            if not view.executed and not view.void and (view.action, view.data) == (proposal.action, proposal.data)
        ]  # fmt: skip
        if any(rotation.old.address in (admin for admin, _ in view.approvals) for view in open_now):
            return what
        if open_now:
            proposal = Proposal(open_now[0].action, open_now[0].salt, open_now[0].data)
        session.say(f"{what} …")
        send(session, participant, [intents.govern(participant.desk, proposal).number])
        up_to_date(session, participant, must=True)
        same = (v for v in participant.model.proposals() if (v.action, v.salt) == (proposal.action, proposal.salt))
        view = next(same, None)
        if view is not None and not view.executed:
            return what
    return None


def _use_from_now_on(participant: Participant, new: Identity) -> None:
    from dataclasses import replace  # noqa: PLC0415 - only here

    from proml.config import write_config  # noqa: PLC0415 - only here

    write_config(participant.folder, replace(participant.config, identity=new.name))
