"""Shards of files, as in manifests of OpenSSF Model Signing's method ``shards`` (``model_signing`` 1.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proml.core import shape
from proml.core.manifest import ALGORITHMS, Algorithm
from proml.core.name import show
from proml.errors import InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.core.canonical import JSON

SHARD_BYTES = 1_000_000_000
"""Length of a shard where nobody says otherwise: the default of ``model_signing``."""

# The specification's names are file names; the package writes NAME:START:END, and reads only names without colons.
_NAME = re.compile(r"(?P<name>.+):(?P<start>0|[1-9]\d{0,18}):(?P<end>[1-9]\d{0,18})", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """A part of a file.

    Attributes:
        name: The file's path below the folder; ``.`` when the content is a single file.
        start: Offset of its first byte.
        end: Offset behind its last byte.
        digest: 32 bytes.
    """

    name: str
    start: int
    end: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class StatedShards:
    """Shards that a manifest lists.

    Attributes:
        algorithm: Of all digests.
        shard_bytes: Length of each shard but the last of a file.
        shards: By name and place.
    """

    algorithm: Algorithm
    shard_bytes: int
    shards: tuple[Shard, ...]

    def to_json(self) -> dict[str, JSON]:
        """Returns the predicate that :func:`parse_shards` reads."""
        marked = f"{self.algorithm}-sharded-{self.shard_bytes}"
        return {
            "serialization": {"method": "shards", "hash_type": self.algorithm, "shard_size": self.shard_bytes},
            "resources": [
                {"name": f"{one.name}:{one.start}:{one.end}", "algorithm": marked, "digest": one.digest.hex()}
                for one in self.shards
            ],
        }


def spans(size_bytes: int, shard_bytes: int) -> Iterator[tuple[int, int]]:
    """Yields where the shards of a file begin and end; an empty file has none."""
    for start in range(0, size_bytes, shard_bytes):
        yield start, min(start + shard_bytes, size_bytes)


def parse_shards(predicate: Mapping[str, Any], what: str) -> StatedShards:
    """Returns the shards that a Model Signing predicate of the method ``shards`` lists.

    Args:
        predicate: Its ``serialization`` and ``resources``.
        what: What is being read, for messages.

    Raises:
        InvalidRecord: Malformed, or of another algorithm; or shards are missing, overlap or are of other lengths.
    """
    _PREDICATE({name: predicate.get(name) for name in ("serialization", "resources")}, f"$ of {what}")
    serialization = predicate["serialization"]
    algorithm, shard_bytes = serialization["hash_type"], int(serialization["shard_size"])
    shards = sorted(_shard(one, algorithm, shard_bytes, what) for one in predicate["resources"])
    if not shards:
        raise InvalidRecord(f"Expected at least one shard in {what}, found none.")
    expected: dict[str, int] = {}
    for shard in shards:
        start = expected.get(shard.name, 0)
        if shard.start != start or not start < shard.end <= start + shard_bytes or start % shard_bytes:
            raise InvalidRecord(
                f"Expected a shard of {show(shard.name)} in {what} from {start} to at most {start + shard_bytes}, "
                f"found one from {shard.start} to {shard.end}.",
                hint="The shards of a file follow one another, all but the last of the length that the manifest says.",
            )
        expected[shard.name] = shard.end
    return StatedShards(algorithm, shard_bytes, tuple(shards))


def _shard(one: Mapping[str, Any], algorithm: str, shard_bytes: int, what: str) -> Shard:
    match = _NAME.fullmatch(one["name"])
    if match is None:
        raise InvalidRecord(f"Expected NAME:START:END as a shard's name in {what}, found {show(one['name'])}.")
    # A digest of a shard is marked as such, with the length, since it is none of the file.
    if one["algorithm"] != f"{algorithm}-sharded-{shard_bytes}":
        found = show(one["algorithm"])
        raise InvalidRecord(f"Expected {algorithm}-sharded-{shard_bytes} digests in {what}, found {found}.")
    return Shard(match["name"], int(match["start"]), int(match["end"]), bytes.fromhex(one["digest"]))


def _length(value: object, path: str) -> None:
    # The package writes 1000 as 1000.0: its predicates pass through a protobuf Struct, which knows no whole numbers.
    shape.integer(1)(int(value) if isinstance(value, float) and value.is_integer() else value, path)


_PREDICATE = shape.structure(
    {
        "serialization": shape.structure(
            {"method": shape.one_of("shards"), "hash_type": shape.one_of(*ALGORITHMS), "shard_size": _length},
            closed=False,
        ),
        "resources": shape.array(
            shape.structure({"name": shape.text, "algorithm": shape.text, "digest": shape.hex32}, closed=False),
            10_000_000,
        ),
    }
)
