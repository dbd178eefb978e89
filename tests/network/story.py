"""The demonstration's story, told on the network: each of its organisations works on one of the machines.

Commands, scripts and attacks are those of `proml demo`; only where they run differs, and that the ledger is the client
of the machine. Several stories, each with a workspace of its own, can be told at once, with the roles dealt out anew,
so that every participant is busy in several of them at the same time.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proml.demo.attacks import ATTACKS
from proml.demo.stage import Stage, proml
from proml.demo.story import (
    CHAPTERS,
    DATASET,
    EVALUATION,
    MODEL,
    SERVICE,
    TRAINING_KEY,
    found_on,
    gather,
    make_keys,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.network.participants import Consortium, Member

    from proml.demo.stage import Answer, Command, Organisation
    from proml.demo.story import Cast

TRANSITIONS = {DATASET: 6, MODEL: 3, EVALUATION: 1, SERVICE: 1, "second-model": 2, "second-evaluation": 1}
_COINS = 10**24
_HONEST_TRIES_S = 30.0
_FINAL_BLOCKS = 3


class NetworkStage(Stage):
    """A stage on several machines.

    Args:
        root: Folder of this telling; made here.
        study: The machines, with their clients.
        turn: How far the roles are moved on from one machine to the next.
    """

    def __init__(self, root: Path, study: Consortium, turn: int) -> None:
        root.mkdir()
        super().__init__(root)
        self._study = study
        self._turn = turn
        self._places: dict[str, Member] = {}

    def host_of(self, who: Organisation) -> Member:
        """Returns the participant on whose machine an organisation works."""
        if who.key not in self._places:
            self._places[who.key] = self._study.members[(len(self._places) + self._turn) % len(self._study.members)]
        return self._places[who.key]

    def enter(self, who: Organisation) -> list[str]:
        return self._study.fabric.enter(self.host_of(who).machine)

    def run(self, *commands: Command) -> None:
        """Runs commands of different organisations at once; of one, one after the other, as one person types them."""
        if any(command.is_attack for command in commands):
            self._settle()
        waiting = list(commands)
        while waiting:
            firsts = {command.who.key: command for command in reversed(waiting)}
            wave = [command for command in waiting if command is firsts[command.who.key]]
            waiting = [command for command in waiting if command is not firsts[command.who.key]]
            super().run(*wave)
        for command in commands:
            if command.words[:3] == ("proml", "id", "session"):
                # On this chain gas costs coins without value, and a new key has none.
                self.fund([self.ask(command.who, "id", "show", TRAINING_KEY)["address"]])
        self._pass_on(commands)

    def _settle(self) -> None:
        """Waits until no reorganisation can take away what an attack has to fail at."""
        if self._study.engine != "geth-clique":
            return  # its blocks are final at once, and none comes without a transaction
        height = max(member.newest() for member in self._study) + _FINAL_BLOCKS
        self._study.until(lambda: min(member.newest() for member in self._study) >= height, "it is final")

    def start(self, command: Command) -> Answer:
        """Runs a command; an honest one is typed again for a while if others' blocks are not here yet."""
        ends = time.monotonic() + (0 if command.is_attack else _HONEST_TRIES_S)
        while True:
            answer = super().start(command)
            if answer[0].returncode in command.wanted or time.monotonic() > ends:
                return answer
            if self._study.end_a_tie(self._study.members):
                ends = time.monotonic() + _HONEST_TRIES_S
            time.sleep(1)

    def fund(self, addresses: list[str]) -> None:
        """Gives accounts coins for their gas, and waits until every client knows."""
        self._study.members[0].pay(addresses, _COINS)
        self._study.until(
            lambda: all(m.balance(address) > 0 for m in self._study for address in addresses), "accounts have coins"
        )

    def _pass_on(self, commands: tuple[Command, ...]) -> None:
        """Waits until the blocks that these commands saw are everybody's."""
        height = max(self.host_of(command.who).newest() for command in commands)

        def has_come() -> bool:
            return all(member.newest() >= height for member in self._study) and self._study.agree()

        self._study.until(has_come, "all have the block")


def tell(study: Consortium, turn: int) -> tuple[NetworkStage, Cast]:
    """Tells the story once, attacks included; each ends as it does in `proml demo`."""
    root = study.members[0].root / f"story-{turn}"
    stage = NetworkStage(root, study, turn)
    cast = gather(root)
    make_keys(stage, cast)
    stage.fund([json.loads((root / f"{key}.identity.json").read_text())["address"] for key in cast])
    network = study.members[0]("consortium", "status", study.members[0].network)
    ledger, finality = network["ledger"], network["finality"]
    found_on(stage, cast, "--ledger", ledger, "--finality", finality, "--store", str(root / "store"))
    for chapter in (*CHAPTERS[1:], *ATTACKS):
        chapter(stage, cast)
    return stage, cast


def check(stage: NetworkStage, cast: Cast) -> None:
    """All five see the same, every step of it once; their audits are green, and nothing waits in an outbox."""
    with ThreadPoolExecutor(len(cast)) as pool:
        views = list(pool.map(lambda who: _view(stage, who), cast.values()))
    for who, seen in zip(cast, views, strict=True):
        assert seen == views[0], f"{who} sees another history than the clinic"
    assert views[0]["steps"] == TRANSITIONS
    records = views[0]["records"]
    assert len(records) == len(set(records)), "something was recorded twice"
    assert "ancestor-revoked" in views[0]["verdict"]
    attacks = [step for step in stage.steps if step.attack]
    assert len(attacks) == 11
    assert all(step.exit_code in (3, 4, 6) for step in attacks)


def _view(stage: NetworkStage, who: Organisation) -> dict[str, Any]:
    """Returns what an organisation sees, without what differs from machine to machine, such as its newest block."""
    stage.ask(who, "sync", "--final")
    status = stage.ask(who, "status")
    assert not status["outbox"], f"{who.key}: {status['outbox']}"
    assert stage.ask(who, "audit")["ok"]
    verified, _ = stage.start(replace(proml(who, "verify", MODEL, "--json"), wanted=(4,)))
    return {
        "heads": {one["name"]: one["head"] for one in status["artefacts"]},
        "steps": {one["name"]: one["seq"] for one in status["artefacts"]},
        "records": [step["record_digest"] for step in stage.ask(who, "log", MODEL)["history"]],
        "verdict": [finding["code"] for finding in json.loads(verified.stdout)["reports"][0]["findings"]],
    }
