"""Manifests: the list of files, with their digests, that names a file's or folder's content.

The form is the predicate of an OpenSSF Model Signing 1.0 statement (``https://model_signing/signature/v1.0``, method
``files``) with each file's size added, which that format lets verifiers ignore. The *content digest*, the one on
chain, is SHA-256 over the manifest's canonical JSON: it commits to the list of files itself. The format's own root
digest hashes the files' digests alone, so it does not commit to their names; it is computed for exchange only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal, TypeAlias, cast

from proml.core import shape
from proml.core.canonical import JSON, canonical_json, parse_json
from proml.core.digest import format_digest, sha256
from proml.core.name import deceptive_character, describe_character, show
from proml.errors import InvalidRecord

Algorithm: TypeAlias = Literal["sha256", "blake3"]
ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "blake3")

SINGLE_FILE = "."
"""Name of the only resource when the content is one file: Model Signing's, so a renamed file stays the same content."""

MAX_BYTES = 512 * 1024 * 1024
MAX_NAME_BYTES = 4096
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
    """The files of one content, in the order of the Model Signing specification (by name as text).

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
        raise NotImplementedError

    @classmethod
    def from_json(cls, value: object, path: str = "$") -> Manifest:
        """Returns the manifest that :meth:`to_json` wrote; names the JSON path of what is wrong.

        Raises:
            InvalidRecord: Malformed, not sorted, or of an unknown method or algorithm.
        """
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes, what: str = "the manifest") -> Manifest:
        """Returns the manifest whose canonical JSON this is.

        Raises:
            InvalidRecord: Malformed or not canonical.
        """
        raise NotImplementedError

    def to_json(self) -> dict[str, JSON]:
        """Returns the manifest as JSON: ``serialization`` and ``resources`` of the Model Signing predicate."""
        raise NotImplementedError

    @cached_property
    def bytes(self) -> bytes:
        """The canonical JSON, whose SHA-256 is :attr:`digest`; what a store holds."""
        raise NotImplementedError

    @cached_property
    def digest(self) -> bytes:
        """The content digest on chain."""
        raise NotImplementedError

    @property
    def size_bytes(self) -> int:
        """Length of all files together."""
        raise NotImplementedError

    def oms_root(self, order: Literal["spec", "reference"] = "spec") -> bytes:
        """Returns the subject digest of a Model Signing statement: SHA-256 over the files' digests, concatenated.

        Args:
            order: ``spec`` sorts by name as text; ``reference``, what ``model_signing`` 1.1.1 does, by path component.
        """
        raise NotImplementedError

    def to_record_field(self) -> dict[str, JSON]:
        """Returns what a record says under ``content``: the manifest, or for many files only digest, number and size."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Difference:
    """How a content found differs from the one expected; all names sorted."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.added)

    def describe(self, limit: int = 10) -> str:
        """Returns the difference in words: of each kind at most ``limit`` names and how many more."""
        raise NotImplementedError


def difference(expected: Manifest, found: Manifest) -> Difference:
    """Compares two manifests of the same algorithm by the files' digests.

    Raises:
        InvalidRecord: The algorithms differ, so the digests cannot be compared.
    """
    raise NotImplementedError
