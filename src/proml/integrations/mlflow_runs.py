"""Reads one run of an MLflow store in full, content included."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proml.capture.imported import ForeignRun, Input, Observation, Output
from proml.capture.redaction import redact
from proml.core.digest import format_digest
from proml.errors import ProMLError
from proml.integrations.importing import Allowed, artefact_name
from proml.integrations.mlflow_places import Place, answered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from proml.core.manifest import Manifest

_NS_PER_MS = 1_000_000
_PRIVATE_TAGS = frozenset(("mlflow.user", "mlflow.log-model.history"))
_USER = re.compile(r'"mlflow\.user"\s*:\s*"[^"]*"\s*,?\s*')
_GIT_TAGS = {
    "commit": "mlflow.source.git.commit",
    "branch": "mlflow.source.git.branch",
    "remote": "mlflow.source.git.repoURL",
}


@dataclass(frozen=True)
class Reader:
    """Reads runs of one store.

    Attributes:
        client: MLflow's client.
        place: The store.
        versions: Versions of registered models by run id, oldest first.
        names: Names of artefacts, by names of registered models.
        also: Folders whose content may be read besides the store.
        experiments: Names of experiments by id.
    """

    client: Any
    place: Place
    versions: Mapping[str, Sequence[Any]]
    names: dict[str, str]
    also: tuple[str, ...]
    experiments: Mapping[str, str] = field(default_factory=dict)

    def read(self, run_id: str) -> tuple[ForeignRun, Sequence[str]]:
        """Returns a run, and what of its content could not be read.

        Raises:
            ContentError: MLflow cannot read it.
        """
        with answered(f"read run {run_id}"):
            run = self.client.get_run(run_id)
        one = _One(self, run, Allowed.below((*self.place.roots, *self.also)))
        return one.foreign(), one.remarks


class _One:
    """One run while it is read."""

    def __init__(self, reader: Reader, run: Any, allowed: Allowed) -> None:
        self._reader = reader
        self._run = run
        self._allowed = allowed
        self._hashed: dict[str, Manifest | None] = {}
        self.remarks: list[str] = []

    def foreign(self) -> ForeignRun:
        info, data = self._run.info, self._run.data
        started_ns = (info.start_time or info.end_time or 0) * _NS_PER_MS
        outputs = list(self._outputs())
        inputs, datasets = self._inputs()
        stated = {
            "format": "mlflow",
            "run_id": info.run_id,
            "experiment": self._reader.experiments.get(info.experiment_id, info.experiment_id),
            "status": info.status,
            "datasets": datasets,
            "models": self._models(),
            "artifacts": self._artifacts(),
            "unread": list(self.remarks),
        }
        return ForeignRun(
            id=f"mlflow-{info.run_id}",
            name=info.run_name or info.run_id,
            started_ns=started_ns,
            ended_ns=info.end_time * _NS_PER_MS if info.end_time else started_ns,
            interrupted=info.status in {"RUNNING", "SCHEDULED", "KILLED"},
            surroundings=_surroundings(data.tags),
            tags={key: redact(value) for key, value in sorted(data.tags.items()) if key not in _PRIVATE_TAGS},
            stated={key: value for key, value in stated.items() if value},
            parameters={key: redact(value) for key, value in sorted(data.params.items())},
            observations=self._observations(),
            inputs=inputs,
            outputs=outputs,
        )

    def _observations(self) -> Iterator[Observation]:
        for name in sorted(self._run.data.metrics):
            with answered(f"read the metric {name!a} of run {self._run.info.run_id}"):
                history = self._reader.client.get_metric_history(self._run.info.run_id, name)
            # MLflow's folders may hold a line twice, which its databases do not allow.
            once: dict[object, Any] = {}
            for seen in history:
                once.setdefault((int(seen.timestamp), seen.step, repr(seen.value)), seen)
            for seen in once.values():
                yield Observation(name, seen.value, seen.step, int(seen.timestamp) * _NS_PER_MS)

    def _outputs(self) -> Iterator[Output]:
        """Yields what the run registered: versions of models."""
        for version in self._reader.versions.get(self._run.info.run_id, ()):
            what = f"model {version.name} version {version.version}"
            with self._remarking(what):
                name = artefact_name(version.name, self._reader.names)
                path = self._version_path(version)
                manifest = self._content(path)
                if manifest is not None:
                    yield Output(name, path, manifest, kind="model", action="train")

    def _version_path(self, version: Any) -> Path:
        source = str(version.source)
        model_id = getattr(version, "model_id", None) or source.removeprefix("models:/")
        if source.startswith("models:/"):
            with answered(f"find the files of {source}"):
                source = self._reader.client.get_logged_model(model_id).artifact_location
        elif source.startswith("runs:/"):
            inside = source.removeprefix("runs:/").partition("/")[2]
            source = f"{self._run.info.artifact_uri}/{inside}"
        return self._reader.place.local(source)

    def _models(self) -> list[dict[str, object]]:
        """Returns the models that the run logged, registered or not."""
        found: list[dict[str, object]] = []
        outputs = getattr(self._run, "outputs", None)
        for made in (outputs.model_outputs if outputs else None) or ():
            with self._remarking(f"model {made.model_id}"):
                with answered(f"find the files of model {made.model_id}"):
                    model = self._reader.client.get_logged_model(made.model_id)
                found.append(
                    {"name": model.name, "model_id": made.model_id, **self._described(model.artifact_location)}
                )
        return found

    def _artifacts(self) -> dict[str, object]:
        with self._remarking("artifacts"):
            path = self._reader.place.local(self._run.info.artifact_uri)
            if path.is_dir() and any(path.iterdir()):
                return self._described(self._run.info.artifact_uri)
        return {}

    def _inputs(self) -> tuple[list[Input], list[dict[str, object]]]:
        """Returns the data sets whose files are here, and what MLflow says about all of them."""
        inputs, stated = [], []
        given = getattr(self._run, "inputs", None)
        for used in (given.dataset_inputs if given else None) or ():
            dataset = used.dataset
            context = next((tag.value for tag in used.tags or () if tag.key == "mlflow.data.context"), "")
            fact: dict[str, object] = {
                "name": dataset.name,
                "mlflow_digest": dataset.digest,
                "source_type": dataset.source_type,
                "source": redact(_USER.sub("", dataset.source or "")),
                "role": context,
            }
            uri = _uri_of(dataset.source)
            if dataset.source_type in {"local", "file"} and uri:
                with self._remarking(f"dataset {dataset.name}"):
                    path = self._reader.place.local(uri)
                    manifest = self._content(path)
                    if manifest is not None:
                        fact["content"] = format_digest(manifest.digest)
                        inputs.append(Input(context or "dataset", manifest, path=path.name, uri=redact(uri)))
            stated.append({key: value for key, value in fact.items() if value})
        return inputs, stated

    def _described(self, uri: str) -> dict[str, object]:
        manifest = self._content(self._reader.place.local(uri))
        if manifest is None:
            return {}
        size = {"files": len(manifest.resources), "size_bytes": manifest.size_bytes}
        return {"content": format_digest(manifest.digest), **size}

    def _content(self, path: Path) -> Manifest | None:
        """Hashes each path once; what failed once says so once."""
        key = str(path)
        if key not in self._hashed:
            self._hashed[key] = None
            self._hashed[key] = self._allowed.manifest(path)
        return self._hashed[key]

    def _remarking(self, what: str) -> _Remarking:
        return _Remarking(lambda error: self.remarks.append(f"{what}: {error.message}"))


class _Remarking:
    """Around what a run can do without: a failure becomes a remark."""

    def __init__(self, remark: Callable[[ProMLError], None]) -> None:
        self._remark = remark

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, ProMLError):
            return False
        self._remark(error)
        return True


def _surroundings(tags: Mapping[str, str]) -> dict[str, object]:
    git = {field: redact(tags[tag]) for field, tag in _GIT_TAGS.items() if tags.get(tag)}
    source = tags.get("mlflow.source.name")
    found: dict[str, object] = {"git": git} if "commit" in git else {}
    if source:
        found["entry_point"] = {"path": redact(source)}
    return found


def _uri_of(source: str | None) -> str:
    try:
        value = json.loads(source or "{}")
    except ValueError:
        return ""
    uri = value.get("uri") if isinstance(value, dict) else None
    return uri if isinstance(uri, str) else ""
