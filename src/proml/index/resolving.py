"""Looks up for submission what was used, by the index: :class:`proml.resolver.Resolver` without log searches.

Finding a version by its content takes the ledger a search through all blocks, which public end points refuse; the index
has it at hand. Where an artefact stands now, which the index could be behind on, is still asked of the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core.operation import ZERO_ADDRESS, Input
from proml.errors import UnknownName
from proml.index import artefacts
from proml.index.edges import inputs_of

if TYPE_CHECKING:
    from proml.core.intent import Use
    from proml.core.operation import Rule
    from proml.core.refusal import Names
    from proml.index.queries import ReadModel
    from proml.index.snapshot import Snapshot
    from proml.index.views import VersionView
    from proml.resolver import Actor, Resolver, Standing


class IndexResolver:
    """Answers about versions from the index, about everything else by another resolver.

    Who submits follows first, so that versions published a moment ago are found.

    Args:
        model: The read model.
        chain: Asks the ledger (:class:`proml.submit.chain_resolver.ChainResolver`).
    """

    def __init__(self, model: ReadModel, chain: Resolver) -> None:
        self._model = model
        self._chain = chain

    @property
    def names(self) -> Names:
        """What things are called, for messages."""
        return self._chain.names

    def artefact_id(self, name: str) -> bytes:
        """Returns the id that a name has in this workspace; raises InvalidName."""
        return self._chain.artefact_id(name)

    def standing(self, artefact: bytes) -> Standing | None:
        """Returns where an artefact stands, or None if it is not registered."""
        return self._chain.standing(artefact)

    def actor(self, account: str) -> Actor:
        """Returns whom an account acts for."""
        return self._chain.actor(account)

    def lifecycle_number(self, kind: str) -> int:
        """Returns the number of the newest lifecycle of a kind; raises UnknownName."""
        return self._chain.lifecycle_number(kind)

    def new_standing(self, lifecycle: int, owner: str) -> Standing:
        """Returns where an artefact of this lifecycle stands when it has just been registered."""
        return self._chain.new_standing(lifecycle, owner)

    def rule_for(self, action: str, standing: Standing, actor: Actor) -> tuple[int, Rule]:
        """Returns the number of the rule that an action means there, for this actor, and the rule."""
        return self._chain.rule_for(action, standing, actor)

    def input_for(self, use: Use) -> Input | None:
        """Returns the version on chain that was used, or None if no name was given and no version has this content.

        Raises:
            UnknownName: A name was given, and no such artefact or version exists, or none with this content.
        """
        with self._model.look() as look:
            if use.name:
                return self._named(look, use)
            found = artefacts.versions_with(look, use.content) if use.content is not None else []
            return self._input(found[0]) if found else None

    def _named(self, look: Snapshot, use: Use) -> Input:
        artefact, version = artefacts.find(look, f"{use.name}@{use.version}" if use.version else use.name)
        versions = artefacts.version_views(look, artefact)
        if not versions and version is None and use.content is None:
            return Input(ZERO_ADDRESS, artefact, self._head(artefact))
        if version is not None or use.content is None:
            fitting = [artefacts.version_named(look, artefact, version)]
        else:
            fitting = versions
        same = [one for one in fitting if use.content in (None, one.content)]
        if not same:
            shown = f"{use.name}@{use.version}" if use.version else f"any version of {use.name}"
            content = (use.content or b"").hex()
            raise UnknownName(
                f"What was used as {use.name} has the content sha256:{content}, which is not that of {shown}.",
                hint=f"Publish it as a version of {use.name} first, or use the version that members agreed on.",
            )
        return self._input(same[-1])

    def current_inputs(self, artefact: bytes) -> tuple[Input, ...]:
        """Returns the inputs of the artefact's current version, in order; empty if there are none."""
        with self._model.look() as look:
            brought = [row for row in look.rows_of(artefact) if row.content is not None]
            if not brought:
                return ()
            at = brought[-1]
            edges = [edge for edge in inputs_of(look, {(artefact, at.version)}) if edge.seq == at.seq]
            return tuple(Input(edge.address, edge.input, edge.input_head) for edge in edges)

    def _input(self, version: VersionView) -> Input:
        head = self._head(version.artefact) if version.current else version.head
        return Input(ZERO_ADDRESS, version.artefact, head)

    def _head(self, artefact: bytes) -> bytes:
        standing = self._chain.standing(artefact)
        if standing is None:
            raise UnknownName(
                f"the index knows the artefact 0x{artefact.hex()}, the ledger does not", hint="Run 'proml sync'."
            )
        return standing.head
