"""One consistent look into the index, with the lookups that answers need: names, states, members, times, records."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sql

from proml.core.lifecycle import role_names
from proml.core.lifecycle_reading import from_document
from proml.errors import ConfigError, InvalidLifecycle
from proml.index import onchain, schema
from proml.index.bodies import chunks
from proml.index.schema import reading
from proml.index.views import REVOKED, Confirmation, LifecycleView, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Engine, Row

    from proml.core.lifecycle import Definition
    from proml.core.operation import Lifecycle
    from proml.core.workspace_file import WorkspaceFile
    from proml.index.edges import Edge


@dataclass(frozen=True, slots=True)
class Body:
    """A record as the index has it.

    Attributes:
        state: ``available``, ``missing``, ``damaged`` or ``invalid``.
        json: The record, if available.
        about: Id of the artefact that it names; zero if it names none.
    """

    state: str
    json: Mapping[str, Any] | None
    about: bytes


_NO_BODY = Body("missing", None, bytes(32))


@dataclass(frozen=True, slots=True)
class Machine:
    """A lifecycle with its names, as far as they can be had."""

    rules: Lifecycle
    view: LifecycleView
    definition: Definition | None


@contextmanager
def look(engine: Engine, workspace: WorkspaceFile) -> Iterator[Snapshot]:
    """Opens a snapshot; what it answers stays consistent until it is closed."""
    with reading(engine) as connection:
        yield Snapshot(connection, workspace)


class Snapshot:
    """Lookups over one connection; each is made once.

    Attributes:
        known_inputs: Inputs of artefacts read so far, for :mod:`proml.index.edges`.
    """

    def __init__(self, connection: Connection, workspace: WorkspaceFile) -> None:
        self.known_inputs: dict[bytes, list[Edge]] = {}
        self.connection = connection
        self.workspace = workspace
        self._names: dict[bytes, str | None] = {}
        self._times: dict[int, int] = {}
        self._owners: dict[bytes, str] = {}
        self._last: dict[bytes, Row[Any]] = {}

    def all(self, query: sql.Select[Any]) -> list[Row[Any]]:
        """Returns all rows of a query."""
        return list(self.connection.execute(query).all())

    # ------------------------------------------------------------------------------------------------ position

    @cached_property
    def position(self) -> Position:
        """Up to where the index has followed the chain."""
        found = self.connection.execute(sql.select(schema.meta)).first()
        if found is None:
            return Position(-1, b"", -1, 0)
        b = schema.blocks
        block_hash = self.connection.execute(sql.select(b.c.hash).order_by(b.c.number.desc()).limit(1)).scalar()
        return Position(found.next_block - 1, block_hash or b"", found.finalized, found.followed_at)

    def confirmation(self, block_number: int) -> Confirmation:
        """Returns how firmly the chain holds a block."""
        on_top = max(self.position.block_number - block_number, 0)
        final = block_number <= self.position.finalized
        return Confirmation("final" if final else f"L@{on_top}", on_top, final)

    def times(self, block_numbers: Iterable[int]) -> Mapping[int, int]:
        """Returns the blocks' Unix times."""
        new = sorted(set(block_numbers) - self._times.keys())
        b = schema.blocks.c
        for start in range(0, len(new), 500):
            query = sql.select(b.number, b.timestamp).where(b.number.in_(new[start : start + 500]))
            self._times.update((row.number, row.timestamp) for row in self.all(query))
        return self._times

    # ------------------------------------------------------------------------------------------- names, people

    def name(self, artefact: bytes) -> str | None:
        """Returns an artefact's name, if a record that names it was found."""
        if artefact not in self._names:
            query = sql.select(schema.names.c.name).where(schema.names.c.artefact == artefact)
            self._names[artefact] = self.connection.execute(query).scalar()
        return self._names[artefact]

    def learn(self, artefact: bytes, name: str) -> None:
        """Takes over a name that somebody asked by: it hashes to the id, whether or not a record is available."""
        self._names[artefact] = name

    def all_names(self) -> Mapping[bytes, str | None]:
        """Returns the names of all artefacts whose name is known."""
        self._names.update((row.artefact, row.name) for row in self.all(sql.select(schema.names)))
        return self._names

    def organisation_name(self, number: int) -> str:
        """Returns an organisation's name from the workspace file, or ``organisation N``."""
        return self.workspace.organisations.get(number, f"organisation {number}" if number else "unknown")

    def role_names(self, bits: int) -> tuple[str, ...]:
        """Returns the names of role bits; free roles by the workspace file's names."""
        free = self.workspace.roles
        return tuple(
            free[int(name[5:])] if name.startswith("role-") and int(name[5:]) in free else name
            for name in role_names(bits)
        )

    @cached_property
    def members(self) -> Mapping[str, Row[Any]]:
        """The latest row of everybody who is or was a member, by account."""
        m = schema.members
        found = self.all(sql.select(m).order_by(m.c.block_number, m.c.log_index))
        return {row.account: row for row in found}

    def organisation(self, account: str) -> int:
        """Returns an account's organisation (it never changes); 0 if it never was a member."""
        row = self.members.get(account)
        return int(row.organisation) if row is not None else 0

    @cached_property
    def _recovered(self) -> Mapping[bytes, str]:
        r = schema.recoveries
        return {row.artefact: row.owner for row in self.all(sql.select(r).order_by(r.c.block_number, r.c.log_index))}

    def owner(self, artefact: bytes) -> str:
        """Returns an artefact's owner now."""
        if artefact in self._recovered:
            return self._recovered[artefact]
        if artefact not in self._owners:
            query = sql.select(schema.registrations.c.owner).where(schema.registrations.c.artefact == artefact)
            self._owners[artefact] = self.connection.execute(query).scalar() or ""
        return self._owners[artefact]

    def load_owners(self) -> None:
        """Reads all owners at once, for answers about all artefacts."""
        r = schema.registrations.c
        self._owners = {row.artefact: row.owner for row in self.all(sql.select(r.artefact, r.owner))}

    # ---------------------------------------------------------------------------------------------- lifecycles

    @cached_property
    def machines(self) -> Mapping[int, Machine]:
        """The lifecycles by number."""
        stored = schema.lifecycles
        rows = self.all(sql.select(stored).order_by(stored.c.number))
        bodies = {row.digest: row.body for row in self.all(sql.select(schema.documents))}
        rules = {row.number: onchain.decode_lifecycle(row.onchain) for row in rows}
        definitions = {row.number: _definition(bodies.get(row.definition)) for row in rows}
        return {row.number: _machine(row, rules[row.number], definitions[row.number], definitions) for row in rows}

    def machine(self, number: int) -> Machine:
        """Returns a lifecycle; raises ConfigError if the index lacks it, which following prevents."""
        if number not in self.machines:
            raise ConfigError(f"the index lacks lifecycle {number}", hint="Run 'proml sync --rebuild'.")
        return self.machines[number]

    def state_name(self, lifecycle: int, state: int) -> str:
        """Returns a state's name, or ``state N``."""
        states = self.machine(lifecycle).view.states
        return states[state] if 0 <= state < len(states) else f"state {state}"

    def flags(self, lifecycle: int, state: int) -> int:
        """Returns a state's flags."""
        flags = self.machine(lifecycle).rules.state_flags
        return flags[state] if 0 <= state < len(flags) else 0

    def action_name(self, lifecycle: int, rule: int) -> str:
        """Returns a transition's name; ``register`` for the registration, ``rule N`` without the definition."""
        if rule == schema.REGISTRATION_RULE:
            return "register"
        actions = self.machine(lifecycle).view.actions
        return actions[rule] if 0 <= rule < len(actions) else f"rule {rule}"

    @cached_property
    def revoked_states(self) -> frozenset[tuple[int, int]]:
        """All (lifecycle, state) that are flagged revoked."""
        return frozenset(
            (number, state)
            for number, machine in self.machines.items()
            for state, flags in enumerate(machine.rules.state_flags)
            if flags & REVOKED
        )

    # --------------------------------------------------------------------------------------- rows and records

    def latest(self, artefacts: Iterable[bytes] | None = None) -> dict[bytes, Row[Any]]:
        """Returns the latest row of these artefacts (all by default) by id."""
        t = schema.transitions
        found: dict[bytes, Row[Any]] = {}
        for some in [None] if artefacts is None else chunks(set(artefacts)):
            newest = sql.select(t.c.artefact, sql.func.max(t.c.seq).label("seq")).group_by(t.c.artefact)
            if some is not None:
                newest = newest.where(t.c.artefact.in_(some))
            last = newest.subquery()
            query = sql.select(t).join(last, sql.and_(t.c.artefact == last.c.artefact, t.c.seq == last.c.seq))
            found.update((row.artefact, row) for row in self.all(query))
        return found

    def last(self, artefact: bytes) -> Row[Any]:
        """Returns the latest row of an artefact that is known to be there; read once."""
        if artefact not in self._last:
            self._last.update(self.latest([artefact]))
        return self._last[artefact]

    def rows_of(self, artefact: bytes) -> list[Row[Any]]:
        """Returns an artefact's registration and transitions, oldest first."""
        t = schema.transitions
        return self.all(sql.select(t).where(t.c.artefact == artefact).order_by(t.c.seq))

    def bodies(self, digests: Iterable[bytes]) -> Mapping[bytes, Body]:
        """Returns records by digest; every digest asked for has an answer."""
        wanted = set(digests)
        found = dict.fromkeys(wanted, _NO_BODY)
        r = schema.records
        for some in chunks(wanted):
            for row in self.all(sql.select(r).where(r.c.digest.in_(some))):
                body = json.loads(row.body) if row.state == "available" else None
                found[row.digest] = Body(row.state, body, row.about)
        return found

    def body(self, digest: bytes) -> Body:
        """Returns one record."""
        return self.bodies([digest])[digest]


