"""A member's node as a process of its own, and hosts without ledger and key that hand over to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ENDS_S = 60


def proml(folder: Path, *words: object, code: int = 0, **environment: str) -> Any:
    """Runs `proml WORDS --json` as a process of its own, checks its exit code, and returns its document."""
    command = [sys.executable, "-m", "proml", *map(str, words)]
    place = command.index("--") if "--" in command else len(command)
    command.insert(place, "--json")
    chosen = {"PATH": os.environ["PATH"], "HOME": str(folder.parent / "no-home"), **environment}
    done = subprocess.run(command, cwd=folder, env=chosen, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"proml {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


@dataclass
class RunningNode:
    """A node's process."""

    folder: Path
    home: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None
    tls: tuple[Path, Path] | None = None
    """Certificate and key."""

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def token_file(self) -> Path:
        return self.folder / ".proml" / "node-token"

    def proml(self, *words: object, code: int = 0) -> Any:
        """Runs a command as the member itself, in the node's working folder."""
        return proml(self.folder, *words, code=code, PROML_HOME=str(self.home))

    def start(self, *options: str) -> None:
        """Starts it, at the port that it had before, and waits until it answers."""
        command = [sys.executable, "-m", "proml", "node", "--listen", f"127.0.0.1:{self.port}", "--every", "0.1"]
        if self.tls is not None:
            command += ["--tls-cert", str(self.tls[0]), "--tls-key", str(self.tls[1])]
        with (self.folder / "node.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, *options, "--json"],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "PROML_HOME": str(self.home), "HOME": str(self.home)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            line = self.process.stdout.readline()
            assert line, (self.folder / "node.log").read_text()
            lines.append(line)
        self.port = int(json.loads("".join(lines))["node"].rpartition(":")[2])
        self.until(lambda: self.ask("GET", "/health", token=None)[0] in (200, 503))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(ENDS_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Asks it over HTTP; returns status and JSON (or None). Without ``token`` its own is sent; None sends none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ENDS_S)
        if self.tls is not None:
            context = ssl.create_default_context(cafile=self.tls[0])
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=ENDS_S, context=context)
        chosen = dict(headers or {})
        if token is not None:
            chosen["Authorization"] = f"Bearer {token or self.token_file.read_text().strip()}"
        try:
            connection.request(method, path, body, chosen)
            response = connection.getresponse()
            data = response.read()
        except OSError:
            return 0, None
        finally:
            connection.close()
        try:
            return response.status, json.loads(data)
        except ValueError:
            return response.status, data or None

    def until(self, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + ENDS_S
        while not holds():
            assert time.monotonic() < ends, f"not within {ENDS_S} s; {self.ask('GET', '/health', token=None)}"
            time.sleep(0.05)


@dataclass
class Host:
    """A training host."""

    folder: Path

    def proml(self, *words: object, code: int = 0) -> Any:
        return proml(self.folder, *words, code=code)

    def record(self, name: str, text: str = "1", action: str = "collect") -> None:
        """Captures a run that publishes a file; needs no node."""
        (self.folder / f"{name}.csv").write_text(text)
        publish = ("--publish", f"{name}={name}.csv", "--kind", "source", "--action", action)
        self.proml("run", *publish, "--no-observe", "--", "true")


@pytest.fixture(scope="module")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """The node of a workspace of one, on the embedded ledger."""
    root = tmp_path_factory.mktemp("node")
    (root / "member").mkdir()
    made = RunningNode(root / "member", root / "home")
    made.proml("init")
    yield made
    if made.process is not None:
        with contextlib.suppress(ProcessLookupError):
            made.end(signal.SIGKILL)


@pytest.fixture
def node(one_node: RunningNode) -> RunningNode:
    """The same for all tests of a file, running; what tests before this one recorded is there."""
    if one_node.process is None:
        one_node.start()
    return one_node


@pytest.fixture
def new_host(node: RunningNode, tmp_path: Path) -> Callable[[str], Host]:
    """Makes a host that hands over to the node."""

    def make(name: str) -> Host:
        folder = tmp_path / name
        folder.mkdir()
        proml(folder, "init", "--node", node.url, "--token-file", node.token_file)
        return Host(folder)

    return make


@pytest.fixture
def host(new_host: Callable[[str], Host]) -> Host:
    return new_host("host")
