"""scikit-learn: parameters, data, duration and scores of an estimator, which stays as it is.

    model = track(LogisticRegression(C=0.1))
    model.fit(X, y)
    model.score(X_test, y_test)

What :func:`track` returns behaves like the estimator. Copies are plain estimators: `sklearn.base.clone`, `pickle`,
`joblib.dump` and the workers of a cross-validation never see ProML.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from proml.integrations.arrays import content_of
from proml.integrations.session import Session, careful, name_of, use_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.capture.run import Run

E = TypeVar("E")
_FITS = frozenset(("fit", "fit_predict", "fit_transform"))


def track(estimator: E, *, name: str = "") -> E:
    """Returns the estimator as one that records what is done with it in the active run.

    Recorded are, when it is fitted: its class and parameters, the content of X and y and their shape, how long it
    took, and for searches each candidate's score and the best parameters; and what `score` returns. Fitting outside of
    any run is a run of its own.

    Args:
        estimator: Any estimator of scikit-learn, or one that works like one. It is fitted itself, not a copy of it.
        name: Begins the names of what is recorded, where a run has several estimators: ``name.C``, ``name.score``.
    """
    return cast("E", _Tracked(estimator, f"{name}." if name else ""))


class _Tracked:
    """Stands in for an estimator."""

    __slots__ = ("_estimator", "_prefix", "_session")

    def __init__(self, estimator: Any, prefix: str) -> None:
        object.__setattr__(self, "_estimator", estimator)
        object.__setattr__(self, "_prefix", prefix)
        object.__setattr__(self, "_session", Session())

    @property  # type: ignore[misc]  # the data model lets it be read-only
    def __class__(self) -> Any:
        return type(self._estimator)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._estimator, name)
        if name in _FITS:
            return functools.wraps(value)(functools.partial(self._fit, value))
        if name == "score":
            return functools.wraps(value)(functools.partial(self._score, value))
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._estimator, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._estimator, name)

    def __getitem__(self, key: Any) -> Any:
        return self._estimator[key]

    def __repr__(self) -> str:
        return repr(self._estimator)

    def __dir__(self) -> list[str]:
        return dir(self._estimator)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._estimator.__reduce_ex__(protocol)

    def _fit(self, fit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._begin()
        self._record_before(args, kwargs)
        start = time.perf_counter()
        try:
            result = fit(*args, **kwargs)
        except BaseException as error:
            self._session.end(error)
            raise
        self._record_after(time.perf_counter() - start)
        self._session.end()
        return self if result is self._estimator else result

    def _score(self, score: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        value = score(*args, **kwargs)
        self._record_score(value, args, kwargs)
        return value

    @careful("start a run for an estimator")
    def _begin(self) -> None:
        self._session.begin(type(self._estimator).__name__)

    @careful("record an estimator and its data")
    def _record_before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        run = self._session.run
        if run is None:
            return
        shape = getattr(args[0] if args else kwargs.get("X"), "shape", ())
        sizes = dict(zip(("n_samples", "n_features"), shape, strict=False))
        parameters = {key: _plain(value) for key, value in self._estimator.get_params().items()}
        values = {"estimator": name_of(self._estimator), **parameters, **sizes}
        run.log_params({f"{self._prefix}{key}": value for key, value in values.items()})
        self._use(run, "training", args, kwargs)

    @careful("record a fitted estimator")
    def _record_after(self, fit_s: float) -> None:
        run, model = self._session.run, self._estimator
        if run is None:
            return
        run.log_metric(f"{self._prefix}fit_s", fit_s)
        if hasattr(model, "best_params_"):
            for number, score in enumerate(model.cv_results_["mean_test_score"]):
                run.log_metric(f"{self._prefix}mean_test_score", score, step=number)
            best = {f"{self._prefix}best.{key}": _plain(value) for key, value in model.best_params_.items()}
            run.log_params(best)

    @careful("record a score")
    def _record_score(self, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        run = self._session.run
        if run is not None:
            run.log_metric(f"{self._prefix}score", value)
            self._use(run, "evaluation", args, kwargs)

    def _use(self, run: Run, role: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given: dict[str, Any] = dict(zip(("X", "y"), args, strict=False))
        given |= kwargs
        for key, part in (("X", "data"), ("y", "labels")):
            if given.get(key) is not None:
                self._use_one(run, given[key], f"{role} {part}", f"({key})")

    @careful("hash the data of an estimator")
    def _use_one(self, run: Run, data: Any, role: str, what: str) -> None:
        use_content(run, content_of(data), role=role, what=what)


def _plain(value: Any) -> Any:
    """Returns a parameter as a fact: what is no simple value by its text, as scikit-learn writes it."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
