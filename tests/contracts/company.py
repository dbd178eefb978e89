"""The workspace that the tests of the contract start from: who is in it, and three lifecycles that use every guard.

Organisations' numbers lie on both sides of 64, where the contract's bookkeeping of votes turns from one word to many.
Two pairs of them (1, 257 and 64, 320) are equal modulo 256, so that a bit counted twice or in a wrong word would show.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contracts.arena import Arena, Attempt, digest, signer, vote_on

from proml.core.operation import (
    ZERO,
    ZERO_ADDRESS,
    Grant,
    Input,
    Lifecycle,
    Member,
    Operation,
    Registration,
    Rule,
    Session,
    Transition,
)

if TYPE_CHECKING:
    from tests.contracts.model_state import Refusal, State

ADMIN, CONTRIBUTOR, REVIEWER, VERIFIER, OPERATOR, AUDITOR = 1, 2, 4, 8, 16, 32
ANY = 255

# Name: organisation, roles.
MEMBERS = {
    "ada": (1, ADMIN | CONTRIBUTOR | REVIEWER),
    "alan": (1, CONTRIBUTOR | OPERATOR),
    "barbara": (2, ADMIN | REVIEWER | VERIFIER),
    "claude": (63, CONTRIBUTOR | REVIEWER | VERIFIER | OPERATOR),
    "dana": (64, ADMIN | CONTRIBUTOR | REVIEWER),
    "donald": (64, VERIFIER | AUDITOR),
    "edsger": (257, REVIEWER | VERIFIER | 1 << 15),
    "frances": (320, ADMIN | CONTRIBUTOR | VERIFIER | OPERATOR),
    "grace": (65535, CONTRIBUTOR | REVIEWER | OPERATOR),
}
SESSION_KEYS = ("key 1", "key 2", "key 3", "key 4")
STRANGERS = ("stranger", "newcomer")
NAMES = (*MEMBERS, *SESSION_KEYS, *STRANGERS)
SIGNERS = {name: signer(name) for name in NAMES}
ADDRESSES = {name: one.address for name, one in SIGNERS.items()}
QUORUM = 2

DATASET, MODEL, EVALUATION = 1, 2, 3

LIFECYCLES = (
    Lifecycle(  # dataset: raw, ready (usable), archived (terminal), withdrawn (terminal, revoked)
        definition=digest("dataset"),
        register_roles=CONTRIBUTOR,
        initial=0,
        state_flags=(0, 1, 2, 6),
        rules=(
            Rule(0, 1, CONTRIBUTOR, 4, 0, 0, 0, 0),
            Rule(1, 1, CONTRIBUTOR, 1 | 4, 0, 0, 0, 0),
            Rule(1, 2, CONTRIBUTOR | ADMIN, 1 | 8, 0, 0, 0, 0),
            Rule(ANY, 3, OPERATOR | REVIEWER, 8, 0, 0, 0, 0),
            Rule(1, 1, REVIEWER, 2 | 8, 0, 0, 100, 0),
            Rule(1, 0, OPERATOR, 0, 0, 0, 0, 0),
        ),
    ),
    Lifecycle(  # model: planned, trained (usable), approved (usable), released (usable), retired (terminal), recalled
        definition=digest("model"),
        register_roles=CONTRIBUTOR | OPERATOR,
        initial=0,
        state_flags=(0, 1, 1, 1, 2, 6),
        rules=(
            Rule(0, 1, CONTRIBUTOR, 4 | 16, 0, 0, 0, 0),
            Rule(1, 1, CONTRIBUTOR | OPERATOR, 1 | 4 | 16 | 32, 0, 0, 0, 0),
            Rule(1, 2, REVIEWER, 2 | 8, 2, REVIEWER | VERIFIER, 0, 0),
            Rule(2, 3, OPERATOR, 8 | 64, 0, 0, 3600, 0),
            Rule(1, 2, REVIEWER | CONTRIBUTOR, 8 | 16, 0, 0, 0, 3),
            Rule(ANY, 5, VERIFIER, 0, 1, ADMIN | AUDITOR | 1 << 15, 0, 0),
            Rule(3, 1, CONTRIBUTOR, 0, 0, 0, 0, 0),
            Rule(1, 1, CONTRIBUTOR | VERIFIER, 64, 3, REVIEWER | VERIFIER, 60, 0),
            Rule(ANY, 4, 0xFFFF, 1 | 8, 0, 0, 0, 0),
        ),
    ),
    Lifecycle(  # evaluation: open (usable), closed (usable, terminal), disputed (revoked, not terminal)
        definition=digest("evaluation"),
        register_roles=VERIFIER | CONTRIBUTOR,
        initial=0,
        state_flags=(1, 3, 4),
        rules=(
            Rule(0, 0, VERIFIER | CONTRIBUTOR, 0, 0, 0, 0, 0),
            Rule(0, 1, VERIFIER | CONTRIBUTOR, 8, 0, 0, 0, 0),
            Rule(0, 2, REVIEWER, 2, 0, 0, 0, 0),
            Rule(2, 0, REVIEWER, 2, 0, 0, 0, 0),
        ),
    ),
)
FOUNDERS = tuple(Member(ADDRESSES[name], organisation, roles) for name, (organisation, roles) in MEMBERS.items())


def open_company(path: Path) -> tuple[Arena, str, str]:
    """Returns an arena with two workspaces of the same founders, and the addresses of both."""
    arena = Arena.create(path, tuple(SIGNERS.values()))
    home, other = (arena.deploy(ADDRESSES["ada"], FOUNDERS, QUORUM, LIFECYCLES) for _ in range(2))
    assert home is not None
    assert other is not None
    return arena, home, other


# -------------------------------------------------------------------------------------------------- a company at work


class Company:
    """Two workspaces of the same founders, ``home`` and ``abroad``, where work has begun; and short ways to go on.

    Args:
        arena: Contract and model side by side.
        home: The workspace that tests act on.
        abroad: Another one, whose artefacts may be inputs at home.
    """

    def __init__(self, arena: Arena, home: str, abroad: str) -> None:
        self.arena = arena
        self.home = home
        self.abroad = abroad

    @classmethod
    def found(cls, folder: Path) -> Company:
        """Returns a new company with datasets, models and evaluations in several states, and sessions."""
        company = cls(*open_company(folder / "company.sqlite"))
        company._begin()
        return company

    def copy(self, path: Path) -> Company:
        """Returns a company in the same state that goes its own way."""
        return Company(self.arena.copy(path), self.home, self.abroad)

    @property
    def state(self) -> State:
        """The model of the workspace at home."""
        return self.arena.states[self.home]

    def head(self, name: str, where: str | None = None) -> bytes:
        """Returns an artefact's head."""
        return self.arena.states[where or self.home].artefacts[digest(name)].head

    def used(self, *names: str, where: str | None = None) -> tuple[Input, ...]:
        """Returns artefacts at their current heads as inputs."""
        return tuple(Input(where or ZERO_ADDRESS, digest(name), self.head(name, where)) for name in names)

    def change(
        self,
        name: str,
        rule: int,
        content: str = "",
        inputs: tuple[Input, ...] = (),
        *,
        held: tuple[Input, ...] = (),
        where: str | None = None,
    ) -> Transition:
        """Returns a transition that builds on an artefact's head."""
        digested = digest(content) if content else ZERO
        return Transition(digest(name), self.head(name, where), rule, digested, digest("record"), inputs, held)

    def register(self, name: str, lifecycle: int) -> Registration:
        """Returns the registration of an artefact."""
        return Registration(digest(name), lifecycle, digest(f"registration of {name}"))

    def grant(self, member: str, key: str, roles: int, scope: str = "", lasts_s: int = 10**6) -> Grant:
        """Returns the grant of a session, by its key's consent."""
        artefact = digest(scope) if scope else ZERO
        session = Session(ADDRESSES[key], roles, artefact, self.arena.now + lasts_s)
        return self.arena.grant(self.home, ADDRESSES[member], session)

    def by(self, who: str, operation: Operation, where: str | None = None) -> tuple[Refusal, ...] | None:
        """Has somebody try an operation; returns the rules it breaks, None if it was performed."""
        return self.arena.attempt(where or self.home, Attempt(ADDRESSES[who], operation))

    def must(self, who: str, operation: Operation, where: str | None = None) -> None:
        """Has somebody perform an operation."""
        broken = self.by(who, operation, where)
        assert broken is None, broken

    def _begin(self) -> None:
        for name, who in (("d0", "ada"), ("d1", "dana")):
            self.must(who, self.register(name, DATASET))
        self.must("ada", self.change("d0", 0, "data"))
        for name, who in (("e0", "claude"), ("e1", "frances")):
            self.must(who, self.register(name, EVALUATION))
        for name, who in (("m0", "alan"), ("m1", "frances"), ("m2", "grace")):
            self.must(who, self.register(name, MODEL))
        self.must("ada", self.change("m0", 0, "weights", self.used("d0")))
        self.must("frances", self.change("m1", 0, "weights", self.used("d0", "e0")))
        approval = self.change("m1", 2)
        for voter in ("ada", "edsger"):
            self.must(voter, vote_on(approval, digest("vote")))
        self.must("barbara", approval)
        self.must("ada", self.register("f0", DATASET), self.abroad)
        self.must("ada", self.change("f0", 0, "data", where=self.abroad), self.abroad)
        self.must("ada", self.register("f1", DATASET), self.abroad)
        self.must("ada", self.grant("ada", "key 1", ADMIN | CONTRIBUTOR))
        self.must("barbara", self.grant("barbara", "key 2", REVIEWER | VERIFIER, "m0"))
        self.must("frances", self.grant("frances", "key 3", OPERATOR | VERIFIER | ADMIN, lasts_s=1000))


@cache
def begun_company() -> Company:
    """Returns the company that tests start from: they act on copies, never on it."""
    folder = Path(tempfile.mkdtemp(prefix="proml-contracts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Company.found(folder)
