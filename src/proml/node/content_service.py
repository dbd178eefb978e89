"""What peers can ask of a node about content, without HTTP: sizes, bytes, and room to place something."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proml.adapters.content_folder import FolderContents
from proml.adapters.content_shared import SharedContents
from proml.adapters.sharing_sqlite import SqliteSharing
from proml.errors import ConflictError, LocalStorageError, RefusedError, UnreachableError, VerificationError
from proml.filling import new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.adapters.sharing_sqlite import Peer
    from proml.config import Folder
    from proml.contents import Chunks, ObjectName, OpenAt, Piece

MOST_AT_ONCE = 16
"""Requests of one peer that are answered at once."""
MOST_UPLOADS = 16
"""Objects that come in at once, of all peers."""
MOST_UPLOADS_EACH = 8
"""Objects that come in at once of one peer, so that it leaves room for others however slowly it sends."""


class Busy(UnreachableError):
    """Too much is asked at once; the caller tries again later."""


class ContentService:
    """Answers peers; safe for many threads.

    Args:
        folder: The working folder.
    """

    def __init__(self, folder: Folder) -> None:
        self._sharing = SqliteSharing(folder.sharing_file)
        self._placed = FolderContents(folder.content_folder)
        self._shared = SharedContents(self._sharing, self._placed, "this node")
        self._lock = threading.Lock()
        self._asking: dict[str, int] = {}
        self._uploads: list[str] = []  # of whom

    def close(self) -> None:
        """Closes what says what is shared, with whom; safe to call twice."""
        self._sharing.close()

    def peer(self, token: str) -> Peer | None:
        """Returns whose token it is; None if it is nobody's, or was revoked."""
        return self._sharing.peer_of(token)

    def begin(self, peer: Peer) -> None:
        """Takes note of a request that begins; raises Busy. :meth:`end` follows."""
        with self._lock:
            if self._asking.get(peer.name, 0) >= MOST_AT_ONCE:
                raise Busy(f"{MOST_AT_ONCE} requests of {peer.name} are being answered.", hint="Ask for less at once.")
            self._asking[peer.name] = self._asking.get(peer.name, 0) + 1

    def end(self, peer: Peer) -> None:
        """Takes note of a request that has ended."""
        with self._lock:
            self._asking[peer.name] -= 1
            if not self._asking[peer.name]:
                del self._asking[peer.name]

    def size(self, name: ObjectName) -> int | None:
        """Returns the length of an object that is shared; None if none is."""
        return self._shared.size(name)

    def read(self, name: ObjectName, offset: int, length: int) -> Chunks:
        """Yields bytes of an object; raises NotAvailable."""
        return self._shared.read(name, offset, length)

    def offset(self, peer: Peer, piece: Piece) -> int:
        """Returns how much of an object has come, so that the peer goes on from there.

        Raises:
            RefusedError: The peer may not place it.
        """
        self._sharing.check_room(peer, piece.name, piece.size_bytes)
        return piece.size_bytes if self._is_placed(piece) else self._placed.unfinished(piece.name)

    def put(self, peer: Peer, piece: Piece, offset: int, chunks: Chunks) -> None:
        """Places an object of a peer.

        Args:
            peer: Who places it.
            piece: Which object, and its length.
            offset: Where the bytes begin.
            chunks: The bytes from there to the end.

        Raises:
            RefusedError: The peer may not place it.
            ConflictError: Another part has come meanwhile.
            VerificationError: The bytes have another digest, or those that came before are wrong; all are gone. Or the
                object is here and has another length; it stays.
            SourceFault: They ended early; what came is kept.
        """
        if not peer.may_put:
            raise RefusedError(f"{peer.name} may not place anything here.")
        if self._is_placed(piece):
            return
        with self._uploading(peer):
            self._sharing.reserve(peer, piece.name, piece.size_bytes)
            try:
                self._placed.put(piece, _once_from(chunks, offset), lambda _count: None)
            except VerificationError:
                self._placed.forget_unfinished(piece.name)
                if self._placed.size(piece.name) is None:
                    self._sharing.release(peer, piece.name)
                raise
            except LocalStorageError as error:  # its words name our folders
                raise Busy("the node cannot store it at this moment.", hint="Tell its owner.") from error

    def _is_placed(self, piece: Piece) -> bool:
        """Whether an object is here and unharmed; one that is damaged may be sent again by whoever may place it."""
        name, have_bytes = piece.name, self._placed.size(piece.name)
        if have_bytes is None:
            return False
        hasher = new_hasher(name.algorithm)
        for chunk in self._placed.read(name):
            hasher.update(chunk)
        if hasher.digest() != name.digest:
            return False
        if have_bytes != piece.size_bytes:
            raise VerificationError(
                f"{name} has {have_bytes} bytes, not {piece.size_bytes}.", hint="It is here already."
            )
        return True

    @contextmanager
    def _uploading(self, peer: Peer) -> Iterator[None]:
        with self._lock:
            if len(self._uploads) >= MOST_UPLOADS or self._uploads.count(peer.name) >= MOST_UPLOADS_EACH:
                raise Busy(f"{len(self._uploads)} objects are coming in.", hint="Try again later.")
            self._uploads.append(peer.name)
        try:
            yield
        finally:
            with self._lock:
                self._uploads.remove(peer.name)


def _once_from(chunks: Chunks, offset: int) -> OpenAt:
    """Gives what a peer sends, if that is what is wanted; it cannot be asked for other bytes in the same request."""
    given: list[int] = []

    def open_at(wanted: int) -> Chunks:
        if given:
            raise VerificationError("What had come of it was wrong, and is gone.", hint="Send it from its beginning.")
        if wanted != offset:
            raise ConflictError(
                f"expected the bytes from {wanted} on, found those from {offset} on.", hint="Ask again."
            )
        given.append(wanted)
        return chunks

    return open_at
