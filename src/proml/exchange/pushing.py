"""Pushes a content to a place: what it lacks, from a folder or from other places; and makes copies in n places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.contents import file_pieces, manifest_piece
from proml.errors import ProMLError, UnreachableError, UsageError, VerificationError
from proml.exchange.holdings import Holding, holding, sizes
from proml.exchange.transfer import THREADS, Sources, Tally, in_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.contents import Contents, Piece
    from proml.core.manifest import Manifest
    from proml.hashing import Progress
    from proml.listing import Entry


@dataclass(frozen=True, slots=True)
class Pushing:
    """How to push.

    Attributes:
        with_names: Also place the manifest, which has the files' names.
        threads: How many objects at once.
        progress: Is told how far it is.
        anew: Also send what the place says that it has, in place of what may be damaged there.
    """

    with_names: bool = True
    threads: int = THREADS
    progress: Progress | None = None
    anew: bool = False


DEFAULT = Pushing()


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push.

    Attributes:
        where: The place.
        objects: How many the content has: distinct files, and the manifest.
        there: How many the place said that it has already.
        sent_bytes: Length of the others.
        faults: What sources did wrong, in words.
    """

    where: str
    objects: int
    there: int
    sent_bytes: int
    faults: Mapping[str, Sequence[str]]


def pieces_of(manifest: Manifest, *, with_names: bool = True) -> tuple[Piece, ...]:
    """Returns the objects of a content: the manifest first, then the files."""
    return ((manifest_piece(manifest),) if with_names else ()) + file_pieces(manifest)


def push(manifest: Manifest, sources: Sequence[Contents], target: Contents, how: Pushing = DEFAULT) -> Pushed:
    """Has a place take what it lacks of a content; may be killed at any moment and repeated.

    Args:
        manifest: What to push.
        sources: Where to take it from; the first is asked first. The manifest itself is among them.
        target: The place.
        how: How.

    Raises:
        VerificationError: A source's bytes are not what the manifest says, and no other has them.
        UnreachableError: The place does not answer, or no source does.
        UsageError: The place does not take it.
    """
    pieces = pieces_of(manifest, with_names=how.with_names)
    found = {} if how.anew else sizes(target, pieces, how.threads)
    missing = [piece for piece in pieces if found.get(piece) != piece.size_bytes]
    total_bytes = sum(piece.size_bytes for piece in missing)
    given, tally = Sources(sources), Tally(total_bytes, how.progress)

    def send(piece: Piece) -> None:
        given.take(piece, lambda open_at: target.put(piece, open_at, tally.told))

    tally.told(0)
    if missing and missing[0] == manifest_piece(manifest):
        send(missing[0])
        in_parallel(missing[1:], send, tally, how.threads)
    else:
        in_parallel(missing, send, tally, how.threads)
    return Pushed(target.where, len(pieces), len(pieces) - len(missing), total_bytes, given.faults())


@dataclass(frozen=True, slots=True)
class Replicated:
    """What became of a replication.

    Attributes:
        holdings: What each place has now.
        pushed: What was pushed.
        refused: Why places were passed over, by their names.
    """

    holdings: Sequence[Holding]
    pushed: Sequence[Pushed]
    refused: Mapping[str, str]

    @property
    def copies(self) -> int:
        """How many places say that they have everything."""
        return sum(one.is_whole for one in self.holdings)


def replicate(
    manifest: Manifest, sources: Sequence[Contents], places: Sequence[Contents], copies: int, how: Pushing = DEFAULT
) -> Replicated:
    """Pushes a content until n places have all of it, in the order in which they are given.

    Args:
        manifest: The content.
        sources: Where to take it from beside the places.
        places: Where it may go.
        copies: How many places should have it.
        how: How.

    Raises:
        VerificationError: A source's bytes are not what the manifest says, and no other has them.
    """
    pieces = pieces_of(manifest, with_names=how.with_names)
    holdings = {place.where: holding(place, pieces, how.threads) for place in places}
    refused = {where: one.error for where, one in holdings.items() if one.error}
    pushed: list[Pushed] = []
    for place in places:
        whole = [one for one in places if holdings[one.where].is_whole]
        if len(whole) >= copies or place in whole or place.where in refused:
            continue
        partly = [one for one in places if one not in whole and holdings[one.where].objects and one is not place]
        try:
            pushed.append(push(manifest, [*sources, *whole, *partly], place, how))
        except VerificationError:
            raise
        except (UnreachableError, UsageError) as error:
            refused[place.where] = error.message
        holdings[place.where] = holding(place, pieces, how.threads)
    return Replicated([holdings[place.where] for place in places], pushed, refused)


def check_listing(manifest: Manifest, entries: Sequence[Entry], shown: str) -> None:
    """Compares a folder's listing with a manifest, so that a wrong folder is seen before anything is sent.

    Raises:
        VerificationError: Names or sizes differ.
    """
    expected = {one.name: one.size_bytes for one in manifest.resources}
    found = {entry.name: entry.size_bytes for entry in entries}
    if expected == found:
        return
    name = min(set(expected.items()) ^ set(found.items()))[0]
    told = {name: f"{size} bytes" for name, size in expected.items()}.get(name, "no such file")
    there = {name: f"{size} bytes" for name, size in found.items()}.get(name, "no such file")
    raise VerificationError(
        f"{shown} is not this content: expected of {name!r} {told}, found {there}.",
        hint="Name the folder or file that was recorded; `proml verify PATH` says what it is.",
    )


def not_enough(found: Replicated, copies: int) -> ProMLError:
    """Returns the error for too few copies."""
    told = "; ".join(f"{where}: {message}" for where, message in found.refused.items())
    return UnreachableError(
        f"expected {copies} copies, found {found.copies}.{' ' + told if told else ''}",
        hint="Make more places known (`proml content place add NAME URL`), and repeat the command.",
    )
