"""``proml consortium``: a network of existing Ethereum clients, one folder per participant."""

from __future__ import annotations

import math
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.accounts import account_of
from proml.cli.group import Group, Lazy, command
from proml.consortium.names import ENGINES, WITH_STAKING
from proml.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.consortium.client import ClientStatus
    from proml.consortium.folder import Network

_HERE = "proml.cli.consortium"
_MOST_TRIAL = 20
_STARTS_S = 3
"""How long starting a client by hand takes, about."""
_FOLDER = click.Path(path_type=Path)


@click.group(
    "consortium",
    cls=Group,
    lazy={
        "keys": Lazy(f"{_HERE}:keys", "Make a participant's keys, on its own machine."),
        "new": Lazy(f"{_HERE}:new", "Write the participants' folders from a plan."),
        "start": Lazy(f"{_HERE}:start", "Start this participant's client."),
        "create-chain": Lazy(f"{_HERE}:create_chain", "Create the chain, where the engine needs it."),
        "status": Lazy(f"{_HERE}:status", "How the client and the network are."),
        "stop": Lazy(f"{_HERE}:stop", "Stop this participant's client."),
        "add-validator": Lazy(f"{_HERE}:add_validator", "Vote that a participant may seal blocks."),
        "remove-validator": Lazy(f"{_HERE}:remove_validator", "Vote that a participant may seal no more blocks."),
        "step-back": Lazy(
            f"{_HERE}:step_back", "Leave this client's branch for that of the others, when no block comes."
        ),
        "watch": Lazy(f"{_HERE}:watch", "Stay, and step back whenever that is this client's turn."),
        "fund": Lazy("proml.cli.fund:fund", "Give accounts coins, to pay for their transactions."),
    },
    examples="""
        proml consortium keys clinic
        proml consortium new study.toml --only clinic
        proml consortium start clinic
        proml consortium status clinic
    """,
)
def consortium() -> None:
    """A network of existing Ethereum clients that the participants run themselves, with no third party.

    Each makes its keys, hands out NAME.public.json, and writes its own folder from the plan and everybody's public
    files: the same genesis block, whoever writes it.
    """


@command(
    "keys",
    examples="""
        proml consortium keys clinic
        proml consortium keys clinic --engine subnet-evm --account clinic.json
    """,
)
@click.argument("name")
@click.option("--into", type=_FOLDER, help="The participant's folder; a new one of its name by default.")
@click.option("--account", "accounts", multiple=True, metavar="FILE_OR_ADDRESS",
              help="Who gets coins in the genesis block; your identities by default.")  # fmt: skip
@click.option("--engine", type=click.Choice(ENGINES), default=ENGINES[0], show_default=True,
              help="What the plan will say; subnet-evm needs keys of its own.")  # fmt: skip
def keys(session: Session, name: str, into: Path | None, accounts: tuple[str, ...], engine: str) -> None:
    """Make the keys of a participant: one that seals blocks, one that names its client.

    They stay in FOLDER/keys. Hand out FOLDER/NAME.public.json.
    """
    from proml.consortium.keys import make_keys  # noqa: PLC0415 - takes long to import

    folder = into or Path(name)
    public = make_keys(folder, _participant(name), _accounts(accounts), staking=engine in WITH_STAKING)
    file = folder / f"{name}.public.json"
    document = {"participant": name, "public_file": str(file), "validator": public.validator,
                "accounts": list(public.accounts), "node": public.staking.node if public.staking else None}  # fmt: skip
    lines = [
        f"made the keys of {output.colour(name, 'name')} in {output.printable(folder / 'keys')} (secret)",
        *output.fields(
            [
                ("validator", public.staking.node if public.staking else public.validator),
                ("accounts", ", ".join(public.accounts) or "none"),
            ]
        ),
        f"Hand out {output.printable(file)}.",
    ]
    session.answer(document, lines)


@command(
    "new",
    examples="""
        proml consortium new study.toml --only clinic
        proml consortium new --trial 4 --into trial
    """,
)
@click.argument("plan", type=_FOLDER, required=False)
@click.option("--into", type=_FOLDER, help="Where the folders go; beside the plan by default.")
@click.option("--only", help="Write the folder of this participant only.")
@click.option("--trial", type=click.IntRange(1, _MOST_TRIAL), metavar="N",
              help="Instead of a plan: N participants on this machine, with all their keys.")  # fmt: skip
