"""Manifests: the list of files, with their digests, that names a file's or folder's content.

The form is the predicate of an OpenSSF Model Signing 1.0 statement (``https://model_signing/signature/v1.0``, method
``files``) with each file's size added, which that format lets verifiers ignore. The *content digest*, the one on
chain, is SHA-256 over the manifest's canonical JSON: it commits to the list of files itself. The format's own root
digest hashes the files' digests alone, so it does not commit to their names; it is computed for exchange only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from proml.core import shape
from proml.core.canonical import JSON, canonical_json, parse_json
from proml.core.digest import DIGEST_BYTES, format_digest, sha256
from proml.core.name import deceptive_character, describe_character, show
from proml.errors import InvalidRecord

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable

Algorithm: TypeAlias = Literal["sha256", "blake3"]
ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "blake3")

SINGLE_FILE = "."
"""Name of the only resource when the content is one file: Model Signing's, so a renamed file stays the same content."""

MAX_BYTES = 512 * 1024 * 1024
MAX_NAME_BYTES = 4096
MAX_RESOURCES = 10_000_000
INLINE_RESOURCES = 5000
"""Records carry manifests of at most this many files; larger ones are stored by themselves, under their digest."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One file.

    Attributes:
        name: Path below the folder, segments separated by ``/``; ``.`` when the content is a single file.
        algorithm: ``sha256`` or ``blake3``.
        digest: 32 bytes.
        size_bytes: The file's length.
    """

    name: str
    algorithm: Algorithm
    digest: bytes
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The files of one content, in the order of the Model Signing specification: by name, code point by code point.

    Made by :meth:`of` or read by :meth:`from_json` and :meth:`from_bytes`, which check it.

    Attributes:
        resources: At least one; sorted by name, names distinct.
        algorithm: The one algorithm of all digests.
        method: How files became resources; always one resource for each file.
    """

    resources: tuple[Resource, ...]
    algorithm: Algorithm = "sha256"
    method: str = "files"

    @classmethod
    def of(cls, resources: Iterable[Resource], algorithm: Algorithm = "sha256") -> Manifest:
        """Returns the manifest of files given in any order.

        Raises:
            InvalidRecord: There are none, a name is malformed or occurs twice, or algorithms are mixed.
        """
        ordered = tuple(sorted(resources, key=lambda resource: resource.name))
        _check_resources(ordered, algorithm, "the manifest")
        return cls(ordered, algorithm)

    @classmethod
    def from_json(cls, value: object, path: str = "$") -> Manifest:
        """Returns the manifest that :meth:`to_json` wrote.

        Args:
            value: The JSON value.
            path: Its JSON path, for messages.

        Raises:
            InvalidRecord: Malformed, not sorted, or of an unknown method or algorithm.
        """
        _SHAPE(value, path)
        fields = cast("dict[str, Any]", value)
        algorithm = fields["serialization"]["hash_type"]
        resources = tuple(
            Resource(one["name"], one["algorithm"], bytes.fromhex(one["digest"]), one["size_bytes"])
            for one in fields["resources"]
        )
        _check_resources(resources, algorithm, path)
        return cls(resources, algorithm)

    @classmethod
    def from_bytes(cls, data: builtins.bytes, what: str = "the manifest") -> Manifest:
        """Returns the manifest whose canonical JSON this is.

        Args:
            data: What :attr:`bytes` returned.
            what: What is being read, for messages.

        Raises:
            InvalidRecord: Malformed or not canonical.
        """
        manifest = cls.from_json(parse_json(data, what, max_bytes=MAX_BYTES))
        if manifest.bytes != data:
            raise InvalidRecord(
                f"Expected canonical JSON (RFC 8785) in {what}, found the same values written otherwise."
            )
        return manifest

    def to_json(self) -> dict[str, JSON]:
        """Returns the manifest as JSON: ``serialization`` and ``resources`` of the Model Signing predicate."""
        return {
            "serialization": {"method": self.method, "hash_type": self.algorithm, "allow_symlinks": False},
            "resources": [
                {
                    "name": resource.name,
                    "algorithm": resource.algorithm,
                    "digest": resource.digest.hex(),
                    "size_bytes": resource.size_bytes,
                }
                for resource in self.resources
            ],
        }

    @cached_property
    def bytes(self) -> builtins.bytes:
        """The canonical JSON, whose SHA-256 is :attr:`digest`; what a store holds."""
        return canonical_json(self.to_json())

    @cached_property
    def digest(self) -> builtins.bytes:
        """The content digest on chain."""
        return sha256(self.bytes)

    @property
    def size_bytes(self) -> int:
        """Length of all files together."""
        return sum(resource.size_bytes for resource in self.resources)

    def oms_root(self, order: Literal["spec", "reference"] = "spec") -> builtins.bytes:
        """Returns the subject digest of a Model Signing statement: SHA-256 over the files' digests, concatenated.

        Args:
            order: ``spec`` sorts by name as text; ``reference``, what ``model_signing`` 1.1.1 does, by path component.
        """
        resources = self.resources
        if order == "reference":
            resources = tuple(sorted(resources, key=lambda resource: resource.name.split("/")))
        return hashlib.sha256(b"".join(resource.digest for resource in resources)).digest()

    def to_record_field(self) -> dict[str, JSON]:
        """Returns what a record says under ``content``.

        That is the manifest itself; beyond :data:`INLINE_RESOURCES` files it is ``digest``, ``files`` and
        ``size_bytes``, and the manifest's :attr:`bytes` belong into the stores, where the digest finds them.
        """
        if len(self.resources) <= INLINE_RESOURCES:
            return self.to_json()
        return {"digest": format_digest(self.digest), "files": len(self.resources), "size_bytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class Difference:
    """How a content found differs from the one expected; false if it does not. All names are sorted."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.added)

    def describe(self, limit: int = 10) -> str:
        """Returns the difference in words, for example ``1 file changed: 'a.csv'; 12 files added: 'b', … and 2 more``.

        Args:
            limit: How many names of each kind are shown at most.
        """
        parts = []
        for verb, names in (("changed", self.changed), ("missing", self.missing), ("added", self.added)):
            if names == (SINGLE_FILE,):
                parts.append(f"the file itself is {verb}" if verb != "changed" else "the file's bytes changed")
            elif names:
                shown = ", ".join(show(name) for name in names[:limit])
                more = f" and {len(names) - limit} more" if len(names) > limit else ""
                parts.append(f"{len(names)} file{'s' if len(names) > 1 else ''} {verb}: {shown}{more}")
        return "; ".join(parts) or "no difference"


