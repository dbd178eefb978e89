"""Frameworks record into a working folder, which is the current one. Run by ``make test-frameworks``."""

from __future__ import annotations

from tests.capture.conftest import Recorded, _no_run_from_outside, here

__all__ = ["Recorded", "_no_run_from_outside", "here"]
