"""A participant's node as a process, and what it answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bench.network.clients import free_ports, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.network.clients import Clients


@dataclass(frozen=True)
class Node:
    """A node that runs."""

    url: str
    token: str
    pid: int

    def ask(self, path: str) -> Any:
        """Returns what it answers to a GET; None if it knows no such thing."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    def on_top(self, name: str) -> int | None:
        """Returns how many blocks it says lie on top of an artefact's last transition; None if it knows none."""
        found = self.ask(f"/v1/status/{name}")
        return None if found is None else int(found["artefacts"][0]["confirmation"]["blocks"])

    def block_number(self) -> int:
        """Returns up to which block it has followed; -1 before the first."""
        return int(self.ask("/health")["block_number"])


@contextlib.contextmanager
def running_node(clients: Clients, folder: Path, **environment: str) -> Iterator[Node]:
    """Runs `proml node` in a working folder."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "proml", "node", "--listen", f"127.0.0.1:{port}"]
    with (folder / "node.log").open("w") as log:
        process = subprocess.Popen(words, cwd=folder, env=clients.environment(**environment), stdout=log, stderr=log)
    try:
        until(lambda: _answers(url), "the node answers")
        yield Node(url, (folder / ".proml" / "node-token").read_text().strip(), process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
