"""Recomputes every hash chain of a workspace from its events alone, and says where something does not fit.

Pure and incremental: feed events in chain order, any number at a time. It trusts nothing that an event says about a
head, a state or a sequence number: each is computed anew and compared. What it cannot see is left to others: whether
the events are the chain's (:mod:`proml.verify`) and what the records hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proml.core.events import At, Event
from proml.core.operation import ZERO, Lifecycle


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        what: ``head``, ``seq``, ``state``, ``rule``, ``content``, ``inputs``, ``owner``, ``quorum``, ``votes``,
            ``anchor``, ``lifecycle`` or ``order``.
        subject: The artefact, ballot or lifecycle number (as a word) or member (20 bytes) concerned.
        expected: What follows from the earlier events.
        found: What the event says.
        at: Where.
    """

    what: str
    subject: bytes
    expected: str
    found: str
    at: At


@dataclass(frozen=True, slots=True)
class ArtefactHead:
    """An artefact as its events make it.

    Attributes:
        content: Digest of the current version's content; zero before the first.
        inputs: Commitment of the inputs of the current version; zero if none.
        changed: Where its last transition (or registration) stands.
    """

    artefact: bytes
    lifecycle: int
    owner: str
    state: int
    seq: int
    head: bytes
    changed: At
    content: bytes = ZERO
    inputs: bytes = ZERO


class HeadReplay:
    """Recomputes heads, sequence numbers, states, vote chains and anchor chains as events come in.

    After a finding it goes on from what the event said, so one break is reported once, where it is.

    Args:
        chain_id: The chain's EIP-155 id.
        contract: Address of the workspace.
        lifecycles: Lifecycles by number; looked up when needed, so the caller may add to it meanwhile.

    Attributes:
        artefacts: The artefacts by id.
        anchors: Heads of the members' anchor chains by address.
        votes: Vote chains by ballot, of ballots still open.
        findings: What did not fit, in order.
    """

    artefacts: dict[bytes, ArtefactHead]
    anchors: dict[str, bytes]
    votes: dict[bytes, bytes]
    findings: list[Finding]

    def __init__(self, chain_id: int, contract: str, lifecycles: Mapping[int, Lifecycle]) -> None:
        raise NotImplementedError

    def apply(self, event: Event) -> None:
        """Takes the next event in chain order."""
        raise NotImplementedError

    def finish(self) -> None:
        """Closes the last transition, whose inputs could have been still to come; more events may follow."""
        raise NotImplementedError


def replay(
    events: Iterable[Event], chain_id: int, contract: str, lifecycles: Mapping[int, Lifecycle]
) -> tuple[dict[bytes, ArtefactHead], list[Finding]]:
    """Recomputes all artefacts from all events of a workspace, in chain order.

    Returns:
        The artefacts by id, and what did not fit (empty when everything does).
    """
    replaying = HeadReplay(chain_id, contract, lifecycles)
    for event in events:
        replaying.apply(event)
    replaying.finish()
    return replaying.artefacts, replaying.findings
