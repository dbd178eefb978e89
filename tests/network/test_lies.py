"""A client that lies: an end point in front of a real one, with a second, honest one to ask and without.

Each lie is told to a participant who follows the chain through it from the beginning. What is noticed without being
asked for is told by the exit code of an ordinary command; the rest by `proml audit`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.network.liar import LIES

if TYPE_CHECKING:
    from tests.network.participants import Consortium, Member

HONEST = "http://127.0.0.1:8545"
FIRST_PORT = 8800

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Told:
    """What a participant is told of a lie.

    Attributes:
        unasked: Exit code of `proml sync --rebuild`, which nobody runs to find liars.
        alone: Findings of `proml audit --prove`, with no other end point to ask.
        together: Findings of `proml audit --with` an honest one.
    """

    unasked: int
    alone: set[str] = field(default_factory=set)
    together: set[str] = field(default_factory=set)


# What each lie comes to. Nothing here is noticed by luck: with a lie more or less, a line changes.
EXPECTED = {
    # What is left out at the end leaves events that fit together; the contract's own answer does not fit them.
    "log_left_out": Told(
        0,
        {"chain-inconsistent", "index-differs", "logs-left-out"},
        {"chain-inconsistent", "index-differs", "end-point-differs"},
    ),
    "log_made_up": Told(4, {"chain-inconsistent", "logs-made-up"}, {"chain-inconsistent", "end-point-differs"}),
    "log_changed": Told(4, {"chain-inconsistent", "logs-changed"}, {"chain-inconsistent", "end-point-differs"}),
    "another_state": Told(
        0, {"chain-inconsistent", "index-differs"}, {"chain-inconsistent", "index-differs", "end-point-differs"}
    ),
    "another_block": Told(0, {"block-forged"}, set()),
    "another_receipt": Told(0, {"receipts-forged"}, set()),
    "another_chain": Told(4, {"chain-inconsistent"}, {"chain-inconsistent", "end-point-differs"}),
    "another_genesis": Told(4, {"chain-inconsistent", "block-forged"}, {"chain-inconsistent", "end-point-differs"}),
    "stale": Told(0, set(), {"end-point-behind"}),
    "included": Told(0, set(), set()),
}


def test_every_lie_has_a_line() -> None:
    assert sorted(EXPECTED) == sorted(LIES)


@pytest.mark.long
def test_what_an_end_point_that_lies_can_do_is_noticed(study: Consortium) -> None:
    lab = study["lab"]
    lab.write("before-the-lies", "1")
    study.sends(lab, "--final")
    study.until(lambda: lab.newest() > 60, "there are blocks to be stale about")

    def tell(numbered: tuple[int, str]) -> Told:
        number, lie = numbered
        port = FIRST_PORT + number
        with lab.running("-m", "tests.network.liar", str(port), HONEST, lie):
            return _told(lab.beside(f"told-{lie}"), f"http://127.0.0.1:{port}")

    with ThreadPoolExecutor(2) as pool:
        told = dict(zip(LIES, pool.map(tell, enumerate(LIES)), strict=True))
    assert told == EXPECTED
    study.check()


def _told(victim: Member, liar: str) -> Told:
    unasked = victim.ask("sync", "--rebuild", PROML_LEDGER=liar).returncode
    alone = _findings(victim, liar, "--prove")
    return Told(unasked, alone, _findings(victim, liar, "--with", HONEST))


def _findings(victim: Member, liar: str, *words: str) -> set[str]:
    answer = victim.ask("audit", *words, PROML_LEDGER=liar)
    document = json.loads(answer.stdout)
    assert "findings" in document, answer.stdout + answer.stderr
    return {finding["code"] for finding in document["findings"]}


@pytest.mark.long
def test_a_record_that_a_liar_says_is_on_the_chain_is_missed_and_sent_again(study: Consortium) -> None:
    clinic = study["clinic"]
    clinic.write("swallowed", "1")
    with clinic.running("-m", "tests.network.liar", "8900", HONEST, "included"):
        liar = "http://127.0.0.1:8900"
        (entry,) = clinic("sync", "--final", PROML_LEDGER=liar)["entries"]
        assert entry["state"] == "confirmed", "the lie was told"
        refused = clinic.ask("audit", "--prove")
        assert refused.returncode == 4
        assert "entry-unfounded" in refused.stdout
        clinic("sync", "--rebase", entry["number"], "--final")
        # With a witness nothing of the kind is believed.
        clinic.write("swallowed-too", "1")
        waiting = clinic.ask("sync", PROML_LEDGER=liar, PROML_WITNESS=HONEST)
        assert waiting.returncode == 4
        assert "two end points differ" in waiting.stdout
    study.sends(clinic, "--final")
    assert clinic("audit", "--prove")["ok"]
    study.check()
