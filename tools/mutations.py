# ruff: noqa: INP001 - tools/ holds programs that developers run, not a package
"""Mutants of Solidity sources, all of them in one text.

Compiling takes far longer than testing. So every mutant is put into the sources beside the original, behind a
comparison of the constant ``MUTANT`` with its number. The sources are compiled once; a mutant is that byte code with
its number in the place of the constant's value (R. Untch et al., Mutation Analysis Using Mutant Schemata, 1993).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = sha256(b"the value of MUTANT before a mutant is chosen").hexdigest()
SWITCH = "Mutant.sol"
SWITCH_TEXT = f"// SPDX-License-Identifier: Apache-2.0\npragma solidity ^0.8.28;\nuint256 constant MUTANT = 0x{MARK};\n"

_TURNED = {
    "<=": "<", ">=": ">", "<": "<=", ">": ">=", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "&": "|", "|": "&",
    "~": "", "!": "", "++": "", "--": "",
}  # fmt: skip
_OPERATOR = re.compile(r"<<=?|>>=?|=>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/&|^]=|[<>&|~!]")
_SHIFT = re.compile(r"(<<|>>) (\d+)")
_NUMBER = re.compile(r"(?<=[&+] )(\d+)\b")
_CAST = re.compile(r"\buint(16|32|40|160|224)\(")
_CONSTANT = re.compile(r"(?<= constant )(\w+) = (\d+);")
_BODY = re.compile(r"\b(?:function\b[^{};]*|constructor\b[^{};]*)(?=\{)")
_DECLARED = re.compile(r"[A-Z_a-z][\w.]*(?:\[\])?(?: (?:memory|calldata|storage))? [a-z_]\w* = ")


@dataclass(frozen=True)
class Mutant:
    """One change of the sources.

    Attributes:
        number: The value of ``MUTANT`` that chooses it, from 1.
        file: Name of the source.
        line: Where, from 1.
        operator: Kind of the change.
        before: The text that is changed.
        after: What is there instead.
    """

    number: int
    file: str
    line: int
    operator: str
    before: str
    after: str

    @property
    def key(self) -> str:
        """Names the change whatever the lines and numbers around it are."""
        words = " ".join(f"{self.file} {self.operator} {self.before} -> {self.after}".split())
        return sha256(words.encode()).hexdigest()[:12]


@dataclass
class Mutator:
    """Puts mutants into one source after the other.

    Attributes:
        skipped: Keys of mutants to leave out, such as those that do not compile.
        only: Key of the only mutant to put in; None is all.
        mutants: Those that were put in.
    """

    skipped: set[str] = field(default_factory=set)
    only: str | None = None
    mutants: list[Mutant] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def instrument(self, file: str, text: str) -> str:
        """Returns a source with its mutants."""
        source = _Source(self, file, text)
        for found in _CONSTANT.finditer(source.plain):
            source.expression(found.start(2), found.end(2), _other_constant)
        for found in _BODY.finditer(source.plain):
            source.block(found.end())
        head, body = source.edited().split(";\n", 1)
        return f'{head};\nimport {{MUTANT}} from "./{SWITCH}";\n{body}'

    def number(self, file: str, line: int, change: tuple[str, str, str]) -> int | None:
        """Returns the number of a new mutant, or None if it is left out."""
        mutant = Mutant(len(self.mutants) + 1, file, line, *change)
        if mutant.key in self.skipped or self.only not in {None, mutant.key}:
            return None
        if mutant.key in self._seen:
            return None  # the same change of the same words elsewhere in the file
        self._seen.add(mutant.key)
        self.mutants.append(mutant)
        return mutant.number


class _Source:
    def __init__(self, mutator: Mutator, file: str, text: str) -> None:
        self.mutator, self.file, self.text = mutator, file, text
        self.plain = re.sub(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"", lambda m: "·" * len(m[0]), text, flags=re.DOTALL)
        self.edits: list[tuple[int, int, str]] = []

    def edited(self) -> str:
        text = self.text
        for start, end, replacement in sorted(self.edits, reverse=True):
            text = text[:start] + replacement + text[end:]
        return text

    # ------------------------------------------------------------------------------------------------- statements

    def block(self, start: int) -> int:
        """Mutates the statements from an opening brace; returns the place behind the closing one."""
        end = close(self.plain, start)
        place = self.skip(start + 1)
        while place < end - 1:
            place = self.skip(self.statement(place))
        return end

    def statement(self, start: int) -> int:
        word = re.match(r"\w+|\{", self.plain[start:])
        kind = word[0] if word else ""
        if kind == "{":
            return self.block(start)
        if kind == "unchecked":
            return self.block(self.plain.index("{", start))
        if kind == "assembly":
            return close(self.plain, self.plain.index("{", start))
        if kind in {"if", "for"}:
            return self.branch(kind, start)
        end = self.end(start)
        if kind == "return":
            self.returned(start, end)
        elif kind not in {"revert", "return"}:
            self.simple(start, end)
        return end

    def branch(self, kind: str, start: int) -> int:
        opened = self.plain.index("(", start)
        closed = close(self.plain, opened)
        after = self.skip(closed)
        if kind == "for":
            first = self.plain.index(";", opened) + 1
            self.expression(first + 1, self.plain.index(";", first), variants)
        else:
            self.condition(opened + 1, closed - 1, guard=bool(re.match(r"\{?\s*revert\b", self.plain[after:])))
        end = self.statement(after)
        following = self.skip(end)
        if self.plain.startswith("else", following):
            return self.statement(self.skip(following + 4))
        return end

    def condition(self, start: int, end: int, *, guard: bool) -> None:
        def changes(text: str) -> Iterator[tuple[str, str]]:
            yield "guard dropped" if guard else "branch never taken", "false"
            if not guard:
                yield "branch always taken", "true"
            yield from parts_dropped(text)
            yield from variants(text)

        self.expression(start, end, changes)

    def returned(self, start: int, end: int) -> None:
        first = self.skip(start + len("return"))
        if first < end - 1:
            whole = self.text[first : end - 1]
            cases = [f"if (MUTANT == {k}) return {after};" for k, after in self.cases(start, whole, variants)]
            if cases:
                self.edits.append((start, end, f"{{ {' '.join(cases)} {self.text[start:end]} }}"))

    def simple(self, start: int, end: int) -> None:
        text = self.text[start:end]
        declared = _DECLARED.match(text)
        if declared:
            self.expression(start + declared.end(), end - 1, variants)
            return
        if re.match(r"\([^)]*\w \w", text) or not re.search(r" = |[(+-]", text):
            return  # declarations of several variables at once, or without a value
        cases = list(self.cases(start, text[:-1], statement_variants))
        if cases:
            chain = " else ".join(f"if (MUTANT == {k}) {{ {after}{';' if after else ''} }}" for k, after in cases)
            self.edits.append((start, end, f"{{ {chain} else {{ {text} }} }}"))

    def expression(self, start: int, end: int, changes: Callable[[str], Iterator[tuple[str, str]]]) -> None:
        text = self.text[start:end]
        chain = "".join(f"MUTANT == {k} ? ({after}) : " for k, after in self.cases(start, text, changes))
        if chain:
            self.edits.append((start, end, f"({chain}({text}))"))

    def cases(
        self, start: int, text: str, changes: Callable[[str], Iterator[tuple[str, str]]]
    ) -> Iterator[tuple[int, str]]:
        line = self.text.count("\n", 0, start) + 1
        for operator, after in changes(text):
            number = self.mutator.number(self.file, line, (operator, text, after))
            if number is not None:
                yield number, after

    # ------------------------------------------------------------------------------------------------------ places

    def skip(self, place: int) -> int:
        """The next place that is neither space nor comment."""
        found = re.compile(r"[\s·]*").match(self.plain, place)
        return found.end() if found else place

    def end(self, start: int) -> int:
        place = start
        while self.plain[place] != ";":
            place = close(self.plain, place) if self.plain[place] in "({[" else place + 1
        return place + 1


def close(text: str, start: int) -> int:
    """Returns the place behind the bracket that closes the one at ``start``."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in "({[") - (text[place] in ")}]")
        if depth == 0:
            return place + 1
    raise ValueError(f"expected the bracket at {start} to be closed: {text[start : start + 60]!r}")


