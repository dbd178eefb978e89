"""Four organisations whose clients are avalanchego with Subnet-EVM; participants.py has them with geth.

An idle chain makes no blocks here, and the clients' HTTP interface is on their own machines' loopback only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.network.fabric import machines
from tests.network.founding import found
from tests.network.participants import NAMES, Consortium, Member, wanted_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Asks one question of a client, on its machine: the address, and the request.
_ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


def wanted_avalanchego() -> Path:
    """Returns the program of `make subnet-evm`, or skips the test where it is missing; in CI that is a failure."""
    return wanted_program("avalanchego-*/avalanchego", "PROML_AVALANCHEGO", "subnet-evm")


class FinalMember(Member):
    """One organisation whose client is an avalanchego."""

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "PROML_AVALANCHEGO": str(self.geth)}

    @property
    def ledger(self) -> str:
        """The address of the chain at its client."""
        return str(json.loads((self.network / "network.json").read_text())["rpc_url"])

    def rpc(self, method: str, *parameters: object) -> Any:
        """Asks its client, on its machine."""
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        words = [*self.fabric.enter(self.machine), sys.executable, "-c", _ASK, self.ledger, request]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{self.name}: {method}: {done.stderr}"
        return json.loads(done.stdout)["result"]

    def pay(self, addresses: Sequence[str], coins: int) -> None:
        """Gives accounts coins, by the command."""
        self("consortium", "fund", *addresses, "--amount", coins // 10**18)

    def kill(self) -> None:
        """Kills its client, and waits until nothing of it is left: the plug-in is a process of its own."""
        self.signal(signal.SIGKILL)
        ends = time.monotonic() + 10
        while left := self._processes():
            if time.monotonic() > ends:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _processes(self) -> list[int]:
        words = ["ip", "netns", "pids", self.fabric.namespace(self.machine)]
        pids = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        return [int(pid) for pid in pids if _program(int(pid)).startswith(str(self.geth.parent))]


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/exe").readlink())
    return ""


class FinalConsortium(Consortium):
    """All of them."""

    engine = "subnet-evm"
    starts_s = 0

    def begins(self) -> None:
        """Founds the chain, and waits until every client offers it."""
        founder = self.members[0]
        founder("consortium", "create-chain", founder.network)
        self.answers()

    def __getitem__(self, name: str) -> FinalMember:
        return cast("FinalMember", super().__getitem__(name))

    def kill_all(self) -> None:
        """Kills all clients at the same time."""
        self.at_once(lambda member: self[member.name].kill())

    def answers(self) -> None:
        """Waits until every client offers the chain."""
        self.until(
            lambda: all(m.ask("consortium", "status", m.network).returncode == 0 for m in self), "all clients answer"
        )


@contextlib.contextmanager
def final_consortium(program: Path) -> Iterator[FinalConsortium]:
    """Yields four organisations whose clients run and who share a workspace; ends all that it started."""
    root = Path(tempfile.mkdtemp(prefix="pmfin-", dir="/tmp"))
    try:
        with machines(len(NAMES) + 1) as fabric:
            members = tuple(FinalMember(name, number, fabric, root, program) for number, name in enumerate(NAMES))
            made = FinalConsortium(fabric, members)
            try:
                found(made)
                yield made
            finally:
                _end(fabric.size, root, program, made)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _end(size: int, root: Path, program: Path, made: FinalConsortium) -> None:
    for machine in range(size):
        left = FinalMember("left", machine, made.fabric, root, program)
        for pid in left._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
