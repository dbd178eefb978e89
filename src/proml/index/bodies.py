"""Fetches what the chain only names: record bodies and lifecycle definitions.

A digest that no store has is kept as missing and asked for again at the next follow; that is never an error of the
chain. What a record says is taken apart into tables for search; what it *claims* is accepted only where it can be
checked: a name belongs to an artefact if name key and name hash to its id.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sql

from proml.core.canonical import parse_json
from proml.core.lifecycle_reading import from_document
from proml.core.manifest import Manifest
from proml.core.name import artefact_id
from proml.core.operation import ZERO
from proml.core.record import parse_record
from proml.errors import InvalidLifecycle, InvalidName, InvalidRecord, NotAvailable, UnreachableError, VerificationError
from proml.index import schema
from proml.index.schema import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Engine, Table

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Store

    Row = dict[str, Any]

_BATCH = 500
_RETRIES = 1_000  # of records missed earlier, in one follow: an archive that is gone must not slow every command
_ROWS_PER_RECORD = 10_000
_IN_CHUNK = 500
_TAKEN_APART = (schema.parameters, schema.metrics, schema.packages, schema.resources)


def chunks(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yields the items in lists short enough for one SQL ``IN``."""
    waiting = list(items)
    for start in range(0, len(waiting), _IN_CHUNK):
        yield waiting[start : start + _IN_CHUNK]


def want_records(connection: Connection, digests: Iterable[bytes]) -> None:
    """Notes that the chain names these records."""
    for some in chunks(digests):
        known = set(
            connection.execute(sql.select(schema.records.c.digest).where(schema.records.c.digest.in_(some))).scalars()
        )
        rows = [_record_row(digest, "missing", tried_at=0) for digest in some if digest not in known]
        if rows:
            connection.execute(schema.records.insert(), rows)


def fetch_bodies(
    engine: Engine, workspace: WorkspaceFile, store: Store | None, tell: Callable[[], None]
) -> tuple[int, int]:
    """Fetches the definitions and records that are missing.

    Args:
        engine: The index.
        workspace: Whose names can be checked.
        store: Where they are looked for; None fetches nothing.
        tell: Called after each batch of records.

    Returns:
        How many records were fetched, and how many are still missing.

    Raises:
        LocalStorageError: The index cannot be written.
    """
    fetched = 0
    if store is not None:
        _fetch_documents(engine, store)
        fetched = _fetch_records(engine, workspace, store, tell)
    r = schema.records
    with reading(engine) as connection:
        query = sql.select(sql.func.count()).select_from(r).where(r.c.state.in_(("missing", "damaged")))
        return fetched, connection.execute(query).scalar() or 0


def _fetch_documents(engine: Engine, store: Store) -> None:
    wanted = schema.lifecycles.c.definition
    with reading(engine) as connection:
        known = sql.select(schema.documents.c.digest)
        digests = connection.execute(sql.select(wanted).distinct().where(wanted.not_in(known))).scalars().all()
    found: list[Row] = []
    for digest in digests:
        try:
            body = store.get(digest)
            from_document(parse_json(body, "the lifecycle definition"))
        except (NotAvailable, VerificationError, InvalidRecord, InvalidLifecycle):
            continue  # shown as 'lifecycle N' until a store has it
        except UnreachableError:
            break
        found.append({"digest": digest, "body": body.decode()})
    if not found:
        return
    with writing(engine) as connection:
        have = set(connection.execute(sql.select(schema.documents.c.digest)).scalars())
        for row in found:
            if row["digest"] not in have:
                connection.execute(schema.documents.insert(), [row])


def _fetch_records(engine: Engine, workspace: WorkspaceFile, store: Store, tell: Callable[[], None]) -> int:
    r = schema.records
    begun = time.time_ns()
    fetched = retried = 0
    while retried < _RETRIES:
        with reading(engine) as connection:
            query = sql.select(r.c.digest, r.c.tried_at).where(
                r.c.state.in_(("missing", "damaged")), r.c.tried_at < begun
            )
            wanted = connection.execute(query.order_by(r.c.tried_at).limit(_BATCH)).all()
        if not wanted:
            break
        retried += sum(row.tried_at > 0 for row in wanted)
        answers, reachable = _get_all(store, [row.digest for row in wanted])
        fetched += _keep(engine, workspace, answers)
        tell()
        if not reachable:
            break
    return fetched


def _get_all(store: Store, digests: Sequence[bytes]) -> tuple[dict[bytes, bytes | str], bool]:
    """Returns for each digest the bytes, or the state to note; and whether the store still answers."""
    answers: dict[bytes, bytes | str] = {}
    for digest in digests:
        try:
            answers[digest] = store.get(digest)
        except NotAvailable:
            answers[digest] = "missing"
        except VerificationError:
            answers[digest] = "damaged"
        except UnreachableError:
            return answers, False
    return answers, True


