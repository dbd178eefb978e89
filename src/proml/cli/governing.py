"""Governance of a workspace: proposing and approving changes, and saying in words what they would do."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from proml.cli import output
from proml.cli.follow import up_to_date
from proml.cli.lifecycle import read_definition
from proml.cli.parameters import role_names
from proml.cli.sending import send
from proml.core import calls
from proml.core.lifecycle_reading import from_document
from proml.core.operation import Lifecycle, Member, Proposal, Recovery, Revocation
from proml.core.words import parse_address
from proml.errors import ConflictError, ProMLError, UnknownName
from proml.submit import intents
from proml.workspace import check_lifecycles, encode_lifecycles, write_workspace_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.cli.session import Session
    from proml.core.lifecycle import Definition
    from proml.index.views import ProposalView
    from proml.wiring import Participant

__all__ = [
    "Proposal",
    "Recovery",
    "Revocation",
    "approve",
    "calls",
    "find_proposal",
    "new_salt",
    "organisation_number",
    "parse_address",
    "propose",
    "propose_lifecycle",
    "propose_member",
    "rows",
    "words",
]

_PREFIX_DIGITS = 4


def propose(session: Session, participant: Participant, proposal: Proposal, documents: tuple[bytes, ...] = ()) -> None:
    """Approves a new proposal as the first, and says who else has to.

    Args:
        session: This invocation.
        participant: Who proposes; an admin.
        proposal: The change.
        documents: Documents that approvers need to read, as canonical JSON.
    """
    _govern(session, participant, proposal, documents)


def approve(session: Session, participant: Participant, reference: str) -> None:
    """Approves a proposal that somebody else made.

    Args:
        session: This invocation.
        participant: Who approves; an admin.
        reference: The proposal's id, or enough of its beginning.

    Raises:
        UnknownName: No open proposal has it, or several have.
        ConflictError: It was carried out already, or a change of members or quorum made its approvals void.
    """
    up_to_date(session, participant, must=True)
    found = find_proposal(participant, reference)
    if found.executed:
        raise ConflictError(f"proposal {output.short(found.proposal)} was carried out already.")
    if found.void:
        raise ConflictError(
            f"the approvals of proposal {output.short(found.proposal)} became void when members or quorum changed.",
            hint="Propose it again.",
        )
    _govern(session, participant, Proposal(found.action, found.salt, found.data), ())


def find_proposal(participant: Participant, reference: str) -> ProposalView:
    """Returns the proposal whose id begins like this."""
    digits = reference.lower().removeprefix("0x").split("…")[0]
    found = [
        p
        for p in participant.model.proposals()
        if len(digits) >= _PREFIX_DIGITS and p.proposal.hex().startswith(digits)
    ]
    if len(found) == 1:
        return found[0]
    raise UnknownName(
        f"{'no proposal' if not found else f'{len(found)} proposals'} with an id that begins with {reference!r}.",
        hint=f"Give at least {_PREFIX_DIGITS} hex digits; `proml workspace members` lists the open proposals.",
    )


def propose_lifecycle(session: Session, which: str) -> None:
    """Proposes to add the lifecycle that a TOML file defines, or a shipped one by its kind."""
    definition = read_definition(which)
    if definition is None:
        raise UnknownName(
            f"{which!r} is neither a TOML file nor a lifecycle that comes with ProML.",
            hint="`proml lifecycle list --shipped` shows those.",
        )
    with session.participant() as participant:
        up_to_date(session, participant, must=True)
        numbers = {view.name: view.number for view in participant.model.lifecycles()}
        check_lifecycles([definition], kinds=list(numbers))
        (encoded,) = encode_lifecycles([definition], numbers)
        propose(session, participant, calls.add_lifecycle(encoded, new_salt()), (definition.bytes,))


def propose_member(session: Session, participant: Participant, member: Member, organisation: str) -> None:
    """Proposes to set a member; a new organisation's name goes into the workspace file, which has to be handed out."""
    workspace = participant.workspace
    if workspace.organisations.get(member.organisation) != organisation:
        names = {**workspace.organisations, member.organisation: organisation}
        participant.workspace = replace(workspace, organisations=names)
        write_workspace_file(participant.folder.workspace_file(participant.config), participant.workspace)
        session.say(
            f"{output.printable(organisation)} is organisation {member.organisation}; its name is in your workspace "
            "file: hand the file out again (`proml workspace file`)."
        )
    propose(session, participant, calls.set_member(member, new_salt()))


