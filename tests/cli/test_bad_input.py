"""Bad input gets a clear error with the documented code, and what was recorded stays."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Answer, Person


@pytest.fixture(scope="module")
def owner(newcomer: Callable[[str], Person]) -> Person:
    person = newcomer("owner")
    person("init")
    person.write("a", "1")
    person("act", "facts", "collect", "a", "--kind", "source")
    return person


@pytest.fixture
def fragile(owner: Person, tmp_path: Path) -> Iterator[Person]:
    """The owner, whose files may be broken: they are put back afterwards."""
    kept = {owner.home: tmp_path / "home", owner.folder: tmp_path / "folder"}
    for path, copy in kept.items():
        shutil.copytree(path, copy, symlinks=True, ignore=_no_special_files)
    yield owner
    for path, copy in kept.items():
        shutil.rmtree(path)
        shutil.copytree(copy, path, symlinks=True)


def _no_special_files(folder: str, names: list[str]) -> list[str]:
    paths = [(name, Path(folder) / name) for name in names]
    return [name for name, path in paths if path.is_fifo() or path.is_socket()]


def said(answer: Answer) -> str:
    text = answer.err
    assert "Traceback" not in text
    assert "bug in ProML" not in text
    assert text.startswith("error: ")
    assert "\x1b" not in text
    return text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("status", "nothing"), "nothing"),
        (("act", "nothing", "collect", "a"), "nothing"),
        (("act", "facts", "fly"), "Possible now: collect"),
        (("act", "facts", "collect"), "needs new content"),
        (("act", "facts", "retire", "a"), "brings no new content"),
        (("act", "facts", "collect", "missing"), "There is no file"),
        (("act", "facts", "collect", "a", "--use", "nobody"), "nobody"),
        (("act", "facts", "collect", "a", "--use", "facts@9"), "no version 9"),
        (("act", "facts", "collect", "a", "--use", "=facts"), "empty role"),
        (("act", "facts", "collect", "a", "--record", "missing.json"), "missing.json"),
        (("register", "facts", "--kind", "source"), "facts exists"),
        (("register", "Facts", "--kind", "source"), "looks like facts"),
        (("register", "new", "--kind", "spaceship"), "no kind 'spaceship'"),
        (("endorse", "facts", "fly"), "no action 'fly'"),
        (("log", "facts@99"), "no version 99"),
        (("diff", "facts@1", "facts@9"), "facts"),
        (("lineage", "nothing"), "nothing"),
        (("verify", "no-such-thing"), "neither a file or folder here nor an artefact"),
        (("id", "show", "nobody"), "nobody"),
        (("id", "new", "../escape"), "escape"),
        (("id", "new", "me"), "me"),
        (("id", "session", "--role", "emperor", "--for", "1h"), "no role 'emperor'"),
        (("id", "session", "--role", "admin", "--for", "soon"), "expected a time such as"),
        (("id", "revoke", "0x1234"), "address"),
        (("workspace", "propose", "set-member", "lab"), "expected ORG:ROLE+ROLE"),
        (("workspace", "propose", "set-member", "lab:reviewer:0x12"), "address"),
        (("workspace", "propose", "set-member", "lab:reviewer:missing.json"), "cannot be read"),
        (("workspace", "propose", "set-member", f"lab:reviewer:0x{'aB' * 20}"), "typing error"),
        (("workspace", "propose", "recover", f"0x{'00' * 20}", f"0x{'11' * 20}"), "owns no artefact"),
        (("workspace", "approve", "zz"), "no proposal"),
        (("workspace", "new", "--name", "x", "--member", "a:admin"), "is a working folder already"),
        (("lifecycle", "show", "spaceship"), "no lifecycle 'spaceship'"),
        (("lifecycle", "show", "missing.toml"), "missing.toml"),
        (("lifecycle", "add", "spaceship"), "neither a TOML file"),
        (("init",), "is a working folder already"),
        (("init", "--workspace", "x", "--name", "y"), "is a working folder already"),
        (("-C", "/no/such/folder", "status"), "is not a folder"),
        (("sync", "--drop", "77"), "77"),
        (("sync", "--rebase", "77"), "77"),
        (("completion", "tcsh"), "tcsh"),
        (("act", "facts", "collect", ""), "empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_named_with_code_2(owner: Person, words: tuple[str, ...], expected: str) -> None:
    assert expected in said(owner(*words, code=2))


@pytest.mark.parametrize(
    "name",
    ["a\x1b[31mb", "a\nb", "a\u202eb", "\u0430dmin", "a b", "", "x" * 200, "a//b", "../a", "a\x00b", "\udcff", "-a"],
)
def test_names_that_deceive_are_refused_and_shown_escaped(owner: Person, name: str) -> None:
    text = said(owner("register", "--kind", "source", "--", name, code=2))
    assert "\u202e" not in text
    assert "\n" not in text.split("\nhint:")[0].removeprefix("error: ")


def test_an_option_after_the_name_is_an_option_and_dashes_end_them(owner: Person) -> None:
    owner.write("-odd", "1")
    answer = owner("act", "odd", "collect", "--kind", "source", "--json", "--", "-odd")
    assert answer.json["state_after"] == "collected"


@pytest.mark.parametrize("name", ["with space", "ünïcode", "-dash", "a'b\"c", "tab-less;rm -rf", "日本"])
def test_odd_file_names_are_content(owner: Person, name: str) -> None:
    folder = owner.folder / "odd-names"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_text(name)
    artefact = f"odd-{abs(hash(name))}"
    owner("act", artefact, "collect", "odd-names", "--kind", "source")
    owner("verify", "odd-names", "--as", artefact)


def test_files_that_cannot_be_named_truthfully_are_refused(owner: Person) -> None:
    def refused(path: object, words: str) -> None:
        assert words in said(owner("act", "facts", "collect", path, code=2))

    (owner.folder / "empty").mkdir()
    refused("empty", "no files")
    (owner.folder / "linked").mkdir()
    (owner.folder / "linked/l").symlink_to("/etc/passwd")
    refused("linked", "symbolic link")
    refused("/dev/zero", "character device")
    os.mkfifo(owner.folder / "pipe")
    refused("pipe", "named pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(owner.folder / "s"))
        refused("s", "socket")
    (owner.folder / "newline").mkdir()
    (owner.folder / "newline/a\nb").write_text("")
    refused("newline", "U+000A")
    (owner.folder / "loop").symlink_to("loop")
    refused("loop", "loop")


def test_nothing_is_recorded_by_what_was_refused(owner: Person) -> None:
    owner("act", "facts", "collect", "/dev/zero", code=2)
    assert owner.json("status", "facts")["outbox"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", "expected a JSON object"),
        ("{", "record.json"),
        ('{"a": 1, "a": 2}', "a"),
        ('{"schema": "x"}', "schema is set by ProML"),
        ('{"unknown": 1}', "unknown"),
        ('{"metrics": {"m": {"last": NaN}}}', "record.json"),
        ('{"metrics": 7}', "metrics"),
        ("\xff", "record.json"),
        ("[" * 5000, "record.json"),
    ],
)
def test_a_malformed_record_file_says_what_is_wrong(owner: Person, text: str, expected: str) -> None:
    (owner.folder / "record.json").write_bytes(text.encode("latin-1"))
    assert expected in said(owner("act", "facts", "collect", "a", "--record", "record.json", code=2))


def test_no_working_folder(newcomer: Callable[[str], Person]) -> None:
    person = newcomer("stranger")
    for words in (("status",), ("act", "a", "b"), ("sync",), ("workspace", "show"), ("verify", "x"), ("id", "show")):
        assert "proml init" in said(person(*words, code=2))


def test_init_in_a_folder_that_cannot_be_written(newcomer: Callable[[str], Person]) -> None:
    person = newcomer("readonly")
    (person.folder / ".proml").write_text("in the way")
    said(person("init", code=2))


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("config.toml", b"identity = ", "config.toml"),
        ("config.toml", b'identiy = "x"', "unknown setting 'identiy'"),
        ("config.toml", b'identity = "nobody"', "nobody"),
        ("config.toml", b'ledger = "carrier-pigeon:7"', "carrier-pigeon"),
        ("config.toml", b'ledger = "embedded:/nowhere/x.sqlite"', "/nowhere/x.sqlite"),
        ("config.toml", b'workspace = "other.json"', "other.json"),
        ("workspace.json", b"{", "workspace.json"),
        ("workspace.json", b"{}", "workspace.json"),
        ("workspace.json", b"\x00" * 40, "workspace.json"),
        ("chain.sqlite", b"not a database, sorry " * 400, "chain.sqlite"),
        ("chain.sqlite", b"", "chain.sqlite"),
        ("outbox.sqlite", b"not a database, sorry " * 400, "outbox.sqlite"),
    ],
)
def test_a_broken_file_is_named(fragile: Person, file: str, content: bytes, expected: str) -> None:
    path = fragile.folder / ".proml" / file
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    path.write_bytes(content)
    fragile.write("a", "2")
    assert expected in said(fragile("act", "facts", "collect", "a", code=2))


def test_a_broken_index_is_made_anew(fragile: Person) -> None:
    path = fragile.folder / ".proml/index.sqlite"
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    path.write_bytes(b"not a database, sorry " * 400)
    assert fragile.json("status")["artefacts"][0]["name"] == "facts"
    fragile("sync", "--rebuild")


def test_a_missing_workspace_file_is_said(fragile: Person) -> None:
    (fragile.folder / ".proml/workspace.json").unlink()
    assert "is in no workspace" in said(fragile("status", code=2))


def test_a_wrong_passphrase_is_said_and_nothing_is_lost(fragile: Person) -> None:
    wrong = fragile.write("wrong", "open sesame")
    fragile.write("a", "2")
    text = said(fragile("act", "facts", "collect", "a", code=2, PROML_PASSPHRASE_FILE=str(wrong)))
    assert "passphrase" in text
    assert fragile.json("status", PROML_PASSPHRASE_FILE=str(wrong))["artefacts"][0]["version"] == 1
    fragile("sync")


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b'{"version": 3}', b"\xff"])
def test_a_broken_keystore_is_named(fragile: Person, content: bytes) -> None:
    path = fragile.home / "identities/me.json"
    path.write_bytes(content)
    assert "me" in said(fragile("id", "show", code=2))
    fragile.write("a", "2")
    assert "me" in said(fragile("act", "facts", "collect", "a", code=2))


def test_another_chain_behind_the_same_url_is_4(owner: Person, newcomer: Callable[[str], Person]) -> None:
    other = newcomer("elsewhere")
    other("init")
    url = f"embedded:{other.folder}/.proml/chain.sqlite"
    answer = owner.json("status", code=4, PROML_LEDGER=url)
    assert answer["error"]["type"] == "VerificationError"


def test_a_workspace_file_for_other_code_is_not_joined(fragile: Person, newcomer: Callable[[str], Person]) -> None:
    file = fragile.folder / ".proml/workspace.json"
    changed = json.loads(file.read_text())
    key = next(name for name in changed if "code_hash" in name)
    changed[key] = changed[key][:-2] + ("00" if changed[key][-2:] != "00" else "11")
    other = newcomer("misled")
    path = other.write("w.json", json.dumps(changed))
    assert "code" in said(other("init", "--workspace", path, code=4))
    assert not (other.folder / ".proml/config.toml").exists()


def test_what_cannot_be_written_is_said(owner: Person) -> None:
    assert "cannot be written" in said(owner("lineage", "facts", "-o", "/dev/full/x", code=2))


def test_a_huge_record_is_refused(owner: Person) -> None:
    owner.write("huge.json", json.dumps({"facts": {"x": "y" * (5 << 20)}}))
    assert "larger than" in said(owner("act", "facts", "collect", "a", "--record", "huge.json", code=2))


def test_a_file_of_somebody_else_proves_nothing(owner: Person, newcomer: Callable[[str], Person]) -> None:
    other = newcomer("thief")
    other("id", "new", "thief")
    card = json.loads(other("id", "export", "thief").out)
    mine = json.loads(owner("id", "export", "me").out)
    forged = owner.write("forged.json", json.dumps({**card, "address": mine["address"]}))
    owner("workspace", "propose", "set-member", f"lab:reviewer:{forged}", code=4)


def test_a_workspace_whose_contract_is_of_another_version_is_not_misread(fragile: Person) -> None:
    file = fragile.folder / ".proml/workspace.json"
    changed = json.loads(file.read_text())
    changed["code_hash"] = "0x" + "11" * 32
    file.write_text(json.dumps(changed))
    assert "does not know" in said(fragile("status", code=4))
