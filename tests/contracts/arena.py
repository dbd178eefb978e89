"""The contract in the embedded EVM and the model side by side: what one is asked, the other is asked too.

:class:`Arena` compares what an operation did (outcome, error with its arguments, events) and what the views
answer after it.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.contracts.model import perform
from tests.contracts.model_governance import found as founded
from tests.contracts.model_state import NOWHERE, Approvals, Circumstances, Refusal, Refused, State

from proml.adapters.clock import ManualClock
from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner, recover_address
from proml.contract_build import load_contract
from proml.core import calls, heads, interface
from proml.core.abi import decode
from proml.core.digest import sha256
from proml.core.events import Event, decode_event
from proml.core.interface import fields, selector
from proml.core.messages import domain_separator, session_consent_hash, typed_hash
from proml.core.operation import (
    ZERO,
    ZERO_ADDRESS,
    Endorsement,
    Grant,
    Lifecycle,
    Member,
    Operation,
    Proposal,
    Registration,
    Relay,
    Session,
    Transition,
)
from proml.errors import VerificationError
from proml.ports import Fees, Reverted, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from proml.ports import Receipt

CHAIN_ID = 7_777_777
START_S = 1_800_000_000
ENOUGH_GAS = 15_000_000
_ERRORS = {selector(name, declaration): name for name, declaration in interface.ERRORS.items()}


@dataclass(frozen=True)
class Attempt:
    """Somebody's try at an operation: itself, or with a message that ``relay.signer`` is said to have signed."""

    sender: str
    operation: Operation
    relay: Relay | None = None

    @property
    def data(self) -> bytes:
        return (
            calls.encode_call(self.operation)
            if self.relay is None
            else calls.encode_relayed(self.operation, self.relay)
        )


