"""The port for content: bytes of any length, named by their digest, that are never held whole in memory.

Records and other small documents pass through :class:`proml.ports.Store`. Both lay out names alike, so that one folder
or bucket can serve as both. An adapter raises only errors of :mod:`proml.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from proml.core.digest import DIGEST_BYTES
from proml.core.manifest import ALGORITHMS
from proml.errors import ProMLError, UnreachableError, UsageError

if TYPE_CHECKING:
    from proml.core.manifest import Algorithm, Manifest

CHUNK_BYTES = 1 << 20
"""How much passes through memory at once, for each thread."""

Chunks: TypeAlias = Generator[bytes, None, None]
"""Bytes one after another; closed by whoever reads them, so that a connection or file is not kept."""

OpenAt: TypeAlias = Callable[[int], Chunks]
"""Gives bytes from an offset on; may be called again."""

Told: TypeAlias = Callable[[int], None]
"""Is told of bytes that were done; a negative number takes back what has to be done again."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """What bytes are called: an algorithm and the digest that it makes of them.

    Attributes:
        algorithm: ``sha256`` or ``blake3``.
        digest: 32 bytes.
    """

    algorithm: Algorithm
    digest: bytes

    def __post_init__(self) -> None:
        """Refuses what is no digest, so that no other text ever becomes a path."""
        if self.algorithm not in ALGORITHMS or len(self.digest) != DIGEST_BYTES:
            raise UsageError(
                f"expected a digest of {DIGEST_BYTES} bytes by {' or '.join(ALGORITHMS)}, found {self.algorithm!r:.20} "
                f"and {len(self.digest)} bytes."
            )

    @property
    def path(self) -> str:
        """Where it is below a root: ``ALGORITHM/ab/cdef…``."""
        digits = self.digest.hex()
        return f"{self.algorithm}/{digits[:2]}/{digits[2:]}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest.hex()}"


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """An object with its length, as a manifest says it."""

    name: ObjectName
    size_bytes: int


def manifest_piece(manifest: Manifest) -> Piece:
    """Returns the manifest's own document as an object: its SHA-256 is the content digest."""
    return Piece(ObjectName("sha256", manifest.digest), len(manifest.bytes))


def file_pieces(manifest: Manifest) -> tuple[Piece, ...]:
    """Returns the distinct objects that a content's files are, largest first."""
    found = {Piece(ObjectName(one.algorithm, one.digest), one.size_bytes) for one in manifest.resources}
    return tuple(sorted(found, key=lambda piece: (-piece.size_bytes, piece.name)))


class SourceFault(UnreachableError):
    """Bytes that are being placed somewhere ended early, came too slowly, or could not be had: not the target's fault.

    Args:
        message: What happened.
        error: What the source raised, if it did.
    """

    def __init__(self, message: str, *, error: ProMLError | None = None) -> None:
        super().__init__(message)
        self.error = error or self


class Contents(Protocol):
    """A place that has content, or takes it; safe for many threads."""

    @property
    def where(self) -> str:
        """Which place it is, for messages, without secrets."""
        ...

    def size(self, name: ObjectName) -> int | None:
        """Returns how many bytes the place says it has under a name; None if it has none. Nothing is read or checked.

        Raises:
            UnreachableError: No answer.
        """
        ...

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields bytes as the place has them, unchecked: whoever reads a whole object compares its digest.

        Args:
            name: Which object.
            offset: Where to begin.
            length: How many bytes at most; None is all.

        Raises:
            NotAvailable: The place does not have it.
            UnreachableError: No answer, or it stopped answering.
        """
        ...

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        """Places an object whole or not at all, after comparing its digest; what is damaged there is replaced.

        Args:
            piece: Which object, and its length.
            open_at: Gives its bytes; called again from elsewhere if the place has a part already, or a wrong one.
            told: Is told how far it is.

        Raises:
            VerificationError: The bytes given have another digest, or are too many; nothing is kept.
            SourceFault: They are too few, come too slowly, or cannot be had.
            UsageError: The place does not take it, or not from us; says why.
            UnreachableError: No answer. What was sent may be continued.
        """
        ...

    def close(self) -> None:
        """Releases files and connections; safe to call twice."""
        ...


def not_there(where: str, name: ObjectName) -> str:
    """Returns the words for an object that a place lacks."""
    return f"{where} does not have {name}."


def read_only(where: str) -> UsageError:
    """Returns the refusal of a place that cannot be written to."""
    return UsageError(f"{where} is only read from.", hint="Name another place with --to; `proml content place list`.")
