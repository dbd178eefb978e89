"""``proml workspace``: create a workspace, see who is in it, govern it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.accounts import account_of
from proml.cli.completion import artefacts
from proml.cli.group import Group, Lazy, command
from proml.cli.parameters import FinalityType, Member, MemberType, role_bits, role_names
from proml.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.cli.session import Session
    from proml.core.finality import Finality
    from proml.core.lifecycle import Definition
    from proml.wiring import Participant

_HERE = "proml.cli.workspace"
_SIZE_LIMIT = 1 << 20
_EMBEDDED = "embedded:"


@click.group(
    "workspace",
    cls=Group,
    lazy={
        "new": Lazy(f"{_HERE}:new", "Create a workspace of several organisations."),
        "show": Lazy(f"{_HERE}:show", "Show what this folder is pinned to."),
        "members": Lazy(f"{_HERE}:members", "Show members, roles, session keys and proposals."),
        "propose": Lazy(f"{_HERE}:propose", "Propose a change of members, quorum or lifecycles."),
        "approve": Lazy(f"{_HERE}:approve", "Approve a change that somebody proposed."),
        "file": Lazy(f"{_HERE}:file", "Write the pinned workspace file, to hand out."),
        "verify-contract": Lazy("proml.cli.verify_contract:verify_contract", "Check the contract against its pins."),
    },
    examples="""
        proml workspace new --name study --member clinic:admin+contributor --member lab:admin+reviewer:lab.json
        proml workspace members
        proml workspace propose set-quorum 2
    """,
)
def workspace() -> None:
    """A workspace: one contract on one chain, with the organisations that are in it."""


@command(
    "new",
    examples="""
        proml workspace new --name study --member clinic:admin+contributor --member lab:admin:lab.json --quorum 2
        proml workspace new --name study --member clinic:all --ledger http://node:8545 --store s3://bucket/records
        proml workspace new --name study --member clinic:all --lifecycle dataset --lifecycle my-model.toml
    """,
)
@click.option("--name", "title", required=True, help="What to call it.")
@click.option(
    "--member", "members", type=MemberType(), multiple=True, required=True, metavar="ORG:ROLE+ROLE[:FILE_OR_ADDRESS]",
    help="A member: organisation, roles, and a file of `proml id export` or an address; yourself without.",
)  # fmt: skip
@click.option("--quorum", type=click.IntRange(1, 255), default=1, show_default=True, help="Organisations that govern.")
@click.option("--ledger", "ledgers", multiple=True, help="URL of the ledger; embedded:PATH is a file, made if needed.")
@click.option("--store", "stores", multiple=True, help="Folder or URL where members publish records.")
@click.option("--lifecycle", "files", multiple=True, help="TOML file or shipped kind; all shipped ones by default.")
@click.option("--factory", help="Address of a factory on the ledger, instead of the published one.")
@click.option("--finality", type=FinalityType(), metavar="RULE",
              help="When blocks are final: immediate, finalized (the default) or depth:K.")  # fmt: skip
@click.option("--identity", default="", help="Who creates it and signs in this folder.")
def new(  # one option each
    session: Session, *, title: str, members: tuple[Member, ...], quorum: int, ledgers: tuple[str, ...],
    stores: tuple[str, ...], files: tuple[str, ...], factory: str | None, finality: Finality | None, identity: str,
) -> None:  # fmt: skip
    """Create a workspace of several organisations and make this folder its creator's working folder.

    It is pinned by a workspace file (`proml workspace file`) that the others join with `proml init --workspace FILE`.
    The file holds the name key, a secret of the workspace: hand it over on a confidential way.
    """
    from proml.adapters.clock import SystemClock  # noqa: PLC0415 - takes long to import
    from proml.cli.init import choose_identity, settle  # noqa: PLC0415 - as above
    from proml.config import Folder, make_private_folder  # noqa: PLC0415 - as above
    from proml.wiring import open_identities, open_ledger  # noqa: PLC0415 - as above
    from proml.workspace import Charter, Founder, create_workspace, publish_lifecycles  # noqa: PLC0415 - as above

    folder = Folder(Path(session.start or ".").absolute())
    if folder.config_file.exists():
        raise UsageError(f"{folder.root} is a working folder already.", hint="Create the workspace in another folder.")
    identities = open_identities()
    me, _ = choose_identity(identities, identity)
    founders = tuple(Founder(m.organisation, role_bits(m.roles, {}), _whose(m, me.address)) for m in members)
    definitions = _definitions(files)
    urls = tuple(_absolute(url) for url in ledgers) or (f"{_EMBEDDED}{folder.chain_file}",)
    if finality is not None and urls[0].startswith(_EMBEDDED):
        raise UsageError("the blocks of an embedded ledger are final at once.", hint="Leave --finality out.")
    charter = Charter(title, founders, quorum, definitions, urls, _stores(stores, urls[0]), factory, finality)
    make_private_folder(folder.dot)
    ledger = open_ledger(list(urls), create=True)
    try:
        created = create_workspace(charter, ledger, identities.unlock(me.name), SystemClock())
    finally:
        ledger.close()
    settle(folder, me.name, created.file)
    with session.participant() as participant:
        publish_lifecycles(definitions, [participant.store, *participant.shared_stores])
    file = created.file
    gas = sum(receipt.gas_used for receipt in created.receipts)
    lines = [
        f"created {output.colour(title, 'name')}  {file.contract}",
        *output.fields([
            ("organisations", ", ".join(file.organisations.values())), ("quorum", quorum),
            ("kinds", ", ".join(d.name for d in definitions)), ("ledger", ", ".join(urls)),
            ("stores", ", ".join(charter.stores) or "none: the others cannot read your records"),
            ("gas", f"{gas:,}"),
        ]),
        "Next: proml workspace file -o FILE, and hand it to the others: proml init --workspace FILE",
    ]  # fmt: skip
    session.answer({**_document(participant), "quorum": quorum, "gas": gas, "you": me.address}, lines)


@command("show", examples="proml workspace show --json")
def show(session: Session) -> None:
    """Show the workspace that this folder is pinned to (never its name key), and what the chain says of it."""
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.core import calls  # noqa: PLC0415 - as above

    with session.participant() as participant:
        following = up_to_date(session, participant)
        document = {**_document(participant), "following": following}
        if "unreachable" not in following:
            answer = participant.ledger.call(participant.workspace.contract, calls.encode_view("governance"))
            quorum, admins, epoch = calls.decode_view("governance", answer)
            document["governance"] = {"quorum": quorum, "admin_organisations": admins, "epoch": epoch}
        kinds = [view.name for view in participant.model.lifecycles()]
        document["kinds"] = kinds
        pairs = [(key.replace("_", " "), _text(value)) for key, value in document.items() if key != "following"]
        session.answer(document, output.fields(pairs))


@command("members", examples="proml workspace members\nproml workspace members --json")
def members(session: Session) -> None:
    """Show who is in the workspace with which roles, which session keys act for them, and open proposals."""
    from proml.cli import governing  # noqa: PLC0415 - takes long to import
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - as above

    with session.participant() as participant:
        following = up_to_date(session, participant)
        model, free = participant.model, participant.workspace.roles
        everybody, sessions, proposals = model.members(), model.sessions(), list(model.proposals())
        document = {
            "members": [member.to_json() for member in everybody],
            "sessions": [found.to_json() for found in sessions],
            "proposals": [
                {**p.to_json(), "change": governing.words(participant, governing.Proposal(p.action, p.salt, p.data))}
                for p in proposals
            ],
            "following": following,
        }
        lines = list(output.table(
            ("organisation", "account", "roles"),
            [(m.organisation_name or str(m.organisation), m.account,
              " ".join(role_names(m.roles, free)) or output.colour("removed", "dim")) for m in everybody],
        ))  # fmt: skip
        if sessions:
            rows = [
                (output.short(s.key), output.short(s.member), " ".join(role_names(s.roles, free)), s.name or "all",
                 output.colour("revoked", "bad") if s.revoked else output.when(s.expires)) for s in sessions
            ]  # fmt: skip
            lines += ["", *output.table(("session key", "acts for", "roles", "artefact", "until"), rows)]
        if proposals:
            lines += ["", *output.table(("proposal", "", "", ""), list(governing.rows(participant, proposals)))]
        session.answer(document, lines)


@command("approve", examples="proml workspace approve 0x12ab34cd")
@click.argument("proposal")
def approve(session: Session, proposal: str) -> None:
    """Approve a change that somebody proposed; with the last approval needed it is carried out."""
    from proml.cli import governing  # noqa: PLC0415 - takes long to import

    with session.participant() as participant:
        governing.approve(session, participant, proposal)


@command("file", examples="proml workspace file -o study.json\nproml workspace file > study.json")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Write to this file.")
def file(session: Session, target: Path | None) -> None:
    """Write the workspace file for another member. It holds the name key: hand it over on a confidential way."""
    from proml.config import write_atomically  # noqa: PLC0415 - only here

    with session.participant() as participant:
        data = participant.workspace.to_bytes()
    if target is None:
        session.answer(json.loads(data), data.decode().splitlines())
        return
    write_atomically(target, data)
    session.answer({"written": str(target)}, [f"wrote {output.printable(target)} (secret: it holds the name key)"])


@click.group(
    "propose",
    cls=Group,
    lazy={
        "set-member": Lazy(f"{_HERE}:set_member", "Add a member, change its roles, or remove it."),
        "set-quorum": Lazy(f"{_HERE}:set_quorum", "Change how many organisations govern."),
        "add-lifecycle": Lazy(f"{_HERE}:add_lifecycle", "Add a kind of artefact."),
        "recover": Lazy(f"{_HERE}:recover", "Give artefacts of a lost account to another."),
        "revoke-session": Lazy(f"{_HERE}:revoke_session", "End a session key of anybody."),
    },
    examples="""
        proml workspace propose set-member lab:reviewer+verifier:lab.json
        proml workspace propose set-quorum 2
        proml workspace propose add-lifecycle my-lifecycle.toml
    """,
)
def propose() -> None:
    """Propose a change that needs admins of as many organisations as the quorum says."""


@command(
    "set-member",
    examples="""
        proml workspace propose set-member lab:reviewer+verifier:lab.json
        proml workspace propose set-member lab:none:0x1234567890abcdef1234567890abcdef12345678
    """,
)
@click.argument("member", type=MemberType(), metavar="ORG:ROLE+ROLE:FILE_OR_ADDRESS")
def set_member(session: Session, member: Member) -> None:
    """Add a member, change its roles, or remove it (role `none`)."""
    from proml.cli import governing  # noqa: PLC0415 - takes long to import
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - as above
    from proml.core import operation  # noqa: PLC0415 - as above

    with session.participant() as participant:
        up_to_date(session, participant, must=True)
        roles = 0 if member.roles == ("none",) else role_bits(member.roles, participant.workspace.roles)
        account = _whose(member, participant.identity.address)
        number = governing.organisation_number(participant, member.organisation)
        change = operation.Member(account, number, roles)
        governing.propose_member(session, participant, change, member.organisation)


@command("set-quorum", examples="proml workspace propose set-quorum 2")
@click.argument("quorum", type=click.IntRange(1, 255))
def set_quorum(session: Session, quorum: int) -> None:
    """Change of how many organisations the admins must agree."""
    from proml.cli import governing  # noqa: PLC0415 - takes long to import

    with session.participant() as participant:
        governing.propose(session, participant, governing.calls.set_quorum(quorum, governing.new_salt()))


@command("add-lifecycle", examples="proml workspace propose add-lifecycle my-lifecycle.toml")
@click.argument("file", metavar="FILE|KIND")
def add_lifecycle(session: Session, file: str) -> None:
    """Add a kind of artefact, or a new version of one, by the lifecycle that a TOML file defines."""
    from proml.cli.governing import propose_lifecycle  # noqa: PLC0415 - takes long to import

    propose_lifecycle(session, file)


@command("recover", examples="proml workspace propose recover 0x1234…(old) 0x5678…(new) tumours tumour-model")
@click.argument("owner")
@click.argument("new_owner")
@click.argument("names", nargs=-1, metavar="[ARTEFACT]…", shell_complete=artefacts)
def recover(session: Session, owner: str, new_owner: str, names: tuple[str, ...]) -> None:
    """Give artefacts of an account whose key is lost to another member; all of them unless some are named."""
    from proml.cli import governing  # noqa: PLC0415 - takes long to import
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - as above

    with session.participant() as participant:
        up_to_date(session, participant, must=True)
        model = participant.model
        old = governing.parse_address(owner)
        chosen = [model.artefact(name) for name in names] or list(model.artefacts(owner=old))
        if not chosen:
            raise UnknownName(f"{old} owns no artefact.", hint="`proml status` shows who owns what.")
        recovery = governing.Recovery(
            old, governing.parse_address(new_owner), tuple(artefact.id for artefact in chosen)
        )
        governing.propose(session, participant, governing.calls.recover(recovery, governing.new_salt()))


@command("revoke-session", examples="proml workspace propose revoke-session 0x1234567890abcdef1234567890abcdef12345678")
@click.argument("key")
def revoke_session(session: Session, key: str) -> None:
    """End a session key of any member."""
    from proml.cli import governing  # noqa: PLC0415 - takes long to import

    with session.participant() as participant:
        change = governing.calls.revoke_session(
            governing.Revocation(governing.parse_address(key)), governing.new_salt()
        )
        governing.propose(session, participant, change)


def _whose(member: Member, mine: str) -> str:
    return account_of(member.who, member.organisation) if member.who else mine


def _definitions(files: Sequence[str]) -> tuple[Definition, ...]:
    from proml.cli.lifecycle import read_definition  # noqa: PLC0415 - only here
    from proml.lifecycles import load_shipped  # noqa: PLC0415 - only here

    if not files:
        return tuple(load_shipped().values())
    found = []
    for which in files:
        definition = read_definition(which)
        if definition is None:
            raise UnknownName(
                f"{which!r} is neither a TOML file nor a lifecycle that comes with ProML.",
                hint="`proml lifecycle list --shipped` shows those.",
            )
        found.append(definition)
    return tuple(found)


def _absolute(url: str) -> str:
    return f"{_EMBEDDED}{Path(url.removeprefix(_EMBEDDED)).absolute()}" if url.startswith(_EMBEDDED) else url


def _stores(stores: tuple[str, ...], ledger: str) -> tuple[str, ...]:
    """Folders made absolute; beside an embedded ledger, which others can reach only as a file, one by default."""
    if not stores and ledger.startswith(_EMBEDDED):
        return (str(Path(ledger.removeprefix(_EMBEDDED)).parent / "shared-store"),)
    return tuple(url if "://" in url else str(Path(url).absolute()) for url in stores)


def _document(participant: Participant) -> dict[str, object]:
    file = participant.workspace
    return {
        "name": file.name, "contract": file.contract, "chain_id": file.chain_id, "genesis_hash": file.genesis_hash,
        "code_hash": file.code_hash, "factory": file.factory, "first_block": file.first_block,
        "organisations": {str(number): name for number, name in file.organisations.items()},
        "ledgers": list(file.ledgers), "stores": list(file.stores),
        "finality": str(file.finality) if file.finality else None,
    }  # fmt: skip


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value if value is not None else "")
