"""An auditor finds a word on everything that can be called or read, and everything in its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.contracts.schema import CONTRACTS

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = sorted((CONTRACTS / "src").glob("*.sol"))
INTERFACES = [path for path in SOURCES if path.name.startswith("I")]
_DECLARED = re.compile(
    r"(?P<said>(?:^ *///[^\n]*\n)*)^ *(?P<kind>struct|event|error|function) (?P<name>\w+)(?P<rest>[^;{]*(?:;|\{[^}]*))",
    re.MULTILINE,
)
_KINDS = [  # in the order that contracts/README.md demands
    ("types", re.compile(r"^    (?:struct|event|error|enum) ")),
    ("constants", re.compile(r"^    [^/(]* constant ")),
    ("state", re.compile(r"^    (?:mapping\(|u?int\d* (?:private|internal) _)")),
    ("constructor", re.compile(r"^    constructor\(")),
    ("views", re.compile(r"^    function [^{;]*\b(?:external|public)\b[^{;]*\bview\b")),
    ("operations", re.compile(r"^    function ")),
]


def undocumented(text: str) -> list[str]:
    """Returns what lacks a notice, or a word on one of its parameters, members or named results."""
    missing = []
    for found in _DECLARED.finditer(text):
        said, kind, name = found["said"], found["kind"], found["name"]
        if "@notice" not in said:
            missing.append(f"{kind} {name}: @notice")
        arguments, _, results = found["rest"].partition("returns")
        inner = arguments.replace(";", ",") if kind == "struct" else arguments.split(")")[0]
        words = {one.split()[-1] for one in re.sub(r"[({]", " ", inner).split(",") if one.strip()}
        missing += [f"{kind} {name}: @param {word}" for word in sorted(words) if f"@param {word} " not in said]
        if results and "@return" not in said:
            missing.append(f"{kind} {name}: @return")
    return missing


def out_of_order(text: str) -> list[str]:
    """Returns the declarations that stand after one of a later kind."""
    wrong, reached = [], 0
    for declaration in re.split(r"\n(?=    [^\s)}])", text):
        kind = next((i for i, (_, pattern) in enumerate(_KINDS) if pattern.match(declaration)), None)
        if kind is not None and kind < reached:
            wrong.append(declaration.strip().split("\n", 1)[0])
        reached = reached if kind is None else max(kind, reached)
    return wrong


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.name)
def test_everything_in_an_interface_has_a_notice_and_a_word_on_each_parameter(path: Path) -> None:
    assert undocumented(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_is_public_inherits_its_documentation(path: Path) -> None:
    pattern = r"((?:^ *//[^\n]*\n)*)^    function (\w+)\([^{;]*\b(?:external|public)\b[^;{]*\{"
    declared = re.finditer(pattern, path.read_text(), re.MULTILINE)
    assert [name for said, name in (found.groups() for found in declared) if "@inheritdoc" not in said] == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path not in INTERFACES], ids=lambda path: path.name)
def test_declarations_stand_in_the_written_order(path: Path) -> None:
    known = {"WorkspaceFactory.sol": ["function addressOf("]}  # beside the operation whose address it foretells
    assert out_of_order(path.read_text()) == known.get(path.name, [])


def test_what_lacks_documentation_is_found() -> None:
    said = "    /// @notice Says it.\n    /// @param one First.\n"
    text = said + "    event Said(bytes32 one, bytes32 two);\n    error Bare();\n"
    assert undocumented(text) == ["event Said: @param two", "error Bare: @notice"]


def test_a_declaration_out_of_its_place_is_found() -> None:
    view = "    function f() external view returns (uint256) {\n    }\n"
    text = "contract C {\n" + view + "\n    uint8 private constant LATE = 1;\n}\n"
    assert out_of_order(text) == ["uint8 private constant LATE = 1;"]
    text = "contract C {\n    function act() external {\n    }\n\n" + view.replace(
        "()", "(\n        uint8 one\n    )", 1
    )
    assert out_of_order(text) == ["function f("]
