"""A decorator that records each call of a function as a run."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from proml.capture.starting import start_run
from proml.errors import UsageError

if TYPE_CHECKING:
    from proml.capture.run import Run

P = ParamSpec("P")
R = TypeVar("R")
RETURNED = "return"


@overload
def track(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def track(
    *,
    uses: Sequence[str] = (),
    publishes: Sequence[str] | Mapping[str, str] = (),
    name: str | None = None,
    kind: str | None = None,
    action: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    strict: bool = False,
    wait: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def track(
    function: Callable[..., Any] | None = None,
    /,
    *,
    uses: Sequence[str] = (),
    publishes: Sequence[str] | Mapping[str, str] = (),
    name: str | None = None,
    kind: str | None = None,
    action: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    strict: bool = False,
    wait: str | None = None,
) -> Any:
    """Records each call of a function, generator or coroutine function as a run.

    Args:
        function: The function, when the decorator is used without parentheses.
        uses: Names of arguments that hold paths (or sequences of paths) which the function reads.
        publishes: Names of arguments that hold the paths which the function writes, or ``return`` for a path that it
            returns. The argument's name is the artefact's name; a mapping gives others: ``{"clean": "tumour-data"}``.
        name: Name of the runs; by default the function's.
        kind: Kind of the published artefacts, as for :meth:`proml.Run.publish`.
        action: Transition of the published artefacts, as there.
        folder: Where the search for the working folder begins.
        strict: As for :func:`proml.start_run`.
        wait: As there.

    Raises:
        UsageError: The function has no argument of such a name. This is raised where the function is defined.
    """
    options = {"folder": folder, "strict": strict, "wait": wait}
    published = dict(publishes) if isinstance(publishes, Mapping) else {one: one for one in publishes}

    def decorate(decorated: Callable[..., Any]) -> Callable[..., Any]:
        about = _Tracked(decorated, tuple(uses), published, kind, action)
        label = name or decorated.__name__

        @contextmanager
        def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[_Call]:
            with start_run(label, **cast("dict[str, Any]", options)) as run:
                tracked = _Call(about, run, args, kwargs)
                tracked.before()
                yield tracked
                tracked.after()

        return _wrap(decorated, call)

    return decorate if function is None else decorate(function)


class _Tracked:
    """A function and which of its arguments are what."""

    def __init__(
        self,
        function: Callable[..., Any],
        uses: tuple[str, ...],
        publishes: dict[str, str],
        kind: str | None,
        action: str | None,
    ) -> None:
        self.signature = inspect.signature(function)
        self.uses = uses
        self.publishes = publishes
        self.kind = kind
        self.action = action
        known = {*self.signature.parameters, RETURNED}
        for argument in (*uses, *publishes):
            if argument not in known or (argument == RETURNED and argument in uses):
                raise UsageError(
                    f"expected arguments of {function.__qualname__}() in uses and publishes; found {argument!a}.",
                    hint=f"Its arguments are {', '.join(self.signature.parameters) or 'none'}.",
                )


@dataclass
class _Call:
    """One call of a tracked function."""

    about: _Tracked
    run: Run
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    returned: Any = None

    def before(self) -> None:
        values = self._values()
        for argument in self.about.uses:
            for path in _paths(values.get(argument)):
                self.run.use(path, role=argument)

    def after(self) -> None:
        values = {**self._values(), RETURNED: self.returned}
        for argument, name in self.about.publishes.items():
            for path in _paths(values.get(argument)):
                self.run.publish(name, path, kind=self.about.kind, action=self.about.action)

    def _values(self) -> dict[str, Any]:
        try:
            bound = self.about.signature.bind(*self.args, **self.kwargs)
        except TypeError:
            return {}  # calling the function says so better
        bound.apply_defaults()
        return dict(bound.arguments)


def _wrap(function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with call(args, kwargs) as tracked:
                tracked.returned = await function(*args, **kwargs)
            return tracked.returned

        return coroutine
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            with call(args, kwargs) as tracked:
                tracked.returned = yield from function(*args, **kwargs)
            return tracked.returned

        return generator
    if inspect.isasyncgenfunction(function):
        raise UsageError(
            f"expected a function, generator or coroutine; {function.__qualname__}() is an asynchronous generator.",
            hint="Use `with proml.start_run()` inside of it.",
        )

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with call(args, kwargs) as tracked:
            tracked.returned = function(*args, **kwargs)
        return tracked.returned

    return plain


def _paths(value: object) -> Iterator[str | os.PathLike[str]]:
    if isinstance(value, str | os.PathLike):
        yield value
    elif isinstance(value, list | tuple):
        yield from (item for item in value if isinstance(item, str | os.PathLike))