@click.option("--period", type=click.IntRange(1, 3600), default=2, show_default=True, help="Trial: seconds per block.")
@click.option("--account", "accounts", multiple=True, metavar="FILE_OR_ADDRESS", help="Trial: who gets coins.")
def new(  # one option each
    session: Session, *, plan: Path | None, into: Path | None, only: str | None, trial: int | None, period: int,
    accounts: tuple[str, ...],
) -> None:  # fmt: skip
    """Write a folder per participant from a plan: genesis, peers, start script, systemd unit, compose file.

    Compare the fingerprint of the genesis block with the other participants. Run it again when the plan got a new
    participant: the peers are written anew; keys and data stay.
    """
    from proml.consortium.folder import write_folder  # noqa: PLC0415 - takes long to import
    from proml.consortium.plan import read_plan  # noqa: PLC0415 - as above

    if (plan is None) == (trial is None):
        raise UsageError("expected a plan, or --trial N.", hint="proml consortium new PLAN.toml")
    if trial is not None:
        into = into or Path("trial")
        plan = _write_trial(into, trial, period, _accounts(accounts))
    assert plan is not None
    read = read_plan(plan)
    names = [only] if only else [seat.name for seat in read.seats]
    where = into or plan.absolute().parent
    networks = [write_folder(read, name, where / name) for name in names]
    document = {
        "name": read.name, "engine": read.engine, "chain_id": read.chain_id, "genesis_sha256": networks[0].genesis,
        "genesis_time": read.genesis_time,
        "finality": networks[0].finality, "participants": [_network_document(network) for network in networks],
    }  # fmt: skip
    lines = [
        *output.fields([
            ("network", read.name), ("engine", read.engine), ("chain", read.chain_id),
            ("final", networks[0].finality), ("genesis", f"sha256 {networks[0].genesis}"),
        ]),
        "",
        *output.table(
            ("participant", "folder", "ledger", "keys"),
            [(n.participant, str(n.root), n.rpc_url, "here" if (n.root / "keys").is_dir() else "elsewhere")
             for n in networks],
        ),
        "Next: compare the genesis with the others; proml consortium start FOLDER",
    ]  # fmt: skip
    if (begins_s := read.genesis_time - time.time()) > 0:
        lines.append(f"No block comes for another {math.ceil(begins_s)} s: start all clients by then.")
    session.answer(document, lines)


@command("start", examples="proml consortium start\nproml consortium start trial/one")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def start(session: Session, where: Path) -> None:
    """Start this participant's client in the background; it outlives this command.

    FOLDER/start.sh runs it in the foreground, for systemd and containers.
    """
    from proml.consortium import process  # noqa: PLC0415 - takes long to import
    from proml.consortium.engines import engine_of  # noqa: PLC0415 - as above
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network = read_network(where)
    pid = process.start(network)
    lines = [f"started the client of {output.colour(network.participant, 'name')}: process {pid}, {network.rpc_url}"]
    if step := engine_of(network.engine).next_step:
        lines.append(f"Next, once: {step}")
    session.answer({**_network_document(network), "pid": pid}, lines)


@command("create-chain", examples="proml consortium create-chain clinic")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def create_chain(session: Session, where: Path) -> None:
    """Create the chain in the running network, for the engine subnet-evm; the others' chains begin by themselves.

    Any participant does it, once more than two thirds of the clients run. Everybody has computed the same founding
    transactions, so that it does not matter who. Doing it again does nothing.
    """
    from proml.consortium import client  # noqa: PLC0415 - takes long to import
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network = read_network(where)
    done = list(client.found(network))
    lines = [*(f"done: {step}" for step in done), f"the chain is there: {network.rpc_url}"]
    session.answer({**_network_document(network), "done": done}, lines)


@command("stop", examples="proml consortium stop\nproml consortium stop trial/one")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def stop(session: Session, where: Path) -> None:
    """Stop this participant's client in order; it writes first what it has."""
    from proml.consortium import process  # noqa: PLC0415 - takes long to import
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network = read_network(where)
    pid = process.stop(network)
    text = f"stopped the client of {network.participant}" if pid else f"the client of {network.participant} did not run"
    session.answer({**_network_document(network), "pid": pid}, [text])


