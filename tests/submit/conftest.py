from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.submit.senders import Sender
from tests.worlds import World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("world"))
    yield made
    made.ledger.close()
    made.engine.dispose()


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"artefact-{next(_numbers)}"


@pytest.fixture
def sender(world: World, tmp_path: Path) -> Sender:
    return Sender(world, tmp_path / "sender")


@pytest.fixture
def make_sender(world: World, tmp_path: Path) -> Callable[..., Sender]:
    return lambda who="developer", folder="", **options: Sender(world, tmp_path / (folder or who), who, **options)
