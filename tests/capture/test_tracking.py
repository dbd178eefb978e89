from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.capture.conftest import Recorded


def test_a_tracked_call_is_a_run_with_inputs_and_outputs(here: Recorded) -> None:
    @proml.track(uses=["raw"], publishes=["clean"])
    def clean(raw: str, clean: str) -> int:
        """Cleans."""
        return Path(clean).write_text(Path(raw).read_text().strip())

    (here.root / "raw.csv").write_text(" 1 ")
    assert clean("raw.csv", clean="clean.csv") == 1
    assert (clean.__name__, clean.__doc__) == ("clean", "Cleans.")
    assert here.record["run"]["name"] == "clean"
    assert here.record["uses"][0]["role"] == "raw"
    assert here.intents[0][2]["name"] == "clean"


def test_a_mapping_names_artefacts_and_return_is_what_the_function_returns(here: Recorded) -> None:
    @proml.track(publishes={"return": "tumour-model"}, kind="model", action="train")
    def train() -> Path:
        path = Path("m.bin")
        path.write_text("m")
        return path

    train()
    assert here.record["artefact"] == {"name": "tumour-model", "kind": "model"}


def test_it_works_without_parentheses_and_on_methods_and_defaults(here: Recorded) -> None:
    class Pipeline:
        @proml.track
        def step(self, x: int = 2) -> int:
            return x

    assert Pipeline().step() == 2
    assert here.record["run"]["name"] == "step"


def test_several_paths_may_be_given_in_one_argument(here: Recorded) -> None:
    @proml.track(uses=["parts"])
    def join(parts: list[str]) -> None: ...

    for name in ("a", "b"):
        (here.root / name).write_text(name)
    join(["a", "b"])
    assert [use["path"] for use in here.record["uses"]] == ["a", "b"]


def test_coroutines_and_generators_are_runs_until_they_end(here: Recorded) -> None:
    @proml.track
    async def waits() -> int:
        await asyncio.sleep(0)
        proml.log_metric("inside", 1)
        return 3

    @proml.track
    def yields() -> Iterator[int]:
        yield 1
        proml.log_metric("inside", 1)
        yield 2

    assert asyncio.run(waits()) == 3
    assert list(yields()) == [1, 2]
    assert [record["metrics"]["inside"]["count"] for record in here.records] == [1, 1]


def test_a_function_that_fails_publishes_nothing_and_raises_its_own_exception(here: Recorded) -> None:
    @proml.track(publishes=["out"])
    def fails(out: str) -> None:
        raise LookupError(out)

    with pytest.raises(LookupError, match="x"):
        fails("x")
    assert here.record["run"]["exception"]["type"] == "LookupError"
    assert [kind for _, kind, _ in here.intents] == ["anchor"]


def test_a_wrong_call_fails_as_it_would_without(here: Recorded) -> None:
    @proml.track(uses=["a"])
    def one(a: str) -> None: ...

    with pytest.raises(TypeError, match="missing 1 required"):
        one()  # type: ignore[call-arg]  # the point of the test


def test_an_unknown_argument_is_refused_where_the_function_is_defined() -> None:
    with pytest.raises(proml.UsageError, match="'b'"):

        @proml.track(uses=["b"])
        def one(a: str) -> None: ...


def test_an_asynchronous_generator_is_refused() -> None:
    with pytest.raises(proml.UsageError, match="asynchronous generator"):

        @proml.track
        async def numbers() -> AsyncIterator[int]:
            yield 1