# --------------------------------------------------------------------------------------------------------- changes


def variants(text: str) -> Iterator[tuple[str, str]]:
    """Yields the changes of an expression: what is done, and the text afterwards."""
    if '"' in text:
        return
    for found in _OPERATOR.finditer(text):
        if (turned := _TURNED.get(found[0])) is not None:
            name = f"{found[0]} turned into {turned}" if turned else f"{found[0]} dropped"
            yield name, text[: found.start()] + turned + text[found.end() :]
    for found in _SHIFT.finditer(text):
        yield "shift width", text[: found.start(2)] + str(int(found[2]) + 1) + text[found.end(2) :]
    for found in _NUMBER.finditer(text):
        yield "number off by one", text[: found.start(1)] + _plus_one(found[1]) + text[found.end(1) :]
    for found in _CAST.finditer(text):
        end = close(text, found.end() - 1)
        inner = text[found.end() : end - 1]
        yield "mask narrowed", f"{text[: found.end()]}uint{int(found[1]) - 8}({inner}){text[end - 1 :]}"
    for found in re.finditer(r"abi\.encode\(|hashOf\(", text):
        instead = "0" if found[0] == "hashOf(" else ""  # there is one hashOf for each number of words
        for before, after in arguments(text, found.end() - 1, (instead,)):
            yield f"not hashed: {before}", after
    yield from masks_dropped(text)


