"""Reads files and folders and names their content by a manifest.

Files are read as bytes and never interpreted. What cannot be named truthfully is refused with ContentError: a symlink
inside a folder, a device, pipe or socket, a name that is not UTF-8 or holds control characters, a file that changes
while it is read. Nothing is left out silently but a top-level ``.proml`` folder, ProML's own.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TypeAlias

from proml.core.manifest import Algorithm, Manifest

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in total; one call at a time, from any thread."""


def hash_path(
    path: str | PathLike[str],
    algorithm: Algorithm = "sha256",
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Manifest:
    """Returns the manifest of a file or folder.

    Args:
        path: A file (one resource named ``.``) or a folder. A symlink given here is followed, none inside is.
        algorithm: ``sha256`` or ``blake3``.
        progress: Told how far it is.
        threads: How many files are hashed at once (``blake3``: threads on each file too); None is one per core, at
            most 8.

    Raises:
        ContentError: Something cannot be read, is of an unsupported type, or changed meanwhile; the message names it.
    """
    raise NotImplementedError
