"""Events: read back what the contract would write, and refuse what it could not."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core import abi, events, interface
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
    if cls is events.Transitioned:
        parts = draw(st.tuples(value_of("address"), value_of("uint8"), value_of("uint8"), value_of("uint32")))
        key, rule, to_state, seq = parts
        step = int(key, 16) | rule << 160 | to_state << 168 | seq << 176
        data = step.to_bytes(32, "big") + data[32:]
        values[3:4] = parts
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
    event = events.Anchored
    topics = (events.topic_of(event), address_word(CONTRACT), b"r" * 32)
    data = address_word(CONTRACT) + (2**64).to_bytes(32, "big") + b"h" * 32
    with pytest.raises(VerificationError, match="uint64"):
        events.decode_event(Log(CONTRACT, topics, data, **PLACE))  # type: ignore[arg-type]


def test_a_step_of_more_than_208_bits_is_refused() -> None:
    topics = (events.topic_of(events.Transitioned), *[bytes(32)] * 3)
    data = (1 << 208).to_bytes(32, "big") + bytes(64)
    with pytest.raises(VerificationError, match="208 bits"):
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
    if event is events.Transitioned:
        held[3:7] = ["step"]  # key, rule, state and number share a word on chain
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
