"""Checks the records behind a version: there, with the right digest, and about what they are attached to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.core.digest import format_digest, parse_digest
from proml.core.manifest import Manifest
from proml.core.name import artefact_id
from proml.core.operation import ZERO
from proml.core.record import parse_record
from proml.errors import InvalidRecord, NotAvailable, UnreachableError, UsageError, VerificationError
from proml.index import schema
from proml.index.views import short
from proml.verify.report import ERROR, NOTE, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from proml.index.snapshot import Snapshot
    from proml.ports import Store


def check_records(look: Snapshot, store: Store | None, artefact: bytes) -> list[Finding]:
    """Checks the registration's record and those of the current version's transitions.

    Args:
        look: The index; its rows of this artefact were compared with the chain.
        store: Asked for each record anew; None takes what the index has.
        artefact: The artefact's id.
    """
    rows = look.rows_of(artefact)
    current = rows[-1].version if rows else 0
    findings: list[Finding] = []
    for row in rows:
        if row.version != current and row.seq:
            continue
        shown = look.name(artefact) or short(artefact)
        where = f"{look.action_name(row.lifecycle, row.rule)} (transition {row.seq} of {shown})"
        findings += _check_record(look, store, row, where)
    return findings


def _check_record(look: Snapshot, store: Store | None, row: Row[Any], where: str) -> list[Finding]:
    named = format_digest(row.record)
    try:
        record = _read(look, store, row.record)
    except (NotAvailable, UnreachableError) as error:
        return [Finding("record-missing", WARNING, f"record not available: {error.message}", named, "nothing", where)]
    except VerificationError as error:
        return [Finding("record-damaged", ERROR, error.message, named, "other bytes", where)]
    except InvalidRecord as error:
        return [Finding("record-invalid", ERROR, error.message, "a record", "something else", where)]
    return _compare(look, row, record, where)


def _read(look: Snapshot, store: Store | None, digest: bytes) -> Mapping[str, Any]:
    if store is not None:
        return parse_record(store.get(digest)).json
    body = look.body(digest)
    if body.state == "damaged":
        raise VerificationError("the stored record does not have its digest")
    if body.state == "invalid":
        raise InvalidRecord("the bytes with this digest are not a record")
    if body.json is None:
        raise NotAvailable("no store is open here, and the index has not got it")
    return body.json


def _compare(look: Snapshot, row: Row[Any], record: Mapping[str, Any], where: str) -> list[Finding]:
    findings = []

    def differs(what: str, expected: str, found: str) -> None:
        findings.append(Finding("record-differs", ERROR, f"the record is about another {what}", expected, found, where))

    registration = row.rule == schema.REGISTRATION_RULE
    about = record.get("artefact", {}).get("name", "")
    if about and _id(look, about) != row.artefact:
        differs("artefact", look.name(row.artefact) or short(row.artefact), about)
    action = "" if registration else record.get("action", "")
    named = look.action_name(row.lifecycle, row.rule)
    known = look.machine(row.lifecycle).definition is not None
    if action and known and action != named:
        differs("action", named, action)
    content = row.content or ZERO
    recorded = _content_digest(record)
    if content not in {ZERO, recorded}:
        differs("content", format_digest(content), format_digest(recorded) if recorded != ZERO else "no content")
    told = (record.get("facts") or {}).get("digests")
    if content != ZERO and isinstance(told, dict) and told.get("stated"):
        message = "the digests were stated when this was recorded, not computed"
        findings.append(Finding("digests-stated", NOTE, message, where=where))
    return findings


def _id(look: Snapshot, name: str) -> bytes:
    try:
        return artefact_id(look.workspace.name_key, name)
    except UsageError:
        return ZERO


def _content_digest(record: Mapping[str, Any]) -> bytes:
    """Returns the content digest that a valid record states; zero if it has no content."""
    content = record.get("content")
    if not isinstance(content, dict):
        return ZERO
    return Manifest.from_json(content).digest if "resources" in content else parse_digest(content["digest"])
