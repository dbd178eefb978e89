"""What delivery has to look up before it can sign: the port between submission and whoever knows names and history.

:class:`~proml.submit.chain_resolver.ChainResolver` answers from the ledger alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proml.core.intent import Use
    from proml.core.operation import Input, Lifecycle


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an artefact stands now.

    Attributes:
        lifecycle: Number of its lifecycle.
        state: Number of its state.
        seq: Number of transitions so far.
        head: Its head.
        held_inputs: Commitment of the current version's inputs, if its lifecycle keeps it; else zero.
    """

    lifecycle: int
    state: int
    seq: int
    head: bytes
    held_inputs: bytes


class Resolver(Protocol):
    """Answers about one workspace, as of the newest block."""

    def artefact_id(self, name: str) -> bytes:
        """Returns the id that a name has in this workspace, whether it is registered or not; raises InvalidName."""
        ...

    def standing(self, artefact: bytes) -> Standing | None:
        """Returns where an artefact stands, or None if it is not registered."""
        ...

    def lifecycle_number(self, kind: str) -> int:
        """Returns the number of the newest lifecycle of a kind; raises UnknownName."""
        ...

    def lifecycle(self, number: int) -> Lifecycle:
        """Returns a lifecycle as it stands on chain; raises UnknownName."""
        ...

    def rules(self, lifecycle: int, action: str) -> tuple[int, ...]:
        """Returns the numbers of the rules that an action's name stands for; raises UnknownName if there is none."""
        ...

    def input_for(self, use: Use) -> Input | None:
        """Returns the version on chain that was used, or None if no version has this content and no name was given.

        A version that is its artefact's current content is named by the artefact's current head, so that it can be seen
        to be usable; an older one by the head with which it came.

        Raises:
            UnknownName: A name was given, and no such artefact or version exists, or none with this content.
        """
        ...

    def current_inputs(self, artefact: bytes) -> tuple[Input, ...]:
        """Returns the inputs of the artefact's current version, in order; empty if there are none."""
        ...
