from __future__ import annotations

import copy
from typing import Any

import pytest

from proml.core import operation
from proml.core.digest import sha256
from proml.core.lifecycle import GUARD_BITS, ROLE_BITS, Definition, role_bits, role_names
from proml.core.lifecycle_check import check
from proml.core.lifecycle_reading import from_document, parse_lifecycle
from proml.errors import InvalidLifecycle, UnknownName
from proml.lifecycles import SHIPPED, load_shipped, shipped_text

SMALL = """
name = "thing"
version = 2
summary = "A thing"
initial = "new"
register = ["contributor"]

[states.new]
[states.made]
flags = ["usable"]
summary = "It is there"
[states.gone]
flags = ["terminal", "revoked"]

[[transitions]]
name = "make"
from = ["new", "made"]
to = "made"
roles = ["contributor", "role-6"]
guards = ["owner-only", "needs-content"]

[[transitions]]
name = "drop"
from = "*"
to = "gone"
roles = ["auditor"]
guards = ["four-eyes", "no-content"]
quorum = { organisations = 2, roles = ["reviewer", "auditor"] }
min_delay = "12h"
evidence = "evaluation"
summary = "Gone for good"
"""
SHIPPED_DIGESTS = {
    "source": "6c527b72d4376a433e40607e1535fd561b10400c255d81508bc9739cba5dce84",
    "dataset": "63b6d8ab5b5256571e063abe6c0ba5e6a1ea8bd4627b918c57450eaa5b7949ba",
    "code": "258667020f19f3f48c18bc23f88a0bbe43bf1f48bce1189d5631dba1006dacd7",
    "evaluation": "83fd571fda59d42bbcfbc806f7b8d9e055036c71a1cc3289a30dcb9beb8bb538",
    "model": "ce389334e9adc6f17eb97d7b7fe4a2093a6c904b20def84647448f6cb40f536d",
    "deployment": "aeba2a65709e72851f83c3db50fc4b0400076c4e9c2ab3dae0d3c7f47730ebb8",
    "federated-round": "16f6cdce7563e80ca6844280d6cef5a091502ec3e027b8f9b2e48d5b44427606",
    "federated-update": "02a4c2b4b00d863cd47fc8879aecb6281b2d4efda17c31686995683d4e776b78",
}
FIVE_ORGANISATIONS = {1: 16 | 1, 2: 2 | 1, 3: 2 | 1, 4: 8 | 1, 5: 32 | 1}


@pytest.fixture
def small() -> Definition:
    return parse_lifecycle(SMALL, "small.toml")


def test_several_states_in_from_become_transitions_of_one_name(small: Definition) -> None:
    assert [(one.name, one.from_state, one.to_state) for one in small.transitions] == [
        ("make", "new", "made"),
        ("make", "made", "made"),
        ("drop", "*", "gone"),
    ]
    assert small.rules_named("make") == (0, 1)
    assert small.rules_named("fly") == ()


def test_an_action_means_the_transition_that_starts_in_the_state(small: Definition) -> None:
    assert [small.rule_for("make", state) for state in ("new", "made", "gone")] == [0, 1, None]
    assert [small.rule_for("drop", state) for state in ("new", "made", "gone")] == [2, 2, None]
    assert small.actions("new") == ("make", "drop")
    assert small.actions("gone") == ()
    assert small.actions() == ("make", "drop")


def test_the_contract_gets_bits_and_numbers(small: Definition) -> None:
    made = small.on_chain({"evaluation": 4})
    assert made == operation.Lifecycle(
        definition=small.digest,
        register_roles=2,
        initial=0,
        state_flags=(0, 1, 6),
        rules=(
            operation.Rule(0, 1, 2 | 64, 1 | 4, 0, 0, 0, 0),
            operation.Rule(1, 1, 2 | 64, 1 | 4, 0, 0, 0, 0),
            operation.Rule(255, 2, 32, 2 | 8, 2, 4 | 32, 43200, 4),
        ),
    )


def test_bits_are_those_of_the_contract() -> None:
    assert ROLE_BITS["admin"] == 1
    assert ROLE_BITS["role-15"] == 1 << 15
    assert list(ROLE_BITS.values()) == [1 << bit for bit in range(16)]
    assert list(GUARD_BITS.values()) == [1 << bit for bit in range(7)]


