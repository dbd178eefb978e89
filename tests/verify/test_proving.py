"""An end point that is believed nothing: what it says is compared with what its blocks prove, or with another's."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.ledgers import Anvil, running_anvil, wanted_anvil
from tests.worlds import Relaying, World, make_world

from proml.adapters.jsonrpc import JsonRpcLedger
from proml.adapters.jsonrpc.evidence import JsonRpcEvidence
from proml.errors import VerificationError
from proml.ports import Block, Entry, Finality, Header, Intent
from proml.verify.comparing import compare
from proml.verify.proving import prove

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine
NAMES = ("ours", "theirs")


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running_anvil(wanted_anvil(), tmp_path_factory.mktemp("anvil")) as running:
        yield running


@pytest.fixture(scope="module")
def world(anvil: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("world"), JsonRpcLedger(anvil.url, finality=Finality("immediate")))
    made.dataset("d", "x,y\n1,2\n")
    yield made
    made.close()


@pytest.fixture
def evidence(anvil: Anvil) -> Iterator[JsonRpcEvidence]:
    found = JsonRpcEvidence([anvil.url])
    yield found
    found.close()


@pytest.fixture
def liar(world: World) -> Relaying:
    return Relaying(world.ledger)


def proved(world: World, evidence: Any, ledger: Any, *entries: Entry) -> list[str]:
    return [finding.code for finding in prove(evidence, ledger, world.file, entries).findings]


def test_an_honest_end_point_proves_all_it_says(world: World, evidence: JsonRpcEvidence) -> None:
    proof = prove(evidence, world.ledger, world.file, ())
    # Anvil's blocks carry no seals; that is told, and is not an error.
    assert [(finding.code, finding.level) for finding in proof.findings] == [("seals-unchecked", "warning")]
    assert proof.blocks == world.ledger.newest().number + 1
    assert len(proof.logs) >= 6


@pytest.mark.parametrize(
    ("lie", "code"), [("drop", "logs-left-out"), ("change", "logs-changed"), ("make up", "logs-made-up")]
)
def test_a_lie_about_one_log_is_told(
    world: World, evidence: JsonRpcEvidence, liar: Relaying, lie: str, code: str
) -> None:
    last = prove(evidence, world.ledger, world.file, ()).logs[-1]
    if lie == "drop":
        liar.drop = lambda log: log == last
    else:
        other = {"data": b"\x07" * 32} if lie == "change" else {"log_index": last.log_index + 1}
        liar.change = lambda log: dataclasses.replace(log, **other) if log == last else log
    codes = proved(world, evidence, liar)
    assert code in codes
    assert set(codes) <= {code, "logs-left-out", "seals-unchecked"}


def test_another_genesis_block_is_not_followed(world: World, evidence: JsonRpcEvidence) -> None:
    other = dataclasses.replace(world.file, genesis_hash=b"\x07" * 32)
    assert [one.code for one in prove(evidence, world.ledger, other, ()).findings] == ["block-forged"]


class Forging:
    """Evidence in which one thing is not what it was."""

    def __init__(self, real: JsonRpcEvidence, *, link: int = -1, receipts: int = -1) -> None:
        self._real = real
        self._link = link
        self._receipts = receipts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def headers(self, first: int, last: int) -> Iterator[Header]:
        for header in self._real.headers(first, last):
            forged = dataclasses.replace(header, parent_hash=b"\x07" * 32)
            yield forged if header.number == self._link else header

    def receipts(self, header: Header) -> Any:
        if header.number >= self._receipts >= 0:
            raise VerificationError("they do not make the root")
        return self._real.receipts(header)


def test_a_block_that_does_not_follow_on_the_one_before_ends_the_proof(world: World, evidence: JsonRpcEvidence) -> None:
    proof = prove(Forging(evidence, link=3), world.ledger, world.file, ())
    assert [finding.code for finding in proof.findings] == ["block-forged"]
    assert proof.blocks == 3


def test_receipts_that_make_another_root_are_told_once_a_block(world: World, evidence: JsonRpcEvidence) -> None:
    codes = proved(world, Forging(evidence, receipts=0), world.ledger)
    assert set(codes) == {"receipts-forged", "seals-unchecked"}


def test_an_entry_that_is_in_no_block_is_told(world: World, evidence: JsonRpcEvidence) -> None:
    log = prove(evidence, world.ledger, world.file, ()).logs[-1]
    intent = Intent("key", "transition", {}, "d")
    there = Entry(
        1, intent, "confirmed", transaction_hash=log.transaction_hash, block_number=log.block_number,
        block_hash=log.block_hash,
    )  # fmt: skip
    assert proved(world, evidence, world.ledger, there) == ["seals-unchecked"]
    made_up = dataclasses.replace(there, transaction_hash=b"\x07" * 32)
    elsewhere = dataclasses.replace(there, block_hash=b"\x07" * 32)
    for wrong in (made_up, elsewhere):
        assert proved(world, evidence, world.ledger, wrong) == ["seals-unchecked", "entry-unfounded"]


# --------------------------------------------------------------------------------------------------- two end points


def compared(world: World, theirs: Any) -> list[str]:
    found = compare(world.ledger, theirs, world.file, [world.artefact("d")], NAMES)
    return [finding.code for finding in found]


def test_two_honest_end_points_say_the_same(world: World, liar: Relaying) -> None:
    assert compared(world, liar) == []


def test_a_log_that_only_one_of_two_has_is_told(world: World, liar: Relaying) -> None:
    last = world.ledger.logs(_all(world))[-1]
    liar.drop = lambda log: log == last
    assert compared(world, liar) == ["end-point-differs"]


def test_an_end_point_that_is_behind_is_told(world: World, liar: Relaying, anvil: Anvil) -> None:
    anvil.ask("anvil_mine", "0xc")
    newest = world.ledger.newest()

    def old() -> Block:
        block = world.ledger.block(newest.number - 11)
        assert block is not None
        return dataclasses.replace(block, timestamp=newest.timestamp - 60)

    liar.newest = old  # type: ignore[method-assign]
    assert "end-point-behind" in compared(world, liar)


def test_another_answer_of_the_contract_is_told(world: World, liar: Relaying) -> None:
    real = world.ledger.call

    def call(to: str, data: bytes, **options: Any) -> bytes:
        answer = real(to, data, **options)
        return answer[:-33] + bytes([answer[-33] ^ 1]) + answer[-32:]

    liar.call = call  # type: ignore[attr-defined]
    assert compared(world, liar) == ["end-point-differs"]


def _all(world: World) -> Any:
    from proml.ports import LogQuery  # noqa: PLC0415

    return LogQuery(world.file.contract)