def organisation_number(participant: Participant, name: str) -> int:
    """Returns an organisation's number: the one it has, or the next free one."""
    known = {organisation: number for number, organisation in participant.workspace.organisations.items()}
    taken = {*known.values(), *(member.organisation for member in participant.model.members())}
    return known.get(name) or max(taken, default=0) + 1


def new_salt() -> bytes:
    """Returns a salt that tells equal changes apart."""
    return secrets.token_bytes(32)


def words(participant: Participant, proposal: Proposal) -> str:  # noqa: PLR0911 - one per kind of change
    """Returns what a proposal would do, in words."""
    try:
        change = calls.decode_proposal(proposal)
    except ProMLError as error:
        return f"something that is not understood ({error.message})"
    workspace = participant.workspace
    match change:
        case Member():
            organisation = workspace.organisations.get(change.organisation) or f"organisation {change.organisation}"
            roles = ", ".join(role_names(change.roles, workspace.roles))
            if not roles:
                return f"remove member {change.account} of {organisation}"
            return f"make {change.account} a member of {organisation} as {roles}"
        case Lifecycle():
            definition = _definition(participant, change.definition)
            name = f"{definition.name} version {definition.version}" if definition else "of an unavailable definition"
            return f"add the lifecycle {name} (sha256:{change.definition.hex()})"
        case Recovery():
            return f"give {len(change.artefacts)} artefacts of {change.owner} to {change.new_owner}"
        case Revocation():
            return f"revoke the session key {change.key}"
        case _:
            return f"let governance need admins of {change} organisations"


def rows(participant: Participant, proposals: list[ProposalView]) -> Iterator[tuple[object, ...]]:
    """Yields proposals as rows of a table: id, approvals, state, what."""
    for found in proposals:
        state = "carried out" if found.executed else "void" if found.void else "open"
        change = words(participant, Proposal(found.action, found.salt, found.data))
        yield output.short(found.proposal), f"{len(found.approvals)}/{found.needed}", state, change


def _definition(participant: Participant, digest: bytes) -> Definition | None:
    from proml.core.canonical import parse_json  # noqa: PLC0415 - used here only

    try:
        return from_document(parse_json(participant.store.get(digest), "the definition"))
    except ProMLError:
        return None


def _govern(session: Session, participant: Participant, proposal: Proposal, documents: tuple[bytes, ...]) -> None:
    for document in documents:
        participant.store.put(document)
    change = words(participant, proposal)
    session.say(f"approving: {output.printable(change)}")
    sent = send(session, participant, [intents.govern(participant.desk, proposal, documents=documents).number])
    up_to_date(session, participant, must=True)
    same = (p for p in participant.model.proposals() if (p.action, p.salt, p.data) == _key(proposal))
    found = next(same, None)
    answer: dict[str, object] = {"change": change, "proposal": found.to_json() if found else None, **sent.document}
    session.answer(answer, [*_outcome(found, change), *sent.lines])


def _key(proposal: Proposal) -> tuple[int, bytes, bytes]:
    return proposal.action, proposal.salt, proposal.data


def _outcome(found: ProposalView | None, change: str) -> Iterator[str]:
    if found is None or found.executed:
        yield f"{output.colour('carried out:', 'good')} {output.printable(change)}"
        return
    missing = found.needed - len(found.approvals)
    yield (
        f"{output.colour('approved', 'good')} by {len(found.approvals)} of {found.needed} organisations; "
        f"{missing} more: proml workspace approve 0x{found.proposal.hex()[:8]}"
    )