def test_evidence_of_a_kind_the_workspace_lacks_cannot_go_on_chain(small: Definition) -> None:
    with pytest.raises(InvalidLifecycle, match="evidence of kind 'evaluation'") as caught:
        small.on_chain({})
    assert "Add the lifecycle 'evaluation' first" in caught.value.hint


def test_more_than_the_contract_takes_cannot_go_on_chain() -> None:
    states = "\n".join(f"[states.s{number}]" for number in range(65))
    big = parse_lifecycle(f'name = "big"\ninitial = "s0"\nregister = ["admin"]\n{states}', "big.toml")
    with pytest.raises(InvalidLifecycle, match="65 states"):
        big.on_chain({})


def test_a_definition_reads_back_from_its_document(small: Definition) -> None:
    assert from_document(small.document()) == small
    assert small.digest == sha256(small.bytes)


def test_the_digest_commits_to_every_word_of_the_definition(small: Definition) -> None:
    other = parse_lifecycle(SMALL.replace("Gone for good", "Gone"), "small.toml")
    assert other.digest != small.digest


def test_unknown_states_are_refused_in_words(small: Definition) -> None:
    with pytest.raises(UnknownName, match="no state 'flying'"):
        small.has_flag("flying", "usable")
    with pytest.raises(UnknownName, match="none numbered 3"):
        small.state_name(3)
    assert small.state_name(small.state_number("made")) == "made"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('name = "thing"', "", "field 'name'"),
        ('name = "thing"', 'name = "Thing"', r"\$\.name"),
        ('name = "thing"', 'name = "a\\nb"', r"\$\.name"),
        ("version = 2", "version = 0", r"\$\.version"),
        ("version = 2", "version = 1979-05-27", r"\$\.version"),
        ("version = 2", "colour = 2", "unknown field 'colour'"),
        ('initial = "new"', 'initial = "old"', "'old', which does not exist"),
        ('to = "gone"', 'to = "away"', "'away', which does not exist"),
        ('from = "*"', 'from = "away"', "'away', which does not exist"),
        ('from = "*"', "from = []", "from"),
        ('from = "*"', "from = [[]]", "from"),
        ('roles = ["auditor"]', 'roles = ["king"]', "roles"),
        ('roles = ["auditor"]', 'roles = ["auditor", "auditor"]', "distinct"),
        ('roles = ["auditor"]', "", "field 'roles'"),
        ('"four-eyes"', '"six-eyes"', "guards"),
        ('flags = ["usable"]', 'flags = ["edible"]', "flags"),
        ("organisations = 2", "organisations = 0", "organisations"),
        ("organisations = 2", "organisations = 256", "organisations"),
        ('min_delay = "12h"', 'min_delay = "soon"', "duration"),
        ('min_delay = "12h"', "min_delay = 12", "duration"),
        ('min_delay = "12h"', 'min_delay = "9999999999w"', "min_delay_s"),
        ('evidence = "evaluation"', 'evidence = "../x"', "evidence"),
        ("[states.new]", "[states.new", "Expected TOML"),
        ("[states.new]", "[states.new]\n[states.new]", "Expected TOML"),
        ("[states.new]", "x = " + "[" * 5000, "Expected TOML"),
    ],
)
def test_malformed_toml_is_refused_with_its_source_and_the_reason(old: str, new: str, reason: str) -> None:
    assert old in SMALL
    with pytest.raises(InvalidLifecycle, match=reason) as caught:
        parse_lifecycle(SMALL.replace(old, new, 1), "small.toml")
    assert "small.toml" in caught.value.message


def test_too_long_a_text_is_refused() -> None:
    with pytest.raises(InvalidLifecycle, match="at most"):
        parse_lifecycle("#" * (1024 * 1024 + 1), "long.toml")


@pytest.mark.parametrize("value", [None, [], {}, {"schema": "proml/lifecycle/v2"}])
def test_what_is_no_document_is_refused(value: object) -> None:
    with pytest.raises(InvalidLifecycle):
        from_document(value)


def test_a_document_with_a_state_twice_is_refused(small: Definition) -> None:
    document: dict[str, Any] = copy.deepcopy(small.document())
    document["states"].append(document["states"][0])
    with pytest.raises(InvalidLifecycle, match="'new' occurs twice"):
        from_document(document)


