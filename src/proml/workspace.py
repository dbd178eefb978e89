"""Workspaces: creating one, reading and pinning its file, publishing its lifecycles, governing it.

Delivery of what members do in a workspace is :mod:`proml.submit`'s; creation is here because there is no workspace yet
in which it could wait in an outbox.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.config import make_private_folder, write_atomically
from proml.contract_build import DEPLOYER_CODE_HASH, ContractBuild, load_contract, release_of
from proml.core import lifecycle_check
from proml.core.calls import encode_create
from proml.core.digest import format_digest, keccak256
from proml.core.interface import WORKSPACE_CREATED, topic
from proml.core.lifecycle import ROLE_BITS, Definition
from proml.core.operation import Lifecycle, Member
from proml.core.workspace_file import WorkspaceFile, parse_workspace_file
from proml.errors import ConfigError, InvalidLifecycle, UsageError, VerificationError
from proml.submit.single import Transaction, transact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from proml.core.finality import Finality
    from proml.ports import Clock, Ledger, Receipt, Signer, Store

_FILE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Founder:
    """A member from the beginning.

    Attributes:
        organisation: Name of its organisation.
        roles: Role bits.
        account: Its address.
    """

    organisation: str
    roles: int
    account: str


@dataclass(frozen=True, slots=True)
class Charter:
    """What a workspace is to be.

    Attributes:
        name: Display name.
        founders: Its first members.
        quorum: Number of organisations whose admins must agree to a change.
        lifecycles: In the order of their numbers; evidence before its users.
        ledgers: URLs at which members reach the ledger.
        stores: URLs at which members publish records.
        factory: Address of a factory on the ledger; None takes the one at the published address, or deploys one.
        finality: When the ledger's blocks are final; None leaves that to the ledger.
    """

    name: str
    founders: tuple[Founder, ...]
    quorum: int
    lifecycles: tuple[Definition, ...]
    ledgers: tuple[str, ...]
    stores: tuple[str, ...] = ()
    factory: str | None = None
    finality: Finality | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A new workspace, and what its creation took.

    Attributes:
        file: The workspace file, not yet written.
        receipts: Of the transactions: the factory's, if one was deployed, and the workspace's.
    """

    file: WorkspaceFile
    receipts: tuple[Receipt, ...] = field(default=())


def create_workspace(charter: Charter, ledger: Ledger, signer: Signer, clock: Clock) -> Created:
    """Creates a workspace on a ledger and checks the code that stands there.

    Args:
        charter: What it is to be.
        ledger: Where.
        signer: Who pays; need not be a member.
        clock: For waiting.

    Returns:
        The workspace file with a new name key, which the caller writes and keeps secret.

    Raises:
        InvalidLifecycle: A lifecycle has an error, or demands evidence of a kind that comes later or never.
        UsageError: No founder, an unknown address, or a quorum that cannot be reached.
        RefusedError: The contract refuses it.
        VerificationError: Other code than the committed build stands at the new address.
        UnreachableError: No answer, or no block within three minutes.
    """
    organisations = number_organisations(charter.founders)
    members = tuple(Member(f.account, organisations[f.organisation], f.roles) for f in charter.founders)
    check_charter(charter, members)
    lifecycles = encode_lifecycles(charter.lifecycles)
    receipts: list[Receipt] = []
    factory = charter.factory or _find_factory(ledger)
    if factory is None:
        factory, receipt = _deploy_factory(ledger, signer, clock)
        receipts.append(receipt)
    _check_code(ledger, factory, load_contract("WorkspaceFactory"))
    data = encode_create(secrets.token_bytes(32), members, charter.quorum, lifecycles)
    receipts.append(transact(ledger, signer, clock, Transaction(factory, data, "creating the workspace")))
    contract = _created(receipts[-1])
    build = load_contract("Workspace")
    _check_code(ledger, contract, build)
    file = WorkspaceFile(
        name=charter.name,
        chain_id=ledger.chain_id,
        genesis_hash=ledger.genesis_hash,
        contract=contract,
        code_hash=build.code_hash,
        first_block=receipts[-1].block_number,
        name_key=secrets.token_bytes(32),
        factory=factory,
        organisations={number: name for name, number in organisations.items()},
        ledgers=charter.ledgers,
        stores=charter.stores,
        finality=charter.finality,
    )
    return Created(file, tuple(receipts))


def number_organisations(founders: Iterable[Founder]) -> dict[str, int]:
    """Returns the organisations' numbers by name, from 1 in the order in which they are named."""
    return {name: number for number, name in enumerate(dict.fromkeys(f.organisation for f in founders), 1)}


def check_charter(charter: Charter, members: Sequence[Member]) -> None:
    """Checks what the contract would refuse, or what nobody could ever use, before anything is paid for.

    Raises:
        UsageError: No founder, an account twice, or a quorum that the admins cannot reach.
        InvalidLifecycle: A lifecycle has an error.
    """
    accounts = [member.account for member in members]
    twice = next((account for account in accounts if accounts.count(account) > 1), None)
    if twice:
        raise UsageError(f"the account {twice} is named twice.", hint="Give each account all of its roles at once.")
    admins = {member.organisation for member in members if member.roles & ROLE_BITS["admin"]}
    if not 1 <= charter.quorum <= len(admins):
        raise UsageError(
            f"governance by {charter.quorum} organisations needs as many with an admin; there are {len(admins)}.",
            hint="Give the role admin to members of more organisations, or name a smaller --quorum (at least 1).",
        )
    check_lifecycles(charter.lifecycles, kinds=())