class Arena:
    """Workspaces in an embedded EVM, each with its model, and the keys of all who act."""

    def __init__(self, ledger: EmbeddedLedger, clock: ManualClock, people: Sequence[LocalSigner]) -> None:
        self.ledger = ledger
        self.clock = clock
        self.people = {signer.address: signer for signer in people}
        self.states: dict[str, State] = {}
        self._nonces: dict[str, int] = {}

    @classmethod
    def create(cls, path: Path, people: Sequence[LocalSigner]) -> Arena:
        """Returns an arena on a new chain, whose first block is at ``START_S``."""
        clock = ManualClock(START_S)
        return cls(EmbeddedLedger.create(path, chain_id=CHAIN_ID, clock=clock), clock, people)

    def copy(self, path: Path) -> Arena:
        """Returns an arena in the same state that goes its own way, on a copy of the chain's file."""
        with closing(sqlite3.connect(self.ledger.path)) as whence, closing(sqlite3.connect(path)) as whither:
            whence.backup(whither)  # a plain copy would miss what is in the write-ahead log
        clock = ManualClock(self.now)
        other = Arena(EmbeddedLedger.open(path, clock=clock), clock, tuple(self.people.values()))
        other.states = dict(self.states)
        other._nonces = dict(self._nonces)
        return other

    @property
    def now(self) -> int:
        """Unix time of the next block, in seconds."""
        return self.clock.now_ns() // 10**9

    # ------------------------------------------------------------------------------------------------------ signatures

    def domain(self, contract: str) -> bytes:
        return domain_separator(CHAIN_ID, contract)

    def relay(
        self, contract: str, operation: Operation, signer: str, nonce: int | None = None, deadline: int = 2**40
    ) -> Relay:
        """Returns a message of a signer that lets anybody perform the operation; with its next nonce unless told."""
        if nonce is None:
            nonce = self.states[contract].nonces.get(signer, 0)
        message = typed_hash(operation, nonce=nonce, deadline=deadline, domain=self.domain(contract))
        return Relay(signer, nonce, deadline, self.people[signer].sign_hash(message))

    def grant(self, contract: str, member: str, session: Session) -> Grant:
        """Returns the grant of a session to which its key consents."""
        message = session_consent_hash(session, member=member, domain=self.domain(contract))
        return Grant(session, self.people[session.key].sign_hash(message))

    # ------------------------------------------------------------------------------------------------------ comparing

    def deploy(
        self, deployer: str, founders: Sequence[Member], quorum: int, lifecycles: Sequence[Lifecycle]
    ) -> str | None:
        """Creates a workspace in both; returns its address, None if both refuse it."""
        creation = load_contract("Workspace").creation_code + calls.encode_constructor(founders, quorum, lifecycles)
        receipt = self._mine(deployer, None, creation)
        empty = State(CHAIN_ID, receipt.contract or ZERO_ADDRESS)
        try:
            state, events = founded(empty, founders, quorum, lifecycles)
        except Refused:
            state, events = None, ()
        assert receipt.succeeded == (state is not None), "contract and model disagree on whether this can be founded"
        if state is None or receipt.contract is None:
            return None
        assert _events(receipt) == events
        self.states[receipt.contract] = state
        return receipt.contract

    def attempt(self, contract: str, attempt: Attempt) -> tuple[Refusal, ...] | None:
        """Tries an operation on both, and compares; returns the rules it breaks, None if it was performed."""
        state, data = self.states[contract], attempt.data
        reasons: tuple[Refusal, ...] = ()
        try:
            after, events = perform(state, attempt.sender, attempt.operation, attempt.relay, self._around(contract))
        except Refused as refused:
            after, events, reasons = state, (), refused.reasons
        found = self._refusal(contract, attempt.sender, data)
        assert found in (reasons or (None,)), (
            f"the contract {'accepts it' if found is None else f'answers {found}'}; "
            f"the model knows {reasons or 'no reason'} to refuse {attempt}"
        )
        if reasons:
            return reasons
        receipt = self._mine(attempt.sender, contract, data)
        assert receipt.succeeded
        assert _events(receipt) == events
        self.states[contract] = after
        self.compare(contract, state, after)
        return None

    def _refusal(self, contract: str, sender: str, data: bytes) -> Refusal | None:
        try:
            answer = self.ledger.call(contract, data, sender=sender)
        except Reverted as reverted:
            name = _ERRORS.get(reverted.data[:4])
            if name is None:
                return Refusal(f"something else: 0x{reverted.data.hex()}")
            return Refusal(name, decode(fields(interface.ERRORS[name]), reverted.data[4:]))
        assert answer == b""
        return None

    def _around(self, contract: str) -> Circumstances:
        others = {address: state for address, state in self.states.items() if address != contract}
        return Circumstances(self.now, others, _signed_by)

    def _mine(self, sender: str, to: str | None, data: bytes) -> Receipt:
        nonce = self._nonces.get(sender, 0)
        unsigned = UnsignedTransaction(CHAIN_ID, nonce, to, data, ENOUGH_GAS, Fees(0, 0))
        receipt = self.ledger.receipt(self.ledger.send(self.people[sender].sign_transaction(unsigned)))
        self._nonces[sender] = nonce + 1
        assert receipt is not None
        return receipt

    # ---------------------------------------------------------------------------------------------------------- views

    def view(self, contract: str, name: str, *arguments: Any) -> tuple[Any, ...]:
        """Returns what the contract's view answers."""
        return calls.decode_view(name, self.ledger.call(contract, calls.encode_view(name, *arguments)))

    def compare(self, contract: str, before: State, after: State) -> None:
        """Compares the views of all that differs between two states of the model with the state after."""
        for mapping, expectation in _EXPECTATIONS.items():
            old, new = getattr(before, mapping), getattr(after, mapping)
            for key in new:
                if old.get(key) != new[key]:
                    self._expect(contract, expectation(after, key))
        self._expect(contract, {("governance",): (after.quorum, after.admin_organisations, after.epoch)})
        for number, lifecycle in enumerate(after.lifecycles, 1):
            if number > len(before.lifecycles):
                self._expect(contract, {("lifecycleOf", number): (lifecycle,)})
        self._expect(contract, {("lifecycleCount",): (len(after.lifecycles),)})

    def compare_all(self, contract: str) -> None:
        """Compares all that the model holds, as if all had changed just now."""
        state = self.states[contract]
        self.compare(contract, State(state.chain_id, state.contract), state)

    def compare_absent(self, contract: str, accounts: Sequence[str], artefacts: Sequence[bytes]) -> None:
        """Compares what the contract answers about accounts and artefacts that the model holds nothing of."""
        state = self.states[contract]
        for account in accounts:
            if account not in state.members:
                self._expect(contract, {("memberOf", account): (0, 0)})
            if account not in state.sessions:
                self._expect(contract, {("sessionOf", account): (ZERO_ADDRESS, 0, ZERO, 0)})
            if account not in state.anchors:
                self._expect(contract, {("anchorHeadOf", account): (ZERO,)})
            if account not in state.nonces:
                self._expect(contract, {("nonceOf", account): (0,)})
        for key in artefacts:
            if key not in state.artefacts:
                answers = {("headOf", key): (ZERO,), ("usableAt", key, key): (False,), ("revoked", key): (False,)}
                self._expect(contract, answers)

    def compare_proposal(self, contract: str, proposal: Proposal) -> None:
        """Compares a proposal's id, approvals and whether it was carried out."""
        state = self.states[contract]
        identifier = heads.proposal_id(state.epoch, proposal)
        approvals = state.proposals.get(identifier, Approvals())
        expected = (identifier, len(approvals.organisations), approvals.executed)
        self._expect(contract, {("proposalOf", proposal): expected})

    def _expect(self, contract: str, expected: dict[tuple[Any, ...], tuple[Any, ...]]) -> None:
        for question, answer in expected.items():
            found = self.view(contract, *question)
            assert found == answer, f"{question} answers {found}, the model {answer}"