def test_role_names_and_bits_are_inverse() -> None:
    assert role_names(role_bits(["auditor", "admin", "role-9"])) == ("admin", "auditor", "role-9")
    with pytest.raises(UnknownName, match="no role 'king'"):
        role_bits(["king"])


# ------------------------------------------------------------------------------------------------ the shipped ones


@pytest.mark.parametrize("kind", SHIPPED)
def test_a_shipped_lifecycle_has_no_mistake(kind: str) -> None:
    shipped = load_shipped()
    assert check(shipped[kind], organisations=FIVE_ORGANISATIONS, kinds=shipped) == []


@pytest.mark.parametrize("kind", SHIPPED)
def test_a_shipped_lifecycle_keeps_its_digest_unless_its_version_grows(kind: str) -> None:
    shipped = load_shipped()[kind]
    assert (shipped.version, shipped.digest.hex()) == (1, SHIPPED_DIGESTS[kind])


@pytest.mark.parametrize("kind", SHIPPED)
def test_a_shipped_lifecycle_explains_itself(kind: str) -> None:
    shipped = load_shipped()[kind]
    assert shipped.name == kind
    assert shipped.summary
    assert all(state.summary for state in shipped.states)
    assert all(one.summary for one in shipped.transitions)
    assert shipped_text(kind).startswith("# ")


def test_shipped_lifecycles_can_be_added_in_their_order() -> None:
    numbers: dict[str, int] = {}
    for number, (kind, definition) in enumerate(load_shipped().items(), start=1):
        definition.on_chain(numbers)
        numbers[kind] = number


@pytest.mark.parametrize(
    ("kind", "story"),
    [
        ("source", ["collect", "collect", "retire"]),
        ("dataset", ["collect", "label", "check-labels", "publish", "validate", "revise", "label", "revoke"]),
        ("model", ["train", "approve", "release", "retrain", "train", "approve", "retire"]),
        ("evaluation", ["report", "report", "revoke"]),
        ("code", ["submit", "review", "submit", "retire"]),
        ("deployment", ["deploy", "deploy", "rollback", "deploy", "retire"]),
        ("federated-round", ["open", "aggregate", "aggregate", "revoke"]),
        ("federated-update", ["submit", "submit", "revoke"]),
    ],
)
def test_a_shipped_lifecycle_tells_its_story(kind: str, story: list[str]) -> None:
    definition = load_shipped()[kind]
    state = definition.initial
    for action in story:
        rule = definition.rule_for(action, state)
        assert rule is not None, (action, state)
        state = definition.transitions[rule].to_state
    assert definition.has_flag(state, "terminal")


@pytest.mark.parametrize(
    ("kind", "action", "state"),
    [
        ("dataset", "publish", "labelled"),
        ("dataset", "publish", "collected"),
        ("dataset", "validate", "checked"),
        ("model", "release", "trained"),
        ("model", "approve", "registered"),
        ("model", "train", "released"),
        ("deployment", "rollback", "registered"),
        ("dataset", "revise", "revoked"),
    ],
)
def test_a_step_cannot_be_skipped(kind: str, action: str, state: str) -> None:
    assert load_shipped()[kind].rule_for(action, state) is None


def test_only_a_released_model_and_a_published_dataset_are_usable() -> None:
    usable = {
        kind: [state.name for state in definition.states if "usable" in state.flags]
        for kind, definition in load_shipped().items()
    }
    assert usable["model"] == ["released"]
    assert usable["dataset"] == ["published", "validated"]
    assert usable["deployment"] == []


def test_an_action_with_alternatives_means_the_one_that_is_open_to_the_actor() -> None:
    dataset = load_shipped()["dataset"]
    owners, auditors = dataset.rules_named("revoke")
    contributor, auditor = ROLE_BITS["contributor"], ROLE_BITS["auditor"]
    assert dataset.rule_for("revoke", "published") == owners
    assert dataset.rule_for("revoke", "published", roles=contributor, is_owner=True) == owners
    assert dataset.rule_for("revoke", "published", roles=auditor) == auditors
    assert dataset.rule_for("revoke", "published", roles=auditor | contributor, is_owner=False) == auditors
    assert dataset.rule_for("revoke", "published", roles=auditor | contributor, is_owner=True) == owners
    assert dataset.rule_for("revoke", "published", roles=ROLE_BITS["operator"], is_owner=False) == owners
