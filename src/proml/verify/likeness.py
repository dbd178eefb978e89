"""Manifests behind versions, and what an unknown content most resembles, so that a refusal can name the file."""

from __future__ import annotations

import difflib
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.core.manifest import SINGLE_FILE, Manifest, Resource, difference
from proml.errors import InvalidRecord, NotAvailable, UnreachableError, VerificationError
from proml.index import artefacts, schema
from proml.verify.report import ERROR, NOTE, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proml.index.snapshot import Snapshot
    from proml.index.views import VersionView
    from proml.ports import Store

_SHOWN_FILES = 20
_COMPARED_FILES = 400
_LEAST_SHARED_NAMES = 0.5
_LEAST_NAME_LIKENESS = 0.6


def manifest_of(record: Mapping[str, Any] | None, content: bytes, store: Store | None) -> Manifest | None:
    """Returns the manifest that a version's content digest names, or None if neither record nor store has it.

    Args:
        record: The record of the transition that brought the content.
        content: The content digest; what does not hash to it is not returned.
        store: Where manifests of very many files are kept by themselves.
    """
    field = (record or {}).get("content")
    try:
        if isinstance(field, dict) and "resources" in field:
            manifest = Manifest.from_json(field)
        elif store is not None:
            manifest = Manifest.from_bytes(store.get(content))
        else:
            return None
    except (InvalidRecord, NotAvailable, VerificationError, UnreachableError):
        return None
    return manifest if manifest.digest == content else None


def most_like(look: Snapshot, manifest: Manifest, shown: str, wanted: VersionView | None) -> VersionView | None:
    """Returns the version that an unknown content most resembles: the one wanted, by shared files, or by the name.

    Args:
        look: The index.
        manifest: Of the unknown content.
        shown: Its path.
        wanted: The version that it should be, if one was named.
    """
    if wanted is not None:
        return wanted
    return _by_files(look, manifest) or _by_name(look, shown)


def _by_files(look: Snapshot, manifest: Manifest) -> VersionView | None:
    names = [resource for resource in manifest.resources if resource.name != SINGLE_FILE][:_COMPARED_FILES]
    if not names:
        return None
    r = schema.resources
    digests = {f"{resource.algorithm}:{resource.digest.hex()}" for resource in names}
    rows = look.all(sql.select(r).where(r.c.name.in_([resource.name for resource in names])))
    score: Counter[bytes] = Counter()
    for row in rows:
        score[row.record] += 3 if row.digest in digests else 1
    best = score.most_common(1)
    if not best or best[0][1] < _LEAST_SHARED_NAMES * len(names):
        return None
    return _version_by_record(look, {record for record, points in score.items() if points == best[0][1]})


def _by_name(look: Snapshot, shown: str) -> VersionView | None:
    names = {name: artefact for artefact, name in look.all_names().items() if name is not None}
    path = PurePath(shown)
    for candidate in (path.stem, path.name, path.parent.name):
        close = difflib.get_close_matches(candidate, names, n=1, cutoff=_LEAST_NAME_LIKENESS) if candidate else []
        if close:
            versions = artefacts.version_views(look, names[close[0]])
            if versions:
                return versions[-1]
    return None


def _version_by_record(look: Snapshot, records: set[bytes]) -> VersionView | None:
    t = schema.transitions.c
    query = sql.select(t.artefact, t.version).where(t.record.in_(records), t.content.is_not(None))
    rows = look.all(query.order_by(t.block_number.desc(), t.log_index.desc()).limit(1))
    if not rows:
        return None
    versions = artefacts.version_views(look, rows[0].artefact)
    return next((version for version in versions if version.number == rows[0].version), None)


def compare_files(expected: Manifest, found: Manifest, path: str) -> list[Finding]:
    """Returns a finding for each file that differs, at most twenty, and one that counts the others."""
    if expected.algorithm != found.algorithm:
        return []
    differing = difference(expected, found)
    agreed = {resource.name: resource for resource in expected.resources}
    there = {resource.name: resource for resource in found.resources}
    findings = [
        _file_finding(code, name, path, agreed.get(name), there.get(name))
        for code, names in (
            ("file-changed", differing.changed),
            ("file-missing", differing.missing),
            ("file-added", differing.added),
        )
        for name in names
    ]
    more = len(findings) - _SHOWN_FILES
    if more > 0:
        counted = f"{len(differing.changed)} changed, {len(differing.missing)} missing, {len(differing.added)} added"
        findings = [
            *findings[:_SHOWN_FILES],
            Finding("files-more", NOTE, f"{more} more files differ ({counted} in all)"),
        ]
    return findings


def _file_finding(code: str, name: str, path: str, agreed: Resource | None, there: Resource | None) -> Finding:
    word = code.removeprefix("file-")
    where = path if name == SINGLE_FILE else f"{path.rstrip('/')}/{name}"
    what = (
        "the file differs"
        if code == "file-changed"
        else f"a file was {word}"
        if word == "added"
        else "a file is missing"
    )
    return Finding(code, ERROR, what, _resource_text(agreed), _resource_text(there), where)


def _resource_text(resource: Resource | None) -> str:
    if resource is None:
        return "no such file"
    return f"{resource.algorithm}:{resource.digest.hex()} ({resource.size_bytes} bytes)"
