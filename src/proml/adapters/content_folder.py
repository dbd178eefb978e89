"""Content in a local folder, laid out as records are: ``ROOT/ALGORITHM/ab/cdef…``.

What is underway is beside it as ``.unfinished-…``, and is continued by whoever places the same object next.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from proml.adapters.content_files import read_file, unreadable
from proml.adapters.store_folder import sync_folder
from proml.filling import filled, writing

if TYPE_CHECKING:
    import os

    from proml.contents import Chunks, ObjectName, OpenAt, Piece, Told

_UNFINISHED = ".unfinished-"


class FolderContents:
    """The :class:`~proml.contents.Contents` in a local folder; safe for many processes.

    Args:
        root: The folder; made when something is first placed.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root).absolute()
        self.where = str(self._root)

    def size(self, name: ObjectName) -> int | None:
        """Returns the length of the file under a name; None if there is none."""
        path = self._root / name.path
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(path, error) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields a file's bytes.

        Raises:
            NotAvailable: There is none.
            LocalStorageError: It cannot be read.
        """
        return read_file(self._root / name.path, name, self.where, offset, length)

    def unfinished(self, name: ObjectName) -> int:
        """Returns how many bytes of an object have come that is not whole yet."""
        try:
            return self._partial(name).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise unreadable(self._partial(name), error) from error

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        """Places an object durably; what came of it before is continued, and checked with the rest.

        Raises:
            VerificationError: The bytes given have another digest.
            UnreachableError: They end too early; what came is kept.
            ConflictError: Another process places it at this moment.
            LocalStorageError: The disk is full or not writable.
        """
        path, partial = self._root / piece.name.path, self._partial(piece.name)
        is_new = not path.parent.is_dir()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with filled(partial, piece, open_at, told), writing(path):
            partial.replace(path)
            # The names themselves have to be on disk too: the object's, and those of folders just made.
            above = (path.parent.parent, path.parent.parent.parent) if is_new else ()
            for folder in (path.parent, *above):
                sync_folder(folder)

    def forget_unfinished(self, name: ObjectName) -> None:
        """Removes what has come of an object that is not whole yet."""
        with writing(self._root):
            self._partial(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is held."""

    def _partial(self, name: ObjectName) -> Path:
        path = self._root / name.path
        return path.with_name(f"{_UNFINISHED}{path.name}")
