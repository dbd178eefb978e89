from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proml.core.digest import sha256
from proml.core.intent import AnchorIntent
from proml.ports import Entry
from proml.submit.anchoring import MAX_COMBINED, group_anchors, verify_anchored
from proml.submit.plan import Candidate


def candidates(leaves: list[int], details: dict[int, dict[str, object]] | None = None) -> list[Candidate]:
    found = []
    for number, count in enumerate(leaves):
        typed = AnchorIntent(sha256(b"%d" % number), count)
        found.append(Candidate(Entry(number, typed.intent(), detail=(details or {}).get(number, {})), typed))
    return found


@given(leaves=st.lists(st.integers(1, 2**63), min_size=1, max_size=40), data=st.data())
def test_each_root_is_shown_in_the_combined_anchor_and_no_other_root_is(leaves: list[int], data: st.DataObject) -> None:
    group = group_anchors(candidates(leaves))
    number = data.draw(st.integers(0, len(leaves) - 1))
    detail = group.details[number]["anchor"]
    assert isinstance(detail, dict)
    assert detail["root"] == "0x" + group.root.hex()
    assert verify_anchored(sha256(b"%d" % number), leaves[number], detail)
    assert not verify_anchored(sha256(b"another"), leaves[number], detail)
    assert not verify_anchored(sha256(b"%d" % number), leaves[number] + 1, detail)


def test_anchors_signed_before_stay_together_under_their_root() -> None:
    first = group_anchors(candidates([1, 2]))
    more = candidates([1, 2, 3, 4], first.details)
    again = group_anchors(more)
    assert again.root == first.root
    assert again.leaves == first.leaves
    assert [candidate.entry.number for candidate in again.candidates] == [0, 1]
    assert again.details == {}


def test_no_more_than_the_limit_are_combined() -> None:
    assert len(group_anchors(candidates([1] * (MAX_COMBINED + 5))).candidates) == MAX_COMBINED
