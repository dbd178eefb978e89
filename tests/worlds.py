"""A workspace of five organisations on a ledger that runs, for tests of what reads the chain.

Nothing is simulated: the contract's byte code runs in the embedded EVM, records are bytes in a folder. Operations are
sent directly, without outbox, so that a test also can leave out or forge what honest software would not.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proml.adapters.clock import SystemClock
from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner
from proml.adapters.store_folder import FolderStore
from proml.core.calls import encode_call
from proml.core.digest import sha256
from proml.core.heads import inputs_commitment
from proml.core.lifecycle import ROLE_BITS
from proml.core.manifest import SINGLE_FILE, Manifest, Resource
from proml.core.name import artefact_id
from proml.core.operation import ZERO, ZERO_ADDRESS, Endorsement, Input, Operation, Registration, Transition
from proml.core.record import build_record
from proml.index.follow import follow
from proml.index.onchain import artefact_state
from proml.index.queries import ReadModel
from proml.index.schema import open_index
from proml.lifecycles import load_shipped
from proml.submit.single import Transaction, transact
from proml.workspace import Charter, Founder, create_workspace, publish_lifecycles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from proml.core.workspace_file import WorkspaceFile
    from proml.index.views import FollowReport
    from proml.ports import Block, Ledger, Log, LogQuery, Receipt

EVERY_ROLE = sum(ROLE_BITS[name] for name in ("admin", "contributor", "reviewer", "verifier", "operator", "auditor"))
ORGANISATIONS = ("client", "data", "developer", "verifier", "auditor")


@dataclass
class World:
    """The workspace, with one member of every role in each organisation."""

    folder: Path
    ledger: Ledger
    store: FolderStore
    file: WorkspaceFile
    people: dict[str, LocalSigner]
    engine: Engine
    _salts: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def model(self) -> ReadModel:
        return ReadModel(self.engine, self.file)

    def follow(self, **changes: Any) -> FollowReport:
        known = {"ledger": self.ledger, "workspace": self.file, "store": self.store, "engine": self.engine}
        return follow(**{**known, **changes})

    def send(self, who: str, operation: Operation) -> Receipt:
        wanted = Transaction(self.file.contract, encode_call(operation), "the operation")
        return transact(self.ledger, self.people[who], SystemClock(), wanted)

    def artefact(self, name: str) -> bytes:
        return artefact_id(self.file.name_key, name)

    def head(self, name: str) -> bytes:
        state = artefact_state(self.ledger, self.file.contract, self.artefact(name))
        return state.head if state else ZERO

    def record(self, kind: str, *, publish: bool = True, **fields: Any) -> bytes:
        number = next(self._salts)
        record = build_record(kind, created_ns=number * 10**9, salt=number.to_bytes(16, "big"), **fields)  # type: ignore[arg-type]
        if publish:
            self.store.put(record.bytes)
        return record.digest

    def register(self, who: str, name: str, kind: str, *, publish: bool = True) -> Receipt:
        number = list(load_shipped()).index(kind) + 1
        record = self.record("registration", publish=publish, artefact={"name": name, "kind": kind})
        return self.send(who, Registration(self.artefact(name), number, record))

    def rule(self, name: str, action: str, who: str = "") -> int:
        state = artefact_state(self.ledger, self.file.contract, self.artefact(name))
        assert state is not None
        definition = list(load_shipped().values())[state.lifecycle - 1]
        is_owner = not who or state.owner == self.people[who].address
        rule = definition.rule_for(action, definition.states[state.state].name, roles=EVERY_ROLE, is_owner=is_owner)
        return definition.rules_named(action)[0] if rule is None else rule

    def transition(
        self,
        name: str,
        action: str,
        content: Manifest | None = None,
        uses: tuple[str, ...] = (),
        held: tuple[Input, ...] = (),
        *,
        publish: bool = True,
        rule: int | None = None,
        **fields: Any,
    ) -> Transition:
        """Returns the transition that builds on the current heads, with its record stored."""
        kind = fields.pop("kind", "dataset")
        used = [{"role": f"role of {use}", "name": use} for use in uses]
        if content is not None:
            fields["content"] = content.to_record_field()
            if "resources" not in fields["content"] and publish:
                self.store.put(content.bytes)
        record = self.record(
            "transition",
            publish=publish,
            artefact={"name": name, "kind": kind},
            action=action,
            **({"uses": used} if used else {}),
            **fields,
        )
        return Transition(
            artefact=self.artefact(name),
            expected_head=self.head(name),
            rule=self.rule(name, action) if rule is None else rule,
            content=content.digest if content is not None else ZERO,
            record=record,
            inputs=tuple(Input(ZERO_ADDRESS, self.artefact(use), self.head(use)) for use in uses),
            held=held,
        )

    def act(self, who: str, name: str, action: str, content: Manifest | None = None, **options: Any) -> Receipt:
        options.setdefault("rule", self.rule(name, action, who))
        return self.send(who, self.transition(name, action, content, **options))

    def vote(self, who: str, change: Transition, *, approve: bool = True, reason: str = "seen") -> Receipt:
        record = self.record(
            "vote",
            artefact={"name": "m", "kind": "model"},
            action="approve",
            vote="approve" if approve else "reject",
            reason=reason,
        )
        vote = Endorsement(
            change.artefact,
            change.expected_head,
            change.rule,
            change.content,
            inputs_commitment(change.inputs),
            record,
            approve,
        )
        return self.send(who, vote)

    def dataset(self, name: str, *texts: str) -> Manifest:
        """Takes a dataset of one file through to `published`, and returns its manifest."""
        content = single(texts[0] if texts else name)
        self.register("data", name, "dataset")
        self.act("data", name, "collect", single(f"raw {name}"))
        self.act("data", name, "label", content)
        self.act("verifier", name, "check-labels")
        self.act("data", name, "publish")
        return content

    def trained(self, name: str, *uses: str, text: str = "weights", **fields: Any) -> Manifest:
        """Registers and trains a model."""
        content = single(text)
        self.register("developer", name, "model")
        self.act("developer", name, "train", content, uses=uses, kind="model", **fields)
        return content

    def evaluated(self, name: str, *uses: str, text: str = "report") -> Manifest:
        """Registers and reports an evaluation."""
        content = single(text)
        self.register("verifier", name, "evaluation")
        self.act("verifier", name, "report", content, uses=uses, kind="evaluation")
        return content

    def held(self, *uses: tuple[str, bytes]) -> tuple[Input, ...]:
        return tuple(Input(ZERO_ADDRESS, self.artefact(name), head) for name, head in uses)

    def released(self, name: str, dataset: str, evaluation: str) -> None:
        """Takes a trained model through approval by two organisations, on an evaluation, to `released`."""
        held = self.held((dataset, self.head(dataset)))
        change = self.transition(name, "approve", uses=(evaluation,), held=held, kind="model")
        self.vote("client", change)
        self.vote("auditor", change)
        self.send("client", change)
        self.act("developer", name, "release", held=held, kind="model")

    def whole_story(self) -> None:
        """Dataset `d`, model `m` trained on it, evaluation `e` of both, approval and release."""
        self.dataset("d", "x,y\n1,2\n")
        self.trained("m", "d", text="weights")
        self.evaluated("e", "m", "d")
        self.released("m", "d", "e")

    def close(self) -> None:
        self.ledger.close()
        self.engine.dispose()


def single(text: str) -> Manifest:
    """Returns the manifest of one file with this text."""
    data = text.encode()
    return Manifest.of([Resource(SINGLE_FILE, "sha256", sha256(data), len(data))])


def tree(**files: str) -> Manifest:
    """Returns the manifest of a folder with these files, suffix left to the names."""
    return Manifest.of(
        [Resource(name, "sha256", sha256(text.encode()), len(text.encode())) for name, text in files.items()]
    )


def make_world(folder: Path, ledger: Ledger | None = None) -> World:
    """Creates a workspace of five organisations whose members have all roles."""
    chain = ledger or EmbeddedLedger.create(folder / "chain.sqlite")
    store = FolderStore(folder / "store")
    people = {name: LocalSigner(sha256(name.encode())) for name in ORGANISATIONS}
    founders = tuple(Founder(name, EVERY_ROLE, signer.address) for name, signer in people.items())
    lifecycles = tuple(load_shipped().values())
    charter = Charter("joint work", founders, 2, lifecycles, ("embedded:chain.sqlite",))
    file = create_workspace(charter, chain, people["client"], SystemClock()).file
    publish_lifecycles(lifecycles, [store])
    return World(folder, chain, store, file, people, open_index(str(folder / "index.sqlite")))


def copy_world(world: World, folder: Path) -> World:
    """Returns a copy of a world whose ledger is closed; the copy goes its own way from here."""
    shutil.copytree(world.folder / "store", folder / "store")
    shutil.copy(world.folder / "chain.sqlite", folder / "chain.sqlite")
    return dataclasses.replace(
        world,
        folder=folder,
        ledger=EmbeddedLedger.open(folder / "chain.sqlite"),
        store=FolderStore(folder / "store"),
        engine=open_index(str(folder / "index.sqlite")),
        _salts=itertools.count(int.from_bytes(folder.name.encode()[:3], "big")),
    )


class Relaying:
    """A ledger that passes everything on to another one, which a test may exchange or interfere with.

    Attributes:
        real: The ledger that answers now; exchanging it for another branch of the chain is a reorganisation.
        before_logs: Called with this ledger before each search for logs, and emptied.
        drop: Logs that it keeps to itself.
        until: Newest block that it admits to; None for all.
        depth: How many blocks on top make a block final.
    """

    def __init__(self, real: Ledger) -> None:
        self.real = real
        self.before_logs: list[Callable[[Relaying], object]] = []
        self.drop: Callable[[Log], bool] = lambda _log: False
        self.change: Callable[[Log], Log] = lambda log: log
        self.until: int | None = None
        self.depth = 0
        self.searches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def newest(self) -> Block:
        newest = self.real.newest()
        if self.until is None or newest.number <= self.until:
            return newest
        block = self.real.block(self.until)
        assert block is not None
        return block

    def block(self, number: int) -> Block | None:
        return None if self.until is not None and number > self.until else self.real.block(number)

    def finalized(self) -> int:
        return max(self.newest().number - self.depth, -1)

    def logs(self, query: LogQuery) -> Sequence[Log]:
        self.searches += 1
        while self.before_logs:
            self.before_logs.pop()(self)
        return [self.change(log) for log in self.real.logs(query) if not self.drop(log)]
