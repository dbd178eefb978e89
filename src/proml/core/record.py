"""Records: the off-chain documents that transitions commit to. Schema ``proml/record/v1``.

Time and randomness come from the caller. The salt makes a record's digest unguessable for outsiders who could otherwise
try all likely records.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCHEMA = "proml/record/v1"
SALT_BYTES = 16
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """A valid record.

    Attributes:
        json: The document; shared, not to be changed.
        bytes: Its canonical JSON.
        digest: SHA-256 of :attr:`bytes`.
    """

    json: Mapping[str, object]
    bytes: builtins.bytes
    digest: builtins.bytes


def build_record(
    record_type: Literal["registration", "transition", "vote", "run"],
    *,
    created_ns: int,
    salt: builtins.bytes,
    **fields: object,
) -> Record:
    """Returns a record with the given fields of the schema; fields that are None are left out.

    Args:
        record_type: What it documents.
        created_ns: Unix time in nanoseconds; written in microseconds.
        salt: 16 random bytes.
        **fields: Top-level fields: artefact, action, vote, reason, content, uses, run, parameters, metrics,
            observations, notes, facts. ``content`` is ``Manifest.to_record_field()``.

    Raises:
        InvalidRecord: A field is malformed; the message names its JSON path.
    """
    raise NotImplementedError


def validate_record(value: object) -> Record:
    """Returns the record that a JSON value is.

    Raises:
        InvalidRecord: It is none; the message names the JSON path, what was expected and what was found.
    """
    raise NotImplementedError


def parse_record(data: builtins.bytes, what: str = "the record") -> Record:
    """Returns the record whose canonical JSON this is.

    Raises:
        InvalidRecord: Malformed, too large, or not canonical.
    """
    raise NotImplementedError


def format_time(time_ns: int) -> str:
    """Returns Unix nanoseconds as UTC with microseconds: ``2026-11-22T10:00:00.000000Z``."""
    raise NotImplementedError


def parse_time(text: str) -> int:
    """Returns the Unix nanoseconds that :func:`format_time` wrote.

    Raises:
        InvalidRecord: The text is no such time.
    """
    raise NotImplementedError
