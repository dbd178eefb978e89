"""What delivery has to look up before it can sign: the port between submission and whoever knows names and history.

:class:`~proml.submit.chain_resolver.ChainResolver` answers from the ledger and the stores alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proml.core.intent import Use
    from proml.core.operation import Input, Rule
    from proml.core.refusal import Names


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an artefact stands.

    Attributes:
        owner: Its owner's account.
        lifecycle: Number of its lifecycle.
        state: Number of its state.
        head: Its head.
        seq: How many transitions it has had.
    """

    owner: str
    lifecycle: int
    state: int
    head: bytes
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Actor:
    """Whom an account acts for, and with which role bits: a member for itself, a session key for its member."""

    member: str
    roles: int


class Resolver(Protocol):
    """Answers about one workspace as of the newest block."""

    @property
    def names(self) -> Names:
        """What things are called, for messages."""
        ...

    def artefact_id(self, name: str) -> bytes:
        """Returns the id that a name has in this workspace, whether it is registered or not; raises InvalidName."""
        ...

    def foresee(self, names: Iterable[str]) -> None:
        """Begins a round: asks for what its artefacts need together, which is then not asked for one by one."""
        ...

    def standing(self, artefact: bytes) -> Standing | None:
        """Returns where an artefact stands, or None if it is not registered."""
        ...

    def actor(self, account: str) -> Actor:
        """Returns whom an account acts for; an unknown account acts for itself, without roles."""
        ...

    def anchor_head(self, member: str) -> bytes:
        """Returns the head of a member's anchor chain; zero before the first."""
        ...

    def lifecycle_number(self, kind: str) -> int:
        """Returns the number of the newest lifecycle of a kind; raises UnknownName."""
        ...

    def new_standing(self, lifecycle: int, owner: str) -> Standing:
        """Returns where an artefact of this lifecycle stands when it has just been registered; its head is zero."""
        ...

    def rule_for(self, action: str, standing: Standing, actor: Actor | None) -> tuple[int, Rule]:
        """Returns the number of the rule that an action means there, for this actor, and the rule.

        Without an actor, the rule that is voted on.

        If the action does not start in this state, any rule of this name: the contract then says why it refuses.

        Raises:
            UnknownName: The lifecycle has no such action.
        """
        ...

    def input_for(self, use: Use) -> Input | None:
        """Returns the version on chain that was used, or None if no name was given and no version has this content.

        A version that is its artefact's current one is named by the artefact's head, so that it can be seen to be
        usable; an older one by the head with which it came.

        Raises:
            UnknownName: A name was given, and no such artefact or version exists, or none with this content.
        """
        ...

    def is_usable(self, one: Input) -> bool:
        """Tells whether a version is the current one, in a usable state, as rules that ask for usable inputs want."""
        ...

    def current_inputs(self, artefact: bytes) -> tuple[Input, ...]:
        """Returns the inputs of the artefact's current version, in order; empty if there are none."""
        ...
