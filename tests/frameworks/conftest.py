"""Frameworks record into a working folder, which is the current one. Run by ``make test-frameworks``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.capture.conftest import Recorded, _no_run_from_outside, here

if TYPE_CHECKING:
    import pytest

__all__ = ["Recorded", "_no_run_from_outside", "here"]


def pytest_configure(config: pytest.Config) -> None:
    """Frameworks warn of one another, which is not for these tests to judge."""
    config.addinivalue_line("filterwarnings", "default")
