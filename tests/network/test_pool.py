"""A client's pool of waiting transactions: too dear, full, emptied by a restart, and with gaps that others left."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.ports import Fees, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.network.participants import Consortium, Member

GWEI = 10**9
FORGETFUL = ("--txpool.pricelimit 1", "--txpool.nolocals --txpool.pricelimit 1")
DEAR = ("--miner.gasprice 1 ", f"--miner.gasprice {10 * GWEI} ")
SMALL = (
    ("--txpool.accountslots 4096 --txpool.globalslots 20000", "--txpool.accountslots 1 --txpool.globalslots 2"),
    ("--txpool.accountqueue 4096 --txpool.globalqueue 20000", "--txpool.accountqueue 1 --txpool.globalqueue 1"),
)
WRITERS = 16

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def member(alone: Consortium) -> Iterator[Member]:
    """The only member, whose client has its own options again after the test, and whose record is whole."""
    (found,) = alone
    script = (found.network / "start.sh").read_text()
    yield found
    if (found.network / "start.sh").read_text() != script:
        (found.network / "start.sh").write_text(script)
        found.restart()
    alone.check()


def stop_sealing(member: Member) -> None:
    """Lets its client seal no more blocks; it has to have begun, or it would begin afterwards."""
    for wanted in (True, False):
        ends = time.monotonic() + 30
        while member.rpc("eth_mining") != wanted:
            assert time.monotonic() < ends
            time.sleep(0.1)
        member.rpc("miner_stop")


def outbox(member: Member) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = member("status", "--outbox")["outbox"]
    return found


def test_a_restart_that_empties_the_pool_and_a_higher_price_cost_nothing_but_the_price(member: Member) -> None:
    member.restart(FORGETFUL)
    stop_sealing(member)
    member.write("cheap-and-forgotten", "1")
    (waiting,) = member("sync", "--no-wait")["entries"]
    member.restart(DEAR)
    # What is granted is too little: nothing more is offered, and that is said.
    told = member.ask("sync", "--no-wait", PROML_MAX_GWEI="2")
    assert "the chain asks 10.000000007 gwei" in outbox(member)[-1]["error"], told.stdout
    (landed,) = member("sync")["entries"]
    assert landed["state"] == "confirmed"
    assert landed["transaction"] != waiting["transaction"]
    member("audit", "--prove")


def test_a_full_pool_takes_all_in_the_end(member: Member) -> None:
    member.restart(FORGETFUL, *SMALL)
    for number in range(5):
        member.write(f"into-a-full-pool-{number}", str(number))
    member("sync", "--no-wait")
    assert any("does not take a transaction now" in entry["error"] for entry in outbox(member)[-5:])
    assert {entry["state"] for entry in member("sync")["entries"]} == {"confirmed"}


def test_a_gap_that_another_sender_of_the_key_left_is_filled(member: Member) -> None:
    member.restart(FORGETFUL)
    with (member.work / ".proml" / "config.toml").open("a") as settings:
        settings.write("[fees]\nstuck_s = 2\n")
    stop_sealing(member)
    ledger = JsonRpcLedger(member.socket)
    signer = member.signer
    taken = UnsignedTransaction(ledger.chain_id, ledger.nonce(signer.address), signer.address, b"", 21_000, Fees(20, 1))
    ledger.send(signer.sign_transaction(taken))
    ledger.close()
    member.write("after-a-gap", "1")
    member("sync", "--no-wait")
    member.restart()
    begun = time.monotonic()
    assert member("sync")["entries"][0]["state"] == "confirmed"
    assert time.monotonic() - begun < 30


def test_many_writers_with_one_key_lose_nothing(member: Member) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        names = list(pool.map(lambda n: member.write(f"one-key-{n}", str(n)), range(WRITERS)))
        done = list(pool.map(lambda _: member.ask("sync"), names))
    assert {one.returncode for one in done} == {0}, [one.stderr for one in done]
    mine = [entry for entry in outbox(member) if entry["artefact"] in names]
    assert [entry["state"] for entry in mine] == ["confirmed"] * WRITERS
