"""What changed between two versions: content, parameters, metrics, code, environment, inputs; by their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proml.index import artefacts, edges
from proml.index.views import Change, DiffView
from proml.verify.likeness import manifest_of

if TYPE_CHECKING:
    from proml.core.manifest import Manifest
    from proml.index.queries import ReadModel
    from proml.index.snapshot import Snapshot
    from proml.index.views import VersionView
    from proml.ports import Store

_CODE = {
    "command": ("command",),
    "entry point": ("entry_point", "path"),
    "entry point digest": ("entry_point", "digest"),
    "commit": ("git", "commit"),
    "branch": ("git", "branch"),
    "uncommitted changes": ("git", "dirty"),
    "uncommitted diff": ("git", "diff_digest"),
    "remote": ("git", "remote"),
    "python": ("python", "version"),
    "platform": ("platform",),
    "environment lock": ("environment", "lock_digest"),
}


def diff(model: ReadModel, before: str, after: str, store: Store | None = None) -> DiffView:
    """Compares two versions, also of different artefacts, by their records.

    Args:
        model: The read model.
        before: NAME@VERSION; NAME is the current version.
        after: Likewise.
        store: Where manifests of very many files are, which records do not carry.

    Raises:
        UnknownName: There is no such artefact or version.
    """
    with model.look() as look:
        one, other = (artefacts.version_named(look, *artefacts.find(look, reference)) for reference in (before, after))
        runs = [_mapping((version.record or {}).get("run")) for version in (one, other)]
        packages = [_mapping(_mapping(run.get("environment")).get("packages")) for run in runs]
        parameters, metrics = (
            [_mapping((version.record or {}).get(part)) for version in (one, other)]
            for part in ("parameters", "metrics")
        )
        return DiffView(
            before=one,
            after=other,
            content=_content_changes(one, other, store),
            parameters=_changes(*parameters),
            metrics=_changes(*(_last_values(values) for values in metrics)),
            code=_changes(*(_code(run) for run in runs)),
            packages=_changes(*packages),
            uses=_changes(*(_uses(look, version) for version in (one, other))),
            missing=tuple(version.label for version in (one, other) if version.record is None),
        )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    names = sorted(before.keys() | after.keys())
    return tuple(Change(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _last_values(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _mapping(value).get("last") for name, value in metrics.items()}


def _code(run: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, path in _CODE.items():
        value: Any = run
        for step in path:
            value = _mapping(value).get(step)
        if value is not None:
            found[name] = value
    return found


def _content_changes(before: VersionView, after: VersionView, store: Store | None) -> tuple[Change, ...]:
    if before.content == after.content:
        return ()
    files = [_files(manifest_of(version.record, version.content, store)) for version in (before, after)]
    if files[0] is None or files[1] is None:  # the digests tell that it changed, though not which files
        return (Change("content", f"sha256:{before.content.hex()}", f"sha256:{after.content.hex()}"),)
    return _changes(files[0], files[1])


def _files(manifest: Manifest | None) -> dict[str, str] | None:
    if manifest is None:
        return None
    return {resource.name: f"{resource.algorithm}:{resource.digest.hex()}" for resource in manifest.resources}


def _uses(look: Snapshot, version: VersionView) -> dict[str, str]:
    """Returns the inputs of the transition that brought a version: name and version used."""
    found: dict[str, str] = {}
    for edge in edges.inputs_of(look, {(version.artefact, version.number)}):
        if edge.seq == version.seq:
            name = (
                f"{look.name(edge.input) or '0x' + edge.input.hex()}{' in ' + edge.workspace if edge.workspace else ''}"
            )
            number = "?" if edge.input_version is None else str(edge.input_version)
            found[name] = f"@{number}" if name not in found else f"{found[name]}, @{number}"
    return found


def diff_lines(view: DiffView) -> list[str]:
    """Returns the differences as lines of plain text."""
    lines = [f"{view.before.label} → {view.after.label}"]
    lines += [
        f"the record of {label} is not available: only what the chain holds is compared" for label in view.missing
    ]
    if view.same:
        return [*lines, "no difference"]
    parts = {
        "content": view.content,
        "parameters": view.parameters,
        "metrics": view.metrics,
        "code": view.code,
        "packages": view.packages,
        "inputs": view.uses,
    }
    for name, changes in parts.items():
        if changes:
            lines += ["", f"{name}:", *(_line(change) for change in changes)]
    return lines


def _line(change: Change) -> str:
    mark = {"added": "+", "removed": "-"}.get(change.change, "~")
    if change.change == "added":
        return f"  {mark} {change.what}  {_text(change.after)}"
    if change.change == "removed":
        return f"  {mark} {change.what}  {_text(change.before)}"
    return f"  {mark} {change.what}  {_text(change.before)} → {_text(change.after)}"


def _text(value: object) -> str:
    if isinstance(value, str) and value.startswith(("sha256:", "blake3:")):
        return value[:19] + "…"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
