"""Runs the client of one participant's folder, and asks it how it is.

The client outlives the command that starts it. Its process is known by ``client.pid`` and by its working folder, so
that a number which the system gave to another process is never taken for it. The file says ``supervised`` of a process
that another program started, such as systemd, which would start it again. One in a container is known by its answers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from proml.adapters.jsonrpc.administration import Administration
from proml.adapters.jsonrpc.answers import Reader
from proml.config import write_atomically
from proml.consortium.engines import Ask, Engine, engine_of
from proml.core.words import parse_address
from proml.errors import ConfigError, ConflictError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proml.consortium.folder import Network

_START_S = 60.0
_STOP_S = 120.0
_POLL_S = 0.1
_STANDING_S, _STANDING_PERIODS = 20, 10
_VERSION_S = 30.0
_LAST_LINES = 5


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """How a participant's client is.

    Attributes:
        pid: Its process; 0 if it does not run, or in a container.
        version: What it says it is.
        block_number: Its newest block; -1 if it does not answer.
        block_hash: That block's hash.
        block_time: That block's Unix time, in seconds.
        standing_s: How long no block has come, in seconds, if that is far longer than between the two before; else 0.
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


def find_program(engine: Engine) -> str:
    """Returns the client's program, of a version that can be used.

    Raises:
        ConfigError: There is none, or it is of another version.
    """
    chosen = os.environ.get(engine.variable)
    program = chosen or shutil.which(engine.program)
    if not program:
        raise ConfigError(
            f"the client {engine.program} ({engine.versions}) is not installed: it is not on the PATH.",
            hint=f"Install it, or set {engine.variable} to its path; see docs/how-to/run-a-consortium.md.",
        )
    try:
        answer = subprocess.run(  # noqa: S603 - the program that its owner named or installed
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_S, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{program} cannot be run: {error}.", hint=f"Correct {engine.variable}.") from error
    said = (answer.stdout + answer.stderr).strip()
    if not engine.accepts(said):
        raise ConfigError(
            f"expected {engine.program} {engine.versions} at {program}, found {said[:100]!r}.",
            hint=f"Install that version beside it and set {engine.variable} to its path.",
        )
    return program


def start(network: Network) -> int:
    """Starts the client in the background and waits until it answers; returns its process id.

    Raises:
        ConflictError: It runs already.
        ConfigError: The program or the keys are missing.
        UnreachableError: It ended, or does not answer within a minute; the message has its last words.
    """
    engine = engine_of(network.engine)
    if running(network):
        raise ConflictError(f"the client of {network.participant} runs already, as process {running(network)}.")
    if _answers(network, engine):
        raise ConflictError(
            f"a client answers for {network.participant} already, which is no process that this folder knows.",
            hint="It runs in a container, or as somebody else's; or another client has the same rpc_port.",
        )
    if not (network.root / "keys").is_dir():
        raise ConfigError(
            f"expected the keys of {network.participant} in {network.root / 'keys'}, found none.",
            hint=f"A folder without keys is for looking at. Make them with `proml consortium keys "
            f"{network.participant} --into {network.root}`, hand the public file out, and write the plan anew.",
        )
    program = find_program(engine)
    with (network.root / "start.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the owner's own folder
            ["/bin/sh", str(network.root / "start.sh"), "started"],
            cwd=network.root,
            env={**os.environ, engine.variable: program},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    write_atomically(network.root / "client.pid", f"{process.pid}\n".encode(), mode=0o644)
    ends = time.monotonic() + _START_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise UnreachableError(
                f"the client of {network.participant} ended with exit code {process.returncode}: "
                f"{_last_words(network)}",
                hint=f"Look into {network.root / 'start.log'} and client.log.",
            )
        with contextlib.suppress(UnreachableError), administer(network, engine) as ask:
            engine.ready(ask)
            if process.poll() is None:
                return process.pid
            continue  # another one answered; why this one ended is said above
        time.sleep(_POLL_S)
    raise UnreachableError(
        f"the client of {network.participant} does not answer after {_START_S:.0f} s: {_last_words(network)}",
        hint="It still runs; look with `proml consortium status` and into client.log.",
    )


def stop(network: Network, timeout_s: float = _STOP_S) -> int:
    """Stops the client in order, so that it writes what it has; returns the process id, 0 if it did not run.

    Raises:
        ConflictError: It still runs after ``timeout_s``; it is not killed, which could lose blocks. Or another program
            runs it, which would start it again.
    """
    pid = running(network)
    if pid and _is_supervised(network):
        raise ConflictError(
            f"the client of {network.participant} (process {pid}) is run by another program, which would start it "
            "again.",
            hint="Stop it there: `systemctl stop proml-consortium`, or whatever runs start.sh.",
        )
    if not pid:
        if _answers(network, engine_of(network.engine)):
            raise ConflictError(
                f"the client of {network.participant} answers, and is no process that this folder knows.",
                hint="Stop it where it was started: `docker compose stop`, or whatever runs it.",
            )
        return 0
    _end(network, pid, timeout_s)
    return pid


def _end(network: Network, pid: int, timeout_s: float = _STOP_S) -> None:
    """Ends the client in order, whoever started it."""
    os.kill(pid, signal.SIGTERM)
    ends = time.monotonic() + timeout_s
    while running(network) == pid:
        if time.monotonic() > ends:
            raise ConflictError(
                f"the client of {network.participant} (process {pid}) still runs {timeout_s:.0f} s after it was asked "
                "to stop; it was not killed.",
                hint="Wait, or look into client.log.",
            )
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # only when this process started it
        time.sleep(_POLL_S)
    if not _is_supervised(network):
        (network.root / "client.pid").unlink(missing_ok=True)


def _is_supervised(network: Network) -> bool:
    try:
        return "supervised" in (network.root / "client.pid").read_text()
    except OSError:
        return False


def _answers(network: Network, engine: Engine) -> bool:
    """Whether a client of this chain answers where this folder's would."""
    with contextlib.suppress(UnreachableError), administer(network, engine) as ask:
        return int(str(ask("eth_chainId")), 16) == network.chain_id
    return False


def running(network: Network) -> int:
    """Returns the process id of the folder's client; 0 if it does not run."""
    import psutil  # noqa: PLC0415 - takes long to import

    try:
        pid = int((network.root / "client.pid").read_text().split()[0])
        process = psutil.Process(pid)  # type: ignore[no-untyped-call]  # psutil has no types
        here, state = Path(process.cwd()), process.status()  # type: ignore[no-untyped-call]
        mine = here == network.root.resolve() and state != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, IndexError, psutil.Error):
        return 0
    return pid if mine else 0


def status(network: Network) -> ClientStatus:
    """Returns how the client is; one that does not answer is not an error, but ``block_number`` is -1."""
    engine, pid = engine_of(network.engine), running(network)
    disk = sum(_size(path) for path in (network.root / "data").rglob("*"))
    if not pid and not _answers(network, engine):
        return ClientStatus(disk_bytes=disk)
    import psutil  # noqa: PLC0415 - as above

    memory = 0
    with contextlib.suppress(psutil.Error):
        if pid:
            memory = int(psutil.Process(pid).memory_info().rss)  # type: ignore[no-untyped-call]  # psutil has no types
    try:
        with administer(network, engine) as ask:
            read = Reader("eth_getBlockByNumber", f"the client of {network.participant}")
            newest = read.block(ask("eth_getBlockByNumber", "latest", False))  # noqa: FBT003 - without transactions
            before, genesis = (
                read.block(ask("eth_getBlockByNumber", hex(number), False))  # noqa: FBT003 - as above
                for number in (max(newest.number - 1, 0), 0)
            )
            validators = engine.validators(ask)
            names = {address: name for name, address in network.validators.items()}
            return ClientStatus(
                pid=pid,
                version=str(ask("web3_clientVersion")),
                block_number=newest.number,
                block_hash=newest.hash,
                block_time=newest.timestamp,
                standing_s=_standing_s(newest.timestamp, before.timestamp) if engine.when_standing else 0,
                genesis_hash=genesis.hash,
                peers=engine.peers(ask),
                is_validator=network.validators[network.participant] in validators,
                validators={address: names.get(address, "") for address in validators},
                votes=dict(engine.votes(ask)),
                votes_needed=engine.votes_needed(len(validators)),
                memory_bytes=memory,
                disk_bytes=disk,
            )
    except UnreachableError:
        return ClientStatus(pid=pid, memory_bytes=memory, disk_bytes=disk)


def _standing_s(newest: int, before: int) -> int:
    age_s = int(time.time()) - newest
    return age_s if age_s > max(_STANDING_S, _STANDING_PERIODS * (newest - before)) else 0


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


def check_restart(network: Network) -> int:
    """Returns the client's process id, 0 if this folder does not know it; nothing is ended that cannot be started.

    Raises:
        ConfigError: It runs by this folder's doing, and its program is gone.
    """
    pid = running(network)
    if pid and not _is_supervised(network):
        find_program(engine_of(network.engine))
    return pid


def restart(network: Network, pid: int) -> None:
    """Ends the client in order and starts it again, or waits until whoever runs it has.

    Raises:
        ConflictError: It does not end.
        UnreachableError: It does not run again.
    """
    _end(network, pid)
    if _is_supervised(network):
        _await_again(network, engine_of(network.engine))
    else:
        start(network)


def _await_again(network: Network, engine: Engine) -> None:
    """Waits until whatever runs the client has started it again."""
    ends = time.monotonic() + _START_S
    while not (running(network) and _answers(network, engine)):
        if time.monotonic() > ends:
            raise UnreachableError(
                f"the client of {network.participant} was ended, and nothing started it again within {_START_S:.0f} s.",
                hint="Start it where it is run: `systemctl start proml-consortium`.",
            )
        time.sleep(_POLL_S)


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


class _Asking:
    """An :class:`~proml.consortium.engines.Ask` with a connection for each path."""

    def __init__(self, network: Network, socket: str) -> None:
        self.folder = network.root
        self._where = str(network.root / socket) if socket else network.rpc_url
        self._open: dict[str, Administration] = {}

    def __call__(self, method: str, *parameters: Any, at: str = "") -> Any:
        if at not in self._open:
            self._open[at] = Administration(urljoin(self._where, at) if at else self._where)
        return self._open[at].ask(method, *parameters)

    def close(self) -> None:
        for one in self._open.values():
            one.close()


@contextlib.contextmanager
def administer(network: Network, engine: Engine) -> Iterator[Ask]:
    """Yields what asks the client of a folder, also for what it offers its owner only."""
    asking = _Asking(network, engine.admin_socket())
    try:
        yield asking
    finally:
        asking.close()


def _last_words(network: Network) -> str:
    text = ""
    for name in ("client.log", "start.log"):
        with contextlib.suppress(OSError):
            text = (network.root / name).read_text(errors="replace")[-4000:] or text
    return " | ".join(text.strip().splitlines()[-_LAST_LINES:])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
