"""Tells files of the work from files of the machine: libraries, caches, temporary files, version control.

A pattern without a slash is matched with every part of a path, one with a slash with the whole path relative to the
working folder (or to ``~``, or absolute); what matches a folder matches everything in it. ``*`` stands for anything,
``?`` for one character, ``[…]`` for one of these. The last pattern that matches decides; ``!`` before it keeps what it
matches.
"""

from __future__ import annotations

import os
import tempfile
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture.code import show_path

if TYPE_CHECKING:
    from collections.abc import Iterable

IGNORED = (
    ".proml",
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.py[co]",
    "site-packages",
    "dist-packages",
    "node_modules",
    ".cache",
    ".*_cache",
    ".ipynb_checkpoints",
    "joblib_memmapping_folder_*",
    "*.lock",
    "*.lck",
    "*.pid",
    "*.tmp",
    "*.swp",
    "*~",
    "*.sqlite-journal",
    "*-wal",
    "*-shm",
)
"""Patterns that hold before those of a working folder's configuration and of the command line."""

SYSTEM_FOLDERS = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/run")
"""Left out, unless the working folder is in one of them: then only its own files count there."""


class Filter:
    """Decides which files are of the work.

    Args:
        root: The working folder.
        prefixes: Where interpreters are installed; what is in there is left out as system folders are.
        patterns: Further patterns, in order.
    """

    def __init__(self, root: Path, prefixes: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self._root = root
        self._inside = (str(root) + os.sep, os.path.realpath(root) + os.sep)
        temporary = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - nothing is written there
        outside = [*SYSTEM_FOLDERS, *temporary, *(one for one in prefixes if len(one) > 1)]
        self._outside = tuple(os.path.join(one, "") for one in outside)  # noqa: PTH118 - text, compared as text
        # A folder in the working folder can be an interpreter's, such as .venv.
        self._environments = tuple(
            one for one in self._outside if one.startswith(self._inside) and one not in self._inside
        )
        self._patterns = (*IGNORED, *patterns)
        self._decide = lru_cache(maxsize=1 << 16)(self._matches)

    def shown(self, path: str) -> str:
        """Returns the path as records show it."""
        return show_path(Path(path), self._root)

    def keeps(self, path: str) -> bool:
        """Tells whether a file, given by its absolute path, is of the work."""
        left_out = self._environments if path.startswith(self._inside) else self._outside
        if f"{path}{os.sep}".startswith(left_out):
            return False
        shown = self.shown(path)
        ignored = False
        for pattern in self._patterns:
            keeps = pattern.startswith("!")
            if ignored == keeps and self._decide(pattern[keeps:], shown):
                ignored = not keeps
        return not ignored

    @staticmethod
    def _matches(pattern: str, shown: str) -> bool:
        pattern = pattern.removesuffix("/")
        if "/" not in pattern:
            return any(fnmatchcase(part, pattern) for part in shown.split("/"))
        pattern = pattern.removeprefix("./")
        return fnmatchcase(shown, pattern) or fnmatchcase(shown, f"{pattern}/*")
