"""MLflow beside ProML: what MLflow records, by hand or by autologging, lands in ProML too.

One line, around what uses MLflow::

    mlflow.autolog()
    with proml.start_run("train"), listen():
        model.fit(...)

Nothing of MLflow is patched or replaced. While a ProML run is active, MLflow tags its own runs with the run's id
(:class:`ProvenanceContext`, an entry point ``mlflow.run_context_provider``). When ``listen`` ends, the runs that carry
the tag are read through MLflow's client as `proml import --format mlflow` would read them, and under the same ids: a
later import of the store knows them already.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proml.capture import active
from proml.capture.trouble import in_words
from proml.errors import ProMLError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.capture.run import Run
    from proml.integrations.mlflow_runs import Reader

RUN_TAG = "proml.run_id"
NAME_TAG = "proml.run_name"
_DOING = "take over what MLflow recorded"
_GOING_ON = frozenset(("RUNNING", "SCHEDULED"))


class ProvenanceContext:
    """Tags MLflow's runs with the id and name of the active ProML run; MLflow finds it by its entry point."""

    def in_context(self) -> bool:
        """Tells whether a ProML run is active."""
        return bool(self.tags())

    def tags(self) -> dict[str, str]:
        """Returns the tags; none if no ProML run is active."""
        try:
            run = None if active.disabled() else active.current()
        except Exception:  # noqa: BLE001 - whatever it is, MLflow goes on
            return {}
        if run is None or not run.id:
            return {}
        return {RUN_TAG: run.id} | ({NAME_TAG: run.name} if run.name else {})


@contextlib.contextmanager
def listen(*, names: Mapping[str, str] | None = None, strict: bool = False) -> Iterator[None]:
    """Takes over the MLflow runs that begin meanwhile, as runs that name the active ProML run as their parent.

    Parameters, all values of all metrics, tags, data sets, models and registered versions come along; versions of
    registered models are published. Runs that failed or were killed are taken over as such; those that still go on when
    this ends are left to `proml import`. Without an active ProML run nothing is taken over. It never raises into the
    script, unless it or the ProML run is strict.

    Args:
        names: Names of artefacts, by the names of registered models.
        strict: Raise ProMLError if something cannot be taken over.
    """
    run = active.current()
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProMLError):  # never hide the script's own exception
            _finish(run, names or {}, strict=False)
        raise
    _finish(run, names or {}, strict=strict)


def _finish(run: Run | None, names: Mapping[str, str], *, strict: bool) -> None:
    if run is None or run.folder is None or run.is_inherited:
        return
    try:
        troubles = _take_over(run, names)
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on
        troubles = [error]
    for trouble in troubles:
        if strict:
            raise in_words(_DOING, trouble) from trouble
        run._failed(_DOING, trouble)  # noqa: SLF001 - part of capture


def _take_over(run: Run, names: Mapping[str, str]) -> list[Exception]:
    """Takes over what ended; returns why a run could not be."""
    from proml.capture.imported import is_known, take_over  # noqa: PLC0415 - only here
    from proml.config import Folder  # noqa: PLC0415 - as above

    assert run.folder is not None
    folder = Folder(run.folder.parents[2])
    troubles: list[Exception] = []
    reader, ended = _tagged(run.id, folder.root, names)
    for run_id in ended:
        try:
            if not is_known(folder, f"mlflow-{run_id}"):
                foreign, _ = reader.read(run_id)
                take_over(folder, replace(foreign, surroundings={**foreign.surroundings, "parent": run.id}))
        except Exception as error:  # noqa: BLE001 - the others are taken over all the same
            troubles.append(error)
    return troubles


def _tagged(run_id: str, root: Path, names: Mapping[str, str]) -> tuple[Reader, list[str]]:
    """Returns what reads MLflow's runs, and the ids of those that ended and carry the tag, oldest first."""
    from mlflow import MlflowClient, get_tracking_uri  # noqa: PLC0415 - an extra

    from proml.integrations.mlflow_import import experiments, pages, registered  # noqa: PLC0415 - only here
    from proml.integrations.mlflow_places import answered  # noqa: PLC0415 - as above
    from proml.integrations.mlflow_runs import Reader  # noqa: PLC0415 - as above

    with answered("list the runs that began meanwhile"):
        client = MlflowClient()
        titles = {one.experiment_id: one.name for one in experiments(client)}
        query = {"filter_string": f"tags.`{RUN_TAG}` = '{run_id}'", "order_by": ["attributes.start_time ASC"]}
        found: list[Any] = list(pages(lambda token: client.search_runs(list(titles), page_token=token, **query)))
        ended = [one.info.run_id for one in found if one.info.status not in _GOING_ON]
        versions = registered(client) if ended else {}
    roots = (str(root), str(Path.cwd()))
    return Reader(client, _place(get_tracking_uri()), versions, dict(names), roots, titles), ended


def _place(uri: str) -> Any:
    """Returns where a tracking URI keeps its files; a server's are looked for in ``mlruns`` here."""
    from proml.integrations.mlflow_places import Place  # noqa: PLC0415 - only here

    if uri.startswith("sqlite:"):
        return Place(Path(uri.removeprefix("sqlite:///")).absolute(), is_folder=False)
    path = uri.removeprefix("file://")
    return Place(Path("mlruns" if "://" in path else path).absolute(), is_folder=True)
