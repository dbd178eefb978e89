"""Follows the ledger into the index."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from proml.core.workspace_file import WorkspaceFile
    from proml.index.views import FollowReport
    from proml.ports import Ledger, Store

Progress = Callable[[int, int], None]
"""Called with (blocks done, blocks to do)."""


def follow(
    ledger: Ledger, workspace: WorkspaceFile, store: Store | None, engine: Engine, progress: Progress | None = None
) -> FollowReport:
    """Brings the index up to the ledger's newest block.

    Raises:
        VerificationError: The ledger is not the pinned one, or its logs do not fit together (a lying end point);
            nothing of the range in question is written.
        UnreachableError: No answer from the ledger.
    """
    raise NotImplementedError


def rebuild(
    ledger: Ledger, workspace: WorkspaceFile, store: Store | None, engine: Engine, progress: Progress | None = None
) -> FollowReport:
    """Throws the index away and follows from the workspace's first block."""
    raise NotImplementedError


def check_pins(ledger: Ledger, workspace: WorkspaceFile) -> None:
    """Raises VerificationError unless chain id, genesis hash and contract code are the pinned ones."""
    raise NotImplementedError
