"""Checks the whole index against the whole chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proml.verify.report import Report
    from proml.verify.verifying import Witnesses


def replay_workspace(witnesses: Witnesses) -> Report:
    """Reads every event of the workspace again and compares heads, contract state and index."""
    raise NotImplementedError
