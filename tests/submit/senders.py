"""Members with outboxes of their own, and ledgers that misbehave in one chosen way, all over the real contract."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, cast

from tests.worlds import World, single

from proml.adapters.clock import ManualClock, SystemClock
from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.adapters.store_folder import FolderStore
from proml.asking import one_by_one
from proml.core.digest import keccak256
from proml.core.events import Registered, Transitioned, decode_event, topic_filter
from proml.core.intent import TransitionIntent, Use
from proml.errors import ConflictError, UnreachableError
from proml.ports import Entry, Ledger, LogQuery, Receipt, Store
from proml.submit.chain_resolver import ChainResolver
from proml.submit.deliver import Channel, deliver
from proml.submit.intents import Act, Desk, act
from proml.submit.patience import Patience
from proml.submit.transactions import HandedIn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from proml.adapters.local_signer import LocalSigner
    from proml.asking import Question
    from proml.submit.report import DeliveryReport

IMPATIENT = Patience(tries=1)


class Sender:
    """One member of a world at a working folder of its own.

    Args:
        world: The workspace.
        folder: For the outbox and the local store.
        who: Which member.
        ledger: What is spoken to, if not the world's.
        stores: The workspace's stores; the world's by default.
    """

    def __init__(
        self,
        world: World,
        folder: Path,
        who: str = "developer",
        ledger: Ledger | None = None,
        stores: Sequence[Store] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.world = world
        self.folder = folder
        self.signer: LocalSigner = world.people[who]
        self.ledger: Any = ledger or world.ledger
        self.stores = (world.store,) if stores is None else stores
        self.outbox: Any = SqliteOutbox(folder / "outbox.sqlite")
        self.store = FolderStore(folder / "store")
        self.clock: SystemClock | ManualClock = SystemClock()
        self.handed: HandedIn | None = None  # of a process that goes on; by default each delivery is another one's

    @property
    def desk(self) -> Desk:
        return Desk(self.store, self.outbox, self.clock)

    @property
    def resolver(self) -> ChainResolver:
        return ChainResolver(self.ledger, self.world.file, self.world.store)

    @property
    def channel(self) -> Channel:
        return Channel(
            self.ledger,
            self.outbox,
            self.signer,
            self.world.file,
            self.resolver,
            self.store,
            self.stores,
            self.clock,
            IMPATIENT,
            self.handed or HandedIn(),
        )

    def deliver(self, **options: Any) -> DeliveryReport:
        return deliver(self.channel, **options)

    def submit(self, name: str, text: str, *, uses: tuple[Use, ...] = (), **options: Any) -> int:
        """Asks for the action that a code base can always take: new content."""
        options = {"register": True, **options}
        return act(self.desk, Act(name, "code", "submit", single(text), uses, **options)).number

    def publish(self, name: str, text: str, uses: tuple[Use, ...] = ()) -> int:
        """Asks for the same the way capture does: nothing but an intent, its record stored before."""
        record = self.store.put(f"record of {name} {text}".encode())
        wanted = TransitionIntent(name, "submit", record, "code", single(text).digest, uses, register=True)
        return int(self.outbox.add([wanted.intent()])[0])

    def state(self, number: int) -> str:
        return str(self.outbox.entry(number).state)

    def entry(self, number: int) -> Entry:
        entry: Entry = self.outbox.entry(number)
        return entry


def history(world: World, name: str, ledger: Ledger | None = None) -> list[bytes]:
    """Returns the record digests of an artefact's transitions on chain, in order."""
    return [event.record for event in _events(ledger or world.ledger, world, Transitioned, name)]


def heads(world: World, name: str) -> list[bytes]:
    """Returns the heads that an artefact's transitions led to, in order."""
    return [event.head for event in _events(world.ledger, world, Transitioned, name)]


def registrations(world: World, name: str) -> list[bytes]:
    """Returns the record digests of an artefact's registrations on chain; more than one cannot be."""
    return [event.record for event in _events(world.ledger, world, Registered, name)]


def _events(ledger: Ledger, world: World, wanted: Any, name: str) -> list[Any]:
    topics = topic_filter(wanted, first=(world.artefact(name),))
    return [decode_event(log) for log in ledger.logs(LogQuery(world.file.contract, topics))]


class Proxy:
    """A ledger or outbox that passes everything on."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def together(self, questions: Sequence[Question]) -> list[object]:
        """Takes the questions one by one, so that each passes through here."""
        return one_by_one(cast("Ledger", self), questions)


class Cut(BaseException):
    """Stands for the end of the process: nothing handles it."""


class CutOff(Proxy):
    """Ends the process right after one of the calls made through it, whether that call succeeds or not.

    Args:
        real: What is called.
        counter: Number of calls still to come, of all that share it.
    """

    def __init__(self, real: Any, counter: list[int]) -> None:
        super().__init__(real)
        self._counter = counter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if not callable(found) or name in ("lock_sender", "unsettled", "entries"):
            return found

        def cut(*arguments: Any, **options: Any) -> Any:
            self._counter[0] -= 1
            try:
                return found(*arguments, **options)
            finally:
                if self._counter[0] == 0:
                    raise Cut

        return cut


class Away(Proxy):
    """A ledger that does not answer some methods, for so many calls."""

    def __init__(self, real: Any, methods: set[str], calls: int = 10**9) -> None:
        super().__init__(real)
        self._methods = methods
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        if name in self._methods and self.calls > 0:
            self.calls -= 1

            def fail(*_arguments: Any, **_options: Any) -> Any:
                raise UnreachableError(f"{name}: no answer")

            return fail
        return getattr(self.real, name)


class SlowLedger(Proxy):
    """A chain whose blocks come when a test says so, as one with other people's nodes in between.

    Args:
        real: The chain.
    """

    def __init__(self, real: Ledger) -> None:
        super().__init__(real)
        self.pool: dict[bytes, bytes] = {}

    def send(self, raw: bytes) -> bytes:
        digest = keccak256(raw)
        if digest in self.pool or self.real.receipt(digest) is not None:
            return digest
        self.pool[digest] = raw
        return digest

    def nonce(self, address: str) -> int:
        return int(self.real.nonce(address)) + len(self.pool)

    def mine(self, *, order: Callable[[list[bytes]], list[bytes]] = list) -> list[Receipt]:
        """Puts what waits into blocks, and drops what can no longer be mined."""
        receipts = []
        for raw in order(list(self.pool.values())):
            try:
                receipts.append(self.real.receipt(self.real.send(raw)))
            except ConflictError:
                continue
        self.pool.clear()
        return receipts

    def forget(self) -> None:
        """Loses what waits, as a node does that restarts."""
        self.pool.clear()


class LaterFinal(Proxy):
    """A chain on which nothing is final yet, so that its blocks may be replaced."""

    def finalized(self) -> int:
        return -1


def forked(ledger: EmbeddedLedger, path: Path) -> EmbeddedLedger:
    """Returns a chain that agrees with another up to now, and goes its own way from here."""
    source = ledger.path
    for suffix in ("", "-wal", "-shm"):
        part = source.with_name(source.name + suffix)
        if part.exists():
            shutil.copyfile(part, path.with_name(path.name + suffix))
    return EmbeddedLedger.open(path)
