"""Lists the files of a folder, as what a manifest can name; refuses what it cannot.

The rules are in :mod:`proml.hashing`, which reads the files.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from proml.core.manifest import SINGLE_FILE, check_resource_name
from proml.core.name import show
from proml.errors import ContentError, InvalidRecord, ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterator

IGNORED_FOLDER = ".proml"
"""The one folder that is left out, at the top of the folder that is hashed."""

_KINDS = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


class Identity(NamedTuple):
    """What tells a file, as it is now, from others and from itself at other times; times in nanoseconds."""

    mode: int
    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file found: its name below the folder, its path, and what tells whether it changed since."""

    name: str
    path: str
    identity: Identity

    @property
    def size_bytes(self) -> int:
        """The file's length."""
        return self.identity.size_bytes


def list_files(root: str, given: str) -> list[Entry]:
    """Returns the files below a folder in a fixed order, or the one file; refuses what a manifest cannot name."""
    status = os.lstat(root)
    if not stat.S_ISDIR(status.st_mode):
        return [_entry(SINGLE_FILE, root, status)]
    found: list[Entry] = []
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        with reading(folder), os.scandir(folder) as children:
            for child in children:
                name = prefix + child.name
                if name == IGNORED_FOLDER and child.is_dir(follow_symlinks=False):
                    continue
                _check_name(name, given)
                with reading(child.path):
                    status = child.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((name + "/", child.path))
                else:
                    found.append(_entry(name, child.path, status))
    if not found:
        raise ContentError(
            f"The folder {show(given)} has no files, so there is no content to name.",
            hint="Put the files there first, or name another path.",
        )
    return sorted(found, key=lambda entry: entry.name)


def _entry(name: str, path: str, status: os.stat_result) -> Entry:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        hint = "Name regular files and folders only."
        if stat.S_ISLNK(status.st_mode):
            hint = "A manifest names bytes, not links: replace it by what it points to (`cp -L`), or move it away."
        raise ContentError(f"Expected a regular file, found {kind}: {show(path, 400)}.", hint=hint)
    return Entry(name, path, identity_of(status))


def identity_of(status: os.stat_result) -> Identity:
    """Returns what a stat call says that would change with the file."""
    return Identity(
        status.st_mode, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def _check_name(name: str, given: str) -> None:
    try:
        check_resource_name(name, f"the folder {show(given)}")
    except InvalidRecord as error:
        raise ContentError(error.message, hint=error.hint) from error


def first_difference(before: list[Entry], after: list[Entry]) -> str:
    """Returns the path of a file that only one of the lists has as it is."""
    return min(set(before) ^ set(after), key=lambda entry: entry.name).path


def changed(path: str) -> ContentError:
    """Returns the refusal of a file that did not hold still."""
    return ContentError(
        f"The file {show(path, 400)} changed while it was read, so its digest would name nothing that exists.",
        hint="Wait until whatever writes it is done, then try again.",
    )


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns the system's errors into ContentError naming the path."""
    try:
        yield
    except ProMLError:
        raise
    except FileNotFoundError as error:
        raise ContentError(f"There is no file or folder {show(path, 400)}.", hint="Check the path.") from error
    except PermissionError as error:
        raise ContentError(
            f"Reading {show(path, 400)} is not permitted.", hint="Ask its owner for permission to read it."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ContentError(f"Reading {show(path, 400)} failed: {reason}.") from error
