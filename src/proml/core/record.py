"""Records: the off-chain documents that transitions commit to. Schema ``proml/record/v1``.

Time and randomness come from the caller. The salt makes a record's digest unguessable for outsiders who could otherwise
try all likely records.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

from proml.core import shape
from proml.core.canonical import JSON, MAX_BYTES, canonical_json, parse_json
from proml.core.digest import sha256
from proml.core.manifest import Manifest
from proml.errors import InvalidRecord

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping

SCHEMA = "proml/record/v1"
_WHAT = "the record"
SALT_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEEDED = {
    "registration": ("artefact",),
    "transition": ("artefact", "action"),
    "vote": ("artefact", "action", "vote"),
    "run": ("run",),
}


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
    header = {"schema": SCHEMA, "type": record_type, "created": format_time(created_ns), "salt": salt.hex()}
    return validate_record({**{name: value for name, value in fields.items() if value is not None}, **header})


def validate_record(value: object) -> Record:
    """Returns the record that a JSON value is.

    The value is copied, so that changing it later does not change the record.

    Raises:
        InvalidRecord: It is none; the message names the JSON path, what was expected and what was found.
    """
    data = canonical_json(value)
    return _record(parse_json(data, _WHAT, max_bytes=MAX_BYTES), data, _WHAT)


def parse_record(data: builtins.bytes, what: str = _WHAT) -> Record:
    """Returns the record whose canonical JSON this is.

    Args:
        data: The bytes, as stores hold them.
        what: What is being read, for messages.

    Raises:
        InvalidRecord: Malformed, too large, or not canonical.
    """
    value = parse_json(data, what, max_bytes=MAX_BYTES)
    record = _record(value, data, what)
    if canonical_json(value) != data:
        raise InvalidRecord(f"Expected canonical JSON (RFC 8785) in {what}, found the same values written otherwise.")
    return record


def _record(value: JSON, data: builtins.bytes, what: str) -> Record:
    """Returns the record of this value and encoding; raises InvalidRecord if the value is no record."""
    try:
        _RECORD(value, "$")
        fields = cast("dict[str, object]", value)
        for name in _NEEDED[cast("str", fields["type"])]:
            if name not in fields:
                raise InvalidRecord(f"Expected a field '{name}' at $ of a {fields['type']} record, found none.")  # noqa: TRY301  # gets the same prefix
    except InvalidRecord as error:
        raise InvalidRecord(f"In {what}: {error.message}", hint=error.hint) from error
    return Record(fields, data, sha256(data))


def format_time(time_ns: int) -> str:
    """Returns Unix nanoseconds as UTC, cut to microseconds: ``2026-11-22T10:00:00.000000Z``.

    Raises:
        InvalidRecord: The year is not between 1 and 9999.
    """
    try:
        moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    except OverflowError as error:
        raise InvalidRecord(f"Expected a time between the years 1 and 9999, found {time_ns} nanoseconds.") from error
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> int:
    """Returns the Unix nanoseconds that :func:`format_time` wrote.

    Raises:
        InvalidRecord: The text is no such time.
    """
    shape.time(text, "the time")
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000


def _content(value: object, path: str) -> None:
    """Passes a manifest, or for contents of very many files its digest, number of files and size."""
    if isinstance(value, dict) and "resources" not in value:
        _CONTENT_REFERENCE(value, path)
    else:
        Manifest.from_json(value, path)


def _measure(value: object, path: str) -> None:
    """Passes a number; JSON has none for the three special values, so they are written as text."""
    if value not in ("NaN", "Infinity", "-Infinity"):
        shape.number(value, path)


_CONTENT_REFERENCE = shape.structure({"digest": shape.digest, "files": shape.integer(1), "size_bytes": shape.integer()})
_USE = shape.structure(
    {"role": shape.label},
    {
        "name": shape.artefact_name,
        "version": shape.label,
        "path": shape.label,
        "content": shape.digest,
        "size_bytes": shape.integer(),
        "uri": shape.label,
        "licence": shape.label,
        "digests": shape.structure({}, dict.fromkeys(("read", "cached", "stated"), shape.integer())),
    },
)
_RUN = shape.structure(
    {"id": shape.label, "started": shape.time},
    {
        "name": shape.label,
        "command": shape.array(shape.text, 10_000),
        "entry_point": shape.structure({"path": shape.label}, {"digest": shape.digest}, closed=False),
        "folder": shape.label,
        "git": shape.structure(
            {"commit": shape.label},
            {"branch": shape.label, "dirty": shape.boolean, "diff_digest": shape.digest, "remote": shape.label},
            closed=False,
        ),
        "python": shape.structure({"version": shape.label}, {"implementation": shape.label}, closed=False),
        "platform": shape.label,
        "environment": shape.structure(
            {}, {"lock_digest": shape.digest, "packages": shape.mapping(shape.label, shape.label)}, closed=False
        ),
        "hardware": shape.structure(
            {},
            {
                "cpu": shape.label,
                "cores": shape.integer(1),
                "memory_bytes": shape.integer(),
                "gpus": shape.array(shape.anything, 1024),
            },
            closed=False,
        ),
        "user": shape.label,
        "ended": shape.time,
        "exit_status": shape.integer(-(2**31), 2**32),
        "exception": shape.structure({"type": shape.label}, {"message": shape.text}, closed=False),
        "rank": shape.integer(),
        "world_size": shape.integer(1),
    },
    closed=False,
)
_METRIC = shape.structure(
    {"last": _measure, "count": shape.integer(1)}, {"min": _measure, "max": _measure}, closed=False
)
_RECORD = shape.structure(
    {
        "schema": shape.constant(value=SCHEMA),
        "type": shape.one_of(*_NEEDED),
        "created": shape.time,
        "salt": shape.pattern(f"[0-9a-f]{{{2 * SALT_BYTES}}}", f"{2 * SALT_BYTES} lower-case hex digits"),
    },
    {
        "artefact": shape.structure({"name": shape.artefact_name, "kind": shape.identifier}),
        "action": shape.identifier,
        "vote": shape.one_of("approve", "reject"),
        "reason": shape.text,
        "content": _content,
        "uses": shape.array(_USE, 100_000),
        "run": _RUN,
        "parameters": shape.mapping(shape.label, shape.anything),
        "metrics": shape.mapping(shape.label, _METRIC),
        "observations": shape.structure(
            {"root": shape.hex32, "count": shape.integer()}, {"digest": shape.digest}, closed=False
        ),
        "notes": shape.array(shape.anything, 100_000),
        "facts": shape.mapping(shape.label, shape.anything),
    },
)
