"""One network for all tests of a file: each leaves it healed, and what was recorded before must still be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.network.participants import Consortium, consortium, wanted_geth

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def study() -> Iterator[Consortium]:
    with consortium(wanted_geth()) as made:
        yield made
