"""How often a node looks for a new block, and what ends its waiting."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proml.errors import UnreachableError
from proml.node.worker import Worker, _pause_s
from proml.ports import Block

LONG_S = 60.0


def blocks(*times: int) -> list[Block]:
    return [Block(number, bytes(32), bytes(32), time) for number, time in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "pause_s"),
    [
        ((), 1.0),
        ((100,), 1.0),
        ((100, 112, 124), 0.4),
        ((100, 103, 106), 0.1),
        ((100, 101, 102), 1 / 30),
        ((100, 100, 100), 0.03),
        ((100, 4_000), 1.0),
        ((100, 90), 0.03),
    ],
)
def test_it_looks_often_while_a_block_comes_but_not_too_often(times: tuple[int, ...], pause_s: float) -> None:
    assert _pause_s(blocks(*times)) == pytest.approx(pause_s)


def test_a_chain_that_went_back_is_looked_at_again() -> None:
    first, second = blocks(100, 112)
    assert _pause_s([second, first]) == 1.0


class Things:
    """What a waiting loop looks at: it changes at the third look."""

    def __init__(self, change: str) -> None:
        self.change = change
        self.looks = 0
        self.outbox = SimpleNamespace(version=self.version)
        self.ledger = SimpleNamespace(newest=self.newest)

    def version(self) -> int:
        self.looks += 1
        return int(self.change == "outbox" and self.looks > 2)

    def newest(self) -> Block:
        self.looks += 1
        if self.change == "no ledger":
            raise UnreachableError("it is away")
        return Block(self.looks, b"new" if self.change == "block" and self.looks > 2 else b"", bytes(32), 0)


@pytest.mark.parametrize("change", ["outbox", "block", "no ledger", "call"])
def test_waiting_ends_when_there_is_something_to_do(change: str) -> None:
    worker = Worker(cast("Any", Things(change)), every_s=None, tell=print)
    if change == "call":
        threading.Timer(0.1, worker.call).start()
    begun = time.monotonic()
    worker._wait(0, 0.01, LONG_S)
    assert time.monotonic() - begun < LONG_S


def test_waiting_ends_when_it_is_time() -> None:
    things = Things("nothing")
    Worker(cast("Any", things), every_s=None, tell=print)._wait(0, 0.01, 2)
    assert things.looks > 2


def test_after_a_failure_the_ledger_is_not_asked_before_it_is_time() -> None:
    begun = time.monotonic()
    Worker(cast("Any", Things("no ledger")), every_s=None, tell=print)._wait(0, 0.2, 0.2)
    assert time.monotonic() - begun >= 0.2
