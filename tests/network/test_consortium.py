"""Four organisations on real clients: they work at once, and clients, machines and cables fail.

After each test all see the same heads, each record is there exactly once, and nothing is left in an outbox.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.network.participants import HEALS_S, WAITS
from tests.network.views import joined

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from tests.network.participants import Consortium, Member

PARTED_S = 6
TIES_S = 600
pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]


def test_four_organisations_record_at_once(study: Consortium) -> None:
    def record(member: Member) -> None:
        for number in range(3):
            member.write(f"{member.name}-{number}", f"{member.name} {number}")
        study.sends(member)

    study.at_once(record)
    study.check()


def test_a_client_answers_thousands_of_views_in_a_few_requests(study: Consortium) -> None:
    contract = json.loads((study["lab"].root / "workspace.json").read_text())["contract"]
    assert joined(study["lab"].socket, contract, 2_500) == 2_500


def test_a_client_that_was_killed_costs_nobody_else_anything_and_its_owner_nothing_recorded(study: Consortium) -> None:
    victim = study["developer"]
    victim.signal(signal.SIGKILL)
    victim("consortium", "status", victim.network, code=5)
    victim.write("while-it-was-dead", "1")
    victim("sync", code=5)
    clinic = study["clinic"]
    clinic.write("others-go-on", "2")
    study.sends(clinic, among=[member for member in study if member is not victim])
    victim.start()
    study.grows()
    study.check()


def test_a_minority_that_was_cut_off_keeps_what_it_recorded(study: Consortium) -> None:
    lonely, writer = study["auditor"], study["lab"]
    majority = [member for member in study if member is not lonely]
    lonely.write("in-the-minority", "1")
    writer.write("in-the-majority", "2")
    with ThreadPoolExecutor() as pool:
        study.fabric.part([0, 1, 2], [3])
        try:
            # Its client takes it, and may even put it in a block of its own, which will be lost and is never final.
            waiting = pool.submit(lonely.ask, "sync", "--final")
            study.sends(writer, among=majority)
            time.sleep(PARTED_S)
            assert not waiting.done() or waiting.result().returncode == WAITS
        finally:
            study.fabric.join()
        assert waiting.result().returncode in {0, WAITS}, waiting.result().stderr
    study.until(lambda: lonely.ask("sync", "--final").returncode == 0, "the minority's is final")
    study.until(study.agree, "one chain again")
    study.check()


def test_two_halves_stop_and_agree_when_they_are_joined(study: Consortium) -> None:
    turns = in_turn(study)
    halves = (turns[0], turns[1])
    for member in halves:
        member.write(f"half-of-{member.name}", member.name)
    with ThreadPoolExecutor() as pool:
        # Whose turns are beside each other are apart, so that one half's branch is heavier.
        part(study, turns[::2], turns[1::2])
        try:
            begun = [member.newest() for member in study]
            waiting = [pool.submit(member.ask, "sync") for member in halves]
            study.until(lambda: stand(study), "owners are told that no blocks come", among=())
            made = [member.newest() - before for member, before in zip(study, begun, strict=True)]
            assert max(made) <= len(halves), "half of the validators made more than a block each"
        finally:
            study.fabric.join()
        for one in waiting:
            assert one.result().returncode in {0, WAITS}, one.result().stderr
    study.until(study.agree, "one chain again")
    study.until(lambda: not any(how(member)["standing_s"] for member in study), "no owner is told any more")
    study.check()


@pytest.mark.timeout(1500)
def test_two_branches_of_equal_weight_are_ended_by_owners_who_step_back(study: Consortium) -> None:
    study["lab"]("consortium", "step-back", study["lab"].network, code=6)
    for member in study:
        member.write(f"before-the-tie-{member.name}", member.name)
    with ThreadPoolExecutor() as pool:
        waiting, long = come_to_a_tie(study, lambda: [pool.submit(member.ask, "sync") for member in study])
        for member in long:
            done = member("consortium", "step-back", member.network)
            assert done["to_block"] == max(0, done["from_block"] - 8)
        study.grows()
        for one in waiting:  # 5: its client was started anew meanwhile
            assert one.result().returncode in {0, WAITS}, one.result().stderr
    study.until(study.agree, "one chain again")
    study.check()


@pytest.mark.timeout(1500)
def test_two_branches_of_equal_weight_are_ended_by_watches_without_anybody(
    study: Consortium, capsys: pytest.CaptureFixture[str]
) -> None:
    for member in study:
        member.write(f"before-the-watched-tie-{member.name}", member.name)
    with ThreadPoolExecutor() as pool:
        waiting, _ = come_to_a_tie(study, lambda: [pool.submit(member.ask, "sync") for member in study])
        before = study.heights()  # once they are watched, clients are started again at any moment
        with contextlib.ExitStack() as watches:
            for member in study:
                watches.enter_context(member.running("-m", "proml", "consortium", "watch", str(member.network)))
            took_s = study.grows(2 * HEALS_S, beyond=before, among=())
        for one in waiting:
            assert one.result().returncode in {0, WAITS}, one.result().stderr
    with capsys.disabled():
        print(f"\na tie was ended by watches within {took_s:.0f} s")  # noqa: T201 - it is to be seen
    study.until(study.agree, "one chain again")
    study.check()


def come_to_a_tie(
    study: Consortium, begin: Callable[[], list[Future[subprocess.CompletedProcess[str]]]]
) -> tuple[list[Future[subprocess.CompletedProcess[str]]], Sequence[Member]]:
    """Parts and joins the network until two branches stand against each other; on a busy machine others come as well.

    Args:
        study: The network.
        begin: Begins what goes on meanwhile.

    Returns:
        What was begun, and who has the longer branch.
    """
    ends, begun = time.monotonic() + TIES_S, []
    while time.monotonic() < ends:
        try:
            long = part_into_equals(study, lambda: begun.extend(begin()))
            for member in long:
                member.restart()  # or it would hear of the others' block, which was on its way for as long
        finally:
            study.fabric.join()
        study.until(lambda: all(how(member)["peers"] == 3 for member in study), "all reach each other")
        if long:
            height = max(member.newest() for member in study)
            study.until(
                lambda height=height: stand(study) or min(member.newest() for member in study) > height,  # type: ignore[misc]
                "they stand, or go on",
                among=(),
            )
            if stand(study) and not study.agree():
                return begun, long
        study.until(study.agree, "one chain again")
        study.grows()
    pytest.fail("no two branches of equal weight came")


def part_into_equals(study: Consortium, begin: Callable[[], object]) -> Sequence[Member]:
    """Parts the network so that two branches of equal weight come; returns who has the longer one, nobody if none came.

    A block in its turn weighs 2, another 1 (EIP-225), and of four each may seal one of three blocks. After blocks in
    turn, those whose turn is next and last seal one block, of 2, and the two in between two, of 1 each.
    """
    turns = in_turn(study)
    study.until(lambda: were_in_turn(turns[0], 3), "three blocks come in turn")
    newest = turns[0].newest()
    while (now := turns[0].newest()) == newest:
        time.sleep(0.02)
    next_, after, before, last = (turns[(now + ahead) % 4] for ahead in (1, 2, 3, 4))
    part(study, [next_, last], [after, before])
    begin()
    time.sleep(PARTED_S)
    short, long = (one.rpc("eth_getBlockByNumber", "latest", False) for one in (next_, after))  # noqa: FBT003
    are_equal = short["totalDifficulty"] == long["totalDifficulty"] and short["hash"] != long["hash"]
    return [after, before] if are_equal else []


def were_in_turn(member: Member, count: int) -> bool:
    newest = member.newest()
    blocks = [member.rpc("eth_getBlockByNumber", hex(newest - back), False) for back in range(count)]  # noqa: FBT003
    return all(block["difficulty"] == "0x2" for block in blocks)


def part(study: Consortium, *groups: Sequence[Member]) -> None:
    study.fabric.part(*([member.machine for member in group] for group in groups))


def in_turn(study: Consortium) -> list[Member]:
    """Returns the members in the order in which their clients seal: block n is the one's at n modulo four."""
    return [study[name] for name in how(study["clinic"])["validators"].values()]


def stand(members: Iterable[Member]) -> bool:
    return all(how(member)["standing_s"] > 20 for member in members)


def how(member: Member) -> Any:
    return member("consortium", "status", member.network)


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


def test_a_client_that_another_program_runs_is_looked_at_and_left_to_it(study: Consortium) -> None:
    lab = study["lab"]
    lab("consortium", "stop", lab.network)
    with lab.supervised():
        study.until(lambda: lab.ask("consortium", "status", lab.network).returncode == 0, "the client answers")
        assert "run by another program" in lab("consortium", "stop", lab.network, code=6)["error"]["message"]
        lab("consortium", "start", lab.network, code=6)
        (lab.network / "client.pid").unlink()  # as in a container, whose processes have other numbers
        found = lab("consortium", "status", lab.network)
        assert (found["pid"], found["is_validator"], found["peers"] > 0) == (0, True, True)
        for command in ("start", "stop"):
            assert "answers" in lab("consortium", command, lab.network, code=6)["error"]["message"]
    lab.start()
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
        assert {entry["state"] for entry in study.sends(host, "--final")["entries"]} == {"confirmed"}
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
