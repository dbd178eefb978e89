"""The lifecycles that come with ProML, as readable TOML beside this file."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from proml.core.lifecycle_reading import parse_lifecycle

if TYPE_CHECKING:
    from proml.core.lifecycle import Definition

SHIPPED = (
    "source",
    "dataset",
    "code",
    "evaluation",  # before model, which demands it as evidence
    "model",
    "deployment",
    "federated-round",
    "federated-update",
)


def load_shipped() -> dict[str, Definition]:
    """Returns the shipped lifecycles by kind, in an order in which they can be added (evidence before its users)."""
    return {kind: parse_lifecycle(shipped_text(kind), f"the shipped lifecycle '{kind}'") for kind in SHIPPED}


def shipped_text(kind: str) -> str:
    """Returns a shipped lifecycle's TOML, with its comments.

    Args:
        kind: One of :data:`SHIPPED`.
    """
    return files(__name__).joinpath(f"{kind}.toml").read_text(encoding="utf-8")
