from __future__ import annotations

from typing import Any

import pytest
from tests.worlds import World, single

from proml.core.digest import sha256
from proml.core.intent import Use
from proml.core.operation import ZERO_ADDRESS, Input
from proml.errors import NotAvailable, UnknownName, UnreachableError
from proml.submit.chain_resolver import ChainResolver


@pytest.fixture
def resolver(world: World) -> ChainResolver:
    return ChainResolver(world.ledger, world.file, world.store)


def at(world: World, name: str, head: bytes) -> Input:
    return Input(ZERO_ADDRESS, world.artefact(name), head)


def test_the_current_version_is_named_by_the_head_of_now(world: World, resolver: ChainResolver, name: str) -> None:
    world.dataset(name, name)  # labelled, then checked and published: the head moved on, the content did not
    now = at(world, name, world.head(name))
    assert resolver.input_for(Use(name=name)) == now
    assert resolver.input_for(Use(content=single(name).digest)) == now
    assert resolver.input_for(Use(name=name, content=single(name).digest)) == now
    assert resolver.input_for(Use(name=name, version="2")) == now


def test_an_older_version_is_named_by_the_head_with_which_it_came(
    world: World, resolver: ChainResolver, name: str
) -> None:
    world.register("developer", name, "code")
    world.act("developer", name, "submit", single(f"{name} old"), kind="code")
    old = world.head(name)
    world.act("developer", name, "submit", single(f"{name} new"), kind="code")
    for use in (
        Use(content=single(f"{name} old").digest),
        Use(name=name, content=single(f"{name} old").digest),
        Use(name=name, version="1"),
        Use(name=name, version=f"0x{old.hex()[:8]}"),
    ):
        assert resolver.input_for(use) == at(world, name, old)


def test_content_that_is_current_somewhere_is_preferred(world: World, resolver: ChainResolver, name: str) -> None:
    shared = single(f"{name} shared")
    for one in ("kept", "replaced"):
        world.register("developer", f"{name}-{one}", "code")
        world.act("developer", f"{name}-{one}", "submit", shared, kind="code")
    world.act("developer", f"{name}-replaced", "submit", single(f"{name} other"), kind="code")
    found = resolver.input_for(Use(content=shared.digest))
    assert found == at(world, f"{name}-kept", world.head(f"{name}-kept"))


def test_content_that_nobody_published_is_no_input(resolver: ChainResolver) -> None:
    assert resolver.input_for(Use(content=sha256(b"unheard of"))) is None
    assert resolver.input_for(Use()) is None


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ({"version": "7"}, "@7 is none of them"),
        ({"version": "0"}, "none of them"),
        ({"version": "0xdeadbeef"}, "none of them"),
        ({"content": sha256(b"something else")}, "none of the 2 versions"),
        ({"version": "1", "content": sha256(b"something else")}, "version 1 of"),
    ],
)
def test_a_version_that_does_not_exist_is_told(
    world: World, resolver: ChainResolver, name: str, use: dict[str, Any], said: str
) -> None:
    world.dataset(name, name)
    with pytest.raises(UnknownName, match=said):
        resolver.input_for(Use(name=name, **use))


def test_an_artefact_without_content_can_be_used_by_name(world: World, resolver: ChainResolver, name: str) -> None:
    world.register("data", name, "dataset")
    assert resolver.input_for(Use(name=name)) == at(world, name, world.head(name))


def test_the_inputs_of_the_current_version_are_returned_in_order(
    world: World, resolver: ChainResolver, name: str
) -> None:
    used = [f"{name}-{n}" for n in range(3)]
    for one in (*used, name):
        world.register("developer", one, "code")
    world.act("developer", name, "submit", single(name), kind="code", uses=(used[2],))
    world.act("developer", name, "submit", single(f"{name} again"), kind="code", uses=tuple(used))
    assert [i.artefact for i in resolver.current_inputs(world.artefact(name))] == [world.artefact(u) for u in used]
    assert resolver.current_inputs(world.artefact(used[0])) == ()


def test_an_action_with_alternatives_means_the_one_open_to_the_actor(
    world: World, resolver: ChainResolver, name: str
) -> None:
    world.register("developer", name, "code")
    standing = resolver.standing(world.artefact(name))
    assert standing is not None
    definition = resolver.definition(standing.lifecycle)
    for who, guard in (("developer", "owner-only"), ("auditor", "four-eyes")):
        number, _rule = resolver.rule_for("revoke", standing, resolver.actor(world.people[who].address))
        assert guard in definition.transitions[number].guards


def test_a_definition_that_ships_is_known_without_a_store(world: World) -> None:
    class AwayStore:
        def get(self, digest: bytes) -> bytes:
            raise UnreachableError("the store is away")

    resolver = ChainResolver(world.ledger, world.file, AwayStore())  # type: ignore[arg-type]
    assert resolver.definition(resolver.lifecycle_number("model")).name == "model"


def test_a_definition_that_cannot_be_had_is_not_taken_for_a_ledger_that_is_away(
    world: World, resolver: ChainResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.submit.chain_resolver._shipped", lambda _digest: None)

    def away(_digest: bytes) -> bytes:
        raise UnreachableError("the store is away")

    monkeypatch.setattr(world.store, "get", away)
    with pytest.raises(NotAvailable, match=r"lifecycle 1 .* the store is away"):
        resolver.definition(1)


def test_messages_name_things_as_the_workspace_does(world: World, resolver: ChainResolver, name: str) -> None:
    world.register("data", name, "dataset")
    artefact = resolver.artefact_id(name)
    names = resolver.names
    assert names.artefact(artefact) == name
    assert names.state(artefact, 0) == "registered"
    assert names.rule(artefact, 0) == "collect"
    assert names.organisation(2) == "data"
    assert names.roles(0b11) == ["admin", "contributor"]
    assert names.artefact(sha256(b"unknown")).startswith("artefact 0x")
    assert names.state(sha256(b"unknown"), 3) == "3"
