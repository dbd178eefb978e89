"""What is not done to a client; what is done, and what comes of it, is tried on real clients in tests/network."""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from proml.consortium import branches, client, process
from proml.consortium.branches import TURN_S, Watch, tie_of
from proml.consortium.client import ClientStatus
from proml.consortium.folder import write_folder
from proml.errors import ConfigError, ConflictError, ProMLError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proml.consortium.folder import Network
    from proml.consortium.plan import Plan

STANDS = ClientStatus(pid=1, block_number=72, standing_s=30, peers=3, validators={"0x1": "lab", "0x2": "clinic"})


def test_the_only_validator_is_not_voted_out(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = write_folder(plan, "lab", folder / "lab")
    alone = dataclasses.replace(STANDS, is_validator=True, validators={network.validators["lab"]: "lab"})
    monkeypatch.setattr(client, "status", lambda _: alone)
    with pytest.raises(UsageError, match="the only validator"):
        client.vote(network, "lab", admit=False)


def test_nothing_is_stopped_that_could_not_be_started_again(
    plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = write_folder(plan, "lab", folder / "lab")
    monkeypatch.setattr(client, "status", lambda _: STANDS)
    monkeypatch.setattr(process, "running", lambda _: STANDS.pid)
    monkeypatch.setenv("PROML_GETH", str(folder / "nothing"))
    ended: list[int] = []
    monkeypatch.setattr(process, "_end", lambda _network, pid: ended.append(pid))
    with pytest.raises(ConfigError, match="cannot be run"):
        branches.step_back(network)
    assert not ended


def test_where_blocks_are_final_at_once_there_is_nothing_to_leave(plan: Plan, folder: Path) -> None:
    network = write_folder(dataclasses.replace(plan, engine="besu-qbft"), "lab", folder / "lab")
    for engine in ("besu-qbft", "subnet-evm"):
        with pytest.raises(UsageError, match="final at once"):
            branches.step_back(dataclasses.replace(network, engine=engine))


def test_a_client_that_does_not_run_is_not_sent_back(plan: Plan, folder: Path) -> None:
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        branches.step_back(write_folder(plan, "lab", folder / "lab"))
    assert "consortium start" in caught.value.hint


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (dataclasses.replace(STANDS, standing_s=0, block_time=int(time.time())), (ConflictError, "does not stand")),
        (dataclasses.replace(STANDS, peers=0), (UnreachableError, "reaches no other")),
    ],
)
def test_a_client_that_has_blocks_or_nobody_to_take_them_from_is_left_alone(
    plan: Plan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: ClientStatus,
    refused: tuple[type[ProMLError], str],
) -> None:
    network = write_folder(plan, "lab", folder / "lab")
    monkeypatch.setattr(client, "status", lambda _: found)
    error, said = refused
    with pytest.raises(error, match=said):
        branches.step_back(network)


def standing(network: Network, turn: int, *, into_s: int = 1, **other: Any) -> ClientStatus:
    """Returns a client that stands in this turn, of four validators that all are reached."""
    validators = {address: name for name, address in network.validators.items()}
    fields = {"block_number": 72, "standing_s": turn * TURN_S + into_s, "peers": 3, "votes_needed": 3, **other}
    return ClientStatus(pid=1, block_hash=b"\1", validators=validators, **fields)


@pytest.fixture
def network(plan: Plan, folder: Path) -> Network:
    return write_folder(plan, "lab", folder / "lab")


