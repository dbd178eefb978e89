"""``proml id``: identities and session keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.group import Group, Lazy, command
from proml.cli.parameters import Duration, role_bits, role_names

if TYPE_CHECKING:
    from proml.cli.session import Session
    from proml.identity import Identity
    from proml.wiring import Participant

_HERE = "proml.cli.identity"


@click.group(
    "id",
    cls=Group,
    lazy={
        "new": Lazy(f"{_HERE}:new", "Make a new identity."),
        "show": Lazy(f"{_HERE}:show", "Show an identity: who signs here."),
        "list": Lazy(f"{_HERE}:list_all", "List the identities on this machine."),
        "export": Lazy(f"{_HERE}:export", "Write what others need to make an identity a member."),
        "session": Lazy(f"{_HERE}:session_key", "Make a session key that acts for you for a while."),
        "revoke": Lazy(f"{_HERE}:revoke", "End a session key of yours at once."),
        "rotate": Lazy("proml.cli.rotation:rotate", "Replace the key of a member by a new one."),
    },
    examples="""
        proml id new alice
        proml id export alice -o alice.json
        proml id session --role contributor --for 12h
    """,
)
def identity() -> None:
    """Identities: encrypted keystores in PROML_HOME, and session keys that act for one for a while.

    Passphrases come from PROML_PASSPHRASE_FILE, else from the one that was generated into PROML_HOME, else from you.
    """


@command("new", examples="proml id new alice")
@click.argument("name")
def new(session: Session, name: str) -> None:
    """Make a new identity: a key in an encrypted keystore (Web3 Secret Storage v3)."""
    from proml.wiring import open_identities  # noqa: PLC0415 - takes long to import

    made = open_identities().new(name)
    lines = [f"made {output.colour(made.name, 'name')}  {made.address}", f"keystore: {output.printable(made.path)}"]
    session.answer(_document(made), lines)


@command("show", examples="proml id show\nproml id show alice --json")
@click.argument("name", required=False)
def show(session: Session, name: str | None) -> None:
    """Show an identity; without a name the one that signs in this folder, with its roles in the workspace."""
    from proml.errors import ConfigError  # noqa: PLC0415 - as below
    from proml.wiring import open_identities, open_participant  # noqa: PLC0415 - takes long to import

    if name is not None:
        found = open_identities().get(name)
        membership: dict[str, object] = {}
    else:
        with open_participant(session.start) as participant:
            found = participant.identity
            try:
                membership = _membership(participant, found)
            except ConfigError:
                membership = {}
    pairs = [("name", found.name), ("address", found.address), ("acts for", found.member), ("keystore", found.path)]
    pairs += [(key.replace("_", " "), ", ".join(v) if isinstance(v, list) else v) for key, v in membership.items()]
    session.answer({**_document(found), **membership}, output.fields(pairs))


@command("list", examples="proml id list")
def list_all(session: Session) -> None:
    """List the identities in PROML_HOME."""
    from proml.config import home  # noqa: PLC0415 - as below
    from proml.wiring import open_identities  # noqa: PLC0415 - takes long to import

    found = open_identities().list()
    rows = [(i.name, i.address, f"session key of {output.short(i.member)}" if i.member else "") for i in found]
    nothing = [f"No identities in {output.printable(home())}. `proml id new NAME` makes one."]
    session.answer(
        {"home": str(home()), "identities": [_document(i) for i in found]},
        output.table(("name", "address", ""), rows) if rows else nothing,
    )


@command("export", examples="proml id export alice -o alice.json\nproml id export > me.json")
@click.argument("name", required=False)
@click.option("-o", "--output", "target", type=click.Path(path_type=str), help="Write to this file.")
def export(session: Session, name: str | None, target: str | None) -> None:
    """Write an identity's public part: name, address, and a signature that proves who holds the key.

    Give the file to whoever creates the workspace (`proml workspace new --member ORG:ROLE:FILE`).
    """
    from pathlib import Path  # noqa: PLC0415 - as below

    from proml.config import write_atomically  # noqa: PLC0415 - as below
    from proml.wiring import open_identities, open_participant  # noqa: PLC0415 - takes long to import

    if name is None:
        with open_participant(session.start) as participant:
            name = participant.identity.name
    document = open_identities().export(name)
    if target is None:
        session.answer(dict(document), json.dumps(document, indent=2).splitlines())
        return
    write_atomically(Path(target), (json.dumps(document, indent=2) + "\n").encode(), mode=0o644)
    session.answer({**document, "written": target}, [f"wrote {output.printable(target)}"])


@command(
    "session",
    examples="""
        proml id session --role contributor --for 12h
        proml id session --role contributor --for 2d --artefact tumour-model --name train-job
    """,
)
@click.option("--role", "roles", multiple=True, required=True, help="A role it may use; repeat, or join by +.")
@click.option("--for", "seconds", type=Duration(), required=True, help="How long it is valid, such as 12h or 2d.")
@click.option("--artefact", default="", help="The only artefact that it may touch.", shell_complete=artefacts)
@click.option("--name", default="", help="What to call it on this machine.")
def session_key(session: Session, roles: tuple[str, ...], seconds: int, artefact: str, name: str) -> None:
    """Make a session key: an account that acts for you with some of your roles, for some time.

    A training job on a shared cluster holds it instead of your own key: set PROML_IDENTITY to its name there.
    """
    from proml.cli.sending import send  # noqa: PLC0415 - takes long to import
    from proml.core.name import artefact_id  # noqa: PLC0415 - as above
    from proml.core.operation import ZERO  # noqa: PLC0415 - as above
    from proml.identity import SessionRequest  # noqa: PLC0415 - as above
    from proml.submit import chain_time, intents  # noqa: PLC0415 - as above

    with session.participant() as participant:
        workspace = participant.workspace
        ahead = chain_time.ahead_s(participant.ledger, participant.clock)
        if ahead:
            session.say(
                f"{output.colour('warning:', 'warn')} this machine's clock is {output.duration(ahead)} ahead of the "
                "newest block. If the chain is not idle, it is wrong, and the key will be valid for so much longer."
            )
        member = participant.identity
        scope = artefact_id(workspace.name_key, artefact) if artefact else ZERO
        request = SessionRequest(
            member=member.address, roles=role_bits(roles, workspace.roles), artefact=scope,
            expires=chain_time.now_s(participant.ledger, participant.clock) + seconds,
            chain_id=workspace.chain_id, contract=workspace.contract,
        )  # fmt: skip
        name = name or _free_name(participant, f"{member.name}-session")
        grant = participant.identities.new_session(name, request)
        made = participant.identities.get(name)
        session.facts["identity"] = _document(made)
        sent = send(session, participant, [intents.grant_session(participant.desk, grant).number])
        names = role_names(request.roles, workspace.roles)
        scope_text = {"roles": names, "artefact": artefact or None, "expires": request.expires, "clock_ahead_s": ahead}
        document = {**_document(made), **scope_text, **sent.document}
        lines = [
            f"made session key {output.colour(made.name, 'name')}  {made.address}",
            *output.fields([
                ("roles", ", ".join(names)), ("artefact", artefact or "all"),
                ("until", output.when(request.expires)), ("use it", f"PROML_IDENTITY={made.name} proml …"),
            ]),
            *sent.lines,
        ]  # fmt: skip
        session.answer(document, lines)


@command("revoke", examples="proml id revoke train-job\nproml id revoke 0x1234567890abcdef1234567890abcdef12345678")
@click.argument("key", metavar="NAME|ADDRESS")
def revoke(session: Session, key: str) -> None:
    """End a session key of yours at once. What it signed before stays valid."""
    from proml.cli.sending import send  # noqa: PLC0415 - takes long to import
    from proml.submit import intents  # noqa: PLC0415 - as above

    with session.participant() as participant:
        address = key if key.startswith("0x") else participant.identities.get(key).address
        sent = send(session, participant, [intents.revoke_session(participant.desk, address).number])
        session.answer({"key": address, **sent.document}, [f"revoked session key {output.short(address)}", *sent.lines])


def _document(found: Identity) -> dict[str, object]:
    return {"name": found.name, "address": found.address, "path": str(found.path), "member": found.member or None}


def _membership(participant: Participant, found: Identity) -> dict[str, object]:
    workspace = participant.workspace
    participant.follow()
    account = found.member or found.address
    for member in participant.model.members():
        if member.account == account:
            organisation = member.organisation_name or str(member.organisation)
            return {
                "workspace": workspace.name, "organisation": organisation,
                "roles": role_names(member.roles, workspace.roles),
            }  # fmt: skip
    return {"workspace": workspace.name, "organisation": "not a member", "roles": []}


def _free_name(participant: Participant, wanted: str) -> str:
    taken = {identity.name for identity in participant.identities.list()}
    return next(name for number in range(1, len(taken) + 2) if (name := f"{wanted}-{number}") not in taken)
