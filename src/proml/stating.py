"""Names a content by digests that were made elsewhere, without reading it.

Nothing vouches for such digests but who hands them in, so records say that they were stated and not computed. What can
be checked without reading is: the files are those that are listed, with the sizes that are listed.

Digests of shards are another matter: what names a content does not follow from them. Such a list is compared with the
bytes, which are read and hashed as ever.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from proml.core.manifest import MAX_BYTES, SINGLE_FILE, Resource
from proml.core.name import show
from proml.core.shards import Shard, StatedShards
from proml.core.stated import Stated, StatedFile, parse_stated
from proml.errors import ContentError
from proml.hashing import Hashed, check_unchanged, find_entries, hash_content, hash_path, manifest_of
from proml.listing import reading
from proml.sharding import hash_shards

if TYPE_CHECKING:
    from os import PathLike

    from proml.listing import Entry

_SHOWN = 3


def state_content(path: str | PathLike[str] | None, file: str | PathLike[str]) -> Hashed:
    """Returns the content that a list of digests states.

    Args:
        path: The file or folder that it is about; names in the list are relative to the folder, or begin with this
            path. Sizes are taken from there; nothing is read, but the list itself where it is one of the files. None if
            the content is not at hand: then the list must have sizes.
        file: See :func:`proml.core.stated.parse_stated`.

    Raises:
        ContentError: The list cannot be read, or the files there are not those that it lists.
        InvalidRecord: The list is malformed.
    """
    shown = os.fsdecode(file)
    with reading(shown), Path(file).open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    stated = parse_stated(data, show(shown, 400))
    if isinstance(stated, StatedShards):
        return _read_and_compared(path, stated, file)
    if path is None:
        return _without_files(stated, shown)
    given, root, entries = find_entries(path)
    by_name = _match(stated, entries, given)
    resources = []
    computed = 0
    for entry in entries:
        if entry.name not in by_name and Path(entry.path).samefile(file):
            (only,) = hash_path(entry.path, stated.algorithm).resources
            resources.append(replace(only, name=entry.name))
            computed += 1
        else:
            resources.append(_resource(stated, entry, by_name.get(entry.name), shown))
    missing = sorted(by_name.keys() - {entry.name for entry in entries})
    if missing:
        raise ContentError(
            f"{show(shown, 400)} lists {_names(missing)}, which {show(given, 400)} does not have.",
            hint="Name the folder that the list is about.",
        )
    check_unchanged(entries, root, given)
    return Hashed(manifest_of(resources, stated.algorithm), computed, stated=len(resources) - computed)


def _read_and_compared(path: str | PathLike[str] | None, stated: StatedShards, file: str | PathLike[str]) -> Hashed:
    shown = show(os.fsdecode(file), 400)
    if path is None:
        raise ContentError(
            f"{shown} lists digests of shards, from which those of the files do not follow.",
            hint="Name the file or folder too: it is read, and compared with the list.",
        )
    given, root, entries = find_entries(path)
    listed = {shard.name for shard in stated.shards}
    is_file = [entry.name for entry in entries] == [SINGLE_FILE] and len(listed) == 1
    wanted = {(SINGLE_FILE if is_file else one.name, one.start, one.end): one.digest for one in stated.shards}
    for shard in hash_shards(path, stated.algorithm, shard_bytes=stated.shard_bytes):
        place = (shard.name, shard.start, shard.end)
        known = wanted.pop(place, None)
        where = next(entry.path for entry in entries if entry.name == shard.name)
        if known is None and shard.name not in listed and not is_file and Path(where).samefile(file):
            continue  # the list itself, which cannot list itself
        if known != shard.digest:
            raise _differs(shown, where, shard, known)
    if wanted:
        raise ContentError(
            f"{shown} lists bytes {min(wanted)[1]} to {min(wanted)[2]} of {show(min(wanted)[0])}, which "
            f"{show(given, 400)} does not have.",
            hint="Name the file or folder that the list is about.",
        )
    hashed = hash_content(path, stated.algorithm)
    check_unchanged(entries, root, given)
    return hashed


def _differs(shown: str, path: str, shard: Shard, known: bytes | None) -> ContentError:
    said = "nothing" if known is None else known.hex()
    return ContentError(
        f"Expected what {shown} says of bytes {shard.start} to {shard.end} of {show(path, 400)}: {said}; "
        f"found {shard.digest.hex()}.",
        hint="The file is not the one that the list is about, or it was changed since.",
    )


def _without_files(stated: Stated, shown: str) -> Hashed:
    resources = []
    for name, one in stated.files.items():
        if one.size_bytes is None:
            raise ContentError(
                f"{show(shown, 400)} has no sizes, and a content's name needs them.",
                hint="Name the file or folder too: sizes are taken from there, and nothing is read.",
            )
        resources.append(Resource(name, stated.algorithm, one.digest, one.size_bytes))
    return Hashed(manifest_of(resources, stated.algorithm), 0, stated=len(resources))


def _match(stated: Stated, entries: list[Entry], given: str) -> dict[str, StatedFile]:
    """Returns what is stated, by the names that the files have in a manifest."""
    if [entry.name for entry in entries] == [SINGLE_FILE]:
        base = Path(given).name
        found = [one for name, one in stated.files.items() if name == SINGLE_FILE or name.rpartition("/")[2] == base]
        return {SINGLE_FILE: found[0]} if len(found) == 1 else {}
    prefix = os.path.normpath(given) + "/"
    if all(name.startswith(prefix) for name in stated.files):
        return {name.removeprefix(prefix): one for name, one in stated.files.items()}
    return dict(stated.files)


def _resource(stated: Stated, entry: Entry, one: StatedFile | None, shown: str) -> Resource:
    if one is None:
        raise ContentError(
            f"{show(entry.path, 400)} is there and not listed, or not once, in {show(shown, 400)}.",
            hint="Make the list of all files anew, or move the file away.",
        )
    if one.size_bytes not in {None, entry.size_bytes}:
        raise ContentError(
            f"{show(shown, 400)} says that {show(entry.path, 400)} has {one.size_bytes} bytes, "
            f"and it has {entry.size_bytes}.",
            hint="Make the list anew.",
        )
    return Resource(entry.name, stated.algorithm, one.digest, entry.size_bytes)


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(show(name) for name in names[:_SHOWN]) + more
