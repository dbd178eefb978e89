"""Delivery: takes what waits in the outbox to the ledger, exactly once as seen on chain.

    report = deliver(channel)                        # all, each waited for until it is in a block
    report = deliver(channel, only={7}, wait=None)   # one, not waited for

In rounds: whatever can go is bound to the heads as they are, or as they will be after what goes before it in the same
transaction. It is tried without spending anything, signed, written ahead, handed in; what came into a block lets the
next ones go. A process that dies anywhere leaves an outbox from which the next delivery goes on.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from proml.core.calls import encode_call
from proml.core.digest import format_digest
from proml.core.intent import AnchorIntent, RegisterIntent, TransitionIntent, documents_of
from proml.core.operation import ZERO, Anchor, Operation, Registration, Relayed, Transition
from proml.core.refusal import explain
from proml.errors import (
    NotAvailable,
    ProMLError,
    UnknownName,
    UsageError,
    VerificationError,
)
from proml.ports import Reverted
from proml.submit import unknown_inputs
from proml.submit.anchoring import group_anchors
from proml.submit.bind import Binder
from proml.submit.book import Book
from proml.submit.bound import MAX_BATCH, Bound, doing, goes_on, registration_record, sequences_of, together
from proml.submit.effects import Effects
from proml.submit.fees import FeePolicy, TooDear
from proml.submit.given import GIVEN
from proml.submit.patience import Patience, PatientLedger
from proml.submit.plan import Candidate, Plan, plan, select
from proml.submit.publishing import Publisher
from proml.submit.races import MAX_REBINDS, can_be_bound_anew
from proml.submit.report import DeliveryReport, Wait
from proml.submit.stuck import Terms
from proml.submit.transactions import HandedIn, Transactions, Tried
from proml.submit.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Clock, Entry, Ledger, LocalStore, Outbox, Signer, Store
    from proml.resolver import Resolver
    from proml.submit.book import Progress

MAX_TOGETHER = 100
"""Most transactions that are tried, signed and handed in together."""
PORTION = 400
"""How many entries are published and bound before the first of them is sent."""
_FIRST_POLL_S = 0.02
_LONGEST_POLL_S = 1.0
_POLL_GROWTH = 1.25
"""How much longer each look waits than the last: a block is noticed within a quarter of the time it took."""
_RESEND_S = 5.0


@dataclass(frozen=True, slots=True)
class Channel:
    """What a delivery speaks to.

    Attributes:
        workspace: Pins the chain and the contract.
        resolver: Looks up names, heads, rules and inputs.
        store: The local store, which has the records.
        stores: The workspace's stores, to which records are copied before anything is sent.
        patience: How often a ledger or store that does not answer is tried, and when a transaction is stuck.
        handed: What this process handed in; one for all its deliveries.
        fees: What is granted per unit of gas.
    """

    ledger: Ledger
    outbox: Outbox
    signer: Signer
    workspace: WorkspaceFile
    resolver: Resolver
    store: LocalStore
    stores: Sequence[Store]
    clock: Clock
    patience: Patience = field(default_factory=Patience)
    handed: HandedIn = field(default_factory=HandedIn)
    fees: FeePolicy = field(default_factory=FeePolicy)


def deliver(
    channel: Channel,
    *,
    only: Collection[int] | None = None,
    wait: Wait = "included",
    progress: Progress | None = None,
    timeout_s: float = 120.0,
) -> DeliveryReport:
    """Sends what waits in the outbox.

    A refused entry does not stop the others, and is in the report.

    Args:
        channel: What to speak to.
        only: Numbers of entries to send, with what they follow; None is all.
        wait: Until entries are in a block (``included``), until that is final, or not at all (None): entries that
            follow others may then stay pending until the next delivery.
        progress: Called with the number of entries done, that of all to be sent, and the entry that just got done.
        timeout_s: How long to wait for blocks, in seconds, counted from the last block that brought something; what is
            slept is counted, so that a clock which is set meanwhile changes nothing.

    Raises:
        UnreachableError: The ledger does not answer; nothing is lost, and the next delivery goes on. Also
            :class:`~proml.submit.turn.AtWork`.
        VerificationError: This is not the chain that the workspace file pins.
    """
    with Turn(channel.outbox, channel.signer.address, channel.clock) as turn:
        return _Delivery(channel, turn, only, wait, progress).run(timeout_s)


class _Delivery:
    """One delivery, in its turns."""

    def __init__(
        self, channel: Channel, turn: Turn, only: Collection[int] | None, wait: Wait, progress: Progress | None
    ) -> None:
        self._turn = turn
        self._ledger = PatientLedger(channel.ledger, channel.clock, channel.patience)
        self._workspace = channel.workspace
        self._resolver = channel.resolver
        self._clock = channel.clock
        self._store = channel.store
        self._wait = wait
        self._book = Book(channel.outbox)
        self._book.selected = select(self._book.entries.values(), only)
        # Another process, such as a node, may have brought what was asked for into a final block already.
        self._settled = [channel.outbox.entry(n) for n in sorted(set(only or ()) - self._book.entries.keys())]
        self._book.progress = progress
        account, pins = channel.signer.address, channel.workspace
        self._publisher = Publisher(channel.store, channel.stores, channel.clock, channel.patience)
        self._binder = Binder(
            self._resolver, account, pins.chain_id, pins.contract, self._publisher.registration_record
        )
        self._effects = Effects(self._ledger, pins.contract, pins.first_block, self._resolver, account)
        patience, names = channel.patience, self._resolver.names
        terms = Terms(pins.chain_id, pins.contract, names, channel.fees, stuck_s=patience.stuck_s)
        self._transactions = Transactions(
            self._book, self._ledger, channel.signer, self._clock, terms, handed=channel.handed
        )
        self._resend_s = min(_RESEND_S, patience.stuck_s)
        self._held: dict[int, str] = {}
        self._planned = Plan()
        self._planned_for = (-1, -1)  # the book's revision, and how many are held
        self._tried: dict[int, list[Operation | Relayed]] = {}  # refused, by entry; the next round binds it anew

    def run(self, timeout_s: float) -> DeliveryReport:
        self._check_pins()
        self._transactions.settle()
        if any(entry.state == "sent" for entry in self._book.entries.values()):
            self._transactions.resend()
            self._transactions.settle()
        waited, resent, poll = 0.0, 0.0, _FIRST_POLL_S
        while True:
            current = self._plan()
            if current.ready and not self._transactions.is_held_up:
                self._send(current.ready)
            elif not self._has_to_wait() or waited >= timeout_s:
                break
            else:
                self._turn.wait(poll)
                self._book.refresh()
                waited, resent, poll = waited + poll, resent + poll, min(_POLL_GROWTH * poll, _LONGEST_POLL_S)
                if resent >= self._resend_s:
                    self._transactions.resend()
                    resent = 0.0
            if self._transactions.settle():
                waited, poll = 0.0, _FIRST_POLL_S
                if self._transactions.is_held_up:
                    self._transactions.resend()  # a block has made room
        return self._report(current)

    def _plan(self) -> Plan:
        """Returns what can go now; worked out anew only if something has changed, since a block is looked for often."""
        basis = self._book.revision, len(self._held)
        if basis != self._planned_for:
            self._planned_for = basis
            self._planned = plan(self._book.unfinished(), self._book.selected, self._held)
        return self._planned

    def _has_to_wait(self) -> bool:
        if self._wait is None:
            return False
        states = ("sent", "confirmed") if self._wait == "final" else ("sent",)
        mine = (self._book.entries[number] for number in self._book.selected)
        # What was given to a node is not waited for here: nobody follows it but the node.
        return any(entry.state in states and not entry.final and GIVEN not in entry.detail for entry in mine)

    def _check_pins(self) -> None:
        pinned = (self._workspace.chain_id, self._workspace.genesis_hash)
        found = (self._ledger.chain_id, self._ledger.genesis_hash)
        if pinned != found:
            raise VerificationError(
                f"The ledger is not the one of workspace {self._workspace.name}: expected chain {pinned[0]} with "
                f"genesis 0x{pinned[1].hex()}, found chain {found[0]} with genesis 0x{found[1].hex()}.",
                hint="Correct PROML_LEDGER or the ledger in .proml/config.toml. Nothing was sent.",
            )

    def _report(self, last: Plan) -> DeliveryReport:
        reasons = {**last.waiting, **last.blocked}
        stale = [
            replace(self._book.entries[number], error=reason)
            for number, reason in last.blocked.items()
            if self._book.entries[number].error != reason
        ]
        if stale:
            self._book.save(*stale)
        entries = [*self._settled, *(self._book.entries[number] for number in self._book.selected)]
        return DeliveryReport(tuple(sorted(entries, key=attrgetter("number"))), reasons, dict(self._book.errors))

    # ------------------------------------------------------------------------------------------------- one round

    def _send(self, ready: Sequence[Candidate]) -> None:
        """Sends what is ready, in portions: the chain takes the first ones while the next are prepared."""
        anchors: list[Candidate] = []
        portions = [ready[start : start + PORTION] for start in range(0, len(ready), PORTION)]
        self._publisher.foresee(_documents(portions[0]))
        for portion, following in zip(portions, [*portions[1:], ()], strict=True):
            if self._transactions.is_held_up:
                return
            published = [candidate for candidate in portion if self._publish(candidate)]
            with self._publisher.meanwhile(_documents(following)):
                self._send_bound(published)
            anchors += (candidate for candidate in published if isinstance(candidate.typed, AnchorIntent))
        self._send_anchors(anchors)

    def _send_bound(self, published: Sequence[Candidate]) -> None:
        self._resolver.foresee([c.typed.name for c in published if isinstance(c.typed, TransitionIntent)])
        alike: list[Sequence[Bound]] = []
        for group in self._with_registrations(list(self._grouped(published))):
            # Those of artefacts do not build on each other within a round; all others may, such as a key's grant and
            # its end, and each sees what came of those before it.
            if not isinstance(group[0].candidates[0].typed, TransitionIntent | RegisterIntent):
                self._try(alike)
                self._try([group])
                alike = []
                continue
            alike.append(group)
            if len(alike) == MAX_TOGETHER:
                self._try(alike)
                alike = []
        self._try(alike)

    def _grouped(self, candidates: Sequence[Candidate]) -> Iterator[list[Bound]]:
        """Yields what goes into one transaction each: neighbours only, so that the order is the outbox's."""
        batch: list[Bound] = []
        for candidate in candidates:
            bound = None if isinstance(candidate.typed, AnchorIntent) else self._bind(candidate, batch)
            if bound is None:
                continue
            if batch and (len(batch) == MAX_BATCH or not bound.can_be_batched):
                yield batch
                batch = []
            if bound.can_be_batched:
                batch.append(bound)
            else:
                yield [bound]
        if batch:
            yield batch

    def _publish(self, candidate: Candidate) -> bool:
        try:
            self._publisher.publish(documents_of(candidate.typed))
        except ProMLError as error:
            self._hold(candidate.entry, error)
            return False
        return True

    def _hold(self, entry: Entry, error: ProMLError) -> None:
        """Leaves an entry pending for this delivery, with the reason."""
        self._held[entry.number] = str(error)
        self._book.errors[entry.number] = error

    def _bind(self, candidate: Candidate, batch: Sequence[Bound]) -> Bound | None:
        """Returns what fulfils a candidate; None if nothing has to, nothing can, or it waits for another's block.

        Args:
            candidate: What is to be fulfilled.
            batch: What goes before it in the same transaction.
        """
        entry, typed = candidate.entry, candidate.typed
        if candidate.follows is not None and not goes_on(batch, candidate):
            return None
        try:
            operation = self._operation(candidate)
            if operation is None:
                return None
            remembered: dict[str, object] = {}
            if isinstance(operation, tuple) and isinstance(operation[0], Registration):
                remembered = {"registration": format_digest(operation[0].record)}
            if isinstance(typed, TransitionIntent):
                remembered |= unknown_inputs.left_out(self._binder.left_out(typed), typed, entry, self._store)
        except NotAvailable as error:
            self._hold(entry, error)
            return None
        except UsageError as error:
            self._book.fail(error, entry)
            return None
        if candidate.follows is not None:
            head = batch[-1].head
        else:
            head = operation.expected_head if isinstance(operation, Transition) else ZERO
        bound = Bound((candidate,), operation, {entry.number: remembered}, head)
        return bound if self._is_new(bound) else None

    def _operation(self, candidate: Candidate) -> Operation | Relayed | None:
        """Returns an operation that fulfils a candidate, or None if it waits for another's block."""
        entry, typed = candidate.entry, candidate.typed
        if isinstance(typed, TransitionIntent):
            if candidate.missing_source is not None:
                self._insist_on_inputs(typed, candidate.missing_source)
            if candidate.follows is not None:
                return self._binder.bind_next(entry, typed)
        return self._binder.bind(entry, typed)

    def _insist_on_inputs(self, typed: TransitionIntent, source: Entry) -> None:
        """Raises NotAvailable if an input is missing because an entry that would have brought it failed."""
        for use in typed.uses:
            try:
                found = self._resolver.input_for(use)
            except UnknownName:
                found = None
            if found is None:
                raise NotAvailable(
                    f"It uses something that entry {source.number} ({source.intent.artefact}, {source.state}) "
                    "would bring.",
                    hint=f"`proml sync --rebase {source.number}` tries that one again; "
                    f"`proml sync --drop {source.number}` gives it up, and this one then goes without.",
                )

    def _with_registrations(self, groups: Sequence[Sequence[Bound]]) -> list[Sequence[Bound]]:
        """Stores and publishes the records of registrations; returns the groups for which that succeeded."""
        self._publisher.publish_made()
        records = [registration_record(group) for group in groups]
        return [
            group
            for group, record in zip(groups, records, strict=True)
            if record is None or self._published(group[0].entries[0], record)
        ]

    def _published(self, entry: Entry, record: bytes) -> bool:
        try:
            self._publisher.publish([record])
        except ProMLError as error:
            self._hold(entry, error)
            return False
        return True

    def _is_new(self, bound: Bound) -> bool:
        """Tells whether the chain lacks what was bound; entries whose effect it holds are marked as confirmed."""
        is_new = True
        for candidate in bound.candidates:
            if not candidate.entry.detail.get("signed"):
                continue
            root = bound.operation.root if isinstance(bound.operation, Anchor) else b""
            found = self._effects.find(candidate.typed, bound_head=bound.head, anchor_root=root)
            if found is not None and self._transactions.confirm(candidate.entry, found):
                is_new = False
        return is_new

    def _try(self, groups: Sequence[Sequence[Bound]]) -> None:
        """Sends each group in one transaction, without those operations that the contract would refuse."""
        if self._transactions.is_held_up:
            return
        wholes = [together(group) for group in groups]
        data = [encode_call(whole.operation) for whole in wholes]
        found = self._transactions.estimates(data)
        tried = [
            Tried(whole.entries, call, gas, whole.details)
            for whole, call, gas in zip(wholes, data, found, strict=True)
            if not isinstance(gas, Reverted)
        ]
        try:
            self._transactions.dispatch(tried)
        except TooDear as error:
            for entry in (entry for one in tried for entry in one.entries):
                self._hold(entry, error)
        for group, gas in zip(groups, found, strict=True):
            if isinstance(gas, Reverted):
                self._judge(group, gas)

    def _judge(self, group: Sequence[Bound], reverted: Reverted) -> None:
        """Finds out which operations of a refused transaction are to blame, and sends the others."""
        if len(group) == 1:
            self._refuse(group[0], reverted)
            return
        sequences = sequences_of(group)
        if len(sequences) == 1:
            # The first half may be taken; the rest is tried again when that is in a block, or judged in its turn.
            self._try([group[: len(group) // 2]])
            return
        found = self._transactions.estimates([encode_call(together(sequence).operation) for sequence in sequences])
        accepted = []
        for sequence, gas in zip(sequences, found, strict=True):
            if isinstance(gas, Reverted):
                self._judge(sequence, gas)
            else:
                accepted.append(sequence)
        if len(accepted) < len(sequences):
            accepted = [list(itertools.chain.from_iterable(accepted))] if accepted else []
        self._try(accepted)

    def _refuse(self, bound: Bound, reverted: Reverted) -> None:
        error = explain(reverted.data, self._resolver.names, doing=doing(bound))
        for entry in bound.entries:
            tried = self._tried.setdefault(entry.number, [])
            # Bound to the same things again, it would be refused again.
            if can_be_bound_anew(entry, error) and bound.operation not in tried and len(tried) < MAX_REBINDS:
                tried.append(bound.operation)
            else:
                self._book.fail(unknown_inputs.named(error, bound.candidates[0].typed, entry, self._store), entry)

    def _send_anchors(self, candidates: Sequence[Candidate]) -> None:
        """Sends one anchor: those signed before under their root, else all new ones under a common root."""
        if not candidates:
            return
        group = group_anchors(candidates)
        first = group.candidates[0]
        operation = self._binder.bind(first.entry, first.typed)
        assert isinstance(operation, Anchor)
        anchor = replace(operation, root=group.root, leaves=group.leaves)
        bound = Bound(tuple(group.candidates), anchor, group.details)
        if self._is_new(bound):
            self._try([[bound]])


def _documents(candidates: Sequence[Candidate]) -> list[bytes]:
    return [digest for candidate in candidates for digest in documents_of(candidate.typed)]