def _artefact_views(state: State, key: bytes) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    one = state.artefacts[key]
    flags = state.flags(one)
    word = (one.owner, one.lifecycle, one.state, flags, one.seq, one.changed_at, one.head, one.held)
    return {
        ("artefactOf", key): word,
        ("headOf", key): (one.head,),
        ("usableAt", key, one.head): (state.usable_at(key, one.head),),
        ("usableAt", key, key): (False,),
        ("revoked", key): (state.revoked(key),),
    }


_EXPECTATIONS: dict[str, Callable[[State, Any], dict[tuple[Any, ...], tuple[Any, ...]]]] = {
    "members": lambda s, key: {("memberOf", key): (s.members[key].organisation, s.members[key].roles)},
    "sessions": lambda s, key: {("sessionOf", key): dataclasses.astuple(s.sessions[key])},
    "artefacts": _artefact_views,
    "ballots": lambda s, key: {("ballotOf", key): (s.ballots[key].endorsed, s.ballots[key].chain)},
    "anchors": lambda s, key: {("anchorHeadOf", key): (s.anchors[key],)},
    "nonces": lambda s, key: {("nonceOf", key): (s.nonces[key],)},
}


def _events(receipt: Receipt) -> tuple[Event | None, ...]:
    decoded = [decode_event(log) for log in receipt.logs]
    return tuple(event and replace(event, at=NOWHERE) for event in decoded)


def _signed_by(digest: bytes, signature: bytes) -> str | None:
    try:
        return recover_address(digest, signature)
    except VerificationError:
        return None


def digest(text: str) -> bytes:
    """Returns 32 bytes without structure, as real digests are."""
    return sha256(text.encode())


def signer(name: str) -> LocalSigner:
    """Returns the account of somebody's name."""
    return LocalSigner(digest(f"key of {name}"))


def vote_on(change: Transition, record: bytes, *, approve: bool = True) -> Endorsement:
    """Returns the vote on a transition."""
    inputs = heads.inputs_commitment(change.inputs)
    return Endorsement(change.artefact, change.expected_head, change.rule, change.content, inputs, record, approve)


def genesis(contract: str, registration: Registration, key: str) -> bytes:
    """Returns the head that an artefact will have once registered."""
    return heads.genesis_head(CHAIN_ID, contract, registration, key)