def check_lifecycles(definitions: Sequence[Definition], *, kinds: Collection[str]) -> None:
    """Checks lifecycles that are to be added to a workspace with these ``kinds``.

    Whether today's members could take every transition is left out: members come and go, lifecycles stay.

    Raises:
        InvalidLifecycle: The first error, with the lifecycle's name.
    """
    known = {*kinds, *(definition.name for definition in definitions)}
    for definition in definitions:
        for finding in lifecycle_check.check(definition, kinds=known):
            if finding.level == "error":
                raise InvalidLifecycle(
                    f"lifecycle {definition.name}: {finding.where}: {finding.message}",
                    hint=f"Correct it; `proml lifecycle check {definition.name}` shows all that is wrong.",
                )


def encode_lifecycles(
    definitions: Sequence[Definition], numbers: Mapping[str, int] | None = None
) -> tuple[Lifecycle, ...]:
    """Returns definitions as the contract takes them, numbered on from those that the workspace has.

    Args:
        definitions: Evidence before its users.
        numbers: Numbers that the workspace has given, by kind.

    Raises:
        InvalidLifecycle: Evidence of a kind that is not there yet.
    """
    known = dict(numbers or {})
    encoded = []
    for number, definition in enumerate(definitions, max(known.values(), default=0) + 1):
        # A lifecycle may demand evidence of its own kind: it gets its number before it is encoded.
        known[definition.name] = number
        encoded.append(definition.on_chain(known))
    return tuple(encoded)


def publish_lifecycles(definitions: Iterable[Definition], stores: Iterable[Store]) -> None:
    """Puts definitions into stores, where members find the names behind the numbers on chain."""
    kept = list(stores)
    for definition in definitions:
        for store in kept:
            store.put(definition.bytes)


def read_workspace_file(path: Path) -> WorkspaceFile:
    """Reads a workspace file.

    Raises:
        ConfigError: It is missing or cannot be read.
        InvalidRecord: It is malformed; the message says where.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_LIMIT + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist: this folder is in no workspace.",
            hint="`proml init` makes a workspace of one; `proml init --workspace FILE` joins one.",
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint="Check its permissions.") from error
    if len(data) > _FILE_LIMIT:
        raise ConfigError(f"{path} is larger than {_FILE_LIMIT} bytes.", hint="Ask another member for the file.")
    return parse_workspace_file(data, str(path))


def check_known_code(file: WorkspaceFile) -> None:
    """Checks that the pinned contract is the one that this version of ProML was made with.

    The chain may rightly hold another version's contract; its events would be misread here.

    Raises:
        VerificationError: It is another.
    """
    known = load_contract("Workspace").code_hash
    if file.code_hash != known:
        raise VerificationError(
            f"the workspace {file.name} runs a contract that this version of ProML does not know: expected code hash "
            f"0x{known.hex()}, found 0x{file.code_hash.hex()} in the workspace file.",
            hint="Use the version of ProML that the workspace was created with; `pip install proml==VERSION`.",
        )


def write_workspace_file(path: Path, file: WorkspaceFile) -> None:
    """Writes a workspace file so that only its owner can read it: it holds the name key."""
    make_private_folder(path.parent)
    write_atomically(path, file.to_bytes())


def _find_factory(ledger: Ledger) -> str | None:
    """The factory at its published address, if somebody has put it there; its code is what makes it trustworthy."""
    release = release_of(load_contract("Workspace").code_hash)
    if release is None or keccak256(ledger.code(release.factory)) != release.factory_code_hash:
        return None
    return release.factory


def _deploy_factory(ledger: Ledger, signer: Signer, clock: Clock) -> tuple[str, Receipt]:
    """Deploys a factory: at its published address if the chain has the deployment proxy, else anywhere."""
    build = load_contract("WorkspaceFactory")
    release = release_of(load_contract("Workspace").code_hash)
    if release is not None and keccak256(ledger.code(release.deployer)) == DEPLOYER_CODE_HASH:
        through = Transaction(release.deployer, release.salt + build.creation_code, "the factory")
        return release.factory, transact(ledger, signer, clock, through)
    receipt = transact(ledger, signer, clock, Transaction(None, build.creation_code, "the factory"))
    return str(receipt.contract), receipt


def _created(receipt: Receipt) -> str:
    wanted = topic("WorkspaceCreated", WORKSPACE_CREATED)
    for log in receipt.logs:
        if log.topics and log.topics[0] == wanted:
            from proml.core.words import word_address  # noqa: PLC0415 - cheap, and used here only

            return word_address(log.topics[1])
    raise VerificationError(
        f"the factory's transaction 0x{receipt.transaction_hash.hex()} created no workspace.",
        hint="The account given as factory is something else; leave --factory out to deploy one.",
    )


def _check_code(ledger: Ledger, address: str, build: ContractBuild) -> None:
    found = keccak256(ledger.code(address))
    if found != build.code_hash:
        raise VerificationError(
            f"the code at {address} is not the {build.name} of this version of ProML: expected code hash "
            f"{format_digest(build.code_hash).removeprefix('sha256:')}, found {found.hex()}.",
            hint="Do not use it: leave --factory out to deploy one, or ask who runs the ledger.",
        )
