"""Finds mistakes in a lifecycle before it is added to a workspace, where it can never be changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from proml.core.lifecycle import ANY_STATE, MAX_STATES, MAX_TRANSITIONS, Definition, Transition, role_bits
from proml.core.name import skeleton

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

Level: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake (``error``) or something unusual (``warning``).

    Attributes:
        level: ``error`` or ``warning``.
        where: ``state NAME``, ``transition NAME (from STATE)`` or ``lifecycle NAME``.
        message: What is wrong, in a sentence.
    """

    level: Level
    where: str
    message: str


def check(
    definition: Definition,
    *,
    organisations: Mapping[int, int] | None = None,
    kinds: Collection[str] | None = None,
) -> list[Finding]:
    """Returns what is wrong with a lifecycle, errors first; empty if nothing is.

    Args:
        definition: The lifecycle.
        organisations: The union of the members' role bits by organisation number; None leaves out what depends on who
            is in the workspace.
        kinds: Kinds that the workspace has or gets; None leaves out whether evidence can exist.
    """
    findings = [*_sizes_and_names(definition), *_states(definition), *_alternatives(definition)]
    for one in definition.transitions:
        findings.extend(_transition(definition, one, kinds))
        if organisations is not None:
            findings.extend(_actors(definition, one, organisations))
    if organisations is not None and not _holders(organisations, definition.register):
        findings.append(
            Finding("error", f"lifecycle {definition.name}", f"nobody can register one: {_needs(definition.register)}.")
        )
    return sorted(findings, key=lambda finding: finding.level)  # stable, and "error" sorts before "warning"


def _sizes_and_names(definition: Definition) -> Iterator[Finding]:
    where = f"lifecycle {definition.name}"
    if len(definition.states) > MAX_STATES:
        yield Finding("error", where, f"{len(definition.states)} states; the contract takes {MAX_STATES}.")
    if len(definition.transitions) > MAX_TRANSITIONS:
        yield Finding(
            "error",
            where,
            f"{len(definition.transitions)} transitions (each state in 'from' counts); "
            f"the contract takes {MAX_TRANSITIONS}.",
        )
    if not definition.register:
        yield Finding("error", where, "nobody can register one: 'register' names no role.")
    yield from _look_alikes("state", (state.name for state in definition.states))
    yield from _look_alikes("action", definition.actions())


