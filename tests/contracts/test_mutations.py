"""The mutants of the contracts: none is left out that the rules for mutants demand, and each is what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tools.laws import laws
from tools.mutants import NOT_TESTED
from tools.mutations import MARK, Mutator

if TYPE_CHECKING:
    from tools.mutations import Mutant

SOURCES = Path(__file__).parents[2] / "contracts" / "src"
TESTS = SOURCES.parent / "test"
EXAMPLE = """// a comment with if (x) revert Y();
pragma solidity ^0.8.28;
uint8 constant LAST = 7;
function f(uint256 a, uint256 b) pure returns (uint256) {
    if (a < b || b == 0) revert TooSmall(a);
    return a >> 16 & 15;
}
"""


def mutants(text: str = EXAMPLE) -> dict[str, str]:
    mutator = Mutator()
    mutator.instrument("Example.sol", text)
    return {f"{mutant.line} {mutant.operator}": " ".join(mutant.after.split()) for mutant in mutator.mutants}


@pytest.mark.parametrize(
    ("operator", "after"),
    [
        ("5 guard dropped", "false"),
        ("5 part dropped: a < b", "b == 0"),
        ("5 part dropped: b == 0", "a < b"),
        ("5 < turned into <=", "a <= b || b == 0"),
        ("5 || turned into &&", "a < b && b == 0"),
        ("5 == turned into !=", "a < b || b != 0"),
        ("6 shift width", "a >> 17 & 15"),
        ("6 number off by one", "a >> 16 & 16"),
        ("6 mask dropped: 15", "a >> 16"),
        ("3 constant changed", "8"),
    ],
)
def test_a_change_is_what_it_is_called(operator: str, after: str) -> None:
    assert mutants()[operator] == after


def test_statements_and_events_are_dropped() -> None:
    text = "pragma solidity ^0.8.28;\nfunction f() {\n    stored[1] = 2;\n    emit Stored(1, 2);\n    --count;\n}\n"
    found = mutants(text)
    assert found["3 write dropped"] == ""
    assert found["4 event not emitted"] == ""
    assert found["4 event without 2"] == "emit Stored(1,false)"


def test_words_that_are_hashed_are_left_out() -> None:
    text = "pragma solidity ^0.8.28;\nfunction f() {\n    return hashOf(a, b);\n}\n"
    assert mutants(text) == {"3 not hashed: a": "hashOf(0, b)", "3 not hashed: b": "hashOf(a,0)"}


def test_a_guard_in_braces_is_a_guard() -> None:
    text = "pragma solidity ^0.8.28;\nfunction f() {\n    if (a) {\n        revert B();\n    }\n}\n"
    assert mutants(text) == {"3 guard dropped": "false"}


def test_comments_are_no_code() -> None:
    assert not [name for name in mutants() if name.startswith("1 ")]


def test_a_mutant_is_named_alike_wherever_it_stands() -> None:
    first, second = Mutator(), Mutator()
    first.instrument("Example.sol", EXAMPLE)
    second.instrument("Example.sol", EXAMPLE.replace("uint8 constant", "\n\nuint8 constant"))
    assert [mutant.key for mutant in first.mutants] == [mutant.key for mutant in second.mutants]


def test_one_mutant_alone_is_put_in_by_its_key() -> None:
    every = Mutator()
    every.instrument("Example.sol", EXAMPLE)
    chosen = next(mutant for mutant in every.mutants if mutant.operator == "shift width")
    alone = Mutator(only=chosen.key)
    text = alone.instrument("Example.sol", EXAMPLE)
    assert [mutant.key for mutant in alone.mutants] == [chosen.key]
    assert "{ if (MUTANT == 1) return a >> 17 & 15; return a >> 16 & 15; }" in text
    assert "if (a < b || b == 0) revert" in text


def test_every_guard_of_the_contracts_is_dropped_once() -> None:
    mutator = Mutator()
    guards = 0
    for path in sorted(SOURCES.glob("*.sol")):
        text = path.read_text()
        mutator.instrument(path.name, text)
        plain = re.sub(r"//[^\n]*", "", text)
        guards += len(set(re.findall(r"if \(((?:[^;{}])*)\)\s*revert", plain)))
    dropped = [mutant for mutant in mutator.mutants if mutant.operator == "guard dropped"]
    assert len({(m.file, " ".join(m.before.split())) for m in dropped}) >= guards > 40


def every_mutant() -> list[Mutant]:
    mutator = Mutator()
    for path in sorted(SOURCES.glob("*.sol")):
        mutator.instrument(path.name, path.read_text())
    return mutator.mutants


def test_every_law_is_broken_by_exactly_one_mutant() -> None:
    every = every_mutant()
    assert [law for law in laws() if law.mutant(every) is None] == []


def test_a_law_that_nothing_breaks_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expected one mutant"):
        replace(laws()[0], text="no such words").mutant(every_mutant())


def test_every_proof_has_a_mutant_that_refutes_it() -> None:
    checks = {name for path in TESTS.glob("symbolic/*.sol") for name in re.findall(r"check_\w+", path.read_text())}
    assert {law.law for law in laws() if law.suite == "symbolic"} == checks
    assert len(checks) >= 12


def test_every_law_of_the_invariants_but_the_price_has_a_mutant() -> None:
    text = (TESTS / "invariant" / "Workspace.t.sol").read_text()
    invariants = {name.replace("_", " ") for name in re.findall(r"function law_(\w+)\(", text)}
    broken = {law.law for law in laws() if law.suite == "invariants"}
    # No dropped guard makes an operation dearer the more others do.
    assert invariants - broken == {"nobody makes an operation of somebody else dearer"}
    assert broken <= invariants


def test_what_is_left_out_are_two_tests_of_the_committed_code() -> None:
    names = [name for path in TESTS.glob("*.sol") for name in re.findall(r"function (test_\w+)", path.read_text())]
    assert [name for name in names if re.fullmatch("|".join(NOT_TESTED), name)] == list(NOT_TESTED)


def test_the_value_that_is_replaced_is_no_mutants_number() -> None:
    assert int(MARK, 16) > 10**6
