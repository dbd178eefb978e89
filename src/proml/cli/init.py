"""``proml init``: make a folder a working folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.group import command
from proml.config import Config, Folder, make_private_folder, read_config, write_atomically, write_config
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.core.lifecycle import Definition
    from proml.core.workspace_file import WorkspaceFile
    from proml.identity import Identities, Identity

_DEFAULT_IDENTITY = "me"


@command(
    "init",
    examples="""
        proml init
        proml init --name "Tumour study" --identity alice
        proml init --workspace tumour-study.json
    """,
)
@click.option("--workspace", "file", type=click.Path(path_type=Path), help="Join the workspace that this file pins.")
@click.option("--identity", "name", default="", help="Who signs here; made if it does not exist.")
@click.option("--name", "title", default="", help="Name of the workspace of one; the folder's by default.")
@click.option("--node", "url", default="", metavar="URL", help="Hand over to the node there; no ledger or key here.")
@click.option("--token-file", type=click.Path(path_type=Path), help="With --node: the file with its token.")
def init(  # one option each
    session: Session, *, file: Path | None, name: str, title: str, url: str, token_file: Path | None
) -> None:
    """Make this folder a working folder (`.proml/`).

    Without --workspace: an identity if there is none, a ledger in one file, and a workspace of one member with all
    roles and the lifecycles that come with ProML. What needs a second organisation (approvals by others) can be done
    once there is one. With --workspace: join the workspace whose file another member handed to you. With --node: a
    training host that captures, and hands over to the node of a member, which signs and sends.
    """
    folder = Folder(Path(session.start or ".").absolute())
    _check_free(folder)
    if file is not None and title:
        raise UsageError("--name is for a new workspace; --workspace joins one.", hint="Leave one of them out.")
    if url or token_file:
        _hand_over(session, folder, url, token_file, alone=not (file or name or title))
    elif file is not None:
        _join(session, folder, file, name)
    else:
        _alone(session, folder, name, title)


def choose_identity(identities: Identities, name: str) -> tuple[Identity, bool]:
    """Returns the identity of this name (or the only one, or a new one) and whether it was made now."""
    name = name or os.environ.get("PROML_IDENTITY", "")
    known = {identity.name: identity for identity in identities.list()}
    members = [identity for identity in known.values() if not identity.member]
    if not name and len(members) == 1:
        return members[0], False
    if not name and members:
        raise UsageError(
            f"there are {len(members)} identities: {', '.join(identity.name for identity in members)}.",
            hint="Choose one with --identity NAME.",
        )
    name = name or _DEFAULT_IDENTITY
    return (known[name], False) if name in known else (identities.new(name), True)


def settle(folder: Folder, identity: str, file: WorkspaceFile) -> None:
    """Writes the configuration and the workspace file; the configuration last, since it makes the folder one."""
    from proml.workspace import write_workspace_file  # noqa: PLC0415 - takes long to import

    config = Config(identity=identity)
    write_workspace_file(folder.workspace_file(config), file)
    write_config(folder, config)


def _check_free(folder: Folder) -> None:
    if not folder.root.is_dir():
        raise UsageError(f"{folder.root} is not a folder.", hint="Make it first.")
    if folder.config_file.exists():
        read_config(folder)
        raise UsageError(
            f"{folder.root} is a working folder already.",
            hint=f"`proml status` shows it; to begin anew, move {folder.dot} away first.",
        )


def _hand_over(session: Session, folder: Folder, url: str, token_file: Path | None, *, alone: bool) -> None:
    from proml.adapters.node_http import HttpNode  # noqa: PLC0415 - only here

    if not url or token_file is None or not alone:
        raise UsageError(
            "expected --node URL and --token-file FILE, without --workspace, --identity and --name.",
            hint="The token is in .proml/node-token of the node's working folder.",
        )
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{token_file} cannot be read: {error}.", hint="Copy .proml/node-token of the node."
        ) from error
    node = HttpNode(url, token)
    try:
        node.has(bytes(32))  # fails if it is no node, or does not know the token
    finally:
        node.close()
    make_private_folder(folder.dot)
    write_atomically(folder.node_token_file, f"{token}\n".encode())
    write_config(folder, Config(node=node.where))
    lines = [
        f"made {output.printable(folder.root)} a working folder that hands over to {output.printable(node.where)}",
        "Next: proml run --publish NAME=FILE -- COMMAND, then proml sync",
    ]
    session.answer({"folder": str(folder.root), "node": node.where}, lines)


def _join(session: Session, folder: Folder, file: Path, name: str) -> None:
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.index.follow import check_pins  # noqa: PLC0415 - takes long to import
    from proml.wiring import open_identities, open_ledger  # noqa: PLC0415 - takes long to import
    from proml.workspace import check_known_code, read_workspace_file  # noqa: PLC0415 - takes long to import

    if not file.exists():
        raise ConfigError(
            f"there is no workspace file {file}.",
            hint="Ask a member for it: `proml workspace file -o FILE` writes it.",
        )
    found = read_workspace_file(file)
    check_known_code(found)
    ledger = open_ledger(os.environ.get("PROML_LEDGER") or list(found.ledgers), base=file.absolute().parent)
    try:
        check_pins(ledger, found)
    finally:
        ledger.close()
    identity, made = choose_identity(open_identities(), name)
    settle(folder, identity.name, found)
    with session.participant() as participant:
        up_to_date(session, participant, must=True)
        member = next((m for m in participant.model.members() if m.account == identity.address and m.roles), None)
    note = "  (made)" if made else ""
    who = f"{output.printable(identity.name)}  {identity.address}{note}"
    lines = [f"joined {output.colour(found.name, 'name')} as {who}"]
    if member is None:
        lines.append(
            "This identity is not a member yet: give the output of `proml id export` to an admin (set-member)."
        )
    session.answer({**_document(folder, found, identity, made), "member": member is not None}, lines)


def _alone(session: Session, folder: Folder, name: str, title: str) -> None:
    from proml.adapters.clock import SystemClock  # noqa: PLC0415 - takes long to import
    from proml.core.lifecycle import ROLE_BITS  # noqa: PLC0415 - as above
    from proml.lifecycles import load_shipped  # noqa: PLC0415 - as above
    from proml.wiring import Participant, open_identities, open_ledger  # noqa: PLC0415 - as above
    from proml.workspace import Charter, Founder, create_workspace, publish_lifecycles  # noqa: PLC0415 - as above

    identities = open_identities()
    identity, made = choose_identity(identities, name)
    signer = identities.unlock(identity.name)
    title = title or re.sub(r"[^A-Za-z0-9._ -]+", "-", folder.root.name).strip("-. ") or "workspace"
    roles = sum(bit for role, bit in ROLE_BITS.items() if not role.startswith("role-"))
    definitions = tuple(load_shipped().values())
    # The URL is absolute: a folder that is moved says so plainly, and a copied workspace file still finds the ledger.
    url = f"embedded:{folder.chain_file}"
    # The local store is the workspace's, so that another folder on this machine can join and read the records.
    founders = (Founder(identity.name, roles, signer.address),)
    charter = Charter(title, founders, 1, definitions, (url,), (str(folder.store_folder),))
    make_private_folder(folder.dot)
    ledger = open_ledger(url, create=True)
    try:
        created = create_workspace(charter, ledger, signer, SystemClock())
    finally:
        ledger.close()
    with Participant(folder, Config(identity=identity.name)) as participant:
        participant.workspace = created.file
        publish_lifecycles(definitions, [participant.store])
    settle(folder, identity.name, created.file)
    lines = [
        f"made {output.printable(folder.root)} a working folder",
        *output.fields([
            ("identity", f"{identity.name}  {identity.address}{'  (made)' if made else ''}"),
            ("workspace", f"{title}  {output.short(created.file.contract)}, of one member with all roles"),
            ("ledger", url),
            ("kinds", ", ".join(definition.name for definition in definitions)),
        ]),
        *_what_needs_others(definitions),
        "",
        "Next: proml register NAME --kind source",
    ]  # fmt: skip
    session.answer(_document(folder, created.file, identity, made), lines)


def _what_needs_others(definitions: Sequence[Definition]) -> Iterator[str]:
    waiting = {definition.name: _for_others(definition) for definition in definitions}
    named = [f"{kind}: {', '.join(names)}" for kind, names in waiting.items() if names]
    if named:
        yield ""
        yield "You are the only organisation. These actions need others, so they are refused until there are some:"
        yield from (f"  {line}" for line in named)


def _for_others(definition: Definition) -> list[str]:
    """The actions that nobody can take alone, whichever of their alternatives."""
    alone = {
        step.name for step in definition.transitions if not (step.quorum or step.evidence or "four-eyes" in step.guards)
    }
    return [action for action in definition.actions() if action not in alone]


def _document(folder: Folder, file: WorkspaceFile, identity: Identity, made: bool) -> dict[str, object]:  # noqa: FBT001 - a fact
    return {
        "folder": str(folder.root),
        "identity": {"name": identity.name, "address": identity.address, "made": made},
        "workspace": {
            "name": file.name, "contract": file.contract, "chain_id": file.chain_id, "ledgers": list(file.ledgers)
        },
    }  # fmt: skip
