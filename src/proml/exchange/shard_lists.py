"""Lists of shards of contents that were at hand once, so that parts of large files can be checked elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from proml.config import make_private_folder, write_atomically
from proml.core.canonical import parse_json
from proml.core.manifest import MAX_BYTES
from proml.core.shards import StatedShards, parse_shards
from proml.errors import ProMLError, VerificationError
from proml.hashing import check_unchanged, find_entries, hash_path
from proml.sharding import hash_shards

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from proml.core.manifest import Manifest
    from proml.hashing import Progress

SHARD_BYTES = 16 << 20
"""Length of the parts of large files that are sampled."""


def read_list(folder: Path, manifest: Manifest) -> StatedShards | None:
    """Returns the list that was kept of a content; None if there is none, or it is broken."""
    path = folder / f"{manifest.digest.hex()}.json"
    try:
        value = parse_json(path.read_bytes(), str(path), max_bytes=MAX_BYTES)
        found = parse_shards(value, str(path)) if isinstance(value, dict) else None
    except (OSError, ProMLError):
        return None
    names = {one.name for one in manifest.resources}
    return (
        found if found and found.algorithm == manifest.algorithm and {s.name for s in found.shards} <= names else None
    )


def make_list(
    folder: Path, manifest: Manifest, path: str | os.PathLike[str], progress: Progress | None = None
) -> StatedShards:
    """Makes and keeps the list of a content from its files; they are read twice, and compared.

    Raises:
        VerificationError: The files are not this content.
        ContentError: They cannot be read, or changed meanwhile.
    """
    given, root, entries = find_entries(path)
    found = hash_path(path, manifest.algorithm, progress=progress)
    if found.digest != manifest.digest:
        raise VerificationError(
            f"expected in {given} the content sha256:{manifest.digest.hex()}, found sha256:{found.digest.hex()}.",
            hint="Name the folder or file that was recorded; `proml verify PATH` says what it is.",
        )
    shards = hash_shards(path, manifest.algorithm, shard_bytes=SHARD_BYTES)
    check_unchanged(entries, root, given)
    made = StatedShards(manifest.algorithm, SHARD_BYTES, shards)
    if shards:  # files without bytes have none
        make_private_folder(folder)
        write_atomically(folder / f"{manifest.digest.hex()}.json", json.dumps(made.to_json()).encode())
    return made
