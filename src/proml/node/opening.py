"""Opens the node of a working folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proml.errors import ConfigError
from proml.wiring import need, open_participant

if TYPE_CHECKING:
    from proml.node.server import NodeServer
    from proml.node.worker import Tell


def open_node(folder: str | os.PathLike[str] | None, *, every_s: float | None, tell: Tell) -> NodeServer:
    """Opens the node of a working folder, with its key unlocked; nothing listens yet.

    Args:
        folder: Where to look for it, upwards; as for :func:`proml.wiring.open_participant`.
        every_s: How often the worker looks for a new block; None is by the time between blocks.
        tell: Is told in a line what an operator should know.

    Raises:
        ConfigError: The folder hands over to another node, or is none.
        IdentityError: The key cannot be unlocked.
        MissingExtra: The packages of the extra ``node`` are not installed.
    """
    need("starlette", "node")
    need("uvicorn", "node")
    from proml.node.server import NodeServer  # noqa: PLC0415 - only when the packages are there

    participants = open_participant(folder), open_participant(folder)
    for participant in participants:
        if os.environ.get("PROML_NODE") or participant.config.node:
            raise ConfigError(
                f"{participant.folder.root} hands over to another node, so it cannot be one.",
                hint="Unset PROML_NODE, and remove node from .proml/config.toml.",
            )
        _ = participant.signer
    return NodeServer(*participants, every_s=every_s, tell=tell)
