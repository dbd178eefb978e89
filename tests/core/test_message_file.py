from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.adapters.local_signer import LocalSigner, recover_address
from proml.core.calls import add_lifecycle, encode_call, encode_relayed
from proml.core.digest import format_digest, sha256
from proml.core.message_file import MAX_BYTES, Message, check_workspace, parse_message
from proml.core.name import artefact_id
from proml.core.operation import (
    ZERO,
    Anchor,
    Endorsement,
    Grant,
    Lifecycle,
    Operation,
    Proposal,
    Registration,
    Relay,
    Relayed,
    Revocation,
    Session,
    Transition,
)
from proml.core.record import build_record
from proml.core.workspace_file import WorkspaceFile
from proml.errors import InvalidRecord, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNER = LocalSigner(sha256(b"signer"))
CONTRACT = LocalSigner(sha256(b"contract")).address
KEY = sha256(b"name key")
WORKSPACE = WorkspaceFile("study", 1337, sha256(b"genesis"), CONTRACT, sha256(b"code"), 1, KEY)
ARTEFACT = artefact_id(KEY, "model")


def record(kind: Any, **fields: Any) -> bytes:
    named = {"artefact": {"name": "model", "kind": "model"}, **fields}
    return build_record(kind, created_ns=1, salt=bytes(16), **named).bytes


REGISTRATION = record("registration")
TRANSITION = record("transition", action="train")
VOTE = record("vote", action="approve", vote="approve")


def signed(operation: Operation, *documents: bytes, name: str = "model", action: str = "") -> Message:
    relay = Relay(SIGNER.address, 3, 1_800_000_000, b"")
    unsigned = Message(1337, CONTRACT, Relayed(operation, relay), documents, name, action)
    relay = replace(relay, signature=SIGNER.sign_hash(unsigned.signed_hash))
    return replace(unsigned, relayed=Relayed(operation, relay))


def registered() -> Message:
    return signed(Registration(ARTEFACT, 2, sha256(REGISTRATION)), REGISTRATION)


def voted() -> Message:
    vote = Endorsement(ARTEFACT, sha256(b"head"), 1, ZERO, ZERO, sha256(VOTE), approve=True)
    return signed(vote, VOTE, action="approve")


def transition(content: bytes = ZERO) -> Transition:
    return Transition(ARTEFACT, sha256(b"head"), 0, content, sha256(TRANSITION))


def messages() -> dict[str, Message]:
    manifest = b'{"a manifest":"of many files"}'
    definition = b'{"a":"definition"}'
    lifecycle = Lifecycle(sha256(definition), 2, 0, (1,), ())
    return {
        "register model": registered(),
        "endorse approve of model": voted(),
        "perform train on model": signed(transition(), TRANSITION, action="train"),
        "perform train on model ": signed(transition(sha256(manifest)), TRANSITION, manifest, action="train"),
        "register model and perform train on it": signed(
            (Registration(ARTEFACT, 2, sha256(REGISTRATION)), transition()), REGISTRATION, TRANSITION, action="train"
        ),
        "anchor a root of 7 leaves": signed(Anchor(ZERO, sha256(b"root"), 7), name=""),
        f"let the session key {CONTRACT} act until 2027-01-15 08:00:00 UTC": signed(
            Grant(Session(CONTRACT, 2, ZERO, 1_800_000_000), b"consent"), name=""
        ),
        f"revoke the session key {CONTRACT}": signed(Revocation(CONTRACT), name=""),
        f"approve the governance proposal with salt 0x{ZERO.hex()}": signed(
            add_lifecycle(lifecycle, ZERO), definition, name=""
        ),
    }


@pytest.mark.parametrize(("summary", "message"), messages().items())
def test_a_message_comes_back_from_its_file_as_it_was(summary: str, message: Message) -> None:
    data = message.to_bytes()
    assert parse_message(data) == message
    assert json.loads(data)["summary"] == message.summary == summary.strip()
    assert recover_address(message.signed_hash, message.relayed.relay.signature) == SIGNER.address
    check_workspace(message, WORKSPACE)


