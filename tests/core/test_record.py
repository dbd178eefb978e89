from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.canonical import canonical_json
from proml.core.digest import format_digest, sha256
from proml.core.record import build_record, format_time, parse_record, parse_time, validate_record
from proml.errors import InvalidRecord

CORPUS = Path(__file__).parents[1] / "corpus"
GOLDEN_DIGEST = "sha256:1896f41aeba5beb586a49888eb8c085e8c28c6dca09a7449aaf08b4672cae716"
SALT = bytes(range(16))


def golden() -> dict[str, Any]:
    value: dict[str, Any] = json.loads((CORPUS / "record-v1.json").read_bytes())
    value["parameters"].pop("big")  # json reads 1e20's canonical digits as an integer that no record may hold
    return value


def test_the_golden_record_still_parses_to_the_same_digest() -> None:
    data = (CORPUS / "record-v1.json").read_bytes()
    record = parse_record(data)
    assert format_digest(record.digest) == GOLDEN_DIGEST
    assert validate_record(record.json).bytes == record.bytes == data


def test_a_record_is_built_from_its_fields_and_empty_ones_are_left_out() -> None:
    record = build_record("registration", created_ns=0, salt=SALT, artefact={"name": "m", "kind": "model"}, reason=None)
    assert record.json == {
        "schema": "proml/record/v1",
        "type": "registration",
        "created": "1970-01-01T00:00:00.000000Z",
        "salt": SALT.hex(),
        "artefact": {"name": "m", "kind": "model"},
    }
    assert record.digest == sha256(canonical_json(record.json))


def test_changing_what_a_record_was_made_from_does_not_change_it() -> None:
    facts: dict[str, object] = {"a": 1}
    record = build_record("registration", created_ns=0, salt=SALT, artefact={"name": "m", "kind": "model"}, facts=facts)
    facts["a"] = 2
    assert record.json["facts"] == {"a": 1}


def test_the_salt_makes_digests_of_equal_facts_differ() -> None:
    one, other = (
        build_record("registration", created_ns=0, salt=salt, artefact={"name": "m", "kind": "model"})
        for salt in (SALT, bytes(16))
    )
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", {"surprise": 1}),
        ("$.schema", "proml/record/v2"),
        ("$.type", "rumour"),
        ("$.created", "2026-11-22"),
        ("$.created", "2026-13-22T10:00:00.000000Z"),
        ("$.created", "2026-11-22T10:00:00.000000+01:00"),
        ("$.salt", "00"),
        ("$.salt", "G" * 32),
        ("$.artefact", "m"),
        ("$.artefact.name", "m\u043edel"),
        ("$.artefact.kind", "Model"),
        ("$.artefact.owner", "x"),
        ("$.action", "train now"),
        ("$.vote", "maybe"),
        ("$.reason", 1),
        ("$.content", {}),
        ("$.content", {"digest": "sha256:" + "0" * 64, "files": 0, "size_bytes": 0}),
        ("$.uses", {}),
        ("$.uses[0].role", ""),
        ("$.uses[0].content", "0" * 64),
        ("$.uses[0].path", "a\nb"),
        ("$.uses[0].surprise", 1),
        ("$.run.id", "run\u202e"),
        ("$.run.command", "python train.py"),
        ("$.run.git.dirty", "yes"),
        ("$.run.hardware.cores", 0),
        ("$.run.environment.packages", {"numpy": 2}),
        ("$.run.ended", 5),
        ("$.run.exit_status", "0"),
        ("$.run.rank", -1),
        ("$.parameters", []),
        ("$.parameters", {"a\x00": 1}),
        ("$.metrics.loss.count", 0),
        ("$.metrics.loss.last", "fast"),
        ("$.metrics.loss.min", True),
        ("$.observations.root", "0x" + "0" * 64),
        ("$.observations.count", 1.5),
        ("$.notes", "one"),
        ("$.facts", [1]),
    ],
)
def test_a_malformed_field_is_refused_by_its_json_path(path: str, value: object) -> None:
    record = golden()
    if path == "$":
        assert isinstance(value, dict)
        record.update(value)
    else:
        *parents, last = path.replace("[0]", ".0").removeprefix("$.").split(".")
        target: Any = record
        for step in parents:
            target = target[int(step)] if step.isdigit() else target[step]
        target[last] = value
    with pytest.raises(InvalidRecord) as caught:
        validate_record(record)
    assert path.split("[", 1)[0].rsplit(".", 1)[0] in caught.value.message
    assert "In the record" in caught.value.message


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("registration", "artefact"),
        ("transition", "artefact"),
        ("transition", "action"),
        ("vote", "vote"),
        ("run", "run"),
    ],
)
def test_each_type_of_record_needs_its_own_fields(kind: str, needed: str) -> None:
    record = {**golden(), "type": kind, "vote": "approve"}
    validate_record(record)
    del record[needed]
    with pytest.raises(InvalidRecord, match=f"field '{needed}'"):
        validate_record(record)


@pytest.mark.parametrize("value", [None, [], "text", 5, True])
def test_what_is_no_object_is_no_record(value: object) -> None:
    with pytest.raises(InvalidRecord, match="an object"):
        validate_record(value)


def test_more_than_four_mebibytes_are_refused() -> None:
    with pytest.raises(InvalidRecord, match="at most 4194304 bytes"):
        validate_record({**golden(), "facts": {"blob": "x" * 4 * 1024 * 1024}})


def test_too_deep_a_record_is_refused() -> None:
    deep: object = 0
    for _ in range(63):
        deep = [deep]
    with pytest.raises(InvalidRecord, match="nesting"):
        validate_record({**golden(), "facts": {"deep": deep}})


def test_numbers_that_json_has_not_are_written_as_text_in_metrics() -> None:
    record = golden()
    record["metrics"] = {"loss": {"last": "NaN", "min": "-Infinity", "max": "Infinity", "count": 3}}
    assert validate_record(record).json["metrics"] == record["metrics"]


def test_a_run_may_say_more_than_the_schema_names() -> None:
    record = golden()
    record["run"]["attestation"] = {"quote": "00"}
    record["run"]["hardware"]["tpu"] = 1
    assert validate_record(record).json["run"] == record["run"]


def test_the_same_values_written_otherwise_are_no_record() -> None:
    with pytest.raises(InvalidRecord, match="canonical"):
        parse_record(json.dumps(golden(), indent=1).encode(), "the file r.json")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_invalid_record(data: bytes) -> None:
    """Law: parse_record returns or raises InvalidRecord."""
    with pytest.raises(InvalidRecord):
        parse_record(data)


@given(st.integers(-(10**18), 10**20))
def test_times_read_back_to_the_microsecond(time_ns: int) -> None:
    """Law: parse_time(format_time(t)) is t cut to microseconds."""
    assert parse_time(format_time(time_ns)) == time_ns // 1000 * 1000


@pytest.mark.parametrize("time_ns", [10**30, -(10**30)])
def test_times_outside_the_calendar_are_refused(time_ns: int) -> None:
    with pytest.raises(InvalidRecord, match="between the years"):
        format_time(time_ns)
