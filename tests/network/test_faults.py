"""Validators that misbehave, and a chain that stands still for long."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from statistics import median
from typing import TYPE_CHECKING

import pytest

from proml.errors import ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.network.participants import Consortium, Member

PAUSE_S = 120
WATCHED_S = 170
"""More than a round of turns of four."""

RECORDS = 4

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.long
def test_what_a_validator_leaves_out_the_others_put_into_their_blocks(
    study: Consortium, capsys: pytest.CaptureFixture[str]
) -> None:
    censor, writer = study["lab"], study["clinic"]
    fair = (censor.network / "start.sh").read_text()
    # Its blocks have only what pays it a thousand gwei: nothing of ours.
    price = ("--miner.gasprice 1 ", f"--miner.gasprice {10**12} ")
    try:
        censor.restart(price, ("--txpool.pricelimit 1", "--txpool.nolocals --txpool.pricelimit 1"))
        study.grows()
        first = writer.newest() + 1
        took = []
        for number in range(RECORDS):
            name = writer.write(f"left-out-{number}", str(number))
            (entry,) = (one for one in study.sends(writer)["entries"] if one["artefact"] == name)
            took.append(entry["milliseconds"] / 1000)
            # From now on there is a block of the censor that could have had the next one.
            study.until(lambda: _sealed_by(writer, censor, writer.newest()), "the censor seals")
        used = {number: _transactions(writer, number) for number in range(first, writer.newest() + 1)}
        its = [number for number in used if _sealed_by(writer, censor, number)]
    finally:
        (censor.network / "start.sh").write_text(fair)
        censor.restart()
    assert its, "the censor sealed no block"
    assert not any(used[number] for number in its), "the censor did not censor"
    assert sum(used.values()) == RECORDS
    told = f"a censor among four validators: a record took {median(took):.1f} s (median), {max(took):.1f} s at most"
    with capsys.disabled():
        print(f"\n{told}")  # noqa: T201 - the latency is to be seen
    study.check()


def _sealed_by(asked: Member, who: Member, number: int) -> bool:
    public = json.loads((who.network / f"{who.name}.public.json").read_text())
    return bool(asked.rpc("clique_getSigner", hex(number)) == public["validator"].lower())


def _transactions(asked: Member, number: int) -> int:
    return int(asked.rpc("eth_getBlockTransactionCountByNumber", hex(number)), 16)


@pytest.mark.long
def test_a_chain_that_stands_still_for_minutes_stops_nobody_from_recording(study: Consortium) -> None:
    for member in study:
        member.signal(signal.SIGSTOP)
    slowest = 0.0
    try:
        ends, number = time.monotonic() + PAUSE_S, 0
        while time.monotonic() < ends:
            begun = time.monotonic()
            label = f"in-the-pause-{number}"
            study.at_once(lambda member, label=label: member.write(f"{member.name}-{label}", label))  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - begun)
            number += 1
            time.sleep(5)
        study["lab"].ask("sync", "--no-wait")
    finally:
        for member in study:
            member.signal(signal.SIGCONT)
    assert slowest < 30, "capture waited for the chain"
    study.grows()
    study.check()


@pytest.mark.long
def test_validators_who_seal_no_more_make_no_watch_leave_a_final_block(study: Consortium) -> None:
    idle, watched = study.members[:2], study.members[2:]
    study.settle()
    _seal(idle, "miner_stop")
    try:
        study.until(lambda: all(_stands(member) for member in watched), "owners are told", among=())
        final = {member.name: member.newest() - 3 for member in watched}
        hashes = {member.name: _hash(member, final[member.name]) for member in watched}
        lowest = dict(final)
        with contextlib.ExitStack() as stack:
            for member in watched:
                stack.enter_context(member.running("-m", "proml", "consortium", "watch", str(member.network)))
            ends = time.monotonic() + WATCHED_S
            while time.monotonic() < ends:
                for member in watched:
                    with contextlib.suppress(ProMLError):  # it starts again just now
                        lowest[member.name] = min(lowest[member.name], member.newest())
                time.sleep(0.2)
        assert all((member.network / "watch.json").exists() for member in watched), "not each has left a branch"
        assert lowest == final, "a final block was left"
    finally:
        _seal(idle, "miner_start")
    study.grows()
    assert {member.name: _hash(member, final[member.name]) for member in watched} == hashes
    study.check()


def _stands(member: Member) -> bool:
    return bool(member("consortium", "status", member.network)["standing_s"])


def _hash(member: Member, number: int) -> str:
    return str(member.rpc("eth_getBlockByNumber", hex(number), False)["hash"])  # noqa: FBT003


def test_what_a_reorganisation_takes_away_is_seen_and_sent_again_or_told(study: Consortium) -> None:
    clinic, lab, developer = study["clinic"], study["lab"], study["developer"]
    study.settle()
    _seal(study, "miner_stop")
    study.until(study.agree, "all have the same block")
    before = clinic.newest()
    clinic.write("taken-away", "1")
    lab.write("contested", "1")
    study.at_once(lambda member: member("sync", "--no-wait"), [clinic, lab])
    # Two of four validators make a block each, and no more: nothing becomes final.
    two = _may_seal(study)[:2]
    _seal(two, "miner_start")
    study.until(lambda: _pending(clinic) == _pending(lab) == 0, "both are in a block")
    _seal(two, "miner_stop")
    seen = [member("sync", "--no-wait")["entries"][0] for member in (clinic, lab)]
    assert [entry["state"] for entry in seen] == ["confirmed", "confirmed"]
    assert {entry["confirmed"] for entry in seen} <= {"L@0", "L@1", "L@2"}

    for member in study:
        member.rpc("debug_setHead", hex(before))
    (gone,) = [entry for entry in clinic("sync", "--no-wait")["entries"] if entry["artefact"] == "taken-away"]
    assert (gone["state"], gone["confirmed"]) == ("sent", None)
    assert "reorganisation" in gone["error"]
    # While the chain has neither, somebody else takes the name.
    developer.write("contested", "2")
    developer("sync", "--no-wait")
    _seal(study, "miner_start")
    study.until(lambda: _pending(clinic) == _pending(developer) == 0, "both are in a block")
    (back,) = [entry for entry in study.sends(clinic, "--final")["entries"] if entry["artefact"] == "taken-away"]
    assert (back["state"], back["transaction"], back["confirmed"]) == ("confirmed", gone["transaction"], "final")
    told = lab.ask("sync")
    assert told.returncode in (3, 6), told.stdout
    entry = next(one for one in lab("status", "--outbox")["outbox"] if one["artefact"] == "contested")
    assert entry["state"] in ("refused", "conflict")
    lab("sync", "--drop", entry["number"])
    lab.written.remove("contested")
    study.check()
    for member in (clinic, lab, developer):
        assert member("audit", "--prove")["ok"], "outbox or index differ from the chain"


def _may_seal(study: Consortium) -> list[Member]:
    """Returns those who sealed neither of the last two blocks: of four, each may seal one of three (EIP-225)."""
    asked = study.members[0]
    newest = asked.newest()
    recent = {asked.rpc("clique_getSigner", hex(number)).lower() for number in (newest - 1, newest)}
    validators = asked("consortium", "status", asked.network)["validators"]
    names = {name for address, name in validators.items() if address.lower() not in recent}
    return [member for member in study if member.name in names]


def _seal(members: Iterable[Member], method: str) -> None:
    for member in members:
        member.rpc(method)


def _pending(member: Member) -> int:
    """Returns how many transactions of a member's key are in no block, as its client knows."""
    address = json.loads((member.root / f"{member.name}.json").read_text())["address"]
    counts = [int(member.rpc("eth_getTransactionCount", address, tag), 16) for tag in ("pending", "latest")]
    return counts[0] - counts[1]