def difference(expected: Manifest, found: Manifest) -> Difference:
    """Compares two manifests of the same algorithm by the files' digests.

    Raises:
        InvalidRecord: The algorithms differ, so the digests cannot be compared.
    """
    if expected.algorithm != found.algorithm:
        raise InvalidRecord(
            f"Expected a manifest with {expected.algorithm} digests, found one with {found.algorithm}.",
            hint=f"Hash the files with {expected.algorithm}.",
        )
    before = {resource.name: (resource.digest, resource.size_bytes) for resource in expected.resources}
    after = {resource.name: (resource.digest, resource.size_bytes) for resource in found.resources}
    return Difference(
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
        missing=tuple(sorted(before.keys() - after.keys())),
        added=tuple(sorted(after.keys() - before.keys())),
    )


def check_resource_name(name: str, where: str) -> None:
    """Refuses a name that is no path below a folder, or that shows as something else.

    Names are taken as they are on disk, in any script and not normalised; control characters, line feeds included,
    bidirectional marks and bytes that are not UTF-8 are refused.

    Args:
        name: The file's path below the folder, segments separated by ``/``.
        where: What holds it, for the message.

    Raises:
        InvalidRecord: It is malformed.
    """
    character = deceptive_character(name)
    if character is not None:
        raise InvalidRecord(
            f"The file name {show(name)} in {where} has {describe_character(character)}.",
            hint="Rename the file: control characters, bidirectional marks and bytes that are not UTF-8 are refused.",
        )
    if any(segment in {"", ".", ".."} for segment in name.split("/")):
        raise InvalidRecord(f"Expected a path below the folder in {where}, found {show(name)}.")
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        raise InvalidRecord(f"Expected file names of at most {MAX_NAME_BYTES} bytes in {where}, found {show(name)}.")


def _check_resources(resources: tuple[Resource, ...], algorithm: str, where: str) -> None:
    if not resources:
        raise InvalidRecord(f"Expected at least one file in {where}, found none.")
    for resource in resources:
        if resource.name != SINGLE_FILE or len(resources) > 1:
            check_resource_name(resource.name, where)
        if resource.algorithm != algorithm or algorithm not in ALGORITHMS:
            raise InvalidRecord(
                f"Expected digests by {' or '.join(ALGORITHMS)}, all by the same, in {where}; "
                f"found {show(resource.algorithm)} for {show(resource.name)}."
            )
        if len(resource.digest) != DIGEST_BYTES or resource.size_bytes < 0:
            raise InvalidRecord(
                f"Expected a digest of {DIGEST_BYTES} bytes and a size in {where} for {show(resource.name)}."
            )
    for earlier, later in pairwise(resources):
        if earlier.name >= later.name:
            raise InvalidRecord(
                f"Expected distinct file names in ascending order in {where}, "
                f"found {show(later.name)} after {show(earlier.name)}."
            )


_RESOURCE = shape.structure(
    {
        "name": shape.text,
        "algorithm": shape.one_of(*ALGORITHMS),
        "digest": shape.hex32,
        "size_bytes": shape.integer(),
    }
)
_SERIALIZATION = shape.structure(
    {
        "method": shape.one_of("files"),
        "hash_type": shape.one_of(*ALGORITHMS),
        "allow_symlinks": shape.constant(value=False),
    }
)
_SHAPE = shape.structure({"serialization": _SERIALIZATION, "resources": shape.array(_RESOURCE, MAX_RESOURCES)})
