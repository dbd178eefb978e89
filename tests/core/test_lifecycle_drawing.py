from __future__ import annotations

import re
from dataclasses import replace

import pytest

from proml.core.lifecycle import Definition, State, Transition
from proml.core.lifecycle_drawing import draw_dot, draw_mermaid
from proml.lifecycles import SHIPPED, load_shipped

HOSTILE = 'x"]; evil -> me; #\\ "\n--> s9: <script>%%{init}%%'
DEFINITION = Definition(
    name="thing",
    version=1,
    initial="new",
    register=("contributor",),
    states=(State("new"), State("rolled-back", ("usable",)), State("gone", ("terminal", "revoked"))),
    transitions=(
        Transition("make", "new", "rolled-back", ("contributor",), ("owner-only",), min_delay_s=86400),
        Transition("drop", "*", "gone", ("role-6",), quorum=2, vote_roles=("auditor",), evidence="evaluation"),
    ),
)


def test_mermaid_shows_states_actions_and_conditions() -> None:
    assert draw_mermaid(DEFINITION) == (
        "stateDiagram-v2\n"
        "    direction LR\n"
        '    state "new" as s0\n'
        '    state "rolled-back (usable)" as s1\n'
        '    state "gone (terminal, revoked)" as s2\n'
        '    state "any state that is not terminal" as any\n'
        "    [*] --> s0: register · contributor\n"
        "    s0 --> s1: make · contributor · owner-only · after 1 day\n"
        "    any --> s2: drop · role-6 · quorum 2 of auditor · evidence evaluation\n"
        "    s2 --> [*]\n"
    )


def test_dot_shows_states_actions_and_conditions() -> None:
    drawn = draw_dot(DEFINITION, {"role-6": "labeller"})
    assert drawn.startswith('digraph "thing" {\n')
    assert '    s2 [label="gone\\nterminal, revoked", peripheries=2];\n' in drawn
    assert '    s0 -> s1 [label="make\\ncontributor\\nowner-only\\nafter 1 day"];\n' in drawn
    assert '    any -> s2 [label="drop\\nlabeller\\nquorum 2 of auditor\\nevidence evaluation"];\n' in drawn
    assert drawn.endswith("}\n")


def test_hostile_labels_stay_within_a_mermaid_label() -> None:
    drawn = draw_mermaid(DEFINITION, {"role-6": HOSTILE})
    assert len(drawn.splitlines()) == len(draw_mermaid(DEFINITION).splitlines())
    [line] = [line for line in drawn.splitlines() if "any -->" in line]
    label = line.split(": ", 1)[1]
    assert not re.search(r'["<>\\\[\]{}%:]', label)
    assert re.fullmatch(r"(?:[^#;]|#\d+;)*", label)


def test_hostile_labels_stay_within_a_dot_string() -> None:
    drawn = draw_dot(replace(DEFINITION, name=HOSTILE), {"role-6": HOSTILE})
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', drawn)
    assert "evil" not in outside
    assert "script" not in outside
    assert len(drawn.splitlines()) == len(draw_dot(DEFINITION).splitlines())


@pytest.mark.parametrize("kind", SHIPPED)
def test_every_transition_of_a_shipped_lifecycle_is_drawn_once(kind: str) -> None:
    definition = load_shipped()[kind]
    arrows = len(definition.transitions)
    terminal = sum("terminal" in state.flags for state in definition.states)
    assert draw_mermaid(definition).count("-->") == arrows + terminal + 1
    assert draw_dot(definition).count("->") == arrows + 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (172800, "2 days"),
        (604800, "1 week"),
    ],
)
def test_delays_are_drawn_in_the_largest_whole_unit(seconds: int, words: str) -> None:
    one = replace(DEFINITION.transitions[0], min_delay_s=seconds)
    assert f"after {words}\n" in draw_mermaid(replace(DEFINITION, transitions=(one,)))
