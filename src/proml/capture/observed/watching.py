"""Watches folders whatever program writes into them: names, sizes and times before and after."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.capture.observed.reading import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FILES_LIMIT = 100_000
"""More files than this are not looked at, in all watched folders together."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Regular files below some folders, by absolute path.

    Attributes:
        is_cut: There are more.
    """

    files: Mapping[str, Stamp] = field(default_factory=dict)
    is_cut: bool = False


def look(folders: Iterable[str], keeps: Callable[[str], bool]) -> Snapshot:
    """Looks at all files below some folders; links are not followed, what cannot be read is left out.

    Args:
        folders: Absolute paths; one that does not exist has no files.
        keeps: Tells of a path whether it counts; a folder that does not is not entered.
    """
    found: dict[str, Stamp] = {}
    waiting = list(folders)
    while waiting:
        try:
            children = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for child in children:
            if not keeps(child.path):
                continue
            if len(found) >= FILES_LIMIT:
                return Snapshot(found, is_cut=True)
            try:
                if child.is_dir(follow_symlinks=False):
                    waiting.append(child.path)
                elif child.is_file(follow_symlinks=False):
                    status = child.stat(follow_symlinks=False)
                    found[child.path] = Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            except OSError:
                continue
    return Snapshot(found)


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    """Returns the files that are new or were written to, by name; a changed mode or name alone is no new content."""
    known = before.files
    # What was not looked at before cannot be told from what is new.
    found = (item for item in after.files.items() if item[0] in known or not before.is_cut)
    return sorted(path for path, stamp in found if _content(known.get(path)) != _content(stamp))


def _content(stamp: Stamp | None) -> tuple[int, int, int] | None:
    return (stamp.size_bytes, stamp.mtime_ns, stamp.inode) if stamp else None
