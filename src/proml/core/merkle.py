"""Merkle trees of RFC 9162 §2.1: one root commits to many observations, a short proof shows that one is among them.

Nothing here reads or keeps the leaves' data: callers hash it with :func:`leaf_hash`, or feed an accumulator.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Returns a leaf's hash: SHA-256 over 0x00 and the data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns an inner node's hash: SHA-256 over 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleAccumulator:
    """Computes a growing tree's root in memory that grows with the logarithm of the number of leaves.

    Attributes:
        count: Number of leaves added.
    """

    __slots__ = ("_peaks", "count")

    def __init__(self) -> None:
        self.count = 0
        self._peaks: list[bytes] = []  # roots of the perfect subtrees, largest first; one per set bit of `count`

    def add(self, data: bytes) -> None:
        """Adds a leaf by its data."""
        self.add_hash(leaf_hash(data))

    def add_hash(self, digest: bytes) -> None:
        """Adds a leaf by its :func:`leaf_hash`."""
        merged = self.count
        while merged & 1:
            digest = node_hash(self._peaks.pop(), digest)
            merged >>= 1
        self._peaks.append(digest)
        self.count += 1

    def root(self) -> bytes:
        """Returns the root over the leaves so far; more may be added afterwards."""
        if not self._peaks:
            return EMPTY_ROOT
        digest = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            digest = node_hash(peak, digest)
        return digest


class MerkleTree:
    """A tree kept whole, for many proofs: 64 bytes or so of memory per leaf, each proof in logarithmic time.

    Args:
        leaf_hashes: The leaves' hashes (:func:`leaf_hash`), in order.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Iterable[bytes]) -> None:
        level = list(leaf_hashes)
        self._levels = [level]
        while len(level) > 1:
            above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            if len(level) % 2:
                above.append(level[-1])  # a node without a sibling moves up unchanged (RFC 9162 §2.1.1)
            self._levels.append(above)
            level = above

    def __len__(self) -> int:
        return len(self._levels[0])

    def root(self) -> bytes:
        """Returns the root."""
        return self._levels[-1][0] if self._levels[0] else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Returns the siblings from the leaf up to the root (RFC 9162 §2.1.3.1).

        Raises:
            IndexError: There is no leaf with this index.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"leaf {index} of a tree with {len(self)} leaves")
        proof = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                proof.append(level[sibling])
            index >>= 1
        return proof


def root(leaves: Iterable[bytes]) -> bytes:
    """Returns the root over leaves given by their data."""
    accumulator = MerkleAccumulator()
    for data in leaves:
        accumulator.add(data)
    return accumulator.root()


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Returns the inclusion proof of one leaf in linear time; for many proofs keep a :class:`MerkleTree`.

    Args:
        leaf_hashes: Hashes of all leaves (:func:`leaf_hash`), in order.
        index: The leaf's position, from 0.

    Raises:
        IndexError: There is no leaf with this index.
    """
    return MerkleTree(leaf_hashes).inclusion_proof(index)


def verify_inclusion(leaf: bytes, index: int, count: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tells whether the proof shows the leaf at this place of the tree (RFC 9162 §2.1.3.2).

    Args:
        leaf: The leaf's data, not its hash.
        index: Its position, from 0.
        count: Number of leaves of the tree.
        proof: What :func:`inclusion_proof` returned.
        root: The tree's root.
    """
    if not 0 <= index < count:
        return False
    node, last, digest = index, count - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and digest == root


def consistency_proof(leaf_hashes: Sequence[bytes], earlier: int) -> list[bytes]:
    """Returns the proof that the tree over the first ``earlier`` leaves is a beginning of this one (RFC 9162 §2.1.4.1).

    Args:
        leaf_hashes: Hashes of all leaves (:func:`leaf_hash`), in order.
        earlier: Number of leaves of the earlier tree, at least 1 and at most all.

    Raises:
        IndexError: ``earlier`` is out of range.
    """
    if not 0 < earlier <= len(leaf_hashes):
        raise IndexError(f"{earlier} leaves of a tree with {len(leaf_hashes)} leaves")
    proof: list[bytes] = []
    first, last, whole = 0, len(leaf_hashes), True
    while earlier != last - first:
        split = 1 << (last - first - 1).bit_length() - 1
        if earlier <= split:
            proof.append(_range_root(leaf_hashes, first + split, last))
            last = first + split
        else:
            proof.append(_range_root(leaf_hashes, first, first + split))
            first, earlier, whole = first + split, earlier - split, False
    if not whole:
        proof.append(_range_root(leaf_hashes, first, last))
    return proof[::-1]


def verify_consistency(earlier: int, count: int, earlier_root: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Tells whether the proof shows that a tree only grew (RFC 9162 §2.1.4.2).

    Args:
        earlier: Number of leaves of the earlier tree, from 1.
        count: Number of leaves of the later tree.
        earlier_root: Root of the earlier tree.
        root: Root of the later tree.
        proof: What :func:`consistency_proof` returned.
    """
    if not 0 < earlier <= count:
        return False
    if earlier == count:
        return not proof and earlier_root == root
    path = list(proof)
    if earlier & (earlier - 1) == 0:
        path.insert(0, earlier_root)
    if not path:
        return False
    node, last = earlier - 1, count - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for digest in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(digest, old), node_hash(digest, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, digest)
        node, last = node >> 1, last >> 1
    return last == 0 and old == earlier_root and new == root


def _range_root(leaf_hashes: Sequence[bytes], first: int, last: int) -> bytes:
    accumulator = MerkleAccumulator()
    for index in range(first, last):
        accumulator.add_hash(leaf_hashes[index])
    return accumulator.root()
