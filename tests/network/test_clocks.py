"""Clocks that are wrong: the machine that commands run on; a validator's is in `make test-network-slow`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.network.participants import wanted_skewed_geth

if TYPE_CHECKING:
    from tests.network.participants import Consortium

HOUR_S = 3600

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.long
@pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
def test_a_machine_an_hour_off_records_signs_and_sends(study: Consortium, ahead_s: int) -> None:
    lab, clinic = study["lab"], study["clinic"]
    off = replace(lab, clock_s=ahead_s)
    name = "clock-behind" if ahead_s < 0 else "clock-ahead"
    off.write(name, "1")
    study.sends(off, "--final")
    chain_s = int(lab.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)  # noqa: FBT003
    made = off("id", "session", "--role", "contributor", "--for", "30m", "--name", name)
    # Never shorter than it was meant; longer only where the machine cannot know, and then it is told.
    assert made["clock_ahead_s"] == pytest.approx(max(ahead_s, 0), abs=30)
    assert made["expires"] == pytest.approx(chain_s + 1800 + max(ahead_s, 0), abs=30)
    # A message signed there is sent by another, whose clock is right; and one signed elsewhere is sent from there.
    for signer, sender, label in ((off, clinic, f"{name}-signed"), (clinic, off, f"{name}-sent")):
        message = lab.root / f"{label}.json"
        what = ("act", label, "collect", lab.work / f"{name}.csv", "--kind", "source")
        signer(*what, "--sign", message, "--valid-for", "30m")
        sender("relay", message)
        lab.written.append(label)
    study.settle()
    times = [step["timestamp"] for label in (name, f"{name}-signed") for step in lab("log", label)["history"]]
    assert all(abs(step - chain_s) < 300 for step in times), "the ledger's times are the validators'"
    study.check()


@pytest.mark.long
@pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
def test_a_validator_an_hour_off_is_left_behind_and_catches_up(study: Consortium, ahead_s: int) -> None:
    skewed = wanted_skewed_geth()
    wrong, clinic = study["auditor"], study["clinic"]
    wrong("consortium", "stop", wrong.network)
    wrong("consortium", "start", wrong.network, PROML_GETH=str(skewed), SKEW_S=str(ahead_s))
    before = clinic.newest()
    for number in range(3):
        clinic.write(f"while-a-clock-is-{ahead_s}-{number}", str(number))
        study.sends(clinic, "--final", among=[member for member in study if member is not wrong])
    study.until(lambda: clinic.newest() > before + 8, "the others go on")
    for number in range(before + 2, clinic.newest() + 1):
        block = clinic.rpc("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003
        assert abs(int(block["timestamp"], 16) - time.time()) < 300, "a block with a wrong time was taken"
    # What its owner records meanwhile waits, and is told to.
    wrong.write(f"by-one-whose-clock-is-{ahead_s}", "1")
    wrong.ask("sync", "--no-wait")
    wrong("consortium", "stop", wrong.network)
    wrong.start()
    study.until(study.agree, "it has caught up")
    study.check()