@command("status", examples="proml consortium status\nproml consortium status trial/one --json")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def status(session: Session, where: Path) -> None:
    """Show how this participant's client is: blocks, peers, validators, votes.

    Exits with 5 when it does not run or does not answer.
    """
    from proml.consortium import client  # noqa: PLC0415 - takes long to import
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network = read_network(where)
    _answer_status(session, network, client.status(network))


@command("add-validator", examples="proml consortium add-validator newcomer clinic")
@click.argument("who")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def add_validator(session: Session, who: str, where: Path) -> None:
    """Vote that a participant (name or address) may seal blocks; it may once enough validators vote alike."""
    _vote(session, who, where, admit=True)


@command("remove-validator", examples="proml consortium remove-validator clinic lab")
@click.argument("who")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def remove_validator(session: Session, who: str, where: Path) -> None:
    """Vote that a participant (name or address) may seal no more blocks."""
    _vote(session, who, where, admit=False)


@command("step-back", examples="proml consortium step-back clinic")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
def step_back(session: Session, where: Path) -> None:
    """Leave this client's branch for that of the others, when two of equal weight stand against each other.

    The owners agree whose branch goes on; each of the others does this. Only a client that stands is sent back, by a
    few blocks, and started again. Nothing is lost: what was only in the branch that it leaves is handed in again.
    """
    from proml.consortium import branches, process  # noqa: PLC0415 - take long to import
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network = read_network(where)
    before, number = branches.step_back(network)
    document = {**_network_document(network), "from_block": before.block_number, "to_block": number,
                "pid": process.running(network)}  # fmt: skip
    name = output.colour(network.participant, "name")
    lines = [
        f"sent the client of {name} back from block {before.block_number} to {number}, and started it again",
        "Next: see that blocks come: `proml consortium status`",
    ]
    session.answer(document, lines)


@command("watch", examples="proml consortium watch clinic")
@click.argument("where", metavar="[FOLDER]", type=_FOLDER, default=".")
@click.option("--every", "every_s", type=click.FloatRange(0.1, 5), default=2.0, show_default=True,
              metavar="SECONDS", help="How often it looks.")  # fmt: skip
def watch(session: Session, where: Path, every_s: float) -> None:
    """Stay, and leave this client's branch by itself when two branches of equal weight stand against each other.

    Runs until SIGTERM or Ctrl-C. The validators have turns, so that not all leave at once; a client goes back to its
    newest final block, and no further. What happens is told on standard error, unless --json is given.
    """
    import threading  # noqa: PLC0415 - only here

    from proml.consortium.branches import Watch  # noqa: PLC0415 - takes long to import
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network, stopped = read_network(where), threading.Event()
    one = Watch(network, session.say)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    name = output.colour(network.participant, "name")
    session.answer({**_network_document(network), "every_s": every_s}, [f"watching the client of {name}"])
    sys.stdout.flush()  # whoever started it may wait for this line in a pipe
    one.look()
    while not stopped.wait(every_s):
        one.look()


def _vote(session: Session, who: str, where: Path, *, admit: bool) -> None:
    from proml.consortium import client  # noqa: PLC0415 - takes long to import
    from proml.consortium.folder import read_network  # noqa: PLC0415 - as above

    network = read_network(where)
    _answer_status(session, network, client.vote(network, who, admit=admit))


def _answer_status(session: Session, network: Network, found: ClientStatus) -> None:
    document = {
        **_network_document(network),
        "pid": found.pid, "version": found.version, "block_number": found.block_number,
        "block_hash": found.block_hash, "block_time": found.block_time, "standing_s": found.standing_s,
        "genesis_hash": found.genesis_hash, "peers": found.peers,
        "is_validator": found.is_validator, "validators": dict(found.validators or {}),
        "votes": dict(found.votes or {}), "votes_needed": found.votes_needed,
        "memory_bytes": found.memory_bytes, "disk_bytes": found.disk_bytes,
    }  # fmt: skip
    if found.validators is None:
        session.facts.update(document)
        raise UnreachableError(
            f"the client of {network.participant} "
            + (f"(process {found.pid}) does not answer." if found.pid else "does not run."),
            hint=_when_silent(network) if found.pid else f"Start it: `proml consortium start {network.root}`.",
        )
    session.answer(document, _status_lines(network, found))