def changed(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda found: found.update(fields)


def without(field: str) -> Callable[[dict[str, Any]], None]:
    return lambda found: found.pop(field)


def another_document(found: dict[str, Any]) -> None:
    found["documents"][format_digest(sha256(b"{}"))] = "{}"


def tampered_document(found: dict[str, Any]) -> None:
    ((digest, text),) = found["documents"].items()
    found["documents"][digest] = text.replace("approve", "apprave", 1)


def call_of(operation: Operation) -> str:
    return "0x" + encode_call(operation).hex()


MALFORMED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another schema": (changed(schema="proml/message/v2"), r"\$\.schema"),
    "an unknown field": (changed(note="pay me"), "unknown field 'note'"),
    "a chain id as text": (changed(chain_id="1337"), r"\$\.chain_id"),
    "a contract that breaks EIP-55": (changed(contract=CONTRACT.lower()), r"\$\.contract"),
    "a signer that is no address": (changed(signer="me"), r"\$\.signer"),
    "a negative number": (changed(nonce=-1), r"\$\.nonce"),
    "a number that no JSON holds": (changed(nonce=2**60), "whole number"),
    "a deadline as truth": (changed(deadline=True), r"\$\.deadline"),
    "half a byte": (changed(signature="0x0"), r"\$\.signature"),
    "capital digits": (changed(signature="0xAB"), r"\$\.signature"),
    "a call of no workspace": (changed(call="0xdeadbeef"), r"\$\.call"),
    "no call": (changed(call="0x"), r"\$\.call"),
    "half a call": (lambda found: found.update(call=found["call"][:-64]), "ABI"),
    "a longer call": (lambda found: found.update(call=found["call"] + "00"), "ABI"),
    "a relayed call": (
        changed(call="0x" + encode_relayed(Revocation(CONTRACT), Relay(CONTRACT, 0, 0, b"")).hex()),
        r"\$\.call",
    ),
    "a batch, of which a summary tells a part": (changed(call=call_of((transition(), transition()))), r"\$\.call"),
    "another call with the same documents": (changed(call=call_of(transition())), "does not commit to"),
    "a call about nothing, with a name": (changed(call=call_of(Revocation(CONTRACT)), documents={}), "about"),
    "a missing document": (changed(documents={}), "which the call commits to"),
    "a document too many": (another_document, "does not commit to"),
    "a changed document": (tampered_document, "was changed"),
    "a document that is no text": (changed(documents={"sha256:" + "0" * 64: 7}), r"\$\.documents"),
    "a document without a digest": (changed(documents={"record": "{}"}), r"\$\.documents"),
    "another name": (changed(name="harmless"), "artefact 'harmless'"),
    "another action": (changed(action="comment"), "action 'comment'"),
    "no action": (changed(action=""), "action"),
    "a summary that lies": (changed(summary="register a harmless thing"), r"\$\.summary"),
    "a summary of several lines": (changed(summary="endorse\nmodel"), r"\$\.summary"),
    **{f"no {field}": (without(field), f"'{field}'") for field in json.loads(voted().to_bytes())},
}


@pytest.mark.parametrize(("change", "said"), MALFORMED.values(), ids=MALFORMED)
def test_a_file_with(change: Callable[[dict[str, Any]], object], said: str) -> None:
    fields = json.loads(voted().to_bytes())
    change(fields)
    with pytest.raises(InvalidRecord, match=said):
        parse_message(json.dumps(fields).encode(), "vote.json")


def test_a_rejection_is_not_shown_as_an_endorsement() -> None:
    operation = voted().relayed.operation
    assert isinstance(operation, Endorsement)
    against = signed(replace(operation, approve=False), VOTE, action="approve")
    with pytest.raises(InvalidRecord, match="vote 'reject'"):
        against.to_bytes()


def test_a_proposal_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRecord):
        signed(Proposal(3, ZERO, b"no lifecycle"), name="").to_bytes()


def test_an_oversized_file_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(InvalidRecord, match=f"at most {MAX_BYTES}"):
        parse_message(b"[" * (MAX_BYTES + 1))


def test_a_key_that_occurs_twice_is_refused() -> None:
    data = voted().to_bytes().replace(b'"nonce": 3', b'"nonce": 3, "nonce": 4')
    with pytest.raises(InvalidRecord, match="twice"):
        parse_message(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        parse_message(data)


@given(st.data())
def test_a_change_of_any_byte_is_refused_or_makes_another_message(data: st.DataObject) -> None:
    message = voted()
    written = bytearray(message.to_bytes())
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] = data.draw(st.integers(0, 255))
    try:
        found = parse_message(bytes(written))
    except InvalidRecord:
        return
    same_signature = found.relayed.relay.signature == message.relayed.relay.signature
    assert found == message or found.signed_hash != message.signed_hash or not same_signature


@pytest.mark.parametrize("change", [{"chain_id": 1}, {"contract": SIGNER.address}])
def test_a_message_for_another_workspace_is_not_for_this_one(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is for the workspace"):
        check_workspace(replace(voted(), **change), WORKSPACE)


def test_a_message_about_another_artefact_than_its_record_says_is_refused() -> None:
    operation = voted().relayed.operation
    assert isinstance(operation, Endorsement)
    other = signed(replace(operation, artefact=artefact_id(KEY, "other")), VOTE, action="approve")
    with pytest.raises(InvalidRecord, match="another artefact"):
        check_workspace(parse_message(other.to_bytes()), WORKSPACE)
