"""Hash chains: what the contract itself computes is what the formulas and the replay compute."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner
from proml.contract_build import load_contract
from proml.core import calls, heads, messages
from proml.core import events as ev
from proml.core import operation as op
from proml.core.operation import ZERO, ZERO_ADDRESS
from proml.core.replay import HeadReplay, replay
from proml.ports import LogQuery, Reverted, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANN, BOB, COY, KEY = (LocalSigner(bytes([n]) * 32) for n in (1, 2, 3, 4))
FAR = 2**39
A1, A2 = b"1" * 32, b"2" * 32
DRAFT, READY, RELEASED, REVOKED = range(4)
PUBLISH, RELEASE, REVOKE, DERIVE = range(4)
LIFECYCLE = op.Lifecycle(
    definition=b"d" * 32,
    register_roles=2,
    initial=DRAFT,
    state_flags=(0, 1, 1, 6),
    rules=(
        op.Rule(DRAFT, READY, 2, 1 | 4, 0, 0, 0, 0),
        op.Rule(READY, RELEASED, 2, 8, 2, 4, 0, 0),
        op.Rule(255, REVOKED, 2, 8, 0, 0, 0, 0),
        op.Rule(READY, READY, 2, 4 | 16 | 32, 0, 0, 0, 0),
    ),
)


class Workspace:
    """A workspace contract in an embedded ledger."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        self.ledger = ledger
        self.lifecycles = {1: LIFECYCLE}
        # Organisation 70 is beyond those that fit the ballot's word.
        founders = [op.Member(ANN.address, 1, 7), op.Member(BOB.address, 2, 7), op.Member(COY.address, 70, 7)]
        code = load_contract("Workspace").creation_code + calls.encode_constructor(founders, 2, [LIFECYCLE])
        self.contract = self._send(ANN, None, code)
        self.domain = messages.domain_separator(ledger.chain_id, self.contract)

    def _send(self, signer: LocalSigner, to: str | None, data: bytes) -> str:
        gas = self.ledger.estimate_gas(signer.address, to, data)
        nonce = self.ledger.nonce(signer.address)
        unsigned = UnsignedTransaction(self.ledger.chain_id, nonce, to, data, gas, self.ledger.fees())
        receipt = self.ledger.receipt(self.ledger.send(signer.sign_transaction(unsigned)))
        assert receipt is not None
        assert receipt.succeeded
        return receipt.contract or ""

    def do(self, signer: LocalSigner, operation: op.Operation) -> None:
        self._send(signer, self.contract, calls.encode_call(operation))

    def relay(self, signer: LocalSigner, operation: op.Operation, *, by: LocalSigner) -> bytes:
        (nonce,) = self.view("nonceOf", signer.address)
        digest = messages.typed_hash(operation, nonce=nonce, deadline=FAR, domain=self.domain)
        data = calls.encode_relayed(operation, op.Relay(signer.address, nonce, FAR, signer.sign_hash(digest)))
        self._send(by, self.contract, data)
        return data

    def view(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        return calls.decode_view(name, self.ledger.call(self.contract, calls.encode_view(name, *arguments)))

    def head(self, artefact: bytes) -> bytes:
        (head,) = self.view("headOf", artefact)
        assert isinstance(head, bytes)
        return head

    def change(
        self, artefact: bytes, rule: int, content: bytes = ZERO, inputs: tuple[op.Input, ...] = ()
    ) -> op.Transition:
        return op.Transition(artefact, self.head(artefact), rule, content, b"r" * 32, inputs)

    def vote(self, signer: LocalSigner, change: op.Transition, *, approve: bool = True) -> None:
        inputs = heads.inputs_commitment(change.inputs)
        self.do(
            signer,
            op.Endorsement(
                change.artefact, change.expected_head, change.rule, change.content, inputs, b"v" * 32, approve=approve
            ),
        )

    def events(self) -> list[ev.Event]:
        decoded = [ev.decode_event(log) for log in self.ledger.logs(LogQuery(self.contract))]
        assert None not in decoded
        return [event for event in decoded if event is not None]

    def replay(self, events: list[ev.Event]) -> tuple[dict[bytes, Any], list[Any]]:
        return replay(events, self.ledger.chain_id, self.contract, self.lifecycles)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace in which everything that has a hash chain has happened."""
    ledger = EmbeddedLedger.create(tmp_path_factory.mktemp("chain") / "chain.sqlite")
    w = Workspace(ledger)
    w.do(ANN, op.Registration(A1, 1, b"r" * 32))
    w.do(ANN, w.change(A1, PUBLISH, b"c" * 32))
    registration = op.Registration(A2, 1, b"s" * 32)
    genesis = heads.genesis_head(ledger.chain_id, w.contract, registration, ANN.address)
    w.relay(ANN, (registration, op.Transition(A2, genesis, PUBLISH, b"e" * 32, b"r" * 32)), by=BOB)
    elsewhere = op.Input(COY.address, b"x" * 32, b"y" * 32)
    w.do(ANN, w.change(A2, DERIVE, b"f" * 32, (op.Input(ZERO_ADDRESS, A1, w.head(A1)),)))
    release = w.change(A2, RELEASE, ZERO, (elsewhere,))
    w.vote(BOB, release)
    w.vote(ANN, release, approve=False)
    w.vote(COY, release)
    w.do(BOB, release)
    w.do(ANN, op.Anchor(ZERO, b"m" * 32, 5))
    w.do(ANN, op.Anchor(w.view("anchorHeadOf", ANN.address)[0], b"n" * 32, 6))
    session = op.Session(KEY.address, 2, A1, FAR)
    consent = KEY.sign_hash(messages.session_consent_hash(session, member=ANN.address, domain=w.domain))
    w.relay(ANN, op.Grant(session, consent), by=BOB)
    w.do(KEY, (w.change(A1, DERIVE, b"g" * 32, (op.Input(ZERO_ADDRESS, A2, w.head(A2)),)),))
    second = dataclasses.replace(LIFECYCLE, definition=b"2" * 32)
    for proposal in (
        calls.add_lifecycle(second, b"s" * 32),
        calls.recover(op.Recovery(ANN.address, BOB.address, (A1,)), b"s" * 32),
        calls.revoke_session(op.Revocation(KEY.address), b"s" * 32),
    ):
        w.do(ANN, proposal)
        w.relay(COY, proposal, by=BOB)
    w.lifecycles[2] = second
    w.do(BOB, w.change(A1, REVOKE))
    yield w
    ledger.close()


def test_a_replay_finds_nothing_wrong_and_ends_at_the_contracts_heads(workspace: Workspace) -> None:
    artefacts, findings = workspace.replay(workspace.events())
    assert findings == []
    for artefact in (A1, A2):
        owner, lifecycle, state, _, seq, _, head, _ = workspace.view("artefactOf", artefact)
        found = artefacts[artefact]
        assert (found.owner, found.lifecycle, found.state, found.seq, found.head) == (
            owner,
            lifecycle,
            state,
            seq,
            head,
        )


def test_a_replay_knows_the_current_content_and_its_inputs(workspace: Workspace) -> None:
    artefacts, _ = workspace.replay(workspace.events())
    used = op.Input(ZERO_ADDRESS, A2, artefacts[A2].head)
    assert (artefacts[A1].content, artefacts[A1].inputs) == (b"g" * 32, heads.inputs_commitment([used]))
    assert artefacts[A2].content == b"f" * 32


def test_the_domain_separator_is_the_contracts(workspace: Workspace) -> None:
    assert workspace.view("domainSeparator") == (workspace.domain,)


def test_a_lifecycle_reads_back_from_the_contract(workspace: Workspace) -> None:
    assert workspace.view("lifecycleOf", 1) == (LIFECYCLE,)


def test_a_proposals_id_is_the_contracts(workspace: Workspace) -> None:
    _, _, epoch = workspace.view("governance")
    proposal = calls.set_quorum(3, b"t" * 32)
    assert workspace.view("proposalOf", proposal)[0] == heads.proposal_id(epoch, proposal)


def test_a_ballot_knows_its_votes(workspace: Workspace) -> None:
    votes = [event for event in workspace.events() if isinstance(event, ev.Endorsed)]
    assert workspace.view("ballotOf", votes[0].ballot) == (2, votes[-1].commitment)


def test_a_message_relayed_twice_is_refused(workspace: Workspace) -> None:
    data = workspace.relay(BOB, op.Anchor(workspace.view("anchorHeadOf", BOB.address)[0], b"k" * 32, 1), by=ANN)
    with pytest.raises(Reverted):
        workspace.ledger.call(workspace.contract, data, sender=ANN.address)


def test_replaying_in_pieces_gives_the_same(workspace: Workspace) -> None:
    at_once, _ = workspace.replay(workspace.events())
    piecewise = HeadReplay(workspace.ledger.chain_id, workspace.contract, workspace.lifecycles)
    for event in workspace.events():
        piecewise.apply(event)
    piecewise.finish()
    piecewise.finish()
    assert (piecewise.artefacts, piecewise.findings) == (at_once, [])


def test_a_replay_goes_on_from_what_is_known(workspace: Workspace) -> None:
    events = workspace.events()
    middle = next(i for i, event in enumerate(events) if isinstance(event, ev.Anchored))
    known = HeadReplay(workspace.ledger.chain_id, workspace.contract, workspace.lifecycles)
    for event in events[:middle]:
        known.apply(event)
    known.finish()
    going_on = HeadReplay(workspace.ledger.chain_id, workspace.contract, workspace.lifecycles)
    going_on.artefacts, going_on.anchors, going_on.votes = known.artefacts, known.anchors, known.votes
    for event in events[middle:]:
        going_on.apply(event)
    going_on.finish()
    assert going_on.findings == []


def test_a_quorum_is_not_doubted_when_the_votes_were_not_seen(workspace: Workspace) -> None:
    events = workspace.events()
    middle = next(i for i, e in enumerate(events) if isinstance(e, ev.Transitioned) and e.rule == RELEASE)
    known = HeadReplay(workspace.ledger.chain_id, workspace.contract, workspace.lifecycles)
    for event in events[:middle]:
        known.apply(event)
    known.finish()
    going_on = HeadReplay(workspace.ledger.chain_id, workspace.contract, workspace.lifecycles)
    going_on.artefacts, going_on.votes = known.artefacts, known.votes
    for event in events[middle : middle + 2]:
        going_on.apply(event)
    going_on.finish()
    assert going_on.findings == []


# ------------------------------------------------------------------------------------------------- what was changed

OTHER_ADDRESS = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
COMMITTED = [
    (ev.Registered, "record"),
    (ev.Registered, "key"),
    (ev.Registered, "head"),
    (ev.Transitioned, "content"),
    (ev.Transitioned, "key"),
    (ev.Transitioned, "rule"),
    (ev.Transitioned, "to_state"),
    (ev.Transitioned, "seq"),
    (ev.Transitioned, "record"),
    (ev.Transitioned, "head"),
    (ev.InputUsed, "input"),
    (ev.InputUsed, "input_head"),
    (ev.InputUsed, "workspace"),
    (ev.InputUsed, "seq"),
    (ev.Endorsed, "key"),
    (ev.Endorsed, "ballot"),
    (ev.Endorsed, "organisation"),
    (ev.Endorsed, "commitment"),
    (ev.Anchored, "root"),
    (ev.Anchored, "leaves"),
    (ev.Anchored, "key"),
    (ev.Anchored, "head"),
    (ev.LifecycleAdded, "definition"),
    (ev.ArtefactRecovered, "from_owner"),
]


def other(value: object) -> Any:
    if isinstance(value, bytes):
        return b"\xee" * 32
    return OTHER_ADDRESS if isinstance(value, str) else int(value) + 1  # type: ignore[call-overload]


@pytest.mark.parametrize(("kind", "field"), COMMITTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_changed_value_is_found_where_it_stands(workspace: Workspace, kind: type, field: str) -> None:
    events = workspace.events()
    for position, event in enumerate(events):
        if isinstance(event, kind):
            changed = dataclasses.replace(event, **{field: other(getattr(event, field))})
            _, findings = workspace.replay([*events[:position], changed, *events[position + 1 :]])
            # An input belongs to the transition before it, whose head commits to it.
            committing = [e.at for e in events[: position + 1] if not isinstance(e, ev.InputUsed)][-1]
            assert {event.at, committing} & {finding.at for finding in findings}


def test_an_event_left_out_is_found(workspace: Workspace) -> None:
    events = workspace.events()
    for position, event in enumerate(events):
        if isinstance(event, ev.Registered | ev.Transitioned | ev.InputUsed | ev.Endorsed):
            artefacts, findings = workspace.replay([*events[:position], *events[position + 1 :]])
            # An artefact's last transition leaves no trace in the others: its head then differs from the contract's.
            assert findings or artefacts[event.artefact].head != workspace.head(event.artefact)


def test_an_anchor_left_out_is_found(workspace: Workspace) -> None:
    events = workspace.events()
    first = next(event for event in events if isinstance(event, ev.Anchored))
    _, findings = workspace.replay([event for event in events if event is not first])
    assert [finding.what for finding in findings] == ["anchor"]


@pytest.mark.parametrize("kind", [ev.Registered, ev.Transitioned, ev.Endorsed, ev.Anchored])
def test_an_event_told_twice_is_found(workspace: Workspace, kind: type) -> None:
    events = workspace.events()
    position, event = next((i, e) for i, e in enumerate(events) if isinstance(e, kind))
    _, findings = workspace.replay([*events[: position + 1], event, *events[position + 1 :]])
    assert findings


def test_one_break_is_reported_once(workspace: Workspace) -> None:
    events = workspace.events()
    position, event = next((i, e) for i, e in enumerate(events) if isinstance(e, ev.Transitioned))
    changed = dataclasses.replace(event, record=b"\xee" * 32)
    _, findings = workspace.replay([*events[:position], changed, *events[position + 1 :]])
    assert [(finding.what, finding.subject, finding.at) for finding in findings] == [("head", A1, event.at)]


def test_events_of_another_workspace_do_not_fit(workspace: Workspace) -> None:
    _, findings = replay(workspace.events(), workspace.ledger.chain_id, OTHER_ADDRESS, workspace.lifecycles)
    assert {finding.what for finding in findings} == {"head"}


def test_events_of_another_chain_do_not_fit(workspace: Workspace) -> None:
    _, findings = replay(workspace.events(), workspace.ledger.chain_id + 1, workspace.contract, workspace.lifecycles)
    assert {finding.what for finding in findings} == {"head"}


def test_an_unknown_lifecycle_is_found(workspace: Workspace) -> None:
    _, findings = replay(workspace.events(), workspace.ledger.chain_id, workspace.contract, {})
    assert {finding.what for finding in findings} >= {"lifecycle"}


def with_rule(number: int, **changes: int) -> op.Lifecycle:
    rules = list(LIFECYCLE.rules)
    rules[number] = dataclasses.replace(rules[number], **changes)
    return dataclasses.replace(LIFECYCLE, rules=tuple(rules))


STRICTER: list[tuple[str, op.Lifecycle]] = [
    ("state", with_rule(PUBLISH, from_state=READY)),
    ("state", with_rule(PUBLISH, to_state=RELEASED)),
    ("state", dataclasses.replace(LIFECYCLE, state_flags=(2, 1, 1, 6))),
    ("content", with_rule(PUBLISH, guards=8)),
    ("content", with_rule(RELEASE, guards=4)),
    ("inputs", with_rule(PUBLISH, guards=32)),
    ("owner", with_rule(RELEASE, guards=1)),
    ("quorum", with_rule(RELEASE, quorum=3)),
    ("rule", dataclasses.replace(LIFECYCLE, rules=LIFECYCLE.rules[:2])),
]


@pytest.mark.parametrize(("what", "lifecycle"), STRICTER)
def test_a_history_that_the_lifecycle_forbids_is_found(
    workspace: Workspace, what: str, lifecycle: op.Lifecycle
) -> None:
    lifecycles = {1: lifecycle, 2: workspace.lifecycles[2]}
    _, findings = replay(workspace.events(), workspace.ledger.chain_id, workspace.contract, lifecycles)
    assert what in {finding.what for finding in findings}


# -------------------------------------------------------------------------------------------------------- formulas

CHANGE = op.Transition(A1, b"h" * 32, 2, b"c" * 32, b"r" * 32, (op.Input(ZERO_ADDRESS, A2, b"i" * 32),))


def head_after(change: op.Transition = CHANGE, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {"from_state": 1, "to_state": 2, "seq": 3, "key": ANN.address, "votes_commitment": ZERO}
    return heads.next_head(change, **(arguments | changes))


@pytest.mark.parametrize(
    "altered",
    [
        lambda: head_after(dataclasses.replace(CHANGE, expected_head=b"x" * 32)),
        lambda: head_after(dataclasses.replace(CHANGE, rule=3)),
        lambda: head_after(dataclasses.replace(CHANGE, content=ZERO)),
        lambda: head_after(dataclasses.replace(CHANGE, record=b"x" * 32)),
        lambda: head_after(dataclasses.replace(CHANGE, inputs=())),
        lambda: head_after(from_state=2),
        lambda: head_after(to_state=1),
        lambda: head_after(seq=4),
        lambda: head_after(key=BOB.address),
        lambda: head_after(votes_commitment=b"x" * 32),
    ],
)
def test_a_head_commits_to_each_of_its_parts(altered: Callable[[], bytes]) -> None:
    assert altered() != head_after()


def test_held_inputs_are_no_part_of_the_head() -> None:
    assert head_after(dataclasses.replace(CHANGE, held=CHANGE.inputs)) == head_after()


def test_the_order_of_inputs_counts() -> None:
    first, second = op.Input(ZERO_ADDRESS, A1, A1), op.Input(ZERO_ADDRESS, A2, A2)
    assert heads.inputs_commitment([first, second]) != heads.inputs_commitment([second, first])


def test_no_inputs_are_zero() -> None:
    assert heads.inputs_commitment([]) == ZERO


def test_a_vote_and_its_transition_name_the_same_ballot() -> None:
    vote = op.Endorsement(
        CHANGE.artefact,
        CHANGE.expected_head,
        CHANGE.rule,
        CHANGE.content,
        heads.inputs_commitment(CHANGE.inputs),
        b"v" * 32,
        approve=True,
    )
    assert heads.ballot_of(vote) == heads.ballot_of(CHANGE)
