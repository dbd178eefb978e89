from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from proml.core.digest import sha256
from proml.core.intent import AnchorIntent, TransitionIntent, TypedIntent, Use
from proml.ports import Entry
from proml.submit.plan import Plan, plan, select

if TYPE_CHECKING:
    from collections.abc import Sequence

STATES = ("pending", "sent", "refused", "conflict")


def change(number: int, name: str, state: str = "pending", *uses: Use) -> tuple[Entry, TypedIntent]:
    typed = TransitionIntent(name, "submit", bytes(32), content=content(number), uses=uses)
    return Entry(number, typed.intent(str(number)), state), typed


def anchor(number: int, state: str = "pending") -> tuple[Entry, TypedIntent]:
    typed = AnchorIntent(sha256(b"root"), 1)
    return Entry(number, typed.intent(str(number)), state), typed


def content(number: int) -> bytes:
    return sha256(b"content %d" % number)


def planned(*entries: tuple[Entry, TypedIntent], held: dict[int, str] | None = None) -> Plan:
    return plan(entries, [entry.number for entry, _ in entries], held or {})


def ready(made: Plan) -> list[int]:
    return [candidate.entry.number for candidate in made.ready]


def test_the_first_of_each_artefact_is_ready() -> None:
    made = planned(change(1, "a"), change(2, "b"), change(3, "a"))
    assert ready(made) == [1, 2]
    assert list(made.waiting) == [3]


def test_what_follows_something_sent_waits() -> None:
    assert ready(planned(change(1, "a", "sent"), change(2, "a"), change(3, "b"))) == [3]


def test_what_follows_something_refused_is_blocked_with_a_way_out() -> None:
    made = planned(change(1, "a", "refused"), change(2, "a"), change(3, "b"))
    assert ready(made) == [3]
    assert "--rebase 1" in made.blocked[2]
    assert "--drop 1" in made.blocked[2]


def test_what_is_held_holds_back_its_artefact_only() -> None:
    made = planned(change(1, "a"), change(2, "a"), change(3, "b"), held={1: "a store is away"})
    assert ready(made) == [3]
    assert made.blocked == {1: "a store is away"}
    assert list(made.waiting) == [2]


def test_a_use_by_name_goes_after_what_brings_it() -> None:
    made = planned(change(1, "data"), change(2, "model", "pending", Use(name="data")))
    assert ready(made) == [1]
    assert "entry 1 (data)" in made.waiting[2]


def test_a_use_by_content_goes_after_what_brings_it() -> None:
    assert ready(planned(change(1, "data"), change(2, "model", "pending", Use(content=content(1))))) == [1]


def test_a_use_of_something_that_comes_later_does_not_wait() -> None:
    assert ready(planned(change(1, "model", "pending", Use(name="data")), change(2, "data"))) == [1, 2]


def test_a_use_of_something_refused_goes_with_a_warning() -> None:
    (candidate,) = planned(change(1, "data", "refused"), change(2, "model", "pending", Use(name="data"))).ready
    assert candidate.missing_source is not None
    assert candidate.missing_source.number == 1


def test_anchors_go_together_and_after_one_that_was_sent() -> None:
    assert ready(planned(anchor(1), anchor(2), change(3, "a"))) == [1, 2, 3]
    assert ready(planned(anchor(1, "sent"), anchor(2), change(3, "a"))) == [3]


def test_a_refused_anchor_blocks_nothing() -> None:
    assert ready(planned(anchor(1, "refused"), anchor(2))) == [2]


def test_what_is_not_selected_stays_and_keeps_its_place() -> None:
    made = plan([change(1, "a"), change(2, "a"), change(3, "b")], [2, 3], {})
    assert ready(made) == [3]


def test_selecting_an_entry_selects_what_it_follows() -> None:
    entries = [entry for entry, _ in (change(1, "a"), change(2, "b"), change(3, "a"), change(4, "a"))]
    assert select(entries, [3]) == {1, 3}
    assert select(entries, None) == {1, 2, 3, 4}


_entries = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(STATES), st.sampled_from(["", *"abc"])), max_size=12
).map(
    lambda rows: [
        change(number, name, state, *([Use(name=used)] if used else []))
        for number, (name, state, used) in enumerate(rows, 1)
    ]
)


@given(entries=_entries)
def test_every_pending_entry_is_ready_or_waits_or_is_blocked(entries: Sequence[tuple[Entry, TypedIntent]]) -> None:
    made = planned(*entries)
    pending = sorted(entry.number for entry, _ in entries if entry.state == "pending")
    assert sorted([*ready(made), *made.waiting, *made.blocked]) == pending


@given(entries=_entries)
def test_at_most_one_entry_of_an_artefact_is_ready_and_nothing_unfinished_is_before_it(
    entries: Sequence[tuple[Entry, TypedIntent]],
) -> None:
    for candidate in planned(*entries).ready:
        earlier = [e for e, _ in entries if e.number < candidate.entry.number]
        assert not [e for e in earlier if e.intent.artefact == candidate.entry.intent.artefact]


@given(entries=_entries)
def test_something_goes_whenever_nothing_failed_or_was_sent(entries: Sequence[tuple[Entry, TypedIntent]]) -> None:
    pending = [(entry, typed) for entry, typed in entries if entry.state == "pending"]
    assert bool(planned(*pending).ready) == bool(pending)
