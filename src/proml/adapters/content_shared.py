"""What a participant shares: its own files where they are, and what others placed here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from proml.adapters.content_files import read_file
from proml.adapters.sharing_sqlite import identity_text
from proml.contents import not_there
from proml.errors import NotAvailable
from proml.listing import identity_of

if TYPE_CHECKING:
    from proml.adapters.content_folder import FolderContents
    from proml.adapters.sharing_sqlite import SqliteSharing
    from proml.contents import Chunks, ObjectName, OpenAt, Piece, Told


class SharedContents:
    """The :class:`~proml.contents.Contents` of this working folder.

    A shared file that changed since is not given out: its bytes would not be what they are called.

    Args:
        sharing: What is shared from where.
        placed: What others placed here.
        where: The working folder, for messages.
    """

    def __init__(self, sharing: SqliteSharing, placed: FolderContents, where: str) -> None:
        self.where = where
        self._sharing = sharing
        self._placed = placed

    def size(self, name: ObjectName) -> int | None:
        """Returns the length of an object that is shared and unchanged; None if there is none."""
        manifest = self._manifest(name)
        if manifest is not None:
            return len(manifest)
        path = self._path(name)
        return Path(path).stat().st_size if path else self._placed.size(name)

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields an object's bytes; raises NotAvailable."""
        manifest = self._manifest(name)
        if manifest is not None:
            yield manifest[offset:][:length]
            return
        path = self._path(name)
        if path:
            yield from read_file(path, name, self.where, offset, length)
        elif self._placed.size(name) is None:
            raise NotAvailable(not_there(self.where, name))
        else:
            yield from self._placed.read(name, offset, length)

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        """Places an object among what others placed; raises as :class:`FolderContents`."""
        self._placed.put(piece, open_at, told)

    def close(self) -> None:
        """Closes what says what is shared."""
        self._sharing.close()

    def _manifest(self, name: ObjectName) -> bytes | None:
        return self._sharing.manifest(name.digest) if name.algorithm == "sha256" else None

    def _path(self, name: ObjectName) -> str:
        for file in self._sharing.files(name):
            try:
                if identity_text(identity_of(os.lstat(file.path))) == file.identity:
                    return file.path
            except OSError:
                continue
        return ""
