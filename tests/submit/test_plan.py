from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from proml.core.digest import sha256
from proml.core.intent import AnchorIntent, TransitionIntent, TypedIntent, Use
from proml.ports import ATTENDED, Entry
from proml.submit.bound import MAX_BATCH
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
    assert ready(planned(change(1, "a"), change(2, "b"))) == [1, 2]


def test_what_follows_something_sent_waits() -> None:
    assert ready(planned(change(1, "a", "sent"), change(2, "a"), change(3, "b"))) == [3]


def test_what_follows_something_refused_is_blocked_with_a_way_out() -> None:
    made = planned(change(1, "a", "refused"), change(2, "a"), change(3, "b"))
    assert ready(made) == [3]
    assert "--rebase 1" in made.blocked[2]
    assert "--drop 1" in made.blocked[2]


def test_only_what_was_refused_and_told_of_at_once_holds_nothing_back() -> None:
    def attended(state: str) -> tuple[Entry, TypedIntent]:
        entry, typed = change(1, "a", state)
        return replace(entry, detail={ATTENDED: True}), typed

    assert ready(planned(attended("refused"), change(2, "a"))) == [2]
    assert list(planned(attended("conflict"), change(2, "a")).blocked) == [2]
    assert list(planned(change(1, "a", "refused"), attended("refused"), change(3, "a")).blocked) == [3]


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


def follows(made: Plan) -> dict[int, int | None]:
    return {candidate.entry.number: candidate.follows for candidate in made.ready}


def test_the_changes_of_an_artefact_that_nothing_stands_between_go_as_a_chain() -> None:
    made = planned(change(1, "a"), change(2, "b"), change(3, "a"), change(4, "a"), change(5, "b"))
    assert ready(made) == [1, 3, 4, 2, 5]
    assert follows(made) == {1: None, 3: 1, 4: 3, 2: None, 5: 2}
    assert not made.waiting


def test_a_chain_ends_with_what_fits_in_a_transaction() -> None:
    made = planned(*(change(number, "a") for number in range(1, 1 + MAX_BATCH + 2)))
    assert ready(made) == list(range(1, 1 + MAX_BATCH))
    assert sorted(made.waiting) == [MAX_BATCH + 1, MAX_BATCH + 2]


def test_a_chain_ends_before_what_waits_for_something_else() -> None:
    uses = Use(name="b")
    made = planned(change(1, "b"), change(2, "a"), change(3, "a", "pending", uses), change(4, "a"))
    assert ready(made) == [1, 2]
    assert sorted(made.waiting) == [3, 4]


def test_a_chain_ends_before_what_is_not_wanted() -> None:
    entries = [change(1, "a"), change(2, "a"), change(3, "a")]
    assert ready(plan(entries, {1, 3}, {})) == [1]


def test_what_is_used_stays_as_it_is_until_its_user_went() -> None:
    uses = (Use(name="data"), Use(content=content(1)))
    for use in uses:
        made = planned(change(1, "data"), change(2, "model", "pending", use), change(3, "data"))
        assert ready(made) == [1], use
        assert "model" in made.waiting[2] or "data" in made.waiting[2]
        after = planned(change(2, "model", "pending", use), change(3, "data"))
        assert follows(after) == {2: None, 3: None}, use


def test_what_is_used_stays_as_it_is_while_its_user_waits_for_something_else() -> None:
    uses = (Use(name="data"), Use(name="labels"))
    made = planned(change(1, "labels"), change(2, "model", "pending", *uses), change(3, "data"), change(4, "data"))
    assert ready(made) == [1]
    assert "entry 2 (model)" in made.waiting[3]


def test_what_is_used_need_not_wait_for_a_user_that_is_stuck() -> None:
    uses = Use(name="data")
    for state, held in (("refused", {}), ("pending", {1: "a store is away"})):
        entries = change(1, "model", state), change(2, "model", "pending", uses), change(3, "data")
        assert ready(planned(*entries, held=held)) == [3]


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
def test_what_is_ready_follows_whatever_is_before_it_of_its_artefact(
    entries: Sequence[tuple[Entry, TypedIntent]],
) -> None:
    going = planned(*entries).ready
    for place, candidate in enumerate(going):
        number, name = candidate.entry.number, candidate.entry.intent.artefact
        earlier = [e.number for e, _ in entries if e.number < number and e.intent.artefact == name]
        assert candidate.follows == (earlier[-1] if earlier else None)
        if earlier:
            assert going[place - 1].entry.number == earlier[-1]


@given(entries=_entries)
def test_nothing_goes_before_an_earlier_entry_that_uses_it_as_it_is(
    entries: Sequence[tuple[Entry, TypedIntent]],
) -> None:
    pending = [(entry, typed) for entry, typed in entries if entry.state == "pending"]
    places = {number: place for place, number in enumerate(ready(planned(*pending)))}
    for user, typed in pending:
        assert isinstance(typed, TransitionIntent)
        used = {use.name for use in typed.uses}
        later = [e for e, _ in pending if e.number > user.number and e.intent.artefact in used]
        for changer in later:
            if changer.number in places:
                assert places.get(user.number, len(places)) < places[changer.number]


@given(entries=_entries)
def test_something_goes_whenever_nothing_failed_or_was_sent(entries: Sequence[tuple[Entry, TypedIntent]]) -> None:
    pending = [(entry, typed) for entry, typed in entries if entry.state == "pending"]
    assert bool(planned(*pending).ready) == bool(pending)
