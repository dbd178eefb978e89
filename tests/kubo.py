"""A real Kubo daemon on loopback, without the public network; `make kubo` builds it. It is no part of the product."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.processes import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENGINES = Path(os.environ.get("PROML_ENGINES", Path(__file__).parents[1] / ".engines"))
_READY_S = 60


def wanted_kubo() -> Path:
    """Returns the program; skips the test where there is none."""
    found = sorted(_ENGINES.glob("kubo-*/ipfs"))
    if not found:
        pytest.skip("there is no Kubo in .engines; `make kubo` builds it")
    return found[-1]


class Kubo(Server):
    """A daemon's process; it can be killed and started again on the same folder.

    Args:
        program: Kubo.
        folder: For its repository and its log.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        super().__init__(folder / "kubo.log")
        self.program = program
        self.folder = folder
        # Profile `test`: loopback only, free ports, no bootstrap peers, no discovery.
        self.run("init", "--profile=test")

    @property
    def rpc(self) -> str:
        return _url((self.folder / "repo" / "api").read_text())

    @property
    def gateway(self) -> str:
        return (self.folder / "repo" / "gateway").read_text().strip()

    @property
    def swarm(self) -> str:
        """The address that another daemon connects to."""
        return self.run("id", "--format=<addrs>").split()[0]

    def run(self, *arguments: str) -> str:
        """Carries out a command of Kubo's."""
        done = subprocess.run(
            [self.program, *arguments], env=self._environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        for name in ("api", "gateway"):
            (self.folder / "repo" / name).unlink(missing_ok=True)
        words = [self.program, "daemon"]
        self.launch(words, self._environment(), lambda: b"Daemon is ready" in self.log.read_bytes(), _READY_S)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "IPFS_PATH": str(self.folder / "repo"),
                "IPFS_TELEMETRY": "off"}  # fmt: skip


def _url(address: str) -> str:
    _, _, host, _, port = address.strip().split("/")
    return f"http://{host}:{port}"


@contextlib.contextmanager
def running_kubo(folder: Path) -> Iterator[Kubo]:
    """Starts a daemon and ends it, whatever happens."""
    daemon = Kubo(wanted_kubo(), folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.kill()