def _keep(engine: Engine, workspace: WorkspaceFile, answers: Mapping[bytes, bytes | str]) -> int:
    """Writes what the store answered; returns how many records are new."""
    now = time.time_ns()
    r = schema.records
    rows: dict[Table, list[Row]] = {table: [] for table in (r, *_TAKEN_APART)}
    labels: dict[bytes, str] = {}
    for digest, answer in answers.items():
        row = _record_row(digest, answer if isinstance(answer, str) else "invalid", tried_at=now)
        rows[r].append(row)
        if isinstance(answer, bytes):
            _take_apart(row, answer, workspace.name_key, rows, labels)
    with writing(engine) as connection:
        for some in map(set, chunks(answers)):
            done = r.c.state.not_in(("missing", "damaged"))
            taken = set(connection.execute(sql.select(r.c.digest).where(r.c.digest.in_(some), done)).scalars())
            connection.execute(r.delete().where(r.c.digest.in_([d for d in some if d not in taken])))
            for table, values in rows.items():
                key = "digest" if table is r else "record"
                fresh = [row for row in values if row[key] in some and row[key] not in taken]
                if fresh:
                    connection.execute(table.insert(), fresh)
        _keep_names(connection, labels)
    return sum(row["state"] == "available" for row in rows[r])


def _keep_names(connection: Connection, labels: Mapping[bytes, str]) -> None:
    n = schema.names
    for some in chunks(labels):
        known = set(connection.execute(sql.select(n.c.artefact).where(n.c.artefact.in_(some))).scalars())
        fresh = [{"artefact": artefact, "name": labels[artefact]} for artefact in some if artefact not in known]
        if fresh:
            connection.execute(n.insert(), fresh)


def _record_row(digest: bytes, state: str, *, tried_at: int) -> Row:
    return {
        "digest": digest,
        "state": state,
        "body": "",
        "type": "",
        "created": "",
        "about": ZERO,
        "run": "",
        "tried_at": tried_at,
    }


def _take_apart(row: Row, body: bytes, name_key: bytes, rows: dict[Table, list[Row]], labels: dict[bytes, str]) -> None:
    """Fills a record's row, and adds the rows of what it says."""
    digest = row["digest"]
    try:
        record = parse_record(body).json
    except InvalidRecord:
        return
    artefact = _mapping(record.get("artefact"))
    name = artefact.get("name")
    if isinstance(name, str):
        try:
            row["about"] = artefact_id(name_key, name)
            labels[row["about"]] = name
        except InvalidName:
            return
    run = _mapping(record.get("run"))
    row.update(
        state="available",
        body=body.decode(),
        type=str(record.get("type", "")),
        created=str(record.get("created", "")),
        run=str(run.get("id", "")),
    )
    rows[schema.parameters] += _parameter_rows(digest, _mapping(record.get("parameters")))
    rows[schema.metrics] += _metric_rows(digest, _mapping(record.get("metrics")))
    packages = _mapping(_mapping(run.get("environment")).get("packages"))
    rows[schema.packages] += [
        {"record": digest, "name": _text(key), "version": _text(value)} for key, value in _some(packages)
    ]
    rows[schema.resources] += _resource_rows(digest, record.get("content"))


def _parameter_rows(digest: bytes, parameters: Mapping[str, object]) -> list[Row]:
    return [
        {
            "record": digest,
            "name": _text(key),
            "value": _text(value if isinstance(value, str) else json.dumps(value, sort_keys=True)),
            "number": _float(value),
        }
        for key, value in _some(parameters)
    ]


def _metric_rows(digest: bytes, metrics: Mapping[str, object]) -> list[Row]:
    rows = []
    for key, value in _some(metrics):
        summary = _mapping(value)
        last, low, high = (_float(summary.get(part)) for part in ("last", "min", "max"))
        rows.append({"record": digest, "name": _text(key), "last": last, "min": low, "max": high})
    return rows


def _resource_rows(digest: bytes, content: object) -> list[Row]:
    if not isinstance(content, Mapping) or "resources" not in content:
        return []  # none, or a large one that a store keeps by itself
    try:
        manifest = Manifest.from_json(content)
    except InvalidRecord:
        return []
    return [
        {"record": digest, "name": r.name, "digest": f"{r.algorithm}:{r.digest.hex()}"}
        for r in manifest.resources[:_ROWS_PER_RECORD]
    ]


def _some(mapping: Mapping[str, object]) -> list[tuple[str, object]]:
    return list(mapping.items())[:_ROWS_PER_RECORD]


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return str(value).replace("\x00", "\ufffd")  # PostgreSQL's text has no NUL


def _float(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
