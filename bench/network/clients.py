"""Four real clients of a consortium on this machine's loopback interface, made by `proml consortium`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proml.consortium.plan import plan_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHAIN_ID = 7071
CLIENTS = 4
ROOT = Path(__file__).parents[2]
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_S = os.sysconf("SC_CLK_TCK")
_STARTS_S = 60.0
_BEGINS_S = 12
"""When the first block may come: clients that have not met by then each seal one, and the chain may stand from it."""


class ChainStandsError(Exception):
    """No client has blocks any more: Clique came to branches of equal weight (EIP-3436); nothing can be measured."""


def find_geth() -> Path | None:
    """Returns the geth of ``make geth``, or None."""
    return next(iter(sorted((ROOT / ".engines").glob("geth-[0-9]*/geth"), reverse=True)), None)


@dataclass
class Clients:
    """The clients, and whoever works with them.

    Attributes:
        root: Folder of everything.
        geth: The program.
        urls: JSON-RPC end points, one a client.
    """

    root: Path
    geth: Path
    period_s: int
    urls: list[str] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        """Returns an environment with a home of its own."""
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.root), "PROML_GETH": str(self.geth)}
        return {**kept, "PROML_HOME": str(self.root / "home"), **more}

    def proml(self, *words: object, folder: Path | None = None, **environment: str) -> Any:
        """Runs ``proml WORDS --json`` and returns its document."""
        done = subprocess.run(
            [sys.executable, "-m", "proml", *map(str, words), "--json"],
            cwd=folder or self.root, env=self.environment(**environment), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"proml {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def folder(self, number: int) -> Path:
        """Returns a client's folder."""
        return self.root / f"client-{number}"

    def pid(self, number: int) -> int:
        """Returns a client's process."""
        return int((self.folder(number) / "client.pid").read_text())


@contextlib.contextmanager
def running(
    geth: Path, period_s: int, names: Sequence[str], accounts: Sequence[str] = (), *, late: int = 0
) -> Iterator[Clients]:
    """Yields clients that seal blocks, and ends them.

    Raises ChainStandsError for whatever goes wrong within once no block comes any more.

    Args:
        geth: The program.
        period_s: Seconds between blocks.
        names: Identities to make; they have coins from the beginning.
        accounts: Addresses that also have coins.
        late: How many more participants the plan has that seal nothing and are not started.
    """
    root = Path(tempfile.mkdtemp(prefix="pmbench-", dir="/tmp"))  # short: a socket's path is in it
    clients = Clients(root, geth, period_s)
    try:
        made = [clients.proml("id", "new", name)["address"] for name in names]
        _write(clients, [*made, *accounts], late)
        for number in range(CLIENTS):
            clients.proml("consortium", "start", clients.folder(number))
        try:
            yield clients
        except Exception as error:
            if stands(clients):
                raise ChainStandsError(f"no block came any more: {error}") from error
            raise
    finally:
        for number in range(CLIENTS + late):
            with contextlib.suppress(OSError, ValueError):
                os.kill(clients.pid(number), signal.SIGKILL)
        shutil.rmtree(root, ignore_errors=True)


def stands(clients: Clients) -> bool:
    """Tells whether no client has had a block for long, by what their owners would see."""
    return all(clients.proml("consortium", "status", clients.folder(n))["standing_s"] for n in range(CLIENTS))


def _write(clients: Clients, accounts: Sequence[str], late: int) -> None:
    seats: dict[str, dict[str, object]] = {}
    ports = free_ports(2 * (CLIENTS + late))
    for number in range(CLIENTS + late):
        name = f"client-{number}"
        given = [word for account in accounts for word in ("--account", account)] if number == 0 else [
            "--account", accounts[0]]  # fmt: skip
        clients.proml("consortium", "keys", name, "--into", clients.folder(number), *given)
        seats[name] = {"host": "127.0.0.1", "p2p_port": ports.pop(), "rpc_port": ports.pop()}
        if number >= CLIENTS:
            seats[name]["founder"] = False
        clients.urls.append(f"http://127.0.0.1:{seats[name]['rpc_port']}")
    plan = {"name": "bench", "engine": "geth-clique", "chain_id": CHAIN_ID, "period_s": clients.period_s,
            "genesis_time": datetime.now(UTC) + timedelta(seconds=_BEGINS_S)}  # fmt: skip
    (clients.root / "plan.toml").write_text(plan_text(plan, seats))
    clients.proml("consortium", "new", clients.root / "plan.toml")


def free_ports(count: int) -> list[int]:
    """Returns TCP ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def until(holds: Any, what: str, timeout_s: float = _STARTS_S, every_s: float = 0.05) -> None:
    """Waits until something holds; raises TimeoutError."""
    ends = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(every_s)


def cpu_s(pid: int) -> float:
    """Returns the processor's time that a process has used, in seconds (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S


def memory_mib(pid: int) -> float:
    """Returns a process's resident memory in MiB (proc(5), statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / (1 << 20)


def disk_bytes(folder: Path) -> int:
    """Returns what the files below a folder take on disk."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # the process is running, and removes files
            total += path.lstat().st_blocks * 512
    return total
