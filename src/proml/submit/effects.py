"""Whether the chain holds what an intent wants already: asked before an intent is signed a second time.

Records are salted, so a record's digest on chain is this very intent and no other. Together with the expected head,
which commits to the whole history, this makes delivery exactly once: an operation bound to a head whose history lacks
the record can only be mined after a history that lacks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core.events import (
    Anchored,
    Endorsed,
    ProposalApproved,
    Registered,
    SessionGranted,
    SessionRevoked,
    Transitioned,
    decode_event,
    topic_filter,
)
from proml.core.intent import (
    AnchorIntent,
    EndorseIntent,
    GovernIntent,
    GrantIntent,
    RegisterIntent,
    RelayIntent,
    RevokeIntent,
    TransitionIntent,
    TypedIntent,
)
from proml.core.operation import ZERO, Anchor, Grant, Proposal, Revocation, artefacts_of, records_of
from proml.core.words import address_word
from proml.errors import UnreachableError
from proml.ports import LogQuery
from proml.submit.bind import relayed

if TYPE_CHECKING:
    from collections.abc import Callable

    from proml.core.events import Event
    from proml.core.operation import Relayed
    from proml.ports import Ledger
    from proml.resolver import Resolver


class Effects:
    """Looks for effects in one workspace.

    Args:
        ledger: Where.
        contract: The workspace.
        first_block: Block of its creation.
        resolver: Knows ids and heads.
        account: Whose operations are looked for: a member or a session key.
    """

    def __init__(self, ledger: Ledger, contract: str, first_block: int, resolver: Resolver, account: str) -> None:
        self._ledger = ledger
        self._contract = contract
        self._first_block = first_block
        self._resolver = resolver
        self._account = account

    def find(  # noqa: PLR0911 - one per kind of intent
        self, typed: TypedIntent, *, bound_head: bytes = ZERO, anchor_root: bytes = b""
    ) -> bytes | None:
        """Returns the hash of the transaction that brought the effect, or None if the chain does not hold it.

        Args:
            typed: The intent.
            bound_head: For a transition, the head that it was just bound to. It must have been read before this is
                called: what was mined before is then found here, and what is mined after, the head keeps out.
            anchor_root: For an anchor, the root that was sent, which may combine several.

        Raises:
            UnreachableError: The ledger's answers do not fit together, as when it is just catching up.
        """
        match typed:
            case RegisterIntent():
                wanted = topic_filter(Registered, first=(self._resolver.artefact_id(typed.name),))
                return self._newest(wanted, lambda e: isinstance(e, Registered) and e.record == typed.record)
            case TransitionIntent():
                return self._transition(typed, bound_head)
            case EndorseIntent():
                wanted = topic_filter(Endorsed, first=(self._resolver.artefact_id(typed.name),))
                return self._newest(wanted, lambda e: isinstance(e, Endorsed) and e.vote.record == typed.record)
            case AnchorIntent():
                wanted = topic_filter(Anchored, second=(anchor_root or typed.root,))
                return self._newest(wanted, lambda e: isinstance(e, Anchored) and e.key == self._account)
            case GrantIntent() | RevokeIntent():
                return self._session(typed)
            case GovernIntent():
                change = (typed.action, typed.salt, typed.data)
                wanted = topic_filter(ProposalApproved, second=(address_word(self._account),))
                return self._newest(
                    wanted,
                    lambda e: (
                        isinstance(e, ProposalApproved) and (e.change.action, e.change.salt, e.change.data) == change
                    ),
                )
            case RelayIntent():
                return self._relayed(relayed(typed))

    def _relayed(self, message: Relayed) -> bytes | None:
        """Finds a relayed message; its nonce keeps it from being used twice, so nothing has to be ruled out here."""
        operation, signer = message.operation, message.relay.signer
        records = set(records_of(operation))
        if records:
            wanted = topic_filter(Registered, Transitioned, Endorsed, first=tuple(set(artefacts_of(operation))))
            return self._newest(wanted, lambda e: _record_of(e) in records)
        match operation:
            case Anchor():
                typed: TypedIntent = AnchorIntent(operation.root, operation.leaves)
            case Grant(session=session):
                typed = GrantIntent(session.key, session.roles, session.artefact, session.expires, operation.consent)
            case Revocation():
                typed = RevokeIntent(operation.key)
            case Proposal():
                typed = GovernIntent(operation.action, operation.salt, operation.data)
            case _:
                return None
        return Effects(self._ledger, self._contract, self._first_block, self._resolver, signer).find(typed)

    def _transition(self, typed: TransitionIntent, bound_head: bytes) -> bytes | None:
        artefact = self._resolver.artefact_id(typed.name)
        events = self._events(topic_filter(Registered, Transitioned, first=(artefact,)))
        for event in events:
            if isinstance(event, Transitioned) and event.record == typed.record:
                return event.at.transaction_hash
        heads = {event.head for event in events if isinstance(event, Registered | Transitioned)}
        # A node that shows the head but not the event that led there could hide the record too.
        if bound_head not in heads | {ZERO}:
            raise UnreachableError(
                f"The ledger says that {typed.name} is at head 0x{bound_head.hex()}, and shows no event that led "
                "there. Nothing was sent, nothing recorded was lost.",
                hint="The node may just be catching up: try `proml sync` again, or another node.",
            )
        return None

    def _session(self, typed: GrantIntent | RevokeIntent) -> bytes | None:
        events = self._events(topic_filter(SessionGranted, SessionRevoked, second=(address_word(typed.key),)))
        if not events:
            return None
        last = events[-1]
        if isinstance(typed, RevokeIntent):
            return last.at.transaction_hash if isinstance(last, SessionRevoked) else None
        granted = (typed.roles, typed.artefact, typed.expires)
        if isinstance(last, SessionGranted) and (last.roles, last.artefact, last.expires) == granted:
            return last.at.transaction_hash
        return None

    def _newest(self, topics: tuple[tuple[bytes, ...], ...], is_wanted: Callable[[Event], bool]) -> bytes | None:
        found = [event for event in self._events(topics) if is_wanted(event)]
        return found[-1].at.transaction_hash if found else None

    def _events(self, topics: tuple[tuple[bytes, ...], ...]) -> list[Event]:
        logs = self._ledger.logs(LogQuery(self._contract, topics, self._first_block))
        return [event for event in map(decode_event, logs) if event is not None]


def _record_of(event: Event) -> bytes | None:
    if isinstance(event, Endorsed):
        return event.vote.record
    return event.record if isinstance(event, Registered | Transitioned) else None