def _when_silent(network: Network) -> str:
    from proml.consortium.engines import engine_of  # noqa: PLC0415 - takes long to import

    step = engine_of(network.engine).next_step
    return f"Look into {network.root / 'client.log'}." + (f" If the chain is not founded yet: {step}" if step else "")


def _status_lines(network: Network, found: ClientStatus) -> Iterator[str]:
    others = len(network.validators) - 1
    age = max(0, int(time.time()) - found.block_time)
    yield from output.fields([
        ("network", f"{network.name}, chain {network.chain_id}, {network.engine}"),
        ("participant", network.participant),
        ("client", f"{found.version}, {f'process {found.pid}' if found.pid else 'not started from here'}"),
        ("ledger", network.rpc_url),
        ("genesis", f"0x{found.genesis_hash.hex()}"),
        ("block", f"{found.block_number}  {output.short(found.block_hash)}  {age} s ago"),
        ("final", network.finality),
        ("peers", f"{found.peers} of {others}"),
        ("memory", output.size(found.memory_bytes)),
        ("disk", output.size(found.disk_bytes)),
    ])  # fmt: skip
    if found.standing_s:
        from proml.consortium.engines import engine_of  # noqa: PLC0415 - takes long to import

        yield ""
        yield f"{output.colour('warning:', 'warn')} no block for {found.standing_s} s."
        yield engine_of(network.engine).when_standing
    yield ""
    yield from output.table(
        ("validator", "address"), [(name or "unknown", address) for address, name in (found.validators or {}).items()]
    )
    names = {address: name for name, address in network.validators.items()}
    for address, admit in (found.votes or {}).items():
        wish = "to admit" if admit else "to remove"
        yield f"your vote {wish} {names.get(address) or address}: {found.votes_needed} validators must vote alike"


def _network_document(network: Network) -> dict[str, object]:
    return {
        "network": network.name, "participant": network.participant, "folder": str(network.root),
        "engine": network.engine, "chain_id": network.chain_id, "finality": network.finality,
        "ledger": network.rpc_url, "genesis_sha256": network.genesis,
    }  # fmt: skip


def _participant(name: str) -> str:
    from proml.core.shape import identifier  # noqa: PLC0415 - only here

    identifier(name, "the participant's name")
    return name


def _accounts(given: Sequence[str]) -> tuple[str, ...]:
    """The addresses that options name; without any, those of the identities on this machine."""
    from proml.wiring import open_identities  # noqa: PLC0415 - takes long to import

    if given:
        return tuple(account_of(one) for one in given)
    return tuple(identity.address for identity in open_identities().list() if not identity.member)


def _write_trial(into: Path, count: int, period_s: int, accounts: tuple[str, ...]) -> Path:
    """Writes the plan of a network on this machine with everybody's keys; returns its path."""
    import secrets  # noqa: PLC0415 - only here
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - as above

    from proml.config import make_private_folder, write_atomically  # noqa: PLC0415 - as above
    from proml.consortium.keys import make_keys  # noqa: PLC0415 - as above
    from proml.consortium.plan import plan_text  # noqa: PLC0415 - as above

    path = into / "trial.toml"
    if path.exists():
        raise UsageError(
            f"{path} exists: there is a trial already.", hint="Choose another folder with --into, or remove this one."
        )
    make_private_folder(into)
    names = [f"participant-{number}" for number in range(1, count + 1)]
    fields = {
        name: {"host": "127.0.0.1", "p2p_port": 30_303 + offset, "rpc_port": 8_545 + offset}
        for offset, name in enumerate(names)
    }
    for position, name in enumerate(names):
        make_keys(into / name, name, accounts if position == 0 else ())
    whole = {
        "name": "trial", "engine": "geth-clique", "chain_id": 100_000 + secrets.randbelow(900_000),
        "period_s": period_s,
        # Validators that make first blocks of their own, before they have met, may never agree on one.
        "genesis_time": datetime.now(UTC) + timedelta(seconds=_STARTS_S * (count + 1) if count > 1 else 0),
    }  # fmt: skip
    write_atomically(path, plan_text(whole, fields).encode(), mode=0o644)
    return path