def _definition(body: str | None) -> Definition | None:
    if body is None:
        return None
    try:
        return from_document(json.loads(body))
    except (InvalidLifecycle, ValueError):
        return None


def _machine(
    row: Row[Any], rules: Lifecycle, definition: Definition | None, others: Mapping[int, Definition | None]
) -> Machine:
    matches = definition is None or _matches(rules, definition, others)
    shown = definition if matches else None
    if shown is None:
        name = f"lifecycle {row.number}"
        states = tuple(f"state {number}" for number in range(len(rules.state_flags)))
        actions = tuple(f"rule {number}" for number in range(len(rules.rules)))
    else:
        name = shown.name
        states = tuple(state.name for state in shown.states)
        actions = tuple(transition.name for transition in shown.transitions)
    view = LifecycleView(
        number=row.number,
        name=name,
        definition=row.definition,
        document=cast("Mapping[str, object]", shown.document()) if shown is not None else None,
        matches=matches,
        states=states,
        state_flags=rules.state_flags,
        actions=actions,
        register_roles=rules.register_roles,
        initial=rules.initial,
        block_number=row.block_number,
    )
    return Machine(rules, view, shown)


def _matches(rules: Lifecycle, definition: Definition, others: Mapping[int, Definition | None]) -> bool:
    """Whether a definition says what stands on chain: its digest stands there, but nobody checked what it says."""
    if len(rules.rules) != len(definition.transitions):
        return False
    evidence = {}
    for rule, transition in zip(rules.rules, definition.transitions, strict=True):
        if transition.evidence:
            evidence[transition.evidence] = rule.evidence
            named = others.get(rule.evidence)
            if named is not None and named.name != transition.evidence:
                return False
    try:
        return definition.on_chain(evidence) == rules
    except InvalidLifecycle:
        return False
