from __future__ import annotations

from dataclasses import replace

import pytest

from proml.core.lifecycle import Definition, State, Transition
from proml.core.lifecycle_check import Finding, check

GOOD = Definition(
    name="thing",
    version=1,
    initial="new",
    register=("contributor",),
    states=(State("new"), State("made", ("usable",)), State("gone", ("terminal", "revoked"))),
    transitions=(
        Transition("make", "new", "made", ("contributor",), ("owner-only", "needs-content")),
        Transition("drop", "*", "gone", ("auditor",), ("four-eyes", "no-content")),
    ),
)


def with_transition(one: Transition) -> Definition:
    return replace(GOOD, transitions=(*GOOD.transitions, one))


def errors(findings: list[Finding]) -> list[str]:
    return [f"{one.where}: {one.message}" for one in findings if one.level == "error"]


def warnings(findings: list[Finding]) -> list[str]:
    return [f"{one.where}: {one.message}" for one in findings if one.level == "warning"]


def test_a_sound_lifecycle_has_no_findings() -> None:
    assert check(GOOD, organisations={1: 2, 2: 32}, kinds={"thing"}) == []


def test_an_unreachable_state_is_found() -> None:
    island = replace(GOOD, states=(*GOOD.states, State("island")))
    assert errors(check(island)) == ["state island: no transitions lead to it from 'new'."]


def test_a_state_reached_only_out_of_a_terminal_one_is_unreachable() -> None:
    definition = replace(
        with_transition(Transition("rise", "gone", "ghost", ("auditor",))), states=(*GOOD.states, State("ghost"))
    )
    assert any("state ghost: no transitions lead" in one for one in errors(check(definition)))
    assert any("'gone' is terminal" in one for one in errors(check(definition)))


def test_a_dead_end_is_found_even_with_a_loop_to_itself() -> None:
    definition = replace(
        GOOD,
        transitions=(
            GOOD.transitions[0],
            Transition("remake", "made", "made", ("contributor",), ("needs-content",)),
            Transition("drop", "new", "gone", ("auditor",)),
        ),
    )
    assert [one for one in errors(check(definition)) if "dead end" in one] == [
        "state made: a dead end: nothing leads out of it, yet it is not flagged 'terminal'."
    ]


def test_a_terminal_initial_state_is_found() -> None:
    definition = replace(GOOD, initial="gone")
    assert any("nothing can ever happen" in one for one in errors(check(definition)))


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (Transition("act", "new", "made", ()), "it names no role"),
        (Transition("act", "new", "made", ("admin",), ("owner-only", "four-eyes")), "the owner is barred"),
        (Transition("act", "new", "made", ("admin",), ("needs-content", "no-content")), "needs and forbids"),
        (Transition("act", "gone", "made", ("admin",)), "'gone' is terminal"),
        (Transition("act", "new", "made", ("admin",), quorum=2), "a quorum needs both"),
        (Transition("act", "new", "made", ("admin",), vote_roles=("admin",)), "a quorum needs both"),
        (Transition("act", "new", "made", ("admin",), evidence="rumour"), "evidence of kind 'rumour'"),
    ],
)
def test_a_transition_that_nobody_can_take_is_found(one: Transition, reason: str) -> None:
    found = errors(check(with_transition(one), kinds={"thing"}))
    assert any(reason in message and "transition act" in message for message in found)


def test_evidence_is_not_judged_when_the_kinds_are_not_known() -> None:
    assert errors(check(with_transition(Transition("act", "new", "made", ("admin",), evidence="rumour")))) == []


def test_an_owner_who_needs_a_second_role_is_warned_of() -> None:
    one = Transition("act", "new", "made", ("operator",), ("owner-only",))
    assert any("besides registering" in message for message in warnings(check(with_transition(one))))


def test_a_role_that_no_member_has_is_found() -> None:
    assert errors(check(GOOD, organisations={1: 2})) == [
        "transition drop (from *): nobody can take it: no member of another organisation has the role auditor."
    ]


