"""A participant's folder: everything that its client needs, written from the plan, beside the keys that it made.

| path | what |
|---|---|
| ``network.json`` | what this folder is: engine, chain, who takes part |
| ``genesis.json``, peers or settings, ``start.sh`` | of the engine; ``start.sh`` runs the client in the foreground |
| ``proml-consortium.service``, ``compose.yaml`` | to run it by systemd or in a container |
| ``proml-consortium-watch.service`` | to have it watched, where the engine has branches |
| ``keys/`` | secret, made here, never overwritten |
| ``data/``, ``client.log``, ``client.pid`` | the client's own |
| ``watch.json`` | which block was final when a branch was left |
| ``client.lock``, ``client.restarting`` | for commands that start and stop it |
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from proml.config import make_private_folder, write_atomically
from proml.consortium.engines import engine_of
from proml.consortium.keys import read_public
from proml.consortium.plan import public_path
from proml.core import shape
from proml.core.canonical import parse_json
from proml.errors import ConfigError, InvalidRecord, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proml.consortium.plan import Plan, Seat

SCHEMA = "proml/consortium-folder/v1"
NETWORK_FILE = "network.json"
# A Unix socket's path has at most 107 bytes (unix(7)); this leaves room for data/geth.ipc.
LONGEST_PATH_BYTES = 90
_SIZE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Network:
    """What a participant's folder says of its network.

    Attributes:
        root: The folder.
        name: Display name of the network.
        participant: Whose folder it is.
        engine: Name of the engine.
        chain_id: EIP-155 chain id.
        finality: When blocks are final, as workspace files write it.
        rpc_url: Where its client answers, on this machine.
        genesis: SHA-256 of ``genesis.json`` in hex; the same for everybody.
        validators: Who seals, or may once voted in, as the engine names it, by participant.
    """

    root: Path
    name: str
    participant: str
    engine: str
    chain_id: int
    finality: str
    rpc_url: str
    genesis: str
    validators: Mapping[str, str]


def write_folder(plan: Plan, name: str, into: Path) -> Network:
    """Writes a participant's folder, or writes it anew after the plan got new participants; keys and data stay.

    Args:
        plan: The network.
        name: The participant.
        into: Its folder; made if needed.

    Raises:
        ConfigError: The plan has no such participant; the folder is another network's or another participant's; or its
            keys are not those of the public file in the plan.
        LocalStorageError: It cannot be written.
    """
    seat, engine = plan.seat(name), engine_of(plan.engine)
    into = into.absolute()
    _check_path(into)
    files = dict(engine.files(plan, seat))
    _check_same_network(into, name, files["genesis.json"])
    _check_same_keys(into, seat)
    network = {
        "schema": SCHEMA,
        "name": plan.name,
        "participant": name,
        "engine": plan.engine,
        "chain_id": plan.chain_id,
        "finality": str(engine.finality(plan)),
        "rpc_url": f"http://127.0.0.1:{seat.rpc_port}{engine.rpc_path(files)}",
        "validators": {other.name: engine.validator(other) for other in plan.seats},
    }
    files["proml-consortium.service"] = _unit(plan, seat, into)
    if not engine.no_branches:
        files["proml-consortium-watch.service"] = _watch_unit(plan, seat, into)
    files["compose.yaml"] = _compose(plan, seat)
    make_private_folder(into)
    for file, text in files.items():
        make_private_folder((into / file).parent)
        write_atomically(into / file, text.encode(), mode=0o755 if file == "start.sh" else 0o644)
    write_atomically(into / NETWORK_FILE, (json.dumps(network, indent=2) + "\n").encode(), mode=0o644)
    return read_network(into)


def read_network(root: Path) -> Network:
    """Reads what a participant's folder says of its network.

    Raises:
        ConfigError: It is no such folder, or its file is broken.
    """
    path = root.absolute() / NETWORK_FILE
    try:
        document = parse_json(path.read_bytes()[:_SIZE_LIMIT], str(path))
        genesis = hashlib.sha256((path.parent / "genesis.json").read_bytes()).hexdigest()
        _SHAPE(document, "$")
    except OSError as error:
        raise ConfigError(
            f"{root} is not a participant's folder of a consortium: {error.filename}: {error.strerror}.",
            hint="Name it, or write it with `proml consortium new PLAN.toml`.",
        ) from error
    except InvalidRecord as error:
        raise ConfigError(f"In {path}: {error.message}", hint="Write it anew: `proml consortium new`.") from error
    fields = cast("dict[str, Any]", document)
    fields.pop("schema")
    if fields["participant"] not in fields["validators"]:
        raise ConfigError(
            f"In {path}: expected {fields['participant']} among the validators, found "
            f"{', '.join(fields['validators'])}.",
            hint="Write it anew: `proml consortium new`.",
        )
    return Network(root=path.parent, genesis=genesis, **fields)


def _check_path(into: Path) -> None:
    if len(str(into).encode()) > LONGEST_PATH_BYTES:
        raise UsageError(
            f"the path of a participant's folder may have {LONGEST_PATH_BYTES} bytes; {into} has more, and its "
            "client's socket could not be reached.",
            hint="Choose a shorter path with --into.",
        )


def _check_same_network(into: Path, name: str, genesis: str) -> None:
    if not (into / NETWORK_FILE).exists():
        return
    known = _known(into)
    if known is not None and known.participant != name:
        raise ConfigError(
            f"{into} is the folder of {known.participant}, not of {name}.", hint="Choose another folder with --into."
        )
    before = known.genesis if known is not None else _genesis_digest(into)
    if before and before != hashlib.sha256(genesis.encode()).hexdigest():
        raise ConfigError(
            f"{into} belongs to a network with another genesis block: chain, period, genesis time or founders differ.",
            hint="A running network keeps these: mark a new participant with founder = false and vote it in. For a new "
            "network choose another folder.",
        )


def _known(into: Path) -> Network | None:
    """Returns what a folder says that it is; None if that is damaged, since writing it anew is how to mend it."""
    try:
        return read_network(into)
    except ConfigError:
        return None


def _genesis_digest(into: Path) -> str:
    try:
        return hashlib.sha256((into / "genesis.json").read_bytes()).hexdigest()
    except OSError:
        return ""


def _check_same_keys(into: Path, seat: Seat) -> None:
    """Refuses keys of this folder that are not those which the others know, before anybody wonders about silence."""
    mine = public_path(into, seat.name)
    if mine.exists() and read_public(mine, seat.name) != seat.keys:
        raise ConfigError(
            f"the keys in {into} are not those of the public file that the plan uses for {seat.name}.",
            hint=f"Hand {mine} out to everybody, in place of the other.",
        )


def _unit(plan: Plan, seat: Seat, into: Path) -> str:
    return f"""[Unit]
