"""How often a node looks for a new block."""

from __future__ import annotations

import pytest

from proml.node.worker import _pause_s
from proml.ports import Block


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
