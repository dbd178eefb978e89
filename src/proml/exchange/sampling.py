"""Availability sampling: reads random parts of a content from places that say they have it, and compares them.

A part is a whole file, or a shard of a large one where a list of shards is at hand (OpenSSF Model Signing's method
``shards``), which is made from files that are as agreed. A place that lost or changed a share *f* of the parts is found
with probability 1 - (1 - f)^n by n parts; which ones are asked for, nobody can foresee who does not know the seed.
"""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.contents import ObjectName, Piece, SourceFault, file_pieces
from proml.errors import NotAvailable, ProMLError, VerificationError
from proml.exchange.holdings import Holding, holding
from proml.exchange.transfer import THREADS, Tally, in_parallel
from proml.filling import verified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.contents import Contents
    from proml.core.manifest import Manifest
    from proml.core.shards import StatedShards
    from proml.hashing import Progress

DEFAULT_PARTS = 32
_SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True)
class Part:
    """What is read at once.

    Attributes:
        name: The object that it is of.
        offset: Where it begins.
        piece: Its length, and the digest of its bytes.
    """

    name: ObjectName
    offset: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was found at one place.

    Attributes:
        holding: What it says that it has.
        parts: How many parts were asked for.
        good: How many came as they should.
        wrong: How many came otherwise.
        missing: How many it said that it has, and did not give.
        unreachable: How many times it did not answer.
        faults: The first few in words.
    """

    holding: Holding
    parts: int
    good: int
    wrong: int
    missing: int
    unreachable: int
    faults: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``good``, ``wrong``, ``missing`` (it claims more than it gives), ``unreachable``, ``partial`` or ``none``."""
        if self.wrong:
            return "wrong"
        if self.missing:
            return "missing"
        if self.unreachable or self.holding.error:
            return "unreachable"
        if not self.holding.objects:
            return "none"
        return "good" if self.holding.is_whole else "partial"


def parts_of(manifest: Manifest, shards: StatedShards | None = None) -> list[Part]:
    """Returns the parts of a content in a fixed order: shards of files that have several, other files whole."""
    by_name: dict[str, list[Part]] = {}
    names = {one.name: ObjectName(one.algorithm, one.digest) for one in manifest.resources}
    for shard in shards.shards if shards is not None else ():
        piece = Piece(ObjectName(manifest.algorithm, shard.digest), shard.end - shard.start)
        by_name.setdefault(shard.name, []).append(Part(names[shard.name], shard.start, piece))
    split = {names[name]: parts for name, parts in by_name.items() if len(parts) > 1}
    found: list[Part] = []
    for piece in file_pieces(manifest):
        found += split.get(piece.name, [Part(piece.name, 0, piece)])
    return found


def draw(parts: Sequence[Part], count: int, seed: int) -> list[Part]:
    """Returns ``count`` parts, or all if there are no more; the same for the same seed."""
    return list(parts) if count >= len(parts) else random.Random(seed).sample(parts, count)  # noqa: S311 - repeatable


def chance(parts: int, share: float) -> float:
    """Returns how likely so many parts show that a share of all is lost."""
    return 1 - (1 - share) ** parts


def sample(
    place: Contents, pieces: Sequence[Piece], parts: Sequence[Part], *, threads: int = THREADS,
    progress: Progress | None = None,
) -> Sampled:  # fmt: skip
    """Reads parts from a place and compares them.

    Args:
        place: Which place; what it says is not believed.
        pieces: All objects of the content.
        parts: Those to be read.
        threads: How many at once.
        progress: Is told how far it is.
    """
    said = holding(place, pieces, threads)
    if said.error or not said.objects:
        return Sampled(said, 0, 0, 0, 0, 0, (said.error,) if said.error else ())
    errors: list[ProMLError] = []
    tally = Tally(sum(part.piece.size_bytes for part in parts), progress)

    def read(part: Part) -> None:
        try:
            if place.size(part.name) is None:
                return
            _read(place, part, tally)
        except ProMLError as error:
            errors.append(error)
        else:
            good.append(part)

    good: list[Part] = []
    in_parallel(parts, read, tally, threads)
    wrong = sum(isinstance(error, VerificationError) for error in errors)
    missing = sum(isinstance(error, NotAvailable | SourceFault) for error in errors)
    told = tuple(error.message for error in errors[:_SHOWN_FAULTS])
    return Sampled(said, len(good) + len(errors), len(good), wrong, missing, len(errors) - wrong - missing, told)


def _read(place: Contents, part: Part, tally: Tally) -> None:
    chunks = place.read(part.name, part.offset, part.piece.size_bytes)
    with closing(verified(chunks, part.piece, tally.told)) as passing:
        for _ in passing:
            pass
