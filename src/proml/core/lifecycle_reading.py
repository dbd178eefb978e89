"""Reads lifecycles: the TOML that people write, and the JSON document that its digest on chain names.

In TOML, ``from`` may list several states; each becomes a transition of its own, all with the same name. Durations are
text: ``"90s"``, ``"30m"``, ``"12h"``, ``"2d"``, ``"1w"``. What is left out is empty, zero or none.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, cast

from proml.core import shape
from proml.core.lifecycle import (
    ANY_STATE,
    FLAG_BITS,
    GUARD_BITS,
    MAX_DELAY_S,
    MAX_QUORUM,
    ROLE_BITS,
    SCHEMA,
    Definition,
    State,
    Transition,
)
from proml.core.name import show
from proml.errors import InvalidLifecycle, InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1024 * 1024
_DURATION = re.compile(r"([0-9]{1,10})([smhdw])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_lifecycle(text: str, source: str) -> Definition:
    """Returns the lifecycle that a TOML text defines.

    Args:
        text: The TOML; the shipped ones (``proml/lifecycles``) are examples of everything it may hold.
        source: Where it comes from, for messages.

    Raises:
        InvalidLifecycle: It is malformed; the message says what was expected where.
    """
    if len(text) > MAX_BYTES:
        raise InvalidLifecycle(f"Expected at most {MAX_BYTES} characters in {source}, found {len(text)}.")
    try:
        value = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InvalidLifecycle(f"Expected TOML in {source}: {error}.") from error
    try:
        _TOML(value, "$")
    except InvalidRecord as error:
        raise InvalidLifecycle(f"In {source}: {error.message}", hint=error.hint) from error
    document = {
        "schema": SCHEMA,
        "name": value["name"],
        "version": value.get("version", 1),
        "summary": value.get("summary", ""),
        "initial": value["initial"],
        "register": value["register"],
        "states": [
            {"name": name, "flags": state.get("flags", []), "summary": state.get("summary", "")}
            for name, state in value["states"].items()
        ],
        "transitions": [
            _document_transition(one, state)
            for one in value.get("transitions", [])
            for state in ([one["from"]] if isinstance(one["from"], str) else one["from"])
        ],
    }
    return from_document(document, source)


def from_document(value: object, what: str = "the lifecycle document") -> Definition:
    """Returns the definition whose :meth:`Definition.document` this is.

    Args:
        value: The JSON value.
        what: Where it comes from, for messages.

    Raises:
        InvalidLifecycle: It is none; the message says what was expected where.
    """
    try:
        _DOCUMENT(value, "$")
    except InvalidRecord as error:
        raise InvalidLifecycle(f"In {what}: {error.message}", hint=error.hint) from error
    fields = cast("dict[str, Any]", value)
    definition = Definition(
        name=fields["name"],
        version=fields["version"],
        initial=fields["initial"],
        register=tuple(fields["register"]),
        states=tuple(State(one["name"], tuple(one["flags"]), one["summary"]) for one in fields["states"]),
        transitions=tuple(_transition(one) for one in fields["transitions"]),
        summary=fields["summary"],
    )
    _check_names(definition, what)
    return definition


def _document_transition(fields: dict[str, Any], from_state: str) -> dict[str, object]:
    amount, unit = cast("re.Match[str]", _DURATION.fullmatch(fields.get("min_delay", "0s"))).groups()
    return {
        "name": fields["name"],
        "from": from_state,
        "to": fields["to"],
        "roles": fields["roles"],
        "guards": fields.get("guards", []),
        "quorum": fields.get("quorum", {"organisations": 0, "roles": []}),
        "min_delay_s": int(amount) * _UNIT_S[unit],
        "evidence": fields.get("evidence", ""),
        "summary": fields.get("summary", ""),
    }


def _transition(fields: dict[str, Any]) -> Transition:
    return Transition(
        name=fields["name"],
        from_state=fields["from"],
        to_state=fields["to"],
        roles=tuple(fields["roles"]),
        guards=tuple(fields["guards"]),
        quorum=fields["quorum"]["organisations"],
        vote_roles=tuple(fields["quorum"]["roles"]),
        min_delay_s=fields["min_delay_s"],
        evidence=fields["evidence"],
        summary=fields["summary"],
    )


def _check_names(definition: Definition, what: str) -> None:
    """Refuses states that occur twice and names of states that do not exist."""
    names = [state.name for state in definition.states]
    used = [("initial", definition.initial)]
    for one in definition.transitions:
        used.append((f"to of '{one.name}'", one.to_state))
        if one.from_state != ANY_STATE:
            used.append((f"from of '{one.name}'", one.from_state))
    for place, name in used:
        if name not in names:
            raise InvalidLifecycle(
                f"In {what}: {place} names the state {show(name)}, which does not exist.",
                hint=f"States are {', '.join(names)}.",
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidLifecycle(f"In {what}: the state '{twice}' occurs twice.")


def _distinct(names: Sequence[str]) -> shape.Check:
    """Makes a check for lists of distinct names out of a known set."""
    item = shape.one_of(*names)

    def check(value: object, path: str) -> None:
        shape.array(item)(value, path)
        if len(set(cast("list[str]", value))) < len(cast("list[str]", value)):
            raise InvalidRecord(f"Expected distinct names at {path}, found one twice.")

    return check


def _state_or_any(value: object, path: str) -> None:
    if value != ANY_STATE:
        shape.identifier(value, path)


def _kind_or_none(value: object, path: str) -> None:
    if value != "":
        shape.identifier(value, path)


_ROLES = _distinct(tuple(ROLE_BITS))
_TRANSITION = shape.structure(
    {
        "name": shape.identifier,
        "from": _state_or_any,
        "to": shape.identifier,
        "roles": _ROLES,
        "guards": _distinct(tuple(GUARD_BITS)),
        "quorum": shape.structure({"organisations": shape.integer(0, MAX_QUORUM), "roles": _ROLES}),
        "min_delay_s": shape.integer(0, MAX_DELAY_S),
        "evidence": _kind_or_none,
        "summary": shape.text,
    }
)
_DOCUMENT = shape.structure(
    {
        "schema": shape.constant(value=SCHEMA),
        "name": shape.identifier,
        "version": shape.integer(1, 1_000_000),
        "summary": shape.text,
        "initial": shape.identifier,
        "register": _ROLES,
        "states": shape.array(
            shape.structure({"name": shape.identifier, "flags": _distinct(tuple(FLAG_BITS)), "summary": shape.text}),
            1000,
        ),
        "transitions": shape.array(_TRANSITION, 10_000),
    }
)


def _states(value: object, path: str) -> None:
    if isinstance(value, list) and value:
        shape.array(_state_or_any)(value, path)
    else:
        _state_or_any(value, path)


_TOML = shape.structure(
    {
        "name": shape.identifier,
        "initial": shape.identifier,
        "register": shape.array(shape.text),
        "states": shape.mapping(
            shape.identifier, shape.structure({}, {"flags": shape.array(shape.text), "summary": shape.text})
        ),
    },
    {
        "version": shape.integer(1),
        "summary": shape.text,
        "transitions": shape.array(
            shape.structure(
                {"name": shape.identifier, "from": _states, "to": shape.identifier, "roles": shape.array(shape.text)},
                {
                    "guards": shape.array(shape.text),
                    "quorum": shape.structure({"organisations": shape.integer(1, MAX_QUORUM), "roles": _ROLES}),
                    "min_delay": shape.pattern(_DURATION.pattern, "a duration like '90s', '30m', '12h', '2d' or '1w'"),
                    "evidence": shape.identifier,
                    "summary": shape.text,
                },
            ),
            1000,
        ),
    },
)
