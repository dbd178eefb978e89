"""The active run, and the functions of :mod:`proml` that speak to it."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

from proml.capture.trouble import warn
from proml.capture.values import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proml.capture.run import Run, Used

# A task or thread that started a run of its own sees that one; any other sees the one that was started last.
_of_context: ContextVar[Run | None] = ContextVar("proml_run", default=None)
_open: list[Run] = []
_warned = False


def current() -> Run | None:
    """Returns the active run, or None; a process that PROML_RUN asks to join a run does so now."""
    run = _of_context.get()
    if run is not None and run.is_open:
        return run
    if _open:
        return _open[-1]
    if os.environ.get("PROML_RUN") and not disabled():
        from proml.capture.starting import start_run  # noqa: PLC0415 - imports this module

        return start_run()
    return None


def opened() -> tuple[Run, ...]:
    """Returns the runs that are open in this process, oldest first."""
    return tuple(_open)


def enter(run: Run) -> None:
    """Makes a run the active one."""
    _open.append(run)
    _of_context.set(run)


def leave(run: Run, previous: Run | None) -> None:
    """Makes the previous run the active one again."""
    if run in _open:
        _open.remove(run)
    if _of_context.get() is run:
        _of_context.set(previous if previous is not None and previous.is_open else None)


def disabled() -> bool:
    """Tells whether PROML_DISABLED switches all capture off."""
    return os.environ.get("PROML_DISABLED", "").lower() not in {"", "0", "false", "no", "off"}


def log_metric(name: str, value: object, step: int | None = None) -> None:
    """Records an observation in the active run; see :meth:`proml.Run.log_metric`."""
    run = _of_context.get()
    if run is None or not run.is_open:
        run = _expected("log_metric")
    if run is not None:
        run.log_metric(name, value, step)


def log_metrics(values: Mapping[str, object], step: int | None = None) -> None:
    """Records observations in the active run; see :meth:`proml.Run.log_metrics`."""
    if run := _expected("log_metrics"):
        run.log_metrics(values, step)


def log_param(name: str, value: object) -> None:
    """Records a parameter of the active run; see :meth:`proml.Run.log_param`."""
    if run := _expected("log_param"):
        run.log_param(name, value)


def log_params(values: Mapping[str, object]) -> None:
    """Records parameters of the active run; see :meth:`proml.Run.log_params`."""
    if run := _expected("log_params"):
        run.log_params(values)


def note(remark: str) -> None:
    """Adds a remark to the active run; see :meth:`proml.Run.note`."""
    if run := _expected("note"):
        run.note(remark)


def use(
    path_or_name: str | os.PathLike[str] | object,
    *,
    role: str = "input",
    name: str | None = None,
    version: str | int | None = None,
    uri: str | None = None,
    licence: str | None = None,
) -> Used:
    """Records an input of the active run; see :meth:`proml.Run.use`."""
    from proml.capture.run import Used  # noqa: PLC0415 - imports this module

    run = _expected("use")
    if run is None:
        return Used(shown(path_or_name), "", name or "")
    return run.use(path_or_name, role=role, name=name, version=version, uri=uri, licence=licence)


def publish(
    name: str,
    path: str | os.PathLike[str] | object,
    *,
    kind: str | None = None,
    action: str | None = None,
    manifest: str | os.PathLike[str] | None = None,
) -> str:
    """Records an output of the active run; see :meth:`proml.Run.publish`."""
    run = _expected("publish")
    return run.publish(name, path, kind=kind, action=action, manifest=manifest) if run else ""


def _expected(call: str) -> Run | None:
    """Returns the active run; warns once if there is none."""
    global _warned  # noqa: PLW0603 - once in a process is enough
    run = current()
    if run is None and not disabled() and not _warned:
        _warned = True
        warn(f"{call}() was called with no active run; nothing is recorded. Use `with proml.start_run():`.")
    return run
