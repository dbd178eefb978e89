"""Events: read back what the contract would write, and refuse what it could not."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core import abi, events, heads, interface
from proml.core.operation import Endorsement
from proml.core.words import address_word, checksum_address
from proml.errors import VerificationError
from proml.ports import Log

CONTRACT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
PLACE = {
    "block_number": 7,
    "block_hash": b"b" * 32,
    "transaction_hash": b"t" * 32,
    "transaction_index": 1,
    "log_index": 3,
}
AT = events.At(block_number=7, log_index=3, transaction_index=1, transaction_hash=b"t" * 32, block_hash=b"b" * 32)


# What lies in the packed words, from the lowest bit, as IWorkspace.sol says; each is the first word of the data.
PACKED = {
    events.Transitioned: (3, ("address", "uint8", "uint8", "uint32")),
    events.InputUsed: (3, ("address", "uint32")),
    events.Endorsed: (2, ("address", "uint8", "uint16", "bool")),
    events.Anchored: (2, ("address", "uint64")),
}
BITS = {"address": 160, "bool": 1, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}


def packed(parts: list[Any], types: tuple[str, ...]) -> int:
    word = place = 0
    for part, type_name in zip(parts, types, strict=True):
        word |= (int(part, 16) if isinstance(part, str) else int(part)) << place
        place += BITS[type_name]
    return word


def value_of(type_name: str) -> st.SearchStrategy[Any]:
    if type_name in interface.STRUCTS:
        members = [value_of(f.type) for f in interface.struct_fields(type_name)]
        return st.tuples(*members).map(lambda values: interface.struct_class(type_name)(*values))
    simple: dict[str, st.SearchStrategy[Any]] = {
        "address": st.binary(min_size=20, max_size=20).map(checksum_address),
        "bytes32": st.binary(min_size=32, max_size=32),
        "bytes": st.binary(max_size=70),
        "bool": st.booleans(),
    }
    return simple[type_name] if type_name in simple else st.integers(0, 2 ** int(type_name.removeprefix("uint")) - 1)


@st.composite
def emitted(draw: st.DrawFn) -> tuple[events.Event, Log]:
    """An event and the log that the contract emits for it."""
    cls = draw(st.sampled_from(events.EVENTS))
    declared = interface.fields(interface.EVENTS[cls.__name__])
    values = [draw(value_of(f.type)) for f in declared]
    indexed = [abi.encode([f], [v]) for f, v in zip(declared, values, strict=True) if f.indexed]
    rest = [(f, v) for f, v in zip(declared, values, strict=True) if not f.indexed]
    data = abi.encode([f for f, _ in rest], [v for _, v in rest])
    if cls in PACKED:
        place, types = PACKED[cls]
        parts = [draw(value_of(type_name)) for type_name in types]
        data = packed(parts, types).to_bytes(32, "big") + data[32:]
        values[place : place + 1] = parts
    if cls is events.Endorsed:
        artefact, actor, key, rule, organisation, approve, head, content, inputs, record, commitment = values
        vote = Endorsement(artefact, head, rule, content, inputs, record, approve)
        values = [artefact, heads.ballot_of(vote), actor, key, vote, organisation, commitment]
    return cls(AT, *values), Log(CONTRACT, (events.topic_of(cls), *indexed), data, **PLACE)  # type: ignore[arg-type]


@given(emitted())
def test_a_log_reads_back_as_its_event(case: tuple[events.Event, Log]) -> None:
    event, log = case
    assert events.decode_event(log) == event


@given(emitted(), st.sampled_from(["shorter", "longer", "a topic less", "a topic more"]))
def test_a_log_of_the_wrong_size_is_refused(case: tuple[events.Event, Log], change: str) -> None:
    _, log = case
    match change:
        case "shorter":
            changed = dataclasses.replace(log, data=log.data[:-1], topics=log.topics if log.data else log.topics[:-1])
        case "longer":
            changed = dataclasses.replace(log, data=log.data + b"\0")
        case "a topic less":
            changed = dataclasses.replace(log, topics=(*log.topics[:-1],) if len(log.topics) > 1 else log.topics * 2)
        case _:
            changed = dataclasses.replace(log, topics=(*log.topics, bytes(32)))
    with pytest.raises(VerificationError, match="claims to be"):
        events.decode_event(changed)


def test_a_number_out_of_range_is_refused() -> None:
    topics = (events.topic_of(events.MemberSet), address_word(CONTRACT), bytes(32))
    with pytest.raises(VerificationError, match="uint16"):
        events.decode_event(Log(CONTRACT, topics, (2**16).to_bytes(32, "big"), **PLACE))  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", PACKED)
def test_a_packed_word_with_more_bits_than_its_values_have_is_refused(cls: type[events.Event]) -> None:
    declared = interface.fields(interface.EVENTS[cls.__name__])
    indexed = sum(f.indexed for f in declared)
    bits = sum(BITS[type_name] for type_name in PACKED[cls][1])
    topics = (events.topic_of(cls), *[bytes(32)] * indexed)
    data = (1 << bits).to_bytes(32, "big") + bytes(32 * (len(declared) - indexed - 1))
    with pytest.raises(VerificationError, match=f"{bits} bits"):
        events.decode_event(Log(CONTRACT, topics, data, **PLACE))  # type: ignore[arg-type]


@pytest.mark.parametrize("topics", [(), (b"x" * 32,)])
def test_a_foreign_log_is_no_event(topics: tuple[bytes, ...]) -> None:
    assert events.decode_event(Log(CONTRACT, topics, b"", **PLACE)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("event", get_args(events.Event))
def test_each_event_class_has_the_arguments_of_its_declaration_in_order(event: type) -> None:
    renamed = {("ArtefactRecovered", "from"): "from_owner", ("ArtefactRecovered", "to"): "to_owner"}
    declared = [
        renamed.get((event.__name__, f.name), f.name).replace("_", "").lower()
        for f in interface.fields(interface.EVENTS[event.__name__])
    ]
    held = [f.name.replace("_", "") for f in dataclasses.fields(event)[1:]]
    if event is events.Endorsed:  # the ballot is computed, the vote's values stand by themselves
        held = ["artefact", "actor", "cast", "expectedhead", "content", "inputs", "record", "commitment"]
    elif event in PACKED:
        place, types = PACKED[event]
        held[place : place + len(types)] = [declared[place]]
    assert held == declared


def test_a_filter_names_the_events_and_the_words_asked_for() -> None:
    wanted = events.topic_filter(events.Registered, events.Transitioned, third=(address_word(CONTRACT),))
    topics = (events.topic_of(events.Registered), events.topic_of(events.Transitioned))
    assert wanted == (topics, (), (), (address_word(CONTRACT),))


def test_a_filter_of_nothing_accepts_all_events_of_a_workspace() -> None:
    assert events.topic_filter() == (tuple(map(events.topic_of, events.EVENTS)),)


def test_places_sort_in_chain_order() -> None:
    later = dataclasses.replace(AT, block_number=8, log_index=0)
    assert sorted([later, dataclasses.replace(AT, log_index=4), AT]) == [
        AT,
        dataclasses.replace(AT, log_index=4),
        later,
    ]
