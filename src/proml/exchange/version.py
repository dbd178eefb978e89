"""Finds the manifest behind a version: in its record, in the stores of records, or at a place that has the content."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.contents import ObjectName
from proml.core.digest import format_digest, sha256
from proml.core.manifest import MAX_BYTES, Manifest
from proml.errors import InvalidRecord, NotAvailable, ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proml.contents import Contents
    from proml.index.queries import ReadModel
    from proml.index.views import VersionView
    from proml.ports import Store


@dataclass(frozen=True, slots=True)
class Version:
    """A version whose files are known.

    Attributes:
        label: NAME@NUMBER.
        content: The content digest on the ledger.
        manifest: What it commits to.
    """

    label: str
    content: bytes
    manifest: Manifest


def find_version(model: ReadModel, store: Store, reference: str, places: Iterable[Contents] = ()) -> Version:
    """Returns a version and its files.

    Args:
        model: The index.
        store: Where records and the manifests of very many files are.
        reference: NAME or NAME@V.
        places: Where to look for the manifest last.

    Raises:
        UnknownName: There is no such version.
        NotAvailable: Neither its record nor the manifest can be had from anywhere.
    """
    view = model.version(reference)
    manifest = _from_record(view) or _from_store(store, view.content)
    for place in places:
        manifest = manifest or _from_place(place, view.content)
    if manifest is None:
        raise NotAvailable(
            f"the list of files of {view.label}, {format_digest(view.content)}, is in no store and at no place that "
            "can be reached.",
            hint="Ask whoever recorded it to run `proml sync`, which publishes records in the workspace's stores.",
        )
    return Version(view.label, view.content, manifest)


def _from_record(view: VersionView) -> Manifest | None:
    field = (view.record or {}).get("content")
    if not isinstance(field, dict) or "resources" not in field:
        return None
    try:
        manifest = Manifest.from_json(field)
    except InvalidRecord:
        return None
    return manifest if manifest.digest == view.content else None


def _from_store(store: Store, content: bytes) -> Manifest | None:
    try:
        return Manifest.from_bytes(store.get(content))
    except ProMLError:
        return None


def _from_place(place: Contents, content: bytes) -> Manifest | None:
    data = bytearray()
    try:
        with closing(place.read(ObjectName("sha256", content), 0, MAX_BYTES)) as chunks:
            for chunk in chunks:
                data += chunk
                if len(data) > MAX_BYTES:
                    return None
        return Manifest.from_bytes(bytes(data)) if sha256(data) == content else None
    except ProMLError:
        return None
