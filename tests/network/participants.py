"""Four organisations on four machines, each with its own client, key and folder, who use the command line alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.network.fabric import Fabric, machines
from tests.network.founding import found

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.adapters.jsonrpc.administration import Administration
from proml.errors import UnreachableError
from proml.identity import Identities
from proml.ports import UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from proml.ports import Signer

NAMES = ("clinic", "lab", "developer", "auditor")
HEALS_S = 120.0
_LOOKS_S = 15.0
WAITS = 5
"""Exit code: not everything is in a block."""

NODE_URL = "http://127.0.0.1:8700"
_ROOT = Path(__file__).parents[2]


def wanted_geth() -> Path:
    """Returns the geth of `make engines`, or skips the test where it is missing; in CI that is a failure."""
    return wanted_program("geth-[0-9]*/geth", "PROML_GETH", "engines")


def wanted_program(pattern: str, variable: str, target: str) -> Path:
    """Returns a client's program, or skips the test where it is missing; in CI that is a failure.

    Args:
        pattern: Where it is below `.engines`.
        variable: Which environment variable may name another.
        target: What `make` builds it with.
    """
    built = sorted((_ROOT / ".engines").glob(pattern))
    chosen = os.environ.get(variable)
    program = Path(chosen) if chosen else built[-1] if built else None
    missing = program is None and f"{pattern.rpartition('/')[2]} is missing: `make {target}` builds it"
    missing = missing or (os.geteuid() != 0 and "network namespaces need root")
    missing = missing or (shutil.which("ip") is None and "network namespaces need iproute2")
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    assert program is not None
    return program


def wanted_skewed_geth() -> Path:
    """Returns the geth whose clock can be wrong, or skips the test where it is missing."""
    built = sorted((_ROOT / ".engines").glob("geth-skewed-*/geth"))
    if not built:
        pytest.skip("a geth with a wrong clock is missing: `make test-network-slow` builds it")
    return built[-1]


_PAYING = threading.Lock()  # who pays has one account, whose nonces go one after the other
_ENDING = threading.Lock()  # several wait at once, and one of them sees to a tie


@dataclass
class Member:
    """One organisation: a machine, a client on it, and a person who types commands."""

    name: str
    machine: int
    fabric: Fabric
    root: Path
    geth: Path
    written: list[str] = field(default_factory=list)
    place: str = "work"
    clock_s: int = 0
    """By how much the clock of the commands on this machine is ahead, in seconds."""

    @property
    def network(self) -> Path:
        """The folder of its client."""
        return self.root / self.name

    @property
    def work(self) -> Path:
        """Its working folder."""
        return self.root / f"{self.name}-{self.place}"

    def ask(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `proml WORDS --json` on its machine, in its working folder."""
        self.work.mkdir(exist_ok=True)
        chosen = {**self._environment(), **environment}
        program = ["-m", "proml"] if not self.clock_s else ["-m", "tests.network.shifted", str(self.clock_s)]
        command = [*self.fabric.enter(self.machine), sys.executable, *program, *map(str, words)]
        place = command.index("--") if "--" in command else len(command)
        command.insert(place, "--json")
        return subprocess.run(command, cwd=self.work, env=chosen, capture_output=True, text=True, check=False)

    def __call__(self, *words: object, code: int = 0, **environment: str) -> Any:
        """Runs a command, checks its exit code, and returns its document."""
        done = self.ask(*words, **environment)
        assert done.returncode == code, f"{self.name}: proml {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def write(self, name: str, text: str) -> str:
        """Writes a file in its working folder and captures it as an artefact; needs no client."""
        (self.work / f"{name}.csv").write_text(text)
        self("run", "--publish", f"{name}={name}.csv", "--kind", "source", "--action", "collect", "--no-observe",
             "--", "true")  # fmt: skip
        self.written.append(name)
        return name

    def pid(self) -> int:
        return int((self.network / "client.pid").read_text())

    def signal(self, number: signal.Signals) -> None:
        """Sends its client a signal; after a kill waits until the process is gone."""
        pid = self.pid()
        os.kill(pid, number)
        while number == signal.SIGKILL and lives(pid):
            time.sleep(0.02)

    def start(self) -> None:
        self("consortium", "start", self.network)

    def restart(self, *changes: tuple[str, str]) -> None:
        """Stops its client in order and starts it again, with other options: each (old, new) in its start script."""
        script = self.network / "start.sh"
        text = script.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        script.write_text(text)
        self("consortium", "stop", self.network)
        self.start()

    @contextlib.contextmanager
    def supervised(self) -> Iterator[None]:
        """Has its client run by its start script, as a service manager does, until the end of the block."""
        started = subprocess.Popen(
            [*self.fabric.enter(self.machine), "/bin/sh", str(self.network / "start.sh")], env=self._environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            started.terminate()
            started.wait(HEALS_S)

    def beside(self, place: str) -> Member:
        """Returns the same member in another working folder, of the same workspace."""
        made = replace(self, place=place, written=[])
        made("init", "--workspace", self.root / "workspace.json")
        return made

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Runs a Python program on its machine until the end of the block; it says a line when it is ready."""
        started = subprocess.Popen(
            [*self.fabric.enter(self.machine), sys.executable, *words],
            stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=self._environment(),
        )  # fmt: skip
        assert started.stdout is not None
        try:
            assert started.stdout.readline(), f"{words} ended with {started.wait(10)}"
            yield started
        finally:
            started.kill()
            started.wait()
            started.stdout.close()

    def host(self) -> Member:
        """Returns a training host on the same machine, with neither client nor key, that hands over to its node."""
        made = replace(self, name=f"{self.name}-host")
        made("init", "--node", NODE_URL, "--token-file", self.work / ".proml" / "node-token")
        return made

    def start_node(self) -> subprocess.Popen[str]:
        """Starts `proml node` in its working folder, and waits until it listens."""
        words = [sys.executable, "-m", "proml", "node", "--listen", NODE_URL.removeprefix("http://"), "--every", "0.2"]
        with (self.root / f"{self.name}-node.log").open("a") as log:
            started = subprocess.Popen(
                [*self.fabric.enter(self.machine), *words], cwd=self.work, env=self._environment(),
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert started.stdout is not None
        assert started.stdout.readline(), (self.root / f"{self.name}-node.log").read_text()
        return started

    def _environment(self) -> dict[str, str]:
        home = str(self.root / f"{self.name}-home")
        return {"PATH": os.environ["PATH"], "HOME": home, "PROML_GETH": str(self.geth), "PYTHONPATH": str(_ROOT)}

    def newest(self) -> int:
        """Returns the number of its client's newest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    def rpc(self, method: str, *parameters: object) -> Any:
        """Asks its client over its socket."""
        administration = Administration(self.socket)
        try:
            return administration.ask(method, *parameters)
        finally:
            administration.close()

    @property
    def socket(self) -> str:
        """Its client's socket, which is reached from outside its namespace too."""
        return str(self.network / "data" / "geth.ipc")

    @property
    def signer(self) -> Signer:
        """Its key."""
        return Identities(self.root / f"{self.name}-home" / ".proml").unlock(self.name)

    def balance(self, address: str) -> int:
        """Returns how many coins an account has, as its client knows."""
        return int(self.rpc("eth_getBalance", address, "latest"), 16)

    def pay(self, addresses: Sequence[str], coins: int) -> None:
        """Hands in a transaction for each account that gives it coins."""
        ledger, signer = JsonRpcLedger(self.socket), self.signer
        with _PAYING, contextlib.closing(ledger):
            nonce, fees = ledger.nonce(signer.address), ledger.fees()
            for number, address in enumerate(addresses, nonce):
                gift = UnsignedTransaction(ledger.chain_id, number, address, b"", 21_000, fees, value=coins)
                ledger.send(signer.sign_transaction(gift))


@dataclass
class Consortium:
    """All of them."""

    engine: ClassVar[str] = "geth-clique"
    starts_s: ClassVar[int] = 12
    """By when all clients run, so that the first block is made by validators that have met."""

    fabric: Fabric
    members: tuple[Member, ...]
    _looked: float = field(default=0.0, repr=False)

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def __getitem__(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name)

    def at_once(self, act: Callable[[Member], Any], members: Sequence[Member] | None = None) -> list[Any]:
        """Lets members do something at the same time."""
        chosen = self.members if members is None else members
        with ThreadPoolExecutor(len(chosen)) as pool:
            return list(pool.map(act, chosen))

    def until(
        self,
        holds: Callable[[], bool],
        what: str,
        timeout_s: float = HEALS_S,
        *,
        among: Sequence[Member] | None = None,
    ) -> float:
        """Waits until something holds; returns how long it took.

        Two branches of equal weight come by chance on a busy machine. Owners end that as they are told to, and the
        wait begins again.

        Args:
            holds: What has to hold.
            what: It in words.
            timeout_s: For how long to wait.
            among: Whose clients reach each other and can seal by themselves; all by default, nobody where a tie is
                what is waited for.
        """
        begun = asked = time.monotonic()
        while not holds():
            if self.end_a_tie(self.members if among is None else among):
                asked = time.monotonic()
            assert time.monotonic() - asked < timeout_s, f"{what}: not within {timeout_s:.0f} s; {self._told()}"
            time.sleep(0.3)
        return time.monotonic() - begun

    def end_a_tie(self, among: Sequence[Member]) -> bool:
        """Lets all whose branch is not the first one's step back, when all of them stand; returns whether any did."""
        if self.engine != "geth-clique" or not among:
            return False
        with _ENDING:
            if time.monotonic() - self._looked < _LOOKS_S:
                return False
            self._looked = time.monotonic()
            answers = [member.ask("consortium", "status", member.network) for member in among]
            if any(done.returncode for done in answers):
                return False
            seen = [json.loads(done.stdout) for done in answers]
            if not all(one["standing_s"] and one["peers"] >= len(seen) - 1 for one in seen):
                return False
            others = [m for m, one in zip(among, seen, strict=True) if one["block_hash"] != seen[0]["block_hash"]]
            return bool([member.ask("consortium", "step-back", member.network) for member in others])

    def _told(self) -> str:
        """Returns what each owner is told of its client, to be read when a test failed."""
        return "; ".join(f"{m.name}: {m.ask('consortium', 'status', m.network).stdout}" for m in self)

    def sends(self, member: Member, *words: str, among: Sequence[Member] | None = None) -> Any:
        """Types `proml sync` until all is in a block, and returns the last document; `among` as in `until`."""
        done: list[subprocess.CompletedProcess[str]] = []

        def has_sent() -> bool:
            done.append(member.ask("sync", *words))
            assert done[-1].returncode in {0, WAITS}, f"{member.name}: {done[-1].stdout}{done[-1].stderr}"
            return done[-1].returncode == 0

        self.until(has_sent, f"{member.name} sends", among=among)
        return json.loads(done[-1].stdout)

    def begins(self) -> None:
        """Waits until the chain is there, once all clients run."""
        self.grows()

    def heights(self) -> dict[str, int]:
        """Returns the number of each client's newest block, by member."""
        return {member.name: member.newest() for member in self}

    def grows(
        self,
        timeout_s: float = HEALS_S,
        *,
        beyond: Mapping[str, int] | None = None,
        among: Sequence[Member] | None = None,
    ) -> float:
        """Waits until every client has blocks beyond those that it has now, or had; the rest as in `until`."""
        before = self.heights() if beyond is None else beyond

        def all_have_more() -> bool:
            with contextlib.suppress(UnreachableError):  # one is started again just now
                return all(newest > before[name] for name, newest in self.heights().items())
            return False

        return self.until(all_have_more, "the chain grows", timeout_s, among=among)

    def agree(self) -> bool:
        """Whether all have the same block at the height that all have reached, and so all blocks before it."""
        height = hex(min(member.newest() for member in self))
        return len({member.rpc("eth_getBlockByNumber", height, False)["hash"] for member in self}) == 1  # noqa: FBT003

    def settle(self) -> None:
        """Everybody sends what waits, until all of it is final."""
        self.at_once(lambda member: self.until(lambda: member.ask("sync", "--final").returncode == 0, member.name))

    def check(self) -> None:
        """All see the same heads, everything that anybody recorded is there exactly once, and nothing waits."""
        self.settle()
        written = sorted(name for member in self for name in member.written)
        views = {member.name: view for member, view in zip(self, self.at_once(_status), strict=True)}
        heads = {
            name: {found["name"]: (found["head"], found["seq"]) for found in view["artefacts"]}
            for name, view in views.items()
        }
        for name, seen in heads.items():
            assert seen == heads[self.members[0].name], f"{name} sees other heads than {self.members[0].name}"
            assert sorted(seen) == written, f"{name} does not see what was recorded, all of it and nothing else"
            assert {seq for _, seq in seen.values()} <= {1}, f"something was recorded twice: {seen}"
            assert not views[name]["outbox"], f"{name}'s outbox: {views[name]['outbox']}"
        if written:
            self.members[-1]("verify", written[-1], "--final")
        self.members[-1]("audit")


def _status(member: Member) -> Any:
    return member("status")


def lives(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def consortium(geth: Path, names: Sequence[str] = NAMES) -> Iterator[Consortium]:
    """Yields organisations, four by default, whose clients run and who share a workspace; ends all that it started."""
    root = Path(tempfile.mkdtemp(prefix="pmnet-", dir="/tmp"))  # short: a socket's path is in it
    try:
        with machines(len(names) + 1) as fabric:  # one is for whom the tests let in later
            members = tuple(Member(name, number, fabric, root, geth) for number, name in enumerate(names))
            made = Consortium(fabric, members)
            try:
                found(made)
                yield made
            finally:
                for member in members:
                    with contextlib.suppress(OSError, ValueError):
                        member.signal(signal.SIGCONT)
                        member.signal(signal.SIGKILL)
    finally:
        shutil.rmtree(root, ignore_errors=True)
