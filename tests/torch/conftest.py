"""PyTorch's frameworks record into a working folder, which is the current one. Run by ``make test-torch``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.capture.conftest import Recorded, _no_run_from_outside, here

if TYPE_CHECKING:
    import pytest

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}

__all__ = ["Recorded", "_no_run_from_outside", "here"]


def pytest_configure(config: pytest.Config) -> None:
    """Frameworks warn of one another, which is not for these tests to judge."""
    config.addinivalue_line("filterwarnings", "default")
