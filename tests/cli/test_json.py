"""Every command answers with one JSON document when asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from proml.cli.root import root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Person

# What is said with which code; the story tests say what is in it.
EXPECTED: dict[str, tuple[tuple[object, ...], int]] = {
    "id new": (("json-new",), 0),
    "id show": ((), 0),
    "id list": ((), 0),
    "id export": ((), 0),
    "id session": (("--role", "contributor", "--for", "1h", "--name", "json-session"), 0),
    "id revoke": (("json-revoked",), 0),
    "id rotate": (("nobody",), 2),
    "workspace new": (("--name", "x", "--member", "a:admin"), 2),
    "workspace show": ((), 0),
    "workspace members": ((), 0),
    "workspace propose set-member": ((f"lab:reviewer:0x{'12' * 20}",), 0),
    "workspace propose set-quorum": ((9,), 3),
    "workspace propose add-lifecycle": (("source",), 0),
    "workspace propose recover": ((f"0x{'00' * 20}", f"0x{'11' * 20}"), 2),
    "workspace propose revoke-session": ((f"0x{'11' * 20}",), 3),
    "workspace approve": (("0x12345678",), 2),
    "workspace file": ((), 0),
    "workspace verify-contract": ((), 0),
    "lifecycle list": ((), 0),
    "lifecycle show": (("model",), 0),
    "lifecycle check": (("model",), 2),
    "lifecycle draw": (("model",), 0),
    "lifecycle add": (("nothing",), 2),
    "init": ((), 2),
    "register": (("json-registered", "--kind", "source"), 0),
    "act": (("json-acted", "collect", "a", "--kind", "source"), 0),
    "endorse": (("facts", "collect"), 3),
    "reject": (("facts", "collect"), 3),
    "relay": (("a",), 2),
    "run": (("--", "echo", "noise"), 0),
    "status": ((), 0),
    "log": (("facts",), 0),
    "lineage": (("facts",), 0),
    "import": (("--format", "dvc", "nothing"), 2),
    "verify": (("facts", "a"), 0),
    "audit": ((), 0),
    "diff": (("facts@1", "facts@1"), 0),
    "content push": (("facts", "a", "--to", "./json-place"), 0),
    "content fetch": (("facts", "-o", "json-fetched", "--from", "./json-place"), 0),
    "content replicate": (("facts", "a", "--copies", "1", "--to", "./json-place"), 0),
    "content list": (("facts",), 0),
    "content check": (("facts", "--at", "./json-place"), 0),
    "content share": (("facts", "a"), 0),
    "content shared": ((), 0),
    "content unshare": (("facts",), 0),
    "content place add": (("place", "./json-place"), 0),
    "content place list": ((), 0),
    "content place remove": (("nowhere",), 2),
    "sync": ((), 0),
    "node": (("--listen", "nowhere"), 2),
    "node token new": (("peer",), 0),
    "node token list": ((), 0),
    "node token revoke": (("json-revoked",), 0),
    "consortium keys": (("json-participant",), 0),
    "consortium new": (("nothing.toml",), 2),
    "consortium start": (("nowhere",), 2),
    "consortium status": (("nowhere",), 2),
    "consortium stop": (("nowhere",), 2),
    "consortium create-chain": (("nowhere",), 2),
    "consortium fund": ((f"0x{'11' * 20}",), 2),
    "consortium add-validator": (("lab", "nowhere"), 2),
    "consortium remove-validator": (("lab", "nowhere"), 2),
    "consortium step-back": (("nowhere",), 2),
    "consortium watch": (("nowhere",), 2),
    "demo": (("--into", "a"), 2),
    "completion": (("bash",), 0),
}


# What the commands above need to be there, so that each of them can be tried alone and in any order.
PREPARED = (
    "id session --role contributor --for 1h --name json-revoked",
    "node token new json-revoked",
    "content push facts a --to ./json-place",
    "content share facts a",
)


@pytest.fixture(scope="module")
def person(newcomer: Callable[[str], Person]) -> Person:
    made = newcomer("json")
    made("init")
    made.write("a", "1")
    made("act", "facts", "collect", "a", "--kind", "source")
    for command in PREPARED:
        made(*command.split())
    return made


def test_every_command_is_tried_here() -> None:
    assert set(commands(root)) == set(EXPECTED)


def commands(group: click.Group, path: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield path + name
            yield from commands(command, f"{path}{name} ")
        else:
            yield path + name


@pytest.mark.parametrize("command", EXPECTED)
def test_the_answer_is_one_json_document(person: Person, command: str) -> None:
    words, code = EXPECTED[command]
    answer = person("--json", *command.split(), *words, code=code)
    assert isinstance(answer.json, dict)
    if code:
        assert answer.json["error"]["code"] == code
        assert answer.json["error"]["message"]
        assert answer.err.startswith("error: ")
    else:
        assert "error" not in answer.json


def test_json_may_stand_before_or_after_the_command(person: Person) -> None:
    first, *others = (person(*words).json for words in (
        ("--json", "id", "list"), ("id", "--json", "list"), ("id", "list", "--json")
    ))  # fmt: skip
    assert others == [first, first]
