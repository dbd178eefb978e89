"""The story of `proml demo` on the network, by the command line alone, told several times at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.network import story

if TYPE_CHECKING:
    from tests.network.participants import Consortium

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("tellings", [1, pytest.param(4, marks=pytest.mark.long)])
def test_the_story_is_told_and_every_attack_is_stopped_on_the_network(study: Consortium, tellings: int) -> None:
    with ThreadPoolExecutor(tellings + 1) as pool:
        told = [pool.submit(story.tell, study, 10 * tellings + turn) for turn in range(tellings)]
        others = pool.submit(study.at_once, lambda m: m.write(f"meanwhile-{tellings}-{m.name}", m.name))
        others.result()
        for one in told:
            story.check(*one.result())
    study.until(study.agree, "one chain")
    study.check()
