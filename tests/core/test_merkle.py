from __future__ import annotations

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.merkle import (
    EMPTY_ROOT,
    MerkleAccumulator,
    MerkleTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots of Certificate Transparency's test data (RFC 6962, whose hashing RFC 9162 keeps).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

leaf_lists = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


@pytest.mark.parametrize("count", range(9))
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    assert root(LEAVES[:count]).hex() == ROOTS[count]


def test_a_known_inclusion_proof_is_that_of_certificate_transparency() -> None:
    proof = inclusion_proof([leaf_hash(leaf) for leaf in LEAVES[:3]], 1)
    assert [digest.hex() for digest in proof] == [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        leaf_hash(LEAVES[2]).hex(),
    ]


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_all_ways_to_compute_a_root_agree_with_the_definition(leaves: list[bytes]) -> None:
    """Law: accumulator == tree == definition, after every leaf."""
    accumulator = MerkleAccumulator()
    assert accumulator.root() == EMPTY_ROOT
    for count, leaf in enumerate(leaves, start=1):
        accumulator.add(leaf)
        assert accumulator.count == count
        assert accumulator.root() == defined_root(leaves[:count])
    assert MerkleTree(leaf_hash(leaf) for leaf in leaves).root() == defined_root(leaves)


@given(leaf_lists, st.data())
def test_every_leaf_has_a_proof_that_holds(leaves: list[bytes], data: st.DataObject) -> None:
    """Law: verify_inclusion(leaf i, i, n, inclusion_proof(i), root)."""
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = inclusion_proof([leaf_hash(leaf) for leaf in leaves], index)
    assert verify_inclusion(leaves[index], index, len(leaves), proof, defined_root(leaves))


@given(leaf_lists, st.data())
def test_a_proof_shows_nothing_but_its_own_leaf_at_its_own_place(leaves: list[bytes], data: st.DataObject) -> None:
    """Law: any altered leaf, index, count, proof or root is refused."""
    count = len(leaves)
    index = data.draw(st.integers(0, count - 1))
    good_root = defined_root(leaves)
    proof = inclusion_proof([leaf_hash(leaf) for leaf in leaves], index)
    assert not verify_inclusion(leaves[index] + b"x", index, count, proof, good_root)
    assert not verify_inclusion(leaves[index], index, count, proof, bytes(32))
    assert not verify_inclusion(leaves[index], index, count, [*proof, bytes(32)], good_root)
    assert not verify_inclusion(leaves[index], count, count, proof, good_root)
    assert not verify_inclusion(leaves[index], -1, count, proof, good_root)
    if proof:
        assert not verify_inclusion(leaves[index], index, count, proof[:-1], good_root)
        flipped = bytes([proof[0][0] ^ 1]) + proof[0][1:]
        assert not verify_inclusion(leaves[index], index, count, [flipped, *proof[1:]], good_root)


def test_a_node_is_never_taken_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert not verify_inclusion(left + right, 0, 1, [], root([b"a", b"b"]))


@given(leaf_lists, st.data())
def test_a_tree_that_only_grew_is_shown_to_have_only_grown(leaves: list[bytes], data: st.DataObject) -> None:
    """Law: verify_consistency(m, n, …, consistency_proof(m)), and not for another earlier root."""
    count = len(leaves)
    earlier = data.draw(st.integers(1, count))
    old, new = defined_root(leaves[:earlier]), defined_root(leaves)
    proof = consistency_proof([leaf_hash(leaf) for leaf in leaves], earlier)
    assert verify_consistency(earlier, count, old, new, proof)
    assert not verify_consistency(earlier, count, bytes(32), new, proof)
    assert not verify_consistency(earlier, count, old, bytes(32), proof)
    assert not verify_consistency(earlier, count, old, new, [*proof, bytes(32)])
    assert not verify_consistency(0, count, old, new, proof)


def test_places_outside_the_tree_have_no_proof() -> None:
    for index in (-1, 2):
        with pytest.raises(IndexError):
            inclusion_proof([bytes(32)] * 2, index)
    for earlier in (0, 3):
        with pytest.raises(IndexError):
            consistency_proof([bytes(32)] * 2, earlier)


def test_a_proof_among_a_hundred_thousand_leaves_takes_linear_time() -> None:
    hashes = [index.to_bytes(32) for index in range(100_000)]
    began = time.process_time()
    tree = MerkleTree(hashes)
    proofs = [tree.inclusion_proof(index) for index in range(0, 100_000, 10)]
    assert time.process_time() - began < 20  # quadratic would take minutes
    assert {len(proof) for proof in proofs} <= set(range(6, 18))
