"""ProML: one provenance record of datasets and models, kept by organisations that do not trust each other.

Everything that a script needs is here; all other modules are private. Importing this package is light: nothing is
loaded before it is used.

Record what a script does. A run is a context manager; what it publishes goes on the ledger with `proml sync`::

    import proml

    with proml.start_run("train-tumour-model") as run:
        data = run.use("data/train.csv")
        run.log_params({"max_depth": 6})
        for step, loss in enumerate(train(data.path)):
            run.log_metric("loss", loss, step=step)
        run.publish("tumour-model", "model.joblib", kind="model", action="train")

    @proml.track(uses=["raw"], publishes=["clean"])
    def clean(raw, clean): ...

``proml.run`` is the active run, or None; ``proml.use``, ``publish``, ``log_param``, ``log_params``, ``log_metric``,
``log_metrics`` and ``note`` speak to it, and do nothing when there is none.

Check before use. ``verify`` returns a report or raises VerificationError, ``verified`` returns the path::

    model = joblib.load(proml.verified("model.joblib", state="released"))

Capturing never raises into the script (unless ``strict=True``) and never waits for a network (unless ``wait=`` asks).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers take it for typing.TYPE_CHECKING, whose import takes longer than this module's
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from proml.capture.active import (
        log_metric,
        log_metrics,
        log_param,
        log_params,
        note,
        publish,
        use,
    )
    from proml.capture.run import Run, Used
    from proml.capture.starting import start_run
    from proml.capture.tracking import track
    from proml.errors import (
        ConflictError,
        ProMLError,
        RefusedError,
        UnreachableError,
        UsageError,
        VerificationError,
    )
    from proml.gate import verified, verify

    __version__: str
    run: Run | None

__all__ = [
    "ConflictError",
    "ProMLError",
    "RefusedError",
    "Run",
    "UnreachableError",
    "UsageError",
    "Used",
    "VerificationError",
    "__version__",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "note",
    "publish",
    "run",
    "start_run",
    "track",
    "use",
    "verified",
    "verify",
]

_HOMES = {
    **dict.fromkeys(
        ("log_metric", "log_metrics", "log_param", "log_params", "note", "publish", "use"), "proml.capture.active"
    ),
    **dict.fromkeys(("Run", "Used"), "proml.capture.run"),
    "start_run": "proml.capture.starting",
    "track": "proml.capture.tracking",
    "verified": "proml.gate",
    **dict.fromkeys(
        ("ConflictError", "ProMLError", "RefusedError", "UnreachableError", "UsageError", "VerificationError"),
        "proml.errors",
    ),
}


def _load(module: str) -> ModuleType:
    __import__(module)
    return sys.modules[module]


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = _load("importlib.metadata").version("proml")
    elif name in _HOMES:
        value = getattr(_load(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'proml' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_Module = type(sys)  # types.ModuleType, without importing types


class _Package(_Module):  # type: ignore[misc,valid-type]  # see above
    """This package, with two names that the module's dictionary cannot hold."""

    @property
    def run(self) -> Run | None:
        """The active run; changes with time, so it is looked up each time."""
        active = sys.modules.get("proml.capture.active")
        return active.current() if active else None

    @property
    def verify(self) -> Callable[..., object]:
        """The subpackage :mod:`proml.verify`, which is also the function :func:`proml.gate.verify`."""
        package = _load("proml.verify")
        package.__class__ = _CallablePackage
        return package  # type: ignore[return-value]  # its class was made callable in the line above

    @verify.setter
    def verify(self, module: ModuleType) -> None:
        """Lets the import system bind the subpackage, which must not hide the function."""


class _CallablePackage(_Module):  # type: ignore[misc,valid-type]  # as above
    def __call__(self, *args: object, **kwargs: object) -> object:
        return _load("proml.gate").verify(*args, **kwargs)


sys.modules[__name__].__class__ = _Package
