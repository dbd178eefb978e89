from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.digest import sha256
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
    Use,
    documents_of,
    parse_intent,
)
from proml.core.operation import ZERO_ADDRESS, Input
from proml.errors import InvalidRecord
from proml.ports import Intent

_words = st.binary(min_size=32, max_size=32)
_names = st.text(min_size=1, max_size=20)
_addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
_documents = st.lists(_words, max_size=3).map(tuple)
_uses = st.builds(Use, _names, _names, st.sampled_from(["", "2", "0xab"]), st.none() | _words)
_inputs = st.builds(Input, _addresses | st.just(ZERO_ADDRESS), _words, _words)
_intents: st.SearchStrategy[TypedIntent] = st.one_of(
    st.builds(RegisterIntent, _names, _names, _words, _documents),
    st.builds(
        TransitionIntent,
        name=_names,
        action=_names,
        record=_words,
        kind=_names,
        content=st.none() | _words,
        uses=st.lists(_uses, max_size=3).map(tuple),
        inputs=st.none() | st.lists(_inputs, max_size=3).map(tuple),
        expected_head=st.none() | _words,
        register=st.booleans(),
        documents=_documents,
    ),
    st.builds(EndorseIntent, _names, _names, _words, _words, st.none() | _words, _words, st.booleans()),
    st.builds(AnchorIntent, _words, st.integers(1, 2**64 - 1), st.none() | _words, _documents),
    st.builds(GrantIntent, _addresses, st.integers(0, 65535), _words, st.integers(0, 2**40 - 1), st.binary()),
    st.builds(RevokeIntent, _addresses),
    st.builds(GovernIntent, st.integers(0, 255), _words, st.binary(), _documents),
    st.builds(
        RelayIntent,
        st.binary(),
        _addresses,
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.binary(),
        _names,
        _documents,
    ),
)


@given(typed=_intents)
def test_an_intent_comes_back_from_json_as_it_was(typed: TypedIntent) -> None:
    written = typed.intent("key")
    read = replace(written, body=json.loads(json.dumps(dict(written.body))))
    assert parse_intent(read) == typed


@given(typed=_intents, data=st.data())
def test_a_field_that_is_lost_or_of_another_type_is_told_or_has_a_default(
    typed: TypedIntent, data: st.DataObject
) -> None:
    body = dict(typed.intent().body)
    field = data.draw(st.sampled_from(sorted(body)))
    if data.draw(st.booleans()):
        del body[field]
    else:
        body[field] = data.draw(st.one_of(st.floats(), st.binary(), st.just({}), st.just([1]), st.just("0xzz")))
    try:
        parse_intent(Intent("key", typed.intent().kind, body))
    except InvalidRecord as error:
        assert "intent key" in error.message or "digest" in error.message  # noqa: PT017 - either outcome is right


TRANSITION = TransitionIntent("a", "train", bytes(32))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("record", "sha256:short"),
        ("record", None),
        ("content", "md5:00"),
        ("expected_head", "0x00"),
        ("expected_head", "f" * 64),
        ("uses", [1]),
        ("uses", {"0": {}}),
        ("inputs", [{"workspace": "0x12", "artefact": "0x" + "00" * 32, "head": "0x" + "00" * 32}]),
        ("register", 1),
        ("documents", [5]),
        ("name", 7),
        ("uses", [{}] * 5000),
    ],
)
def test_a_malformed_field_of_a_transition_is_refused(field: str, value: Any) -> None:
    body = {**TRANSITION.intent().body, field: value}
    with pytest.raises(InvalidRecord):
        parse_intent(Intent("key", "transition", body))


@pytest.mark.parametrize("leaves", [0, -1, 2**64, True, "3", None])
def test_a_number_of_leaves_that_cannot_be_is_refused(leaves: Any) -> None:
    body = {**AnchorIntent(bytes(32), 1).intent().body, "leaves": leaves}
    with pytest.raises(InvalidRecord, match="leaves"):
        parse_intent(Intent("key", "anchor", body))


def test_an_unknown_kind_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InvalidRecord, match="'teleport'; expected one of register, transition"):
        parse_intent(Intent("key", "teleport", {}))


def test_fields_of_later_versions_are_ignored() -> None:
    body = {**TRANSITION.intent().body, "from_the_future": 1}
    assert parse_intent(Intent("key", "transition", body)) == TRANSITION


def test_intents_get_keys_of_their_own_unless_told() -> None:
    assert TRANSITION.intent().key != TRANSITION.intent().key
    assert TRANSITION.intent("mine").key == "mine"


def test_only_intents_about_an_artefact_belong_to_one() -> None:
    assert TRANSITION.intent().artefact == "a"
    assert AnchorIntent(bytes(32), 1).intent().artefact == ""


def test_the_record_and_further_documents_are_to_be_published() -> None:
    record, manifest = sha256(b"record"), sha256(b"manifest")
    assert documents_of(replace(TRANSITION, record=record, documents=(manifest,))) == (record, manifest)
    assert documents_of(AnchorIntent(bytes(32), 1)) == ()
    assert documents_of(RevokeIntent(ZERO_ADDRESS)) == ()