class Watched:
    """A watch over a client that is made up: what it finds is given, what is done to it is noted."""

    def __init__(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        self.network = network
        self.told: list[str] = []
        self.sent_back: list[int] = []
        self.starts: list[Network] = []
        self.found = ClientStatus()
        self.error: ProMLError | None = None
        self.now_s = 1_000.0
        self.hashes = {number: bytes([number]) * 32 for number in range(200)}
        monkeypatch.setattr(client, "answer", lambda _: self.found)
        monkeypatch.setattr(client, "block_hash", lambda _, number: self.hashes.get(number, b""))
        monkeypatch.setattr(process, "running", lambda _: self.found.pid)
        monkeypatch.setattr(process, "start", self._start)
        monkeypatch.setattr(branches, "_send_back", self._send_back)
        self.begin()

    def begin(self) -> None:
        """Begins to watch, as after an end."""
        self.watch = Watch(self.network, self.told.append, lambda: self.now_s)

    def look(self, found: ClientStatus) -> list[int]:
        """Looks at such a client, and again after 20 s; returns to which blocks it was sent back by that."""
        self.found, before = found, len(self.sent_back)
        self.watch.look()
        self.now_s += 20
        self.watch.look()
        return self.sent_back[before:]

    def _send_back(self, _network: Network, _engine: object, number: int) -> None:
        if self.error is not None:
            raise self.error
        self.sent_back.append(number)

    def _start(self, network: Network) -> int:
        self.starts.append(network)
        return 1


@pytest.fixture
def watched(network: Network, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(network, monkeypatch)


@pytest.fixture
def mine(network: Network) -> int:
    """The first turn of the lab."""
    return sorted(network.validators.values()).index(network.validators["lab"]) + 4


def test_each_validator_has_its_turn_and_all_agree_whose_it_is(network: Network) -> None:
    found = [tie_of(standing(network, turn)) for turn in range(1, 9)]
    leavers = [tie.leaver for tie in found if tie is not None]
    assert leavers[:4] == leavers[4:]
    assert sorted(leavers[:4]) == sorted(network.validators.values())
    # Another client whose branch's newest block is some seconds older sees the same turn, or is too late to leave.
    early = {into_s: tie_of(standing(network, 5, into_s=into_s)) for into_s in range(TURN_S)}
    assert [into_s for into_s, tie in early.items() if tie is not None and tie.is_early] == list(range(TURN_S // 2))


@pytest.mark.parametrize(
    "other",
    [{"standing_s": 0}, {"peers": 1}, {"peers": 0}, {"peers": 0, "votes_needed": 1}],
    ids=["blocks come", "a half", "cut off", "the only one"],
)
def test_it_is_no_tie_where_blocks_come_or_too_few_are_reached(network: Network, other: Mapping[str, int]) -> None:
    assert tie_of(standing(network, 5, **other)) is None


def test_a_client_leaves_in_its_own_turn_and_goes_back_to_the_last_final_block(watched: Watched, mine: int) -> None:
    for turn in range(mine + 1, mine + 4):
        assert watched.look(standing(watched.network, turn)) == []
    assert watched.look(standing(watched.network, mine + 4, into_s=TURN_S // 2)) == []
    assert watched.look(standing(watched.network, mine + 4)) == [72 - 3]
    assert watched.look(standing(watched.network, mine + 4, into_s=2)) == [], "once in a turn"
    assert "left the branch at block 72" in watched.told[-2]


def test_where_leaving_does_not_help_it_is_done_ever_more_seldom(watched: Watched, mine: int) -> None:
    left = [turn for turn in range(mine, mine + 64, 4) if watched.look(standing(watched.network, turn))]
    assert [after - before for before, after in itertools.pairwise(left)] == [4, 8, 16, 32]
    own = dataclasses.replace(standing(watched.network, mine), standing_s=0)
    watched.look(dataclasses.replace(own, block_number=70))
    assert watched.look(standing(watched.network, mine + 64 - 4)) == [], "a block of its own after it was sent back"
    watched.look(dataclasses.replace(own, block_number=80))
    assert watched.look(standing(watched.network, mine, block_number=80)) == [80 - 3], "another tie"


def test_a_clock_that_is_ahead_makes_no_client_leave_to_which_blocks_come(watched: Watched, mine: int) -> None:
    for number in range(40):
        watched.found = standing(watched.network, mine + number // 10, block_number=72 + number)
        watched.found = dataclasses.replace(watched.found, block_hash=bytes([number]))
        watched.watch.look()
        watched.now_s += 19
    assert watched.sent_back == []
    assert watched.told == []


def test_what_was_final_when_a_branch_was_left_is_never_left(watched: Watched, mine: int) -> None:
    assert watched.look(standing(watched.network, mine)) == [69]
    # Those who are asked for the blocks above keep them back; also a watch that is started anew knows.
    for block_number in (71, 70):
        watched.begin()
        assert watched.look(standing(watched.network, mine, block_number=block_number)) == [69]
    watched.begin()
    assert watched.look(standing(watched.network, mine, block_number=69)) == []
    assert "final" in watched.told[-1]
    assert watched.look(standing(watched.network, mine + 8, block_number=90)) == [87]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 90_000,
        '{"final_block": 69}',
        '{"final_block": "69", "final_hash": "0x45"}',
        '{"final_block": true, "final_hash": "0x45"}',
        '{"final_block": 69, "final_hash": 45}',
        '{"final_block": 69, "final_hash": "0xg"}',
    ],
)
def test_nothing_is_left_while_it_is_not_known_what_was_final(watched: Watched, mine: int, text: str) -> None:
    (watched.network.root / "watch.json").write_text(text)
    assert watched.look(standing(watched.network, mine)) == []
    assert "expected number and hash of a final block" in watched.told[-1]


def test_a_client_whose_restart_was_cut_off_is_started_by_the_next_who_looks(watched: Watched) -> None:
    watched.look(ClientStatus())
    assert watched.starts == [], "its owner stopped it"
    (watched.network.root / "client.restarting").touch()
    (watched.network.root / "client.pid").write_text("1 supervised\n")
    watched.look(ClientStatus())
    assert watched.starts == [], "who runs it starts it"
    (watched.network.root / "client.pid").unlink()
    watched.look(ClientStatus())
    assert watched.starts


def test_an_error_ends_no_watch(watched: Watched, mine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.error = UnreachableError("the client ended with exit code 1")
    watched.look(standing(watched.network, mine))
    assert "exit code 1" in watched.told[-1]

    def is_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(client, "answer", is_full)
    watched.watch.look()
    assert "No space left" in watched.told[-1]


def test_a_tie_of_first_blocks_is_left_to_the_genesis_block(watched: Watched, mine: int) -> None:
    assert watched.look(standing(watched.network, mine, block_number=2)) == [0]


def test_a_client_that_holds_another_final_block_is_told_of_and_left_alone(watched: Watched, mine: int) -> None:
    assert watched.look(standing(watched.network, mine)) == [69]
    watched.hashes[69] = bytes(32)
    assert watched.look(standing(watched.network, mine + 4)) == []
    assert "block 69 is another" in watched.told[-1]
    del watched.hashes[69]  # a client that has to catch up first
    assert watched.look(standing(watched.network, mine + 12, block_number=60)) == []
    assert "which is final" in watched.told[-2]


def test_a_period_above_two_seconds_is_waited_for_ten_times(watched: Watched, mine: int) -> None:
    genesis = watched.network.root / "genesis.json"
    genesis.write_text(genesis.read_text().replace('"period": 1', '"period": 12'))
    for _ in range(5):
        assert watched.look(standing(watched.network, mine)) == []
    assert watched.look(standing(watched.network, mine)) == [69]


def test_what_goes_on_is_told_once(watched: Watched, mine: int) -> None:
    blocks = dataclasses.replace(standing(watched.network, mine), standing_s=0)
    more = dataclasses.replace(blocks, block_number=73)
    for found in (
        blocks,
        blocks,
        standing(watched.network, mine + 1),
        standing(watched.network, mine + 2),
        blocks,
        more,
    ):
        watched.look(found)
    assert [line.partition(" after")[0] for line in watched.told] == ["blocks come", "no block comes", "blocks come"]


def test_where_blocks_are_final_at_once_there_is_nothing_to_watch(plan: Plan, folder: Path) -> None:
    network = write_folder(dataclasses.replace(plan, engine="besu-qbft"), "lab", folder / "lab")
    assert not (network.root / "proml-consortium-watch.service").exists()
    with pytest.raises(UsageError, match="final at once"):
        Watch(network, print)
