"""The client's process: started, stopped, found again, and restarted, whoever runs it.

The client outlives the command that starts it. Its process is known by ``client.pid`` and by its working folder, so
that a number which the system gave to another process is never taken for it. The file says ``supervised`` of a process
that another program started, such as systemd, which would start it again. One in a container is known by its answers.
``client.restarting`` is there while a client is restarted, so that one whose restart was cut off is not forgotten.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proml.config import write_atomically
from proml.consortium.asking import administer, answers
from proml.consortium.engines import engine_of
from proml.errors import ConfigError, ConflictError, LocalStorageError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.consortium.engines import Engine
    from proml.consortium.folder import Network

_START_S = 60.0
_STOP_S = 120.0
_POLL_S = 0.1
_VERSION_S = 30.0
_LAST_LINES = 5


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
        ConflictError: It runs already, or another command starts or stops it just now.
        ConfigError: The program or the keys are missing.
        UnreachableError: It ended, or does not answer within a minute; the message has its last words.
    """
    with _alone(network):
        pid = _start(network)
        _restarting(network).unlink(missing_ok=True)
        return pid


def _start(network: Network) -> int:
    engine = engine_of(network.engine)
    if running(network):
        raise ConflictError(f"the client of {network.participant} runs already, as process {running(network)}.")
    if answers(network, engine):
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
            runs it, which would start it again; or another command starts or stops it just now.
    """
    with _alone(network):
        _restarting(network).unlink(missing_ok=True)
        return _stop(network, timeout_s)


def _stop(network: Network, timeout_s: float) -> int:
    pid = running(network)
    if pid and _is_supervised(network):
        raise ConflictError(
            f"the client of {network.participant} (process {pid}) is run by another program, which would start it "
            "again.",
            hint="Stop it there: `systemctl stop proml-consortium`, or whatever runs start.sh.",
        )
    if not pid:
        if answers(network, engine_of(network.engine)):
            raise ConflictError(
                f"the client of {network.participant} answers, and is no process that this folder knows.",
                hint="Stop it where it was started: `docker compose stop`, or whatever runs it.",
            )
        return 0
    _end(network, pid, timeout_s)
    return pid


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
        ConflictError: It does not end, or another command starts or stops it just now, or did.
        UnreachableError: It does not run again.
    """
    with _alone(network):
        if running(network) != pid:
            raise ConflictError(f"the client of {network.participant} was stopped or started meanwhile.")
        _restarting(network).touch()
        _end(network, pid)
        if _is_supervised(network):
            _await_again(network, engine_of(network.engine))
        else:
            _start(network)
        _restarting(network).unlink(missing_ok=True)


def is_cut_off(network: Network) -> bool:
    """Tells whether the client does not run because a restart was cut off, and nobody else starts it."""
    return _restarting(network).exists() and not running(network) and not _is_supervised(network)


def _restarting(network: Network) -> Path:
    return network.root / "client.restarting"


@contextlib.contextmanager
def _alone(network: Network) -> Iterator[None]:
    """Lets nobody else start or stop the client meanwhile."""
    path = network.root / "client.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalStorageError(
            f"{path} cannot be made: {error.strerror}.", hint="The client is run by whoever owns the folder."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"another command starts or stops the client of {network.participant} just now.",
                hint="See how it is when that is done: `proml consortium status`.",
            ) from error
        yield
    finally:
        os.close(descriptor)


def _end(network: Network, pid: int, timeout_s: float = _STOP_S) -> None:
    """Ends the client in order, whoever started it."""
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
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


def _await_again(network: Network, engine: Engine) -> None:
    """Waits until whatever runs the client has started it again."""
    ends = time.monotonic() + _START_S
    while not (running(network) and answers(network, engine)):
        if time.monotonic() > ends:
            raise UnreachableError(
                f"the client of {network.participant} was ended, and nothing started it again within {_START_S:.0f} s.",
                hint="Start it where it is run: `systemctl start proml-consortium`.",
            )
        time.sleep(_POLL_S)


def _is_supervised(network: Network) -> bool:
    try:
        return "supervised" in (network.root / "client.pid").read_text()
    except OSError:
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


def _last_words(network: Network) -> str:
    text = ""
    for name in ("client.log", "start.log"):
        with contextlib.suppress(OSError):
            text = (network.root / name).read_text(errors="replace")[-4000:] or text
    return " | ".join(text.strip().splitlines()[-_LAST_LINES:])
