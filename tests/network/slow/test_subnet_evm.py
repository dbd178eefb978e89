"""The consortium's story on the engine whose blocks are final at once: Subnet-EVM, with kills and partitions.

After each test all see the same heads, each record is there exactly once, nothing is left in an outbox, and no block
that anybody was shown was taken back.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.network import story, views
from tests.network.founding import make_keys, write_folder
from tests.network.newcomer import admit, announce
from tests.network.participants import Member
from tests.network.slow.final import (
    FinalConsortium,
    FinalMember,
    final_consortium,
    wanted_avalanchego,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTED_S = 10

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def study() -> Iterator[FinalConsortium]:
    with final_consortium(wanted_avalanchego()) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_taken_back(study: FinalConsortium) -> Iterator[None]:
    """Blocks that a client showed before a test are the same after it, at every client."""
    height = study.members[0].newest()
    before = study.members[0].rpc("eth_getBlockByNumber", hex(height), False)["hash"]  # noqa: FBT003
    yield
    for member in study:
        assert member.rpc("eth_getBlockByNumber", hex(height), False)["hash"] == before, member.name  # noqa: FBT003


def test_the_workspace_pins_that_blocks_are_final_at_once(study: FinalConsortium) -> None:
    pinned = json.loads((study.members[0].root / "workspace.json").read_text())
    assert pinned["finality"] == "immediate"
    status = study["lab"]("consortium", "status", study["lab"].network)
    assert sorted(status["validators"].values()) == sorted(member.name for member in study)
    assert status["peers"] >= len(study.members) - 1


def test_four_organisations_record_at_once(study: FinalConsortium) -> None:
    def record(member: Member) -> None:
        for number in range(3):
            member.write(f"{member.name}-{number}", f"{member.name} {number}")
        member("sync")

    study.at_once(record)
    study.check()


def test_a_client_answers_thousands_of_views_in_a_few_requests(study: FinalConsortium) -> None:
    lab = study["lab"]
    contract = json.loads((lab.root / "workspace.json").read_text())["contract"]
    words = [*lab.fabric.enter(lab.machine), sys.executable, views.__file__, lab.ledger, contract, "2500"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "2500\n"


def test_the_story_is_told_and_every_attack_is_stopped(study: FinalConsortium) -> None:
    study["lab"].write("beside-the-story", "1")
    story.check(*story.tell(study, 0))
    study.check()


def test_founding_again_does_nothing(study: FinalConsortium) -> None:
    assert study["lab"]("consortium", "create-chain", study["lab"].network)["done"] == []


def test_validators_are_not_voted_on_and_the_command_says_so(study: FinalConsortium) -> None:
    for command in ("add-validator", "remove-validator"):
        said = study["lab"]("consortium", command, "auditor", study["lab"].network, code=2)
        assert "no command that changes them" in said["error"]["message"]


def test_one_client_that_was_killed_stops_nobody(study: FinalConsortium) -> None:
    victim = study["developer"]
    victim.kill()
    victim("consortium", "status", victim.network, code=5)
    victim.write("while-it-was-dead", "1")
    victim("sync", code=5)
    clinic = study["clinic"]
    clinic.write("others-go-on", "2")
    clinic("sync")
    victim.start()
    study.answers()
    study.check()


def test_a_minority_that_is_cut_off_makes_no_blocks_and_loses_none(study: FinalConsortium) -> None:
    lonely, majority = study["auditor"], study["lab"]
    lonely.write("in-the-minority", "1")
    majority.write("in-the-majority", "2")
    with ThreadPoolExecutor() as pool:
        study.fabric.part([0, 1, 2], [3])
        try:
            before = lonely.newest()
            waiting = pool.submit(lonely, "sync")
            majority("sync")
            time.sleep(PARTED_S)
            assert not waiting.done()
            assert lonely.newest() == before
        finally:
            study.fabric.join()
        waiting.result()
    study.check()


def test_two_halves_stop_and_go_on_when_they_are_joined(study: FinalConsortium) -> None:
    halves = (study["clinic"], study["auditor"])
    for member in halves:
        member.write(f"half-of-{member.name}", member.name)
    with ThreadPoolExecutor() as pool:
        study.fabric.part([0, 1], [2, 3])
        try:
            before = [member.newest() for member in study]
            waiting = [pool.submit(member, "sync") for member in halves]
            time.sleep(PARTED_S)
            assert [member.newest() for member in study] == before, "half of the validators made blocks"
        finally:
            study.fabric.join()
        for one in waiting:
            one.result()
    study.check()


def test_all_clients_killed_at_once_lose_nothing(study: FinalConsortium) -> None:
    study.at_once(lambda member: member.write(f"before-the-end-{member.name}", member.name))
    study.at_once(lambda member: member.ask("sync"))
    study.kill_all()
    study.at_once(Member.start)
    study.answers()
    study.check()


def test_a_newcomer_follows_the_chain_is_given_coins_and_records(study: FinalConsortium) -> None:
    root, clinic = study.members[0].root, study["clinic"]
    newcomer = FinalMember("hospital", len(study.members), study.fabric, root, clinic.geth)
    make_keys(newcomer, study.engine)
    announce(newcomer)
    fingerprints = {write_folder(member) for member in (*study, newcomer)}
    assert len(fingerprints) == 1
    newcomer.start()
    status = ("consortium", "status", newcomer.network)
    study.until(lambda: newcomer.ask(*status).returncode == 0, "the newcomer follows", timeout_s=300)  # 60 to 90 s
    study.until(lambda: newcomer.newest() == clinic.newest(), "the newcomer has all blocks")
    assert not newcomer(*status)["is_validator"]
    admit(study, newcomer)
    study.check()
