"""Asks the client of one participant's folder how it is, votes with it, and founds the chain through it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from proml.adapters.jsonrpc.answers import Reader
from proml.consortium.asking import administer, answers
from proml.consortium.engines import engine_of
from proml.consortium.process import running
from proml.core.canonical import parse_json
from proml.core.words import parse_address
from proml.errors import ConfigError, InvalidRecord, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from proml.consortium.folder import Network

_STANDING_S, _STANDING_PERIODS = 20, 10


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """How a participant's client is.

    Attributes:
        pid: Its process; 0 if it does not run, or in a container.
        version: What it says it is.
        block_number: Its newest block; -1 if it does not answer.
        block_hash: That block's hash.
        block_time: That block's Unix time, in seconds.
        standing_s: How long no block has come, in seconds, if that is far longer than the network's period; else 0.
        genesis_hash: Hash of block 0.
        peers: How many other clients it is connected to.
        is_validator: Whether it may seal blocks now.
        validators: Who may: addresses, with the participant's name or nothing.
        votes: Its own votes that are not carried out yet: address to whether it is to be admitted.
        votes_needed: How many validators must vote alike.
        memory_bytes: Resident memory.
        disk_bytes: Size of ``data/``.
    """

    pid: int = 0
    version: str = ""
    block_number: int = -1
    block_hash: bytes = b""
    block_time: int = 0
    standing_s: int = 0
    genesis_hash: bytes = b""
    peers: int = 0
    is_validator: bool = False
    validators: Mapping[str, str] | None = None
    votes: Mapping[str, bool] | None = None
    votes_needed: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0


def status(network: Network) -> ClientStatus:
    """Returns how the client is; one that does not answer is not an error, but ``block_number`` is -1."""
    found = answer(network)
    return replace(found, memory_bytes=_memory_bytes(found.pid), disk_bytes=_disk_bytes(network.root / "data"))


def answer(network: Network) -> ClientStatus:
    """Returns what :func:`status` does, without sizes, which take long."""
    engine, pid = engine_of(network.engine), running(network)
    if not pid and not answers(network, engine):
        return ClientStatus()
    try:
        with administer(network, engine) as ask:
            read = Reader("eth_getBlockByNumber", f"the client of {network.participant}")
            newest, genesis = (
                read.block(ask("eth_getBlockByNumber", which, False))  # noqa: FBT003 - without transactions
                for which in ("latest", "0x0")
            )
            validators = engine.validators(ask)
            names = {address: name for name, address in network.validators.items()}
            return ClientStatus(
                pid=pid,
                version=str(ask("web3_clientVersion")),
                block_number=newest.number,
                block_hash=newest.hash,
                block_time=newest.timestamp,
                standing_s=_standing_s(network, newest.timestamp),
                genesis_hash=genesis.hash,
                peers=engine.peers(ask),
                is_validator=network.validators[network.participant] in validators,
                validators={address: names.get(address, "") for address in validators},
                votes=dict(engine.votes(ask)),
                votes_needed=engine.votes_needed(len(validators)),
            )
    except UnreachableError:
        return ClientStatus(pid=pid)


def block_hash(network: Network, number: int) -> bytes:
    """Returns the hash of the client's block of this number; empty if it has none; raises UnreachableError."""
    with administer(network, engine_of(network.engine)) as ask:
        found = ask("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003 - without transactions
    read = Reader("eth_getBlockByNumber", f"the client of {network.participant}")
    return b"" if found is None else read.block(found).hash


def stands_after_s(network: Network) -> int:
    """Returns after how many seconds without a block a client stands; 0 if none is due without transactions.

    Raises:
        ConfigError: The genesis block is damaged.
    """
    path = network.root / "genesis.json"
    try:
        genesis: Any = parse_json(path.read_bytes(), str(path))
        period_s = engine_of(network.engine).period_s(genesis)
    except (OSError, InvalidRecord, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"expected a genesis block in {path}, found something else.", hint="Write it anew: `proml consortium new`."
        ) from error
    return max(_STANDING_S, _STANDING_PERIODS * period_s) if period_s else 0


def _standing_s(network: Network, newest_s: int) -> int:
    after_s, age_s = stands_after_s(network), int(time.time()) - newest_s
    return age_s if 0 < after_s < age_s else 0


def vote(network: Network, who: str, *, admit: bool) -> ClientStatus:
    """Votes that a participant may seal blocks, or may not any more.

    Args:
        network: Whose client votes.
        who: A participant's name, or an address.
        admit: To admit it; else to remove it.

    Returns:
        How things stand after the vote.

    Raises:
        UsageError: There is no such participant, it is what it is to become already, this client has no vote, or
            nobody has with this engine.
        UnreachableError: The client does not answer.
    """
    engine = engine_of(network.engine)
    if engine.no_votes:
        raise UsageError(engine.no_votes, hint=engine.instead)
    address = network.validators.get(who) or _address(who, network)
    now = status(network)
    if now.validators is None:
        raise UnreachableError(
            f"the client of {network.participant} does not answer.", hint="Start it: `proml consortium start`."
        )
    if not now.is_validator:
        raise UsageError(
            f"{network.participant} seals no blocks, so it has no vote.", hint="Ask the validators to vote."
        )
    if (address in now.validators) == admit:
        raise UsageError(f"{who} is {'a validator already' if admit else 'no validator'}.")
    if not admit and len(now.validators) == 1:
        raise UsageError(
            f"{who} is the only validator: without it no block would ever come again.",
            hint="Admit another one first: `proml consortium add-validator`.",
        )
    with administer(network, engine) as ask:
        engine.vote(ask, address, admit=admit)
    return status(network)


def _address(who: str, network: Network) -> str:
    if who.startswith("0x"):
        return parse_address(who)
    names = ", ".join(network.validators)
    raise UsageError(f"there is no participant {who!r}; there are {names}.", hint="Name one, or an address.")


def found(network: Network) -> Sequence[str]:
    """Founds the network's chain, for an engine whose chain does not begin by itself; returns what was done.

    Raises:
        UsageError: The engine's does.
        ConflictError: It cannot be founded as planned any more.
        UnreachableError: This client, or too few of the others, answer.
    """
    engine = engine_of(network.engine)
    with administer(network, engine) as ask:
        return engine.found(ask)


def _memory_bytes(pid: int) -> int:
    import psutil  # noqa: PLC0415 - takes long to import

    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss) if pid else 0  # type: ignore[no-untyped-call]  # no types
    return 0


def _disk_bytes(folder: Path) -> int:
    """Returns the size of a folder's files, as far as they stay where they are meanwhile."""
    total = 0
    with contextlib.suppress(OSError):
        for path in folder.rglob("*"):
            total += _size(path)
    return total


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
