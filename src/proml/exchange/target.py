"""The file or folder that a content is fetched into.

Names come from a manifest that somebody else wrote. They are walked down one by one from the folder, by descriptors,
and no symbolic link is followed on the way, so that none leads elsewhere, whoever changes the folder meanwhile.
What is there already is never replaced unless that was asked for, also where the file system takes ``A`` for ``a``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proml.config import DOT_FOLDER
from proml.contents import CHUNK_BYTES, file_pieces
from proml.core.manifest import SINGLE_FILE
from proml.core.name import show
from proml.errors import ContentError
from proml.filling import new_hasher, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.contents import Piece, Told
    from proml.core.manifest import Manifest, Resource

_PARTIAL = "partial"
_GIT = ".git"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Target:
    """Where the files of one content go.

    Args:
        path: The folder, or the file's own path if the content is a single file; made if it is not there.
        manifest: The files.
        overwrite: Replace files that are there with other bytes.

    Raises:
        ContentError: The path is a file where a folder is wanted, or the reverse; or a file may not be named so here.
        LocalStorageError: It cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], manifest: Manifest, *, overwrite: bool = False) -> None:
        given = Path(path).absolute()
        single = manifest.resources[0].name == SINGLE_FILE and len(manifest.resources) == 1
        if single and given.is_dir():
            raise ContentError(
                f"this content is a single file, and {given} is a folder.", hint=f"Name a file: -o {given}/NAME."
            )
        self._root = given.parent if single else given
        self._single = given.name if single else ""
        self._overwrite = overwrite
        self._manifest = manifest
        with writing(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
        self._partial = self._root if single else self._root / DOT_FOLDER / _PARTIAL
        self._own = not single and self._is_own()
        if not single:
            self._make_partial_folder()
            self._check_names(manifest)

    def partial(self, piece: Piece) -> Path:
        """Returns where an object is put together: on the same file system, and not a file of the content."""
        name = f"{piece.name.algorithm}-{piece.name.digest.hex()}"
        return self._partial / (f".{name}.partial" if self._single else name)

    def has(self, resource: Resource, told: Told) -> bool | None:
        """Tells whether a file is there as it should be: None if there is nothing, false if it is something else.

        Raises:
            ContentError: A part of its path is no folder, or it cannot be read.
        """
        with self._folder_of(resource.name, make=False) as (folder, leaf):
            if folder is None:
                return None
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                descriptor = os.open(leaf, flags, dir_fd=folder)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise ContentError(
                        f"{self._shown(resource.name)} has a name that is too long for this file system.",
                        hint="Fetch it to a file system that takes longer names.",
                    ) from error
                return False
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != resource.size_bytes:
                os.close(descriptor)
                return False
            with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - by descriptor
                hasher = new_hasher(resource.algorithm)
                while data := file.read(CHUNK_BYTES):
                    hasher.update(data)
                    told(len(data))
                if hasher.digest() == resource.digest:
                    return True
                told(-resource.size_bytes)
                return False

    def place(self, whole: Path, name: str) -> None:
        """Gives a file its name. Its bytes are on disk before; if its name is lost by a power cut, it is fetched again.

        Raises:
            ContentError: Something is there meanwhile, or a part of its path is no folder.
            LocalStorageError: The folder cannot be written.
        """
        with self._folder_of(name, make=True) as (folder, leaf), writing(self._shown(name)):
            assert folder is not None
            if self._overwrite:
                self._replace(whole, folder, leaf, name)
            else:
                self._place_new(whole, folder, leaf, name)

    def copy(self, whole: Path, name: str) -> None:
        """Places the same bytes under another name."""
        copy = _copy_of(whole)
        with writing(copy):
            copy.unlink(missing_ok=True)  # it may be a file of the content by now, see finish
        with writing(copy), whole.open("rb") as source, copy.open("xb") as file:
            shutil.copyfileobj(source, file, CHUNK_BYTES)
            file.flush()
            os.fsync(file.fileno())
        self.place(copy, name)

    def finish(self) -> None:
        """Removes what was needed on the way; other contents' partial files stay.

        A process that was killed between naming a file and removing its partial name has left the same file under
        both; what is named twice is no partial file any more.
        """
        for piece in file_pieces(self._manifest):
            for path in (self.partial(piece), _copy_of(self.partial(piece))):
                with contextlib.suppress(OSError):
                    if path.lstat().st_nlink > 1:
                        path.unlink()
        if not self._single:
            self._marker.unlink(missing_ok=True)
            for folder in (self._partial, self._partial.parent):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def shown(self, resource: Resource) -> str:
        """Returns a file's path, for messages."""
        return self._shown(resource.name)

    @property
    def _marker(self) -> Path:
        return self._partial / f"{self._manifest.digest.hex()}.own"

    def _is_own(self) -> bool:
        """Whether the folder was empty when this content was first fetched into it."""
        with writing(self._root):
            return self._marker.exists() or not any(self._root.iterdir())

    def _make_partial_folder(self) -> None:
        with writing(self._partial):
            for folder in (self._partial.parent, self._partial):
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
                if not stat.S_ISDIR(os.lstat(folder).st_mode):
                    raise ContentError(f"expected a folder at {folder}, found something else.", hint="Move it away.")
            if self._own:
                self._marker.touch()

    def _check_names(self, manifest: Manifest) -> None:
        blind = is_case_blind(self._partial)
        seen: dict[str, str] = {}
        for one in manifest.resources:
            segments = [_folded(segment) for segment in one.name.split("/")]
            if DOT_FOLDER in segments:
                raise ContentError(
                    f"the content has a file {show(one.name)}: a working folder of somebody else's, by which commands "
                    "given in there would go.",
                    hint="It is fetched nowhere. Ask its owner to record the content without that folder.",
                )
            if _GIT in segments and not self._own:
                raise ContentError(
                    f"the content has a file {show(one.name)}, which would change how programs work in {self._root}.",
                    hint="Fetch it into a new folder, and look at that file first.",
                )
            other = seen.setdefault("/".join(segments) if blind else one.name, one.name)
            if other != one.name:
                raise ContentError(
                    f"the content has files {show(other)} and {show(one.name)}, which are one on this file system.",
                    hint="Fetch it to a file system that tells capital letters from small ones.",
                )

    @contextmanager
    def _folder_of(self, name: str, *, make: bool) -> Iterator[tuple[int | None, str]]:
        """Opens the folder that a file is in; None if it is not there and is not to be made."""
        *folders, leaf = [self._single] if self._single else name.split("/")
        with writing(self._root):
            current: int | None = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in folders:
                assert current is not None
                below = self._open_below(current, segment, name, make=make)
                os.close(current)
                current = below
                if current is None:
                    break
            yield current, leaf
        finally:
            if current is not None:
                os.close(current)

    def _open_below(self, folder: int, segment: str, name: str, *, make: bool) -> int | None:
        if make:
            with writing(self._shown(name)), contextlib.suppress(FileExistsError):
                os.mkdir(segment, dir_fd=folder)
        try:
            return os.open(segment, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ContentError(
                f"expected a folder {show(segment)} on the way to {self._shown(name)}, found something else: "
                f"{error.strerror or error}.",
                hint="Symbolic links are not followed. Move it away, or fetch into another folder.",
            ) from error

    def _replace(self, whole: Path, folder: int, leaf: str, name: str) -> None:
        try:
            os.rename(whole, leaf, dst_dir_fd=folder)
        except IsADirectoryError:
            raise ContentError(
                f"the content has a file {self._shown(name)}, and a folder is there.",
                hint="Move the folder away: it is not replaced, since files may be in it that are nowhere else.",
            ) from None

    def _place_new(self, whole: Path, folder: int, leaf: str, name: str) -> None:
        try:
            try:
                os.link(whole, leaf, dst_dir_fd=folder, follow_symlinks=False)  # fails where a rename would overwrite
            except FileExistsError:
                raise
            except OSError:
                # A file system without hard links: reserve the name, then rename over the reservation.
                os.close(os.open(leaf, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
                os.rename(whole, leaf, dst_dir_fd=folder)
            else:
                whole.unlink(missing_ok=True)
        except FileExistsError:
            raise ContentError(
                f"{self._shown(name)} came into being while it was fetched, and is not replaced.",
                hint="Move it away, or repeat the command with --overwrite.",
            ) from None

    def _shown(self, name: str) -> str:
        return str(self._root / (self._single or name))


def is_case_blind(folder: Path) -> bool:
    """Tells whether the file system of a folder takes capital letters for small ones."""
    return folder.with_name(folder.name.upper()).exists()


def _copy_of(whole: Path) -> Path:
    return whole.with_name(f"{whole.name}.copy")


def _folded(segment: str) -> str:
    return unicodedata.normalize("NFC", segment).casefold()