def statement_variants(text: str) -> Iterator[tuple[str, str]]:
    """Yields the changes of a statement without its semicolon."""
    if text.startswith("emit "):
        yield "event not emitted", ""
        for before, after in arguments(text, text.index("("), ("0", "address(0)", "false")):
            yield f"event without {before}", after
        return
    yield "write dropped" if re.search(r" [&|+-]?= ", text) or "++" in text else "call dropped", ""
    for operator, after in variants(text):
        if operator not in {"++ dropped", "-- dropped"}:
            yield operator, after


def parts_dropped(text: str) -> Iterator[tuple[str, str]]:
    """Yields a condition without each of the parts that || and && join at its top."""
    for joint in ("||", "&&"):
        parts = split(text, joint)
        if len(parts) > 1:
            for place, part in enumerate(parts):
                rest = f" {joint} ".join(p.strip() for i, p in enumerate(parts) if i != place)
                yield f"part dropped: {' '.join(part.split())}", rest


def masks_dropped(text: str) -> Iterator[tuple[str, str]]:
    """Yields a number without each of those that & joins at its top; comparisons and the like are left as they are."""
    masks = split(text, "&")
    if len(masks) > 1 and not re.search(r"&&|[|]|[=!<>&]=|[^<>][<>] | = ", text):
        for place, mask in enumerate(masks):
            yield f"mask dropped: {' '.join(mask.split())}", "&".join(masks[:place] + masks[place + 1 :]).strip()


def arguments(text: str, opened: int, instead: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yields each argument of a call, and the text with something else instead of it, or without it."""
    end = close(text, opened)
    given = split(text[opened + 1 : end - 1], ",")
    for place, argument in enumerate(given):
        for other in instead:
            others = [*given[:place], *([other] if other else []), *given[place + 1 :]]
            if others:
                yield argument.strip(), f"{text[: opened + 1]}{','.join(others)}{text[end - 1 :]}"


def split(text: str, joint: str) -> list[str]:
    """Returns the parts between the joints that are in no bracket."""
    parts, place, begun = [], 0, 0
    while place < len(text):
        if text[place] in "({[":
            place = close(text, place)
        elif text.startswith(joint, place):
            parts.append(text[begun:place])
            place = begun = place + len(joint)
        else:
            place += 1
    return [*parts, text[begun:]]


def _other_constant(text: str) -> Iterator[tuple[str, str]]:
    yield "constant changed", _plus_one(text)


def _plus_one(number: str) -> str:
    return "254" if number == "255" else str(int(number) + 1)
