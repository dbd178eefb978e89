"""Which place says that it has what of a content. It is only what they say: see sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.errors import ProMLError
from proml.exchange.transfer import THREADS, Tally, in_parallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proml.contents import Contents, Piece


@dataclass(frozen=True, slots=True)
class Holding:
    """What a place says that it has of a content.

    Attributes:
        where: The place.
        objects: How many objects it has, with the right length.
        of_objects: How many there are.
        has_bytes: Length of those that it has.
        of_bytes: Length of all.
        error: Why nothing is known; empty if it answered.
    """

    where: str
    objects: int
    of_objects: int
    has_bytes: int
    of_bytes: int
    error: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it says that it has everything."""
        return not self.error and self.objects == self.of_objects


def sizes(place: Contents, pieces: Iterable[Piece], threads: int = THREADS) -> Mapping[Piece, int | None]:
    """Returns what length a place says each object has; None if it has none; raises UnreachableError."""
    found: dict[Piece, int | None] = {}

    def look(piece: Piece) -> None:
        found[piece] = place.size(piece.name)

    in_parallel(pieces, look, Tally(0), threads)
    return found


def holding(place: Contents, pieces: Sequence[Piece], threads: int = THREADS) -> Holding:
    """Returns what a place says that it has; a place that does not answer is told, not raised."""
    total_bytes = sum(piece.size_bytes for piece in pieces)
    try:
        found = sizes(place, pieces, threads)
    except ProMLError as error:
        return Holding(place.where, 0, len(pieces), 0, total_bytes, error.message)
    has = [piece for piece in pieces if found[piece] == piece.size_bytes]
    return Holding(place.where, len(has), len(pieces), sum(piece.size_bytes for piece in has), total_bytes)
