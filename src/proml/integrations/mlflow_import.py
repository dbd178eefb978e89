"""Reads the runs of an MLflow store on this machine: a ``mlruns`` folder or a SQLite file. No server, no unpickling.

The store is read through MLflow's own client. What a store says is taken as said: names, parameters, metrics, times,
MLflow's own short digests. Content is hashed anew from all bytes, and only inside the store, the working folder, and
folders that the caller names; see :class:`proml.integrations.importing.Allowed`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proml.errors import ContentError, MissingExtra, ProMLError
from proml.integrations import mlflow_places
from proml.integrations.importing import Candidate, Skipped
from proml.integrations.mlflow_runs import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proml.capture.imported import ForeignRun

_PAGE = 1000
_ALLOW_FOLDERS = "MLFLOW_ALLOW_FILE_STORE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs, and how.

    Attributes:
        experiments: Names or ids of experiments; empty for all.
        runs: Ids; empty for all.
        unfinished: Also runs that never ended.
        names: Names of artefacts, by the names of registered models.
        also: Folders whose content may be read besides the store.
    """

    experiments: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    unfinished: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    also: Sequence[str] = ()


def candidates(path: str, wanted: Wanted) -> Iterator[Candidate | Skipped]:
    """Yields the runs of a store, in the order in which their models were registered or, without any, they ended.

    Args:
        path: A folder as ``mlruns``, a SQLite file, or its URL ``sqlite:///…``.
        wanted: Which runs.

    Raises:
        ContentError: There is no such store, or it cannot be trusted to be one.
        MissingExtra: MLflow is not installed.
    """
    place = mlflow_places.find(path)
    with tempfile.TemporaryDirectory(prefix="proml-mlflow-") as scratch:
        survey = mlflow_places.survey(place, Path(scratch))
        yield from survey.skipped
        client = _client(survey.uri)
        with mlflow_places.answered(f"read {path}"):
            chosen = [one for one in experiments(client) if _is_wanted(one, wanted)]
            versions = registered(client)
            read = [info for one in chosen for info in _runs(client, one, survey)]
        yield from (one for one in read if isinstance(one, Skipped))
        infos = [one for one in read if not isinstance(one, Skipped)]
        known = {info.run_id for info in infos}
        reader = Reader(client, place, versions, dict(wanted.names), tuple(wanted.also),
                        {one.experiment_id: one.name for one in chosen})  # fmt: skip
        for info in sorted(infos, key=lambda info: (_moment(info, versions), info.run_id)):
            if not wanted.runs or info.run_id in wanted.runs:
                yield _candidate(reader, info, wanted)
        if not wanted.experiments and not wanted.runs:
            yield from _without_run(versions, known)


def _candidate(reader: Reader, info: Any, wanted: Wanted) -> Candidate | Skipped:
    label = f"run {info.run_id}"
    if info.status in {"RUNNING", "SCHEDULED"} and not wanted.unfinished:
        return Skipped(label, "it has not ended; --unfinished imports it as it is.")

    def read() -> tuple[ForeignRun, Sequence[str]]:
        return reader.read(info.run_id)

    return Candidate(f"mlflow-{info.run_id}", label, read)


def _client(uri: str) -> Any:
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra(
            "expected MLflow, which reads its stores; it is not installed.", hint="pip install 'proml[mlflow]'"
        ) from error
    try:
        with mlflow_places.quiet(), _folders_allowed():
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
            client.search_model_versions(max_results=1)  # opens the registry
    except ImportError as error:
        raise MissingExtra(
            f"MLflow cannot open this store: {error.name} is not installed.", hint="pip install 'proml[mlflow]'"
        ) from error
    except Exception as error:
        raise ContentError(
            f"MLflow cannot open this store: {mlflow_places.first_line(error)}.",
            hint="Check it with MLflow, whose version has to be at least the one that wrote it.",
        ) from error
    return client


@contextlib.contextmanager
def _folders_allowed() -> Iterator[None]:
    """Lets MLflow open a folder, which newer versions do only for who insists."""
    before = os.environ.get(_ALLOW_FOLDERS)
    os.environ[_ALLOW_FOLDERS] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ALLOW_FOLDERS]
        else:
            os.environ[_ALLOW_FOLDERS] = before


def experiments(client: Any) -> Iterator[Any]:
    """Yields all experiments that are not deleted."""
    yield from pages(lambda token: client.search_experiments(max_results=_PAGE, page_token=token))


def _is_wanted(experiment: Any, wanted: Wanted) -> bool:
    return not wanted.experiments or bool(wanted.experiments & {experiment.name, experiment.experiment_id})


def _runs(client: Any, experiment: Any, survey: mlflow_places.Survey) -> Iterator[Any]:
    """Yields the infos of an experiment's runs; in a folder, only of those whose files can be trusted to be files."""
    if survey.runs is None:
        for run in pages(
            lambda token: client.search_runs([experiment.experiment_id], max_results=_PAGE, page_token=token)
        ):
            yield run.info
        return
    for run_id in survey.runs.get(experiment.experiment_id, ()):
        try:
            with mlflow_places.answered(f"read run {run_id}"):
                info = client.get_run(run_id).info
        except ProMLError as error:
            yield Skipped(f"run {run_id}", error.message)
            continue
        if info.lifecycle_stage == "active":
            yield info


def registered(client: Any) -> dict[str, list[Any]]:
    """Returns the versions of registered models by run id, oldest first."""
    found: dict[str, list[Any]] = {}
    for version in pages(lambda token: client.search_model_versions(max_results=_PAGE, page_token=token)):
        found.setdefault(version.run_id or "", []).append(version)
    for versions in found.values():
        versions.sort(key=lambda one: (one.creation_timestamp or 0, one.name, int(one.version)))
    return found


def _without_run(versions: Mapping[str, Sequence[Any]], known: set[str]) -> Iterator[Skipped]:
    for run_id, registered in versions.items():
        if run_id not in known:
            for one in registered:
                yield Skipped(f"model {one.name} version {one.version}", "its run is not in this store.")


def _moment(info: Any, versions: Mapping[str, Sequence[Any]]) -> int:
    registered = versions.get(info.run_id)
    return int((registered[0].creation_timestamp if registered else info.end_time) or info.start_time or 0)


def pages(ask: Any) -> Iterator[Any]:
    """Yields what MLflow's client answers page by page; ``ask`` is called with each page's token."""
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return
