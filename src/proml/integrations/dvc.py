"""Reads the stages of ``dvc.lock`` (schema 2.0), with no need of DVC itself: only its files are read.

DVC's MD5 digests are taken as stated. Content is hashed anew where it is at hand, in the workspace or in DVC's cache,
and only if its MD5 is the stated one: what has changed since is reported, never published under the stage's name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proml.capture.imported import ForeignRun, Input, Output
from proml.capture.redaction import redact, redact_command
from proml.core.canonical import canonical_json
from proml.core.manifest import Manifest, Resource
from proml.errors import ContentError, MissingExtra, ProMLError
from proml.integrations.importing import Allowed, Candidate, artefact_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LOCK = "dvc.lock"
_LOCK_BYTES = 64 << 20
_SCHEMA = "2.0"
_DIRECTORY = ".dir"
_CHUNK = 1 << 20


def candidates(
    path: str, *, stages: frozenset[str] = frozenset(), names: Mapping[str, str] | None = None, also: Sequence[str] = ()
) -> Iterator[Candidate]:
    """Yields the stages of a lock file, each after those whose outputs it uses.

    Args:
        path: ``dvc.lock`` or the folder that has it.
        stages: Names of stages; empty for all.
        names: Names of artefacts, by paths of outputs as the lock file has them.
        also: Folders whose content may be read besides the repository.

    Raises:
        ContentError: There is no lock file, or it is malformed.
        MissingExtra: What reads YAML is not installed.
    """
    lock = Path(path)
    lock = lock / _LOCK if lock.is_dir() else lock
    entries = _read(lock)
    repository = _Repository.of(lock.resolve(), also)
    for name in _in_order(entries):
        if not stages or name in stages:
            yield _Stage(name, entries[name], repository, dict(names or {})).candidate()


@dataclass(frozen=True)
class _Repository:
    """Where a lock file's paths lead."""

    lock: Path
    root: Path
    allowed: Allowed

    @classmethod
    def of(cls, lock: Path, also: Sequence[str]) -> _Repository:
        root = next((folder for folder in lock.parents if (folder / ".dvc").is_dir()), lock.parent)
        return cls(lock, root, Allowed.below((root, *also)))

    def manifest(self, entry: Mapping[str, Any]) -> Manifest:
        """Returns the content of a dependency or output.

        Raises:
            ContentError: Nothing at hand has the stated MD5, or there is none to compare with.
        """
        path, stated = str(entry["path"]), entry.get("md5")
        if not isinstance(stated, str):
            raise ContentError(f"{path!a} has no MD5 to compare with.", hint="Run `dvc repro`.")
        in_place = self.lock.parent / path
        found = ""
        if in_place.exists():
            real = self.allowed.check(in_place)
            found = _md5_of(real, legacy=entry.get("hash") != "md5")
            if found == stated:
                return self.allowed.manifest(real)
        try:
            return self._cached(stated)
        except ContentError:
            if not found:
                raise
            raise ContentError(
                f"{path!a} is not what the stage had: expected MD5 {stated}, found {found}, and the cache has no copy.",
                hint="Run `dvc checkout` or `dvc repro`.",
            ) from None

    def _cached(self, md5: str) -> Manifest:
        if not md5.endswith(_DIRECTORY):
            return self.allowed.manifest(self._object(md5))
        listing = self._object(md5)
        try:
            files = json.loads(listing.read_bytes())
            resources = [
                Resource(one["relpath"], "sha256", content.digest, content.size_bytes)
                for one in files
                for content in self.allowed.manifest(self._object(one["md5"])).resources
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ContentError(f"{listing} is no list of files: {error}.", hint="Run `dvc fetch`.") from error
        return Manifest.of(resources)

    def _object(self, md5: str) -> Path:
        """Returns a file of the cache whose bytes have this MD5."""
        digits = md5.removesuffix(_DIRECTORY)
        if len(digits) != 32 or set(digits) - set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of an MD5
            raise ContentError(f"expected an MD5 of 32 hex digits, found {md5!a}.", hint="Check dvc.lock.")
        for cache in (self.root / ".dvc" / "cache" / "files" / "md5", self.root / ".dvc" / "cache"):
            path = cache / md5[:2] / md5[2:]
            if path.is_file():
                real = self.allowed.check(path)
                if _md5(real) != digits:
                    raise ContentError(f"{path} is damaged: its MD5 is another one.", hint="Run `dvc fetch`.")
                return real
        raise ContentError(f"content with MD5 {md5} is neither in place nor in the cache.", hint="Run `dvc fetch`.")


@dataclass(frozen=True)
class _Stage:
    """One stage of a lock file."""

    name: str
    entry: Mapping[str, Any]
    repository: _Repository
    names: dict[str, str] = field(default_factory=dict)

    def candidate(self) -> Candidate:
        identity = hashlib.sha256(canonical_json(cast("Any", {"stage": self.name, "entry": self.entry}))).hexdigest()
        return Candidate(f"dvc-{identity[:32]}", f"stage {self.name}", lambda: self.read(f"dvc-{identity[:32]}"))

    def read(self, run_id: str) -> tuple[ForeignRun, Sequence[str]]:
        remarks: list[str] = []
        inputs, outputs = [], []
        for used in self.entry.get("deps", ()):
            manifest = self._content(used, remarks)
            inputs.append(Input("dependency", manifest, path=str(used["path"])))
        for made in self.entry.get("outs", ()):
            manifest = self._content(made, remarks)
            if manifest is not None:
                try:
                    name = artefact_name(str(made["path"]), self.names)
                except ProMLError as error:
                    remarks.append(error.message)
                else:
                    outputs.append(Output(name, Path(made["path"]), manifest))
        moment_ns = self.repository.lock.stat().st_mtime_ns  # a lock file has no times; it was written after the stage
        command = self.entry.get("cmd", "")
        stated: dict[str, object] = {"format": "dvc", "stage": self.name, "unread": remarks}
        stated |= {part: [_stated(one) for one in self.entry.get(part, ())] for part in ("deps", "outs")}
        run = ForeignRun(
            id=run_id,
            name=self.name,
            started_ns=moment_ns,
            ended_ns=moment_ns,
            surroundings={"command": redact_command([command] if isinstance(command, str) else command)},
            stated={key: value for key, value in stated.items() if value},
            parameters=_parameters(self.entry.get("params", {})),
            inputs=inputs,
            outputs=outputs,
        )
        return run, remarks

    def _content(self, entry: Mapping[str, Any], remarks: list[str]) -> Manifest | None:
        try:
            return self.repository.manifest(entry)
        except ProMLError as error:
            remarks.append(error.message)
            return None


def _read(lock: Path) -> dict[str, dict[str, Any]]:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra(
            "expected PyYAML, which reads dvc.lock; it is not installed.", hint="pip install 'proml[dvc]'"
        ) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types here
        """Reads plain data; a few lines with aliases could stand for more than fits in memory, and DVC writes none."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("it has an alias")
            return super().compose_node(parent, index)

    try:
        if lock.stat().st_size > _LOCK_BYTES:
            raise ContentError(f"{lock} has more than {_LOCK_BYTES} bytes.", hint="Name DVC's own lock file.")
        value = yaml.load(lock.read_bytes(), Loader)  # noqa: S506 - a SafeLoader, see above
    except FileNotFoundError as error:
        raise ContentError(f"there is no {lock}.", hint="Name dvc.lock or the folder that has it.") from error
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ContentError(f"{lock} cannot be read: {error}.", hint="Name DVC's own lock file.") from error
    if not isinstance(value, dict) or value.get("schema") != _SCHEMA or not isinstance(value.get("stages"), dict):
        raise ContentError(f"expected a lock file of schema '{_SCHEMA}' in {lock}.", hint="Run `dvc repro` with DVC 3.")
    for name, entry in value["stages"].items():
        _check(name, entry, lock)
    return cast("dict[str, dict[str, Any]]", value["stages"])


def _check(name: object, entry: object, lock: Path) -> None:
    if isinstance(name, str) and isinstance(entry, dict):
        parts = [entry.get("deps", []), entry.get("outs", [])]
        fits = all(isinstance(part, list) for part in parts) and all(
            isinstance(one, dict) and isinstance(one.get("path"), str) for part in parts for one in part
        )
        if fits and isinstance(entry.get("params", {}), dict) and isinstance(entry.get("cmd", ""), str | list):
            return
    raise ContentError(f"the stage {name!a} in {lock} is malformed.", hint="Run `dvc repro`.")


def _in_order(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns stages so that each comes after those whose outputs it uses."""
    from graphlib import CycleError, TopologicalSorter  # noqa: PLC0415 - only here

    makers = {one["path"]: name for name, entry in entries.items() for one in entry.get("outs", ())}
    needs = {
        name: {makers[one["path"]] for one in entry.get("deps", ()) if one["path"] in makers} - {name}
        for name, entry in entries.items()
    }
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError:
        return list(entries)


def _stated(entry: Mapping[str, Any]) -> dict[str, object]:
    return {key: entry[key] for key in ("path", "md5", "etag", "checksum", "size", "nfiles") if key in entry}


def _parameters(params: Mapping[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for file, values in params.items():
        for name, value in values.items() if isinstance(values, dict) else ():
            key = str(name) if file == "params.yaml" else f"{file}:{name}"
            found[key] = redact(value) if isinstance(value, str) else value
    return found


def _md5_of(path: Path, *, legacy: bool) -> str:
    """Returns the digest that DVC gives a file or folder."""
    if not path.is_dir():
        return _md5(path, as_text=legacy)
    files = sorted(one for one in path.rglob("*") if one.is_file())
    listing = [{"md5": _md5(one, as_text=legacy), "relpath": one.relative_to(path).as_posix()} for one in files]
    listing.sort(key=lambda one: tuple(one["relpath"].split("/")))
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + _DIRECTORY


def _md5(path: Path, *, as_text: bool = False) -> str:
    """Returns the MD5 of a file; DVC before 3.0 took text with one kind of line ends."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        head = file.read(512)
        convert = as_text and b"\x00" not in head
        file.seek(0)
        while chunk := file.read(_CHUNK):
            digest.update(chunk.replace(b"\r\n", b"\n") if convert else chunk)
    return digest.hexdigest()
