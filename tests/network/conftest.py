"""One network for all tests of a file: each leaves it healed, and what was recorded before must still be there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from tests.network.participants import Consortium, consortium, wanted_geth

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _ends_in_order() -> None:
    """A run that is asked to end removes what it made."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("it was asked to end", 143))


@pytest.fixture(scope="module")
def alone() -> Iterator[Consortium]:
    """A network of one, whose client a test may treat as it likes."""
    with consortium(wanted_geth(), ["alone"]) as made:
        yield made


@pytest.fixture(scope="session")
def study() -> Iterator[Consortium]:
    with consortium(wanted_geth()) as made:
        yield made
