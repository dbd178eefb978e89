"""Many roots in one anchor: a Merkle tree over the roots that wait, with a proof for each.

A leaf of that tree is the root (32 bytes) followed by its number of leaves (8 bytes, big-endian). What an entry's
detail says under ``anchor`` shows that its root is on chain: ``root`` and ``leaves`` of the anchor and, if it combines
several, ``index`` and ``proof`` (RFC 9162) of this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.core.intent import AnchorIntent
from proml.core.merkle import MerkleTree, leaf_hash, verify_inclusion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.submit.plan import Candidate

MAX_COMBINED = 4096
_COUNT_BYTES = 8


@dataclass(frozen=True, slots=True)
class AnchorGroup:
    """Anchors that go together.

    Attributes:
        candidates: The entries, in the order of the leaves.
        root: What goes on chain.
        leaves: Its number of leaves.
        details: What each entry is to remember, by its number.
    """

    candidates: Sequence[Candidate]
    root: bytes
    leaves: int
    details: dict[int, dict[str, object]]


def anchor_leaf(root: bytes, leaves: int) -> bytes:
    """Returns the leaf that stands for a root of so many leaves in a combined anchor."""
    return root + leaves.to_bytes(_COUNT_BYTES, "big")


def group_anchors(candidates: Sequence[Candidate]) -> AnchorGroup:
    """Returns the anchors to send next, of at least one that waits.

    Those that were signed before go first and stay together, so that the root which may be on its way is recognised.
    """
    for candidate in candidates:
        known = _remembered(candidate)
        if known:
            same = [other for other in candidates if _remembered(other).get("root") == known["root"]]
            root, leaves = bytes.fromhex(str(known["root"])[2:]), int(str(known["leaves"]))
            return AnchorGroup(same, root, leaves, {})
    group = candidates[:MAX_COMBINED]
    if len(group) == 1:
        typed = _typed(group[0])
        detail: dict[str, object] = {"root": "0x" + typed.root.hex(), "leaves": typed.leaves}
        return AnchorGroup(group, typed.root, typed.leaves, {group[0].entry.number: {"anchor": detail}})
    tree = MerkleTree(leaf_hash(anchor_leaf(_typed(c).root, _typed(c).leaves)) for c in group)
    common: dict[str, object] = {"root": "0x" + tree.root().hex(), "leaves": len(group)}
    details: dict[int, dict[str, object]] = {
        candidate.entry.number: {"anchor": {**common, "index": index, "proof": _hex(tree.inclusion_proof(index))}}
        for index, candidate in enumerate(group)
    }
    return AnchorGroup(group, tree.root(), len(group), details)


def verify_anchored(root: bytes, leaves: int, anchor: Mapping[str, object]) -> bool:
    """Tells whether an entry's ``anchor`` detail shows its root in the anchor that it names.

    Args:
        root: The root that was to be anchored.
        leaves: Its number of leaves.
        anchor: The detail.
    """
    anchored = bytes.fromhex(str(anchor["root"])[2:])
    count = int(str(anchor["leaves"]))
    proof = anchor.get("proof")
    if not isinstance(proof, list):
        return (anchored, count) == (root, leaves)
    siblings = [bytes.fromhex(str(item)[2:]) for item in proof]
    return verify_inclusion(anchor_leaf(root, leaves), int(str(anchor["index"])), count, siblings, anchored)


def _remembered(candidate: Candidate) -> Mapping[str, object]:
    known = candidate.entry.detail.get("anchor")
    return known if isinstance(known, dict) else {}


def _typed(candidate: Candidate) -> AnchorIntent:
    assert isinstance(candidate.typed, AnchorIntent)
    return candidate.typed


def _hex(hashes: Sequence[bytes]) -> list[str]:
    return ["0x" + digest.hex() for digest in hashes]
