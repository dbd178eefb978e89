"""What `proml consortium new` decides for a trial; the networks themselves are tried in tests/network."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Person


@pytest.fixture(scope="module")
def person(newcomer: Callable[[str], Person]) -> Person:
    return newcomer("trial")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for that of a client's socket."""
    with tempfile.TemporaryDirectory(prefix="pmtry-", dir="/tmp") as made:
        yield Path(made)


def test_the_first_block_of_several_comes_when_all_can_have_been_started(person: Person, short: Path) -> None:
    begun = time.time()
    made = person.json("consortium", "new", "--trial", 4, "--into", short)
    assert begun + 10 < made["genesis_time"] <= time.time() + 15


def test_who_is_alone_does_not_wait(person: Person, short: Path) -> None:
    made = person("consortium", "new", "--trial", 1, "--into", short)
    assert "No block comes" not in made.out
    several = person("consortium", "new", "--trial", 2, "--into", short / "several")
    assert "start all clients by then" in several.out
