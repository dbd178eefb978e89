"""One workspace of many writers, each with an identity, a working folder and a client; and raw transactions to it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.network.clients import CHAIN_ID, until
from bench.network.raw import Account
from proml.core.digest import sha256
from proml.core.heads import genesis_head, next_head
from proml.core.operation import Registration, Transition
from proml.workspace import read_workspace_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.network.clients import Clients
    from proml.adapters.local_signer import LocalSigner
    from proml.core.operation import Operation
    from proml.core.workspace_file import WorkspaceFile

GAS = 250_000
GAS_EACH_OF_MANY = 30_000
LIFECYCLE = 1
COLLECT = 0
_REGISTERED, _COLLECTED = 0, 1
WRITER = Path(__file__).with_name("writer.py")


@dataclass
class World:
    """A workspace on running clients.

    Attributes:
        names: Identities; the first founded the workspace.
        file: The workspace file.
    """

    clients: Clients
    names: Sequence[str]
    file: WorkspaceFile

    def folder(self, name: str) -> Path:
        """Returns a writer's working folder."""
        return self.clients.root / f"work-{name}"

    def url(self, number: int) -> str:
        """Returns the client that the n-th writer uses."""
        return self.clients.urls[number % 4]


def found(clients: Clients, names: Sequence[str], raw: Sequence[LocalSigner]) -> World:
    """Founds a workspace of all identities and raw accounts, and lets everybody join, each by its own client."""
    until(lambda: _seals(clients), "the clients seal blocks")
    first = clients.root / f"work-{names[0]}"
    first.mkdir()
    everybody = [*_addresses(clients, names), *((f"raw-{n}", signer.address) for n, signer in enumerate(raw))]
    roles = {names[0]: "admin+contributor"}
    members = [f"org-{name}:{roles.get(name, 'contributor')}:{address}" for name, address in everybody]
    clients.proml(
        "workspace", "new", "--name", "bench", "--ledger", clients.urls[0], "--finality", "depth:3",
        "--store", clients.root / "store", "--lifecycle", "source", "--quorum", 1,
        *(word for member in members for word in ("--member", member)),
        folder=first, PROML_IDENTITY=names[0],
    )  # fmt: skip
    path = clients.root / "workspace.json"
    clients.proml("workspace", "file", "-o", path, folder=first)
    for number, name in enumerate(names[1:], 1):
        join(clients, name, clients.urls[number % 4], path)
    return World(clients, names, read_workspace_file(path))


def join(clients: Clients, name: str, url: str, path: Path) -> Path:
    """Makes a working folder for an identity, by a client that has the workspace already; returns it."""
    folder = clients.root / f"work-{name}"
    folder.mkdir()
    environment = clients.environment(PROML_IDENTITY=name, PROML_LEDGER=url)
    words = [sys.executable, "-m", "proml", "init", "--workspace", str(path)]
    until(
        lambda: subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True).returncode == 0,
        f"{name} joins", every_s=0.5,
    )  # fmt: skip
    return folder


def _addresses(clients: Clients, names: Sequence[str]) -> list[tuple[str, str]]:
    listed = clients.proml("id", "list")["identities"]
    by_name = {one["name"]: one["address"] for one in listed}
    return [(name, by_name[name]) for name in names]


def _seals(clients: Clients) -> bool:
    found: dict[str, Any] = clients.proml("consortium", "status", clients.folder(0))
    return int(found["block_number"]) > 0 and int(found["peers"]) > 1


class Raw:
    """Operations on artefacts of raw accounts, bound to heads that are computed beforehand.

    Args:
        world: The workspace.
        signer: Who signs.
        number: Which client it uses.
    """

    def __init__(self, world: World, signer: LocalSigner, number: int) -> None:
        self.account = Account(signer, world.url(number))
        self._contract = world.file.contract
        self._heads: dict[bytes, tuple[bytes, int]] = {}

    def first_versions(self, count: int) -> None:
        """Signs that many registrations, each with its first transition in the same transaction."""
        for index in range(len(self._heads), len(self._heads) + count):
            artefact = sha256(f"{self.account.signer.address} {index}".encode())
            registration = Registration(artefact, LIFECYCLE, sha256(b"registration" + artefact))
            head = genesis_head(CHAIN_ID, self._contract, registration, self.account.signer.address)
            self._heads[artefact] = head, 0
            self._sign((registration, self._collect(artefact)), GAS)

    def next_versions(self, together: int) -> None:
        """Signs a transition of each artefact, so many in one transaction."""
        artefacts = list(self._heads)
        for start in range(0, len(artefacts), together):
            some = artefacts[start : start + together]
            self._sign(tuple(self._collect(one) for one in some), GAS + GAS_EACH_OF_MANY * together)

    def one(self) -> bytes:
        """Signs a first version of one more artefact and returns the transaction's hash and bytes."""
        self.first_versions(1)
        return self.account.signed.pop()

    def _collect(self, artefact: bytes) -> Transition:
        head, seq = self._heads[artefact]
        data = sha256(b"%d" % seq + artefact)
        change = Transition(artefact, head, COLLECT, data, sha256(data))
        before = _COLLECTED if seq else _REGISTERED
        after = next_head(change, from_state=before, to_state=_COLLECTED, seq=seq + 1, key=self.account.signer.address)
        self._heads[artefact] = after, seq + 1
        return change

    def _sign(self, operation: Operation, gas: int) -> None:
        self.account.sign(self._contract, operation, gas)


class Writer:
    """A process that queues what it is told and then delivers it, through the product.

    Args:
        world: The workspace.
        number: Which of its identities.
    """

    def __init__(self, world: World, number: int) -> None:
        name = world.names[number]
        environment = world.clients.environment(PROML_IDENTITY=name, PROML_LEDGER=world.url(number))
        environment["PYTHONPATH"] = str(WRITER.parents[2])
        self._process = subprocess.Popen(
            [sys.executable, str(WRITER), name], cwd=world.folder(name), env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def tell(self, order: str, **values: object) -> None:
        """Gives an order without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **values}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Returns the answer to the oldest order that has none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a writer has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
