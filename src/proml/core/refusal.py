"""The contract's refusals in words."""

from __future__ import annotations

from typing import Protocol

from proml.errors import ConflictError, RefusedError


class Names(Protocol):
    """What members call things; every method answers for unknown things too, with something short to show."""

    def artefact(self, artefact: bytes) -> str:
        """Returns an artefact's name."""
        ...

    def lifecycle(self, lifecycle: int) -> str:
        """Returns a lifecycle's kind, e.g. ``model``."""
        ...

    def state(self, artefact: bytes, state: int) -> str:
        """Returns what a state is called in the artefact's lifecycle."""
        ...

    def rule(self, artefact: bytes, rule: int) -> str:
        """Returns what a transition is called in the artefact's lifecycle, e.g. ``approve``."""
        ...

    def organisation(self, organisation: int) -> str:
        """Returns an organisation's name."""
        ...

    def account(self, account: str) -> str:
        """Returns what an account is called."""
        ...

    def roles(self, roles: int) -> list[str]:
        """Returns the names of the roles in a set of role bits."""
        ...


class PlainNames:
    """Names for when nothing is known: short hexadecimal and numbers."""


def explain(revert_data: bytes, names: Names | None = None, *, doing: str = "") -> RefusedError | ConflictError:
    """Returns the error that tells a person why the contract reverted.

    Args:
        revert_data: What the EVM returned: a selector and arguments, or nothing.
        names: What things are called; hexadecimal and numbers when absent.
        doing: What was tried, as a noun phrase such as ``approving tumour-model``; begins the message where it fits.

    Returns:
        ConflictError for what a fresh look and a second try can cure (the artefact, anchor chain or nonce moved on),
        RefusedError for everything else.
    """
    raise NotImplementedError
