"""Reads an artefact from the ledger itself, and recomputes it: the index is not believed here.

All of it as of one block: the events up to it, and what the contract answers at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.core import events as ev
from proml.core.heads import genesis_head, next_head
from proml.core.operation import ZERO, Input, Registration, Transition
from proml.core.replay import HeadReplay
from proml.errors import VerificationError
from proml.index import onchain
from proml.index.edges import inputs_of
from proml.ports import LogQuery, Reverted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.core.replay import ArtefactHead, Finding
    from proml.core.workspace_file import WorkspaceFile
    from proml.index.onchain import ArtefactState
    from proml.index.snapshot import Snapshot
    from proml.ports import Block, Ledger


@dataclass(frozen=True, slots=True)
class ChainArtefact:
    """An artefact as the ledger has it.

    Attributes:
        state: What the contract answers.
        recomputed: What follows from the events; None if they have no registration.
        registered: The registration; None likewise.
        transitions: In order.
        findings: What does not fit among the events.
    """

    state: ArtefactState
    recomputed: ArtefactHead | None
    registered: ev.Registered | None
    transitions: tuple[ev.Transitioned, ...]
    findings: tuple[Finding, ...]

    @property
    def versions(self) -> tuple[ev.Transitioned, ...]:
        """The transitions that brought content: version N is the Nth."""
        return tuple(event for event in self.transitions if event.content != ZERO)

    @property
    def changed_at_block(self) -> int:
        """Block of the last transition or recovery, or of the registration."""
        if self.transitions:
            return self.transitions[-1].at.block_number
        return self.registered.at.block_number if self.registered is not None else 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The workspace on the ledger as of one block."""

    ledger: Ledger
    workspace: WorkspaceFile
    block: Block

    @classmethod
    def now(cls, ledger: Ledger, workspace: WorkspaceFile) -> Chain:
        """Returns the pinned workspace as of the newest block.

        Raises:
            VerificationError: The ledger is not the pinned one.
        """
        onchain.check_pins(ledger, workspace)
        return cls(ledger, workspace, ledger.newest())

    def unchanged(self) -> bool:
        """Whether the block is still part of the chain."""
        block = self.ledger.block(self.block.number)
        return block is not None and block.hash == self.block.hash

    def state(self, artefact: bytes) -> ArtefactState | None:
        """Returns what the contract says of an artefact, or None if it has none of this id."""
        return onchain.artefact_state(self.ledger, self.workspace.contract, artefact, self.block.number)

    def artefacts_with(self, content: bytes) -> tuple[bytes, ...]:
        """Returns the artefacts that have or had this content, by the ledger's own search."""
        found = self._events(ev.topic_filter(ev.Transitioned, second=(content,)))
        return tuple(
            dict.fromkeys(e.artefact for e in found if isinstance(e, ev.Transitioned) and e.content == content)
        )

    def artefact(self, artefact: bytes) -> ChainArtefact | None:
        """Reads an artefact's events, recomputes its heads, and asks the contract; None if it has none of this id."""
        state = self.state(artefact)
        if state is None:
            return None
        kinds = (ev.Registered, ev.Transitioned, ev.InputUsed, ev.Endorsed, ev.ArtefactRecovered)
        events = self._events(ev.topic_filter(*kinds, first=(artefact,)))
        rules = {state.lifecycle: onchain.lifecycle(self.ledger, self.workspace.contract, state.lifecycle)}
        replaying = HeadReplay(self.workspace.chain_id, self.workspace.contract, rules)
        for event in events:
            replaying.apply(event)
        replaying.finish()
        return ChainArtefact(
            state=state,
            recomputed=replaying.artefacts.get(artefact),
            registered=next((event for event in events if isinstance(event, ev.Registered)), None),
            transitions=tuple(event for event in events if isinstance(event, ev.Transitioned)),
            findings=tuple(replaying.findings),
        )

    def revoked_elsewhere(self, workspace: str, artefact: bytes) -> bool | None:
        """Asks another workspace on this chain whether an artefact is revoked; None if it does not answer."""
        try:
            (revoked,) = onchain.view(self.ledger, workspace, "revoked", artefact, block=self.block.number)
        except (Reverted, VerificationError):
            return None
        return bool(revoked)

    def _events(self, topics: tuple[tuple[bytes, ...], ...]) -> Sequence[ev.Event]:
        query = LogQuery(self.workspace.contract, topics, self.workspace.first_block, self.block.number)
        found = [ev.decode_event(log) for log in self.ledger.logs(query)]
        return [event for event in found if event is not None]


def head_from_index(look: Snapshot, artefact: bytes) -> bytes:
    """Recomputes an artefact's head from the index's rows alone: what anybody altered there changes it."""
    rows = look.rows_of(artefact)
    if not rows:
        return ZERO
    first = rows[0]
    workspace = look.workspace
    head = genesis_head(
        workspace.chain_id, workspace.contract, Registration(artefact, first.lifecycle, first.record), first.key
    )
    edges = inputs_of(look, {(artefact, row.version) for row in rows})
    state = first.to_state
    for seq, row in enumerate(rows[1:], start=1):
        used = tuple(Input(edge.address, edge.input, edge.input_head) for edge in edges if edge.seq == row.seq)
        change = Transition(artefact, head, row.rule, row.content or ZERO, row.record, used)
        head = next_head(
            change,
            from_state=state,
            to_state=row.to_state,
            seq=seq,
            key=row.key,
            votes_commitment=row.votes_commitment,
        )
        state = row.to_state
    return head