def test_four_eyes_within_one_organisation_are_found() -> None:
    assert any("transition drop" in one for one in errors(check(GOOD, organisations={1: 2 | 32})))


def test_what_only_some_owners_cannot_have_done_is_a_warning() -> None:
    findings = check(GOOD, organisations={1: 2, 2: 2 | 32})
    assert errors(findings) == []
    assert any("owner's organisation is 2" in one for one in warnings(findings))


def test_a_lifecycle_that_nobody_can_register_is_found() -> None:
    assert any("nobody can register" in one for one in errors(check(GOOD, organisations={1: 32})))
    assert any("'register' names no role" in one for one in errors(check(replace(GOOD, register=()))))


@pytest.mark.parametrize(
    ("organisations", "reachable"),
    [({1: 2, 2: 32, 3: 4, 4: 4}, True), ({1: 2, 2: 32, 3: 4}, False), ({1: 2 | 4, 2: 32, 3: 4}, False)],
)
def test_a_quorum_counts_the_organisations_that_may_vote(
    organisations: dict[int, int],
    reachable: bool,  # noqa: FBT001  # a parametrised expectation
) -> None:
    one = Transition("vote", "new", "made", ("auditor",), ("four-eyes",), quorum=2, vote_roles=("reviewer",))
    found = errors(check(with_transition(one), organisations=organisations))
    assert any("quorum cannot be reached" in message for message in found) is not reachable


def test_too_many_states_and_transitions_are_found() -> None:
    states = (*GOOD.states, *(State(f"s{number}") for number in range(70)))
    crowd = tuple(Transition(f"go-{number}", "new", "made", ("admin",)) for number in range(256))
    found = errors(check(replace(GOOD, states=states, transitions=crowd)))
    assert any("73 states" in one for one in found)
    assert any("256 transitions" in one for one in found)


def test_names_that_look_alike_are_found() -> None:
    definition = replace(
        with_transition(Transition("rnake", "new", "made", ("admin",))), states=(*GOOD.states, State("rnade"))
    )
    found = errors(check(definition))
    assert any("state rnade: it looks like the state 'made'" in one for one in found)
    assert any("action rnake: it looks like the action 'make'" in one for one in found)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (Transition("make", "new", "gone", ("admin",)), "leads elsewhere"),
        (Transition("make", "*", "made", ("contributor",)), "for the same actors"),
        (Transition("make", "new", "made", ("admin",), quorum=1, vote_roles=("admin",)), "votes would not say"),
        (Transition("drop", "new", "gone", ("auditor",)), "for the same actors"),
    ],
)
def test_a_second_transition_of_one_name_must_be_for_other_actors(second: Transition, reason: str) -> None:
    assert any("a second" in one and reason in one for one in errors(check(with_transition(second))))


def test_alternatives_for_different_actors_are_fine() -> None:
    second = Transition("drop", "*", "gone", ("contributor",), ("owner-only", "no-content"))
    assert check(with_transition(second)) == []


def test_unusual_flags_are_pointed_out() -> None:
    definition = replace(
        GOOD, states=(State("new"), State("made", ("usable", "revoked")), State("gone", ("terminal",)))
    )
    findings = check(definition)
    assert errors(findings) == ["state made: it is flagged both 'usable' and 'revoked'."]
    assert any("revoked but not terminal" in one for one in warnings(findings))
    assert any(
        "nothing can be recalled" in one
        for one in warnings(check(replace(GOOD, states=(State("new"), State("made"), State("gone", ("terminal",))))))
    )
    assert [one.level for one in findings] == sorted(one.level for one in findings)


def test_a_step_that_changes_nothing_is_pointed_out() -> None:
    one = Transition("idle", "made", "made", ("admin",), ("no-content",))
    assert any("changes neither" in message for message in warnings(check(with_transition(one))))