def _look_alikes(noun: str, names: Iterable[str]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(skeleton(name), name)
        if other != name:
            yield Finding("error", f"{noun} {name}", f"it looks like the {noun} '{other}'.")


def _states(definition: Definition) -> Iterator[Finding]:
    reached = _reachable(definition)
    for state in definition.states:
        where = f"state {state.name}"
        if state.name not in reached:
            yield Finding("error", where, f"no transitions lead to it from '{definition.initial}'.")
        terminal = "terminal" in state.flags
        leaves = [name for name in _next_states(definition, state.name) if name != state.name]
        if not terminal and not leaves:
            yield Finding("error", where, "a dead end: nothing leads out of it, yet it is not flagged 'terminal'.")
        if terminal and state.name == definition.initial:
            yield Finding("error", where, "the initial state is terminal, so nothing can ever happen.")
        if "revoked" in state.flags and "usable" in state.flags:
            yield Finding("error", where, "it is flagged both 'usable' and 'revoked'.")
        if "revoked" in state.flags and not terminal:
            yield Finding("warning", where, "it is revoked but not terminal: descendants may become clean again.")
    if not any("revoked" in state.flags for state in definition.states):
        yield Finding(
            "warning", f"lifecycle {definition.name}", "no state is flagged 'revoked': nothing can be recalled."
        )


def _next_states(definition: Definition, state: str) -> set[str]:
    if definition.has_flag(state, "terminal"):
        return set()
    return {one.to_state for one in definition.transitions if one.from_state in (state, ANY_STATE)}


def _reachable(definition: Definition) -> set[str]:
    reached: set[str] = set()
    waiting = [definition.initial]
    while waiting:
        state = waiting.pop()
        if state not in reached:
            reached.add(state)
            waiting.extend(_next_states(definition, state))
    return reached


def _alternatives(definition: Definition) -> Iterator[Finding]:
    """Finds transitions of one name that start in the same state and cannot be told apart by who acts."""
    by_action: dict[str, list[Transition]] = {}
    for one in definition.transitions:
        by_action.setdefault(one.name, []).append(one)
    for group in by_action.values():
        for number, one in enumerate(group):
            for earlier in group[:number]:
                if not _overlap(earlier, one):
                    continue
                fault = _confusion(earlier, one)
                if fault:
                    yield Finding("error", _where(one), f"a second '{one.name}' starts in the same state, {fault}.")


def _overlap(one: Transition, other: Transition) -> bool:
    return one.from_state == other.from_state or ANY_STATE in (one.from_state, other.from_state)


def _confusion(one: Transition, other: Transition) -> str:
    if one.to_state != other.to_state:
        return "and leads elsewhere: give it a name of its own"
    if one.quorum or other.quorum:
        return "and votes would not say which one they mean"
    kept_apart = any(
        "owner-only" in a.guards and "four-eyes" in b.guards for a, b in ((one, other), (other, one))
    ) or not set(one.roles) & set(other.roles)
    return "" if kept_apart else "for the same actors: let their roles differ, or one be owner-only and one four-eyes"


def _transition(definition: Definition, one: Transition, kinds: Collection[str] | None) -> Iterator[Finding]:
    where, guards = _where(one), set(one.guards)
    if not one.roles:
        yield Finding("error", where, "nobody can take it: it names no role.")
    if {"owner-only", "four-eyes"} <= guards:
        yield Finding(
            "error", where, "nobody can take it: the owner is barred by 'four-eyes', all others by 'owner-only'."
        )
    if {"needs-content", "no-content"} <= guards:
        yield Finding("error", where, "nobody can take it: it both needs and forbids new content.")
    if one.from_state != ANY_STATE and definition.has_flag(one.from_state, "terminal"):
        yield Finding("error", where, f"nobody can take it: '{one.from_state}' is terminal.")
    if bool(one.quorum) != bool(one.vote_roles):
        yield Finding("error", where, "a quorum needs both a number of organisations and roles that may vote.")
    if one.evidence and kinds is not None and one.evidence not in kinds:
        yield Finding("error", where, f"it demands evidence of kind '{one.evidence}', which no lifecycle has.")
    if "owner-only" in guards and one.roles and not set(one.roles) & set(definition.register):
        yield Finding("warning", where, f"only an owner who, besides registering, {_needs(one.roles)} can take it.")
    if "no-content" in guards and one.to_state == one.from_state:
        yield Finding("warning", where, "it changes neither state nor content.")


def _actors(definition: Definition, one: Transition, organisations: Mapping[int, int]) -> Iterator[Finding]:
    """Finds what nobody of today's members can do, whichever organisation owns the artefact."""
    owners = _holders(organisations, definition.register)
    if not owners or not one.roles:
        return

    def performers(owner: int) -> set[int]:
        able = _holders(organisations, one.roles)
        if "owner-only" in one.guards:
            able &= {owner}
        return able - {owner} if "four-eyes" in one.guards else able

    def voters(owner: int) -> set[int]:
        return _holders(organisations, one.vote_roles) - ({owner} if "four-eyes" in one.guards else set())

    yield from _shortage(
        one,
        owners,
        lambda owner: len(performers(owner)) >= 1,
        f"nobody can take it: no member {'of another organisation ' if 'four-eyes' in one.guards else ''}"
        f"{_needs(one.roles, 'has')}",
    )
    if one.quorum and one.vote_roles:
        yield from _shortage(
            one,
            owners,
            lambda owner: len(voters(owner)) >= one.quorum,
            f"its quorum cannot be reached: of {one.quorum} organisations that may vote "
            f"there are {max(len(voters(owner)) for owner in owners)}",
        )


def _shortage(one: Transition, owners: set[int], suffices: Callable[[int], bool], message: str) -> Iterator[Finding]:
    short = sorted(owner for owner in owners if not suffices(owner))
    if len(short) == len(owners):
        yield Finding("error", _where(one), f"{message}.")
    elif short:
        named = ", ".join(str(owner) for owner in short)
        yield Finding("warning", _where(one), f"{message}, where the owner's organisation is {named}.")


def _holders(organisations: Mapping[int, int], roles: Iterable[str]) -> set[int]:
    wanted = role_bits(roles)
    return {organisation for organisation, bits in organisations.items() if bits & wanted}


def _needs(roles: Collection[str], verb: str = "has") -> str:
    return f"{verb} one of the roles {', '.join(roles)}" if len(roles) > 1 else f"{verb} the role {', '.join(roles)}"


def _where(one: Transition) -> str:
    return f"transition {one.name} (from {one.from_state})"
