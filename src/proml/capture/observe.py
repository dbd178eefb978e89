"""Observations: the metrics of a run as leaves of a Merkle tree (RFC 9162), whose root the run's record carries.

A leaf is an observation's line in the journal, byte for byte and without its end; leaves are in the order of the
segments and of the lines in them. All is streamed: memory does not grow with the number of observations.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from proml.capture.journal import Segment, lines
from proml.capture.run_folder import read_extent
from proml.capture.values import non_finite
from proml.core import merkle
from proml.core.digest import format_digest
from proml.errors import UnknownName, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OBSERVATION = re.compile(rb'\{"m":("(?:[^"\\]|\\.)*"),"v":("[^"]*"|[^,"]+),"s":(?:"[^"]*"|[^,"]+),"t":-?\d+\}')
_SAFE_INTEGER = 2**53 - 1


@dataclass(slots=True)
class Metric:
    """One metric over a run; ``smallest`` and ``largest`` leave out what is not a number."""

    last: bytes = b""
    count: int = 0
    smallest: float | None = None
    largest: float | None = None

    def add(self, value: bytes) -> None:
        """Adds an observed value, as the journal has it."""
        self.last = value
        self.count += 1
        number = float(value) if value[0] != _QUOTE else _quoted(value)
        if number == number:  # noqa: PLR0124 - false for not-a-number only, and faster than math.isnan
            if self.smallest is None or number < self.smallest:
                self.smallest = number
            if self.largest is None or number > self.largest:
                self.largest = number

    def to_json(self) -> dict[str, object]:
        """Returns what a record says about the metric."""
        summary: dict[str, object] = {"last": _as_json(self.last), "count": self.count}
        if self.smallest is not None and self.largest is not None:
            summary |= {"min": _finite(self.smallest), "max": _finite(self.largest)}
        return summary


@dataclass(frozen=True, slots=True)
class Observations:
    """All observations of a run.

    Attributes:
        root: Root of the Merkle tree.
        count: Number of leaves.
        digest: SHA-256 over the segments, one after the other: the whole journal, other facts included.
        metrics: By name.
    """

    root: bytes
    count: int
    digest: bytes
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Returns what a record says about the observations."""
        return {"root": self.root.hex(), "count": self.count, "digest": format_digest(self.digest)}


@dataclass(frozen=True, slots=True)
class Proof:
    """Shows that an observation is one of those that a record commits to.

    Attributes:
        leaf: The observation's line in the journal.
        index: Its position, from 0.
        count: Number of observations.
        path: Hashes from the leaf to the root (RFC 9162 §2.1.3).
    """

    leaf: bytes
    index: int
    count: int
    path: tuple[bytes, ...]

    def to_json(self) -> dict[str, object]:
        """Returns the proof as JSON-compatible values."""
        path = [node.hex() for node in self.path]
        return {"leaf": self.leaf.decode(), "index": self.index, "count": self.count, "path": path}


def observations(parts: Sequence[Segment]) -> Observations:
    """Reads all observations of a journal, once."""
    tree = merkle.MerkleAccumulator()
    whole = hashlib.sha256()
    by_name: dict[bytes, Metric] = {}
    for part in parts:
        for line in lines(part):
            whole.update(line + b"\n")
            match = _OBSERVATION.fullmatch(line)
            if match:
                tree.add(line)
                name, value = match.groups()
                metric = by_name.get(name)
                if metric is None:
                    metric = by_name[name] = Metric()
                metric.add(value)
    metrics = {cast("str", json.loads(name)): metric for name, metric in by_name.items()}
    return Observations(tree.root(), tree.count, whole.digest(), metrics)


def leaves(parts: Sequence[Segment]) -> Iterator[bytes]:
    """Yields the leaves in order."""
    for part in parts:
        yield from (line for line in lines(part) if _OBSERVATION.fullmatch(line))


def prove(run: str | Path, index: int) -> Proof:
    """Returns the inclusion proof of one observation of a closed run, in one pass and constant memory.

    Args:
        run: The run's folder, ``.proml/runs/RUN_ID``.
        index: The observation's position, from 0.

    Raises:
        ConfigError: The run is not closed.
        UnknownName: It has no observation with this index.
    """
    parts = read_extent(Path(run)).segments
    count = sum(1 for _ in leaves(parts))
    if not 0 <= index < count:
        raise UnknownName(
            f"expected one of the {count} observations of {run}, counted from 0; found {index}.", hint="Choose another."
        )
    ranges = _sibling_ranges(index, count)
    trees = {first: merkle.MerkleAccumulator() for first, _ in ranges}
    starts = sorted(ranges)
    leaf = b""
    position = 0
    for number, line in enumerate(leaves(parts)):
        if number == index:
            leaf = line
            continue
        while number >= starts[position][1]:
            position += 1
        trees[starts[position][0]].add(line)
    return Proof(leaf, index, count, tuple(trees[first].root() for first, _ in ranges))


def verify(proof: Proof, root: bytes) -> None:
    """Checks a proof against the root that a record carries.

    Raises:
        VerificationError: It does not show what it says.
    """
    if not merkle.verify_inclusion(proof.leaf, proof.index, proof.count, proof.path, root):
        raise VerificationError(
            f"expected observation {proof.index} of {proof.count} under root {root.hex()}; the proof leads elsewhere.",
            hint="The observation, its place or the proof was changed.",
        )


def _sibling_ranges(index: int, count: int) -> list[tuple[int, int]]:
    """Returns the ranges of leaves whose roots are the path, from the leaf upwards (PATH of RFC 9162 §2.1.3.1)."""
    ranges = []
    first, last = 0, count
    while last - first > 1:
        split = first + (1 << (last - first - 1).bit_length() - 1)
        if index < split:
            ranges.append((split, last))
            last = split
        else:
            ranges.append((first, split))
            first = split
    return ranges[::-1]


_QUOTE = ord('"')


def _quoted(value: bytes) -> float:
    text = value[1:-1].decode()
    if text.endswith("…") or text.startswith(("0x", "-0x")) or text.lstrip("-").isdigit():
        return float("-inf") if text.startswith("-") else float("inf")  # an integer beyond what a double can hold
    return float(text)


def _as_json(value: bytes) -> object:
    if value[0] == _QUOTE:
        return _finite(_quoted(value))
    number = json.loads(value)
    return number if isinstance(number, float) or abs(number) <= _SAFE_INTEGER else _finite(float(number))


def _finite(number: float) -> object:
    return number if math.isfinite(number) else non_finite(number)