Description=Ethereum client of {seat.name} in the consortium {plan.name.replace("%", "%%")}
Wants=network-online.target
After=network-online.target

[Service]
{_user_line()}# Name the program if it is not on the service's PATH:
# Environment={engine_of(plan.engine).variable}=/usr/local/bin/{engine_of(plan.engine).program}
WorkingDirectory={_escaped(into)}
ExecStart="{_escaped(into).replace("$", "$$")}/start.sh"
Restart=always
RestartSec=5
# A client that is killed loses what it had not written: give it time.
TimeoutStopSec=120
KillSignal=SIGTERM
LimitNOFILE=65536
NoNewPrivileges=true
PrivateTmp=true

[Install]
WantedBy=multi-user.target
"""


def _watch_unit(plan: Plan, seat: Seat, into: Path) -> str:
    return f"""[Unit]
Description=Ends ties of the client of {seat.name} in the consortium {plan.name.replace("%", "%%")}
After=proml-consortium.service

[Service]
{_user_line()}# Name proml's folder if it is not on the service's PATH, and the client's program if the watch starts it:
# Environment=PATH=/opt/proml/bin:/usr/local/bin:/usr/bin:/bin
# Environment={engine_of(plan.engine).variable}=/usr/local/bin/{engine_of(plan.engine).program}
ExecStart=/usr/bin/env proml consortium watch "{_escaped(into).replace("$", "$$")}"
Restart=always
RestartSec=5
KillMode=process
TimeoutStopSec=240
NoNewPrivileges=true

[Install]
WantedBy=multi-user.target
"""


def _escaped(path: Path) -> str:
    """Returns a path as units have it (systemd.unit, "Specifiers")."""
    return str(path).replace("%", "%%")


def _user_line() -> str:
    """Returns the line that lets the client run as whoever made the folder and its keys."""
    try:
        return f"User={pwd.getpwuid(os.getuid()).pw_name}\n"
    except KeyError:  # an account that the system has no name for
        return f"User={os.getuid()}\n"


def _compose(plan: Plan, seat: Seat) -> str:
    engine = engine_of(plan.engine)
    environment = "\n".join(f"      {name}: {value}" for name, value in engine.in_image.items())
    return f"""# The client in a container, on the host's own network. Not tested: no container engine was at hand.
services:
  {seat.name}:
    image: {engine.image}
    network_mode: host
    restart: unless-stopped
    stop_grace_period: 2m
    user: "${{UID:-1000}}:${{GID:-1000}}"
    working_dir: /network
    entrypoint: ["/bin/sh", "/network/start.sh"]
    environment:
{environment}
    volumes:
      - .:/network
"""


_SHAPE = shape.structure(
    {
        "schema": shape.constant(value=SCHEMA),
        "name": shape.label,
        "participant": shape.identifier,
        "engine": shape.text,
        "chain_id": shape.integer(1),
        "finality": shape.text,
        "rpc_url": shape.text,
        "validators": shape.mapping(shape.identifier, shape.text),
    }
)
