"""What the joins of all frameworks share: which run their events go into, and that nothing raises into training."""

from __future__ import annotations

import functools
import importlib
import math
import os
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from proml.capture import active
from proml.capture.run import describe_exception, status_of
from proml.capture.starting import start_run
from proml.capture.trouble import in_words, warn
from proml.capture.values import label
from proml.core.digest import format_digest
from proml.errors import MissingExtra

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping

    from proml.capture.run import Run
    from proml.core.manifest import Manifest

P = ParamSpec("P")
R = TypeVar("R")


class Session:
    """The run that a framework's events go into: the active one, or else one of its own while the framework trains.

    A copy, also one that was pickled, has no run: where it is used, it finds the active one or makes its own.
    """

    def __init__(self) -> None:
        self._own: Run | None = None

    def __reduce__(self) -> tuple[type[Session], tuple[()]]:
        return Session, ()

    @property
    def run(self) -> Run | None:
        """The run; None if nothing was begun and none is active."""
        return self._own if self._own is not None and self._own.is_open else active.current()

    def begin(self, name: str, *, rank: int = 0) -> None:
        """Training begins: starts a run if none is active.

        Args:
            name: What the run is called then.
            rank: Place among the processes that train together. Others than the first take part if they can tell
                which run it is (under torchrun, or if the run began before they did); a second run is never made.
        """
        if self.run is None and not active.disabled() and (rank == 0 or _told_by_launcher()):
            self._own = start_run(name)

    def end(self, error: BaseException | None = None) -> None:
        """Training ended: closes the run, if it is this session's own."""
        own, self._own = self._own, None
        if own is not None:
            own._end(status_of(error) if error else 0, describe_exception(error) if error else None)  # noqa: SLF001 - as `with`


def careful(doing: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Around what a framework calls: whatever fails is said once and returns None, unless the run is strict.

    Args:
        doing: What is being done, to be read after "could not".
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
                run = active.current()
                if run is not None:
                    run._failed(doing, error)  # noqa: SLF001 - part of capture
                elif not active.disabled():
                    warn(str(in_words(doing, error)))
                return None

        return call

    return decorate


def framework(module: str, extra: str) -> Any:
    """Returns a module of a framework.

    Raises:
        MissingExtra: The framework is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(extra, error) from error


def missing(extra: str, error: ImportError) -> MissingExtra:
    """Returns the error for a framework that cannot be imported."""
    return MissingExtra(
        f"expected {extra} to be installed; importing it failed: {error}.", hint=f"Run `pip install 'proml[{extra}]'`."
    )


def use_content(run: Run, manifest: Manifest, *, role: str, what: str) -> str:
    """Records an input that is in memory; returns its content digest ``sha256:…``.

    Args:
        run: The run that uses it.
        manifest: Its content.
        role: What it is used as.
        what: Stands where files have their path.
    """
    content = format_digest(manifest.digest)
    fact = {"role": label(role), "path": label(what), "content": content, "size_bytes": manifest.size_bytes}
    run._write("use", fact)  # noqa: SLF001 - part of capture
    return content


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Returns what can be observed of a framework's log: numbers, and arrays or tensors of one number."""
    return {f"{prefix}{name}": value for name, value in values.items() if _is_number(value)}


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Returns nested settings as one level: ``{"tree": {"depth": 3}}`` as ``{"tree.depth": 3}``."""
    found: dict[str, object] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            found |= flat(inner, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = inner
    return found


def name_of(thing: object) -> str:
    """Returns the full name of a class, or of an object's class."""
    kind: types.GenericAlias | type = thing if isinstance(thing, type) else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return True
    try:
        return math.prod(value.shape) == 1 and float(value) is not None
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return False


def _told_by_launcher() -> bool:
    return bool(os.environ.get("PROML_RUN")) or {"RANK", "WORLD_SIZE", "MASTER_PORT"} <= os.environ.keys()
