"""Four organisations on real clients: they work at once, and clients, machines and cables fail.

After each test all see the same heads, each record is there exactly once, and nothing is left in an outbox.
"""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.network.participants import Consortium, Member

PARTED_S = 6

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]


def test_four_organisations_record_at_once(study: Consortium) -> None:
    def record(member: Member) -> None:
        for number in range(3):
            member.write(f"{member.name}-{number}", f"{member.name} {number}")
        member("sync")

    study.at_once(record)
    study.check()


def test_a_client_that_was_killed_costs_nobody_else_anything_and_its_owner_nothing_recorded(study: Consortium) -> None:
    victim = study["developer"]
    victim.signal(signal.SIGKILL)
    victim("consortium", "status", victim.network, code=5)
    victim.write("while-it-was-dead", "1")
    victim("sync", code=5)
    clinic = study["clinic"]
    clinic.write("others-go-on", "2")
    clinic("sync")
    victim.start()
    study.grows()
    study.check()


def test_a_minority_that_was_cut_off_keeps_what_it_recorded(study: Consortium) -> None:
    lonely, majority = study["auditor"], study["lab"]
    lonely.write("in-the-minority", "1")
    majority.write("in-the-majority", "2")
    with ThreadPoolExecutor() as pool:
        study.fabric.part([0, 1, 2], [3])
        try:
            # Its client takes it, and may even put it in a block of its own, which will be lost and is never final.
            waiting = pool.submit(lonely, "sync", "--final")
            majority("sync")
            time.sleep(PARTED_S)
            assert not waiting.done()
        finally:
            study.fabric.join()
        waiting.result()
    study.until(study.agree, "one chain again")
    study.check()


def test_two_halves_stop_and_agree_when_they_are_joined(study: Consortium) -> None:
    halves = (study["clinic"], study["auditor"])
    for member in halves:
        member.write(f"half-of-{member.name}", member.name)
    with ThreadPoolExecutor() as pool:
        study.fabric.part([0, 1], [2, 3])
        try:
            waiting = [pool.submit(member, "sync") for member in halves]
            time.sleep(PARTED_S)
            before = [member.newest() for member in study]
            time.sleep(3)
            assert [member.newest() for member in study] == before, "half of the validators made blocks"
            study.until(lambda: all(standing_s(member) > 20 for member in study), "owners are told that no blocks come")
        finally:
            study.fabric.join()
        for one in waiting:
            one.result()
    study.until(study.agree, "one chain again")
    assert [standing_s(member) for member in study] == [0] * 4
    study.check()


def standing_s(member: Member) -> int:
    return int(member("consortium", "status", member.network)["standing_s"])


def test_clients_that_are_sent_back_take_the_others_branch(study: Consortium) -> None:
    """What the how-to tells owners to do when two branches of equal weight stand against each other."""
    study.at_once(lambda member: member.write(f"before-the-tie-{member.name}", member.name))
    study.at_once(lambda member: member("sync"))
    for member in (study["lab"], study["auditor"]):
        member.rpc("debug_setHead", hex(member.newest() - 4))
        member.restart()
    study.grows()
    study.until(study.agree, "one chain again")
    study.check()


def test_all_clients_killed_at_once_lose_nothing(study: Consortium) -> None:
    study.at_once(lambda member: member.write(f"before-the-end-{member.name}", member.name))
    study.at_once(lambda member: member.ask("sync"))
    for member in study:
        member.signal(signal.SIGKILL)
    study.at_once(lambda member: member.start())
    study.grows()
    study.check()


def test_capture_goes_on_while_the_chain_stands_still(study: Consortium) -> None:
    for member in study:
        member.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        for number in range(5):
            study["lab"].write(f"while-all-stand-still-{number}", str(number))
        assert time.monotonic() - begun < 60
    finally:
        for member in study:
            member.signal(signal.SIGCONT)
    study.grows()
    study.check()


def test_validators_are_voted_out_and_in_by_the_others(study: Consortium) -> None:
    auditor = study["auditor"]
    voters = [study["clinic"], study["lab"], study["developer"]]

    def validators(member: Member) -> set[str]:
        return set(member("consortium", "status", member.network)["validators"].values())

    for voter in voters:
        voter("consortium", "remove-validator", "auditor", voter.network)
    study.until(lambda: all("auditor" not in validators(member) for member in study), "the auditor is voted out")
    auditor("consortium", "add-validator", "auditor", auditor.network, code=2)
    auditor.write("from-one-who-only-follows", "1")
    for voter in voters[:2]:
        voter("consortium", "add-validator", "auditor", voter.network)
    study.until(lambda: all("auditor" in validators(member) for member in study), "the auditor is voted in")
    study.check()


def test_a_client_is_stopped_in_order_and_starts_again(study: Consortium) -> None:
    lab = study["lab"]
    pid = lab("consortium", "stop", lab.network)["pid"]
    assert pid > 0
    assert lab("consortium", "stop", lab.network)["pid"] == 0
    lab.start()
    lab("consortium", "start", lab.network, code=6)
    study.grows()
    study.check()


def test_a_node_keeps_what_it_is_given_while_its_client_is_dead_and_it_is_killed_itself(study: Consortium) -> None:
    lab = study["lab"]
    node = lab.start_node()
    try:
        host = lab.host()
        lab.signal(signal.SIGKILL)
        host.write("through-a-node-0", "0")
        assert host("sync", "--no-wait")["entries"][0]["state"] == "sent"
        end(node, signal.SIGKILL)
        host.write("through-a-node-1", "1")
        host("sync", "--no-wait", code=5)
        node = lab.start_node()
        host("sync", "--no-wait")
        lab.start()
        assert {entry["state"] for entry in host("sync", "--final")["entries"]} == {"confirmed"}
    finally:
        assert end(node, signal.SIGTERM) in (0, -signal.SIGKILL)
    study.check()


def end(process: subprocess.Popen[str], number: signal.Signals) -> int:
    """Signals a process, unless it has ended, and returns its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    code = process.wait(60)
    assert process.stdout is not None
    process.stdout.close()
    return code
