"""Clique's rules: who may seal which block, and how the validators change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proml.core.clique import Clique, NotSealed
from proml.core.header import Header
from proml.core.words import checksum_address

FOUR = [checksum_address(bytes([n]) * 20) for n in range(1, 5)]
NEWCOMER = checksum_address(b"\x09" * 20)
NOBODY = checksum_address(bytes(20))
ADMIT, REMOVE = b"\xff" * 8, bytes(8)
PLAIN = bytes(32 + 65)


def listing(signers: list[str]) -> bytes:
    return bytes(32) + b"".join(bytes.fromhex(one[2:]) for one in signers) + bytes(65)


def header(
    number: int, signer: str, *, about: str = NOBODY, way: bytes = REMOVE, extra: bytes = PLAIN, order: list[str] = FOUR
) -> Header:
    difficulty = 2 if order[number % len(order)] == signer else 1
    zero = bytes(32)
    return Header(number, zero, zero, 0, zero, zero, 0, difficulty, about, way, extra, signer)


def started() -> Clique:
    found = Clique.from_genesis(header(0, "", extra=listing(FOUR)))
    assert found is not None
    assert found.signers == FOUR
    return found


def test_a_genesis_block_without_validators_is_not_one_of_clique() -> None:
    assert Clique.from_genesis(header(0, "", extra=b"")) is None
    assert Clique.from_genesis(header(0, "", extra=PLAIN)) is None


def test_validators_seal_in_turn() -> None:
    clique = started()
    for number in range(1, 20):
        clique.apply(header(number, FOUR[number % 4]))


def test_a_stranger_seals_nothing() -> None:
    with pytest.raises(NotSealed, match="no validator"):
        started().apply(header(1, NEWCOMER))
    with pytest.raises(NotSealed, match="sealed by nobody"):
        started().apply(header(1, ""))


def test_nobody_seals_again_before_a_majority_has() -> None:
    clique = started()
    clique.apply(header(1, FOUR[1]))
    clique.apply(header(2, FOUR[2]))
    with pytest.raises(NotSealed, match="sealed one of the 2 blocks before"):
        clique.apply(header(3, FOUR[1]))
    clique.apply(header(3, FOUR[3]))
    clique.apply(header(4, FOUR[1]))


def test_a_seal_out_of_turn_has_no_more_weight_than_it_is_due() -> None:
    with pytest.raises(NotSealed, match="difficulty is 2, and 1 is due"):
        started().apply(replace(header(1, FOUR[2]), difficulty=2))


def test_a_majority_admits_and_removes() -> None:
    clique = started()
    for number in (1, 2, 3):
        assert NEWCOMER not in clique.signers
        clique.apply(header(number, FOUR[number % 4], about=NEWCOMER, way=ADMIT))
    five = [*FOUR, NEWCOMER]
    assert clique.signers == five
    number = 4
    for signer in (FOUR[0], FOUR[1], FOUR[2]):
        clique.apply(header(number, signer, about=NEWCOMER, way=REMOVE, order=five))
        number += 1
    assert clique.signers == FOUR


def test_a_vote_that_is_cast_twice_counts_once_and_one_that_is_taken_back_not_at_all() -> None:
    clique = started()
    clique.apply(header(1, FOUR[1], about=NEWCOMER, way=ADMIT))
    clique.apply(header(2, FOUR[2]))
    clique.apply(header(3, FOUR[3]))
    clique.apply(header(4, FOUR[1], about=NEWCOMER, way=ADMIT))
    clique.apply(header(5, FOUR[2], about=NEWCOMER, way=ADMIT))
    clique.apply(header(6, FOUR[3]))
    clique.apply(header(7, FOUR[1]))
    clique.apply(header(8, FOUR[2], about=NEWCOMER, way=REMOVE))
    clique.apply(header(9, FOUR[0], about=NEWCOMER, way=ADMIT))
    assert clique.signers == FOUR


def test_a_checkpoint_has_to_list_the_validators_and_forgets_votes() -> None:
    clique = started()
    clique.apply(header(1, FOUR[1], about=NEWCOMER, way=ADMIT))
    clique.apply(header(2, FOUR[2], extra=listing(FOUR)))
    assert not clique.votes
    with pytest.raises(NotSealed, match="not what the votes made"):
        clique.apply(header(3, FOUR[3], extra=listing(FOUR[:3])))
