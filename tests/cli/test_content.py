"""`proml content` between two organisations: a folder store, tokens, places, and what becomes of wrong bytes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.contents import read_files, serving, some_bytes
from tests.ipfs import running_daemon

from proml.config import Folder
from proml.contents import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Person, Study

TREE = {"a.csv": b"1,2\n", "deep/weights.bin": some_bytes(CHUNK_BYTES + 5), "same.csv": b"1,2\n"}


@pytest.fixture(scope="module")
def shared(study: Study) -> Study:
    """A dataset of several files and a model of one, by the developer."""
    for name, data in TREE.items():
        path = study.developer.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (study.developer.folder / "model.bin").write_bytes(b"model")
    study.developer("act", "tumours", "collect", "data", "--kind", "source")
    study.developer("act", "single", "collect", "model.bin", "--kind", "source")
    return study


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


def test_what_one_pushes_another_fetches(shared: Study, bucket: Path, target: Path) -> None:
    pushed = shared.developer.json("content", "push", "tumours", "data", "--to", bucket)
    assert pushed["pushed"][0]["objects"] == 3
    assert shared.developer.json("content", "push", "tumours", "data", "--to", bucket)["pushed"][0]["sent_bytes"] == 0
    done = shared.verifier.json("content", "fetch", "tumours@1", "-o", target, "--from", bucket)
    assert read_files(target) == TREE
    assert done["files"] == 3
    again = shared.verifier("content", "fetch", "tumours", "-o", target, "--from", bucket)
    assert "3 were there" in again.out
    shared.verifier("verify", target, "--as", "tumours")


def test_a_single_file_is_fetched_under_the_name_asked_for(shared: Study, bucket: Path, target: Path) -> None:
    shared.developer("content", "push", "single", "model.bin", "--to", bucket)
    shared.verifier("content", "fetch", "single", "-o", target / "m.bin", "--from", bucket)
    assert (target / "m.bin").read_bytes() == b"model"


def test_a_place_in_the_configuration_is_asked_by_default(shared: Study, bucket: Path, target: Path) -> None:
    for person in (shared.developer, shared.operator):
        person("content", "place", "add", "bucket", bucket)
    assert {"place": "bucket", "url": str(bucket)} in shared.operator.json("content", "place", "list")["places"]
    shared.developer("content", "push", "tumours", "data", "--to", "bucket")
    shared.operator("content", "fetch", "tumours", "-o", target)
    assert read_files(target) == TREE
    listed = shared.operator.json("content", "list", "tumours")["versions"][0]["places"]
    assert (listed[0]["place"], listed[0]["objects"]) == ("bucket", 2)
    shared.operator("content", "place", "add", "bucket", bucket, code=2)
    for person in (shared.developer, shared.operator):
        person("content", "place", "remove", "bucket")
    shared.operator("content", "place", "remove", "bucket", code=2)


def test_other_bytes_are_refused_with_4_and_named(shared: Study, bucket: Path, target: Path) -> None:
    shared.developer("content", "push", "tumours", "data", "--to", bucket)
    largest = max((path for path in bucket.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"x" * largest.stat().st_size)
    answer = shared.verifier("content", "fetch", "tumours", "-o", target, "--from", bucket, code=4)
    assert str(bucket) in answer.err
    assert not (target / "deep" / "weights.bin").exists()
    checked = shared.verifier("content", "check", "tumours", "--at", bucket, code=4)
    assert "wrong" in checked.out
    again = shared.verifier.json("content", "check", "tumours", "--at", bucket, "--seed", 5, code=4)
    assert again["places"][0]["verdict"] == "wrong"
    assert again["seed"] == 5


def test_a_folder_that_is_not_the_content_is_not_pushed(shared: Study, bucket: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.csv").write_bytes(b"1,2\n")
    shared.developer("content", "push", "tumours", tmp_path / "other", "--to", bucket, code=4)
    assert not bucket.exists()


def test_what_nobody_has_exits_with_5(shared: Study, bucket: Path, target: Path) -> None:
    answer = shared.verifier("content", "fetch", "tumours", "-o", target, "--from", bucket, code=5)
    assert "could be had from nowhere" in answer.err


def test_a_different_file_is_not_overwritten_unless_asked(shared: Study, bucket: Path, target: Path) -> None:
    shared.developer("content", "push", "tumours", "data", "--to", bucket)
    target.mkdir()
    (target / "a.csv").write_bytes(b"mine")
    words = ("content", "fetch", "tumours", "-o", target, "--from", bucket)
    assert "--overwrite" in shared.verifier(*words, code=2).err
    assert read_files(target) == {"a.csv": b"mine"}
    shared.verifier(*words, "--overwrite")
    assert read_files(target) == TREE


def test_copies_are_made_checked_and_counted(shared: Study, tmp_path: Path) -> None:
    places = [word for number in range(3) for word in ("--to", tmp_path / f"place{number}")]
    done = shared.developer.json("content", "replicate", "tumours", "data", "--copies", 2, *places)
    assert done["copies"] == 2
    assert [one["objects"] for one in done["places"]] == [3, 3, 0]
    third = shared.verifier("content", "replicate", "tumours", "--copies", 3, *places)
    assert "3 of 3 places" in third.out
    at = [word for number in range(3) for word in ("--at", tmp_path / f"place{number}")]
    checked = shared.verifier("content", "check", "tumours", "--copies", 3, *at)
    assert checked.out.count("good") == 3
    shared.verifier("content", "check", "tumours", shared.developer.folder / "data", "--copies", 4, *at, code=4)
    assert list((shared.verifier.folder / ".proml" / "shards").iterdir())
    shared.verifier("content", "replicate", "tumours", "--copies", 4, *places, code=5)


def test_one_folder_by_two_names_is_one_copy(shared: Study, tmp_path: Path) -> None:
    shared.developer("content", "place", "add", "once", tmp_path / "once")
    to = ("--to", "once", "--to", tmp_path / "once")
    answer = shared.developer("content", "replicate", "tumours", "data", "--copies", 2, *to, code=5)
    assert "expected 2 copies, found 1" in answer.err
    shared.developer("content", "place", "remove", "once")


def test_a_damaged_copy_is_mended_as_the_check_says(shared: Study, bucket: Path) -> None:
    shared.developer("content", "push", "tumours", "data", "--to", bucket)
    harmed = max((path for path in bucket.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    harmed.write_bytes(b"x" * harmed.stat().st_size)
    assert "--anew" in shared.developer("content", "check", "tumours", "--at", bucket, code=4).err
    shared.developer("content", "push", "tumours", "data", "--to", bucket, "--anew")
    shared.developer("content", "check", "tumours", "--at", bucket)


def test_a_named_place_that_lost_everything_fails_a_check_and_promises_nothing(shared: Study, tmp_path: Path) -> None:
    answer = shared.developer("content", "check", "tumours", "--at", tmp_path / "nothing", code=4)
    assert "none" in answer.err
    assert "would have been seen" not in answer.out
    shared.developer("content", "place", "add", "empty", tmp_path / "nothing")
    shared.developer("content", "check", "tumours")  # of all places, some may never have had it
    shared.developer("content", "place", "remove", "empty")


def test_a_place_that_cannot_be_opened_keeps_nobody_from_the_others(
    shared: Study, bucket: Path, target: Path, tmp_path: Path
) -> None:
    person = shared.developer
    (tmp_path / "token").write_text("secret")
    words = ("content", "place", "add", "clinic", "https://127.0.0.1:9")
    person(*words, "--token-file", tmp_path / "token")
    person("content", "place", "add", "bucket", bucket)
    person("content", "push", "tumours", "data", "--to", "bucket")
    (tmp_path / "bad").write_text("no certificate")
    replacing = (*words, "--token-file", tmp_path / "bad", "--ca-file", tmp_path / "bad", "--replace")
    person(*replacing, code=2)
    kept = person.folder / ".proml" / "places"
    assert (kept / "clinic.token").read_text() == "secret"
    assert not (kept / "clinic.pem").exists()
    (kept / "clinic.token").unlink()
    assert "expected the token" in person("content", "fetch", "tumours", "-o", target).err
    assert read_files(target) == TREE
    assert "expected the token" in person("content", "fetch", "tumours", "-o", target, "--from", "clinic", code=2).err
    for name in ("clinic", "bucket"):
        person("content", "place", "remove", name)


def test_a_folder_that_may_not_be_read_is_said(shared: Study, bucket: Path) -> None:
    bucket.mkdir()
    (bucket / "sha256").symlink_to("sha256")  # the superuser may read everything but this
    assert "cannot be read" in shared.developer("content", "push", "tumours", "data", "--to", bucket, code=2).err
    assert "cannot be read" in shared.developer("content", "check", "tumours", "--at", bucket, code=5).out
    assert "cannot be read" in shared.developer("content", "list", "tumours", "--at", bucket).out


def test_nobody_is_asked_for_a_place_that_is_not_known(shared: Study) -> None:
    answer = shared.verifier("content", "push", "tumours", shared.developer.folder / "data", "--to", "nowhere", code=2)
    assert "place add" in answer.err


def test_ipfs_is_pushed_to_by_a_daemon_and_fetched_from_by_a_gateway(shared: Study, target: Path) -> None:
    with running_daemon() as (_, url):
        pushed = shared.developer("content", "push", "tumours", "data", "--to", f"ipfs+{url}")
        root = pushed.out.split()[-1]
        assert root.startswith("ipfs://bafy")
        shared.verifier("content", "fetch", "tumours", "-o", target, "--from", root, code=2)
        shared.verifier("content", "place", "add", "web", root, "--gateway", url)
        shared.verifier("content", "fetch", "tumours", "-o", target, "--from", "web")
        assert read_files(target) == TREE
        assert "good" in shared.verifier("content", "check", "tumours", "--at", "web").out
        shared.verifier("content", "place", "remove", "web")


# ------------------------------------------------------------------------------------------------ node to node


@pytest.fixture
def node(shared: Study) -> Iterator[int]:
    """The developer's node, as far as content goes."""
    shared.developer("content", "share", "tumours", "data")
    with serving(Folder(shared.developer.folder)) as port:
        yield port
    shared.developer("content", "unshare", "tumours")


def test_a_peer_with_a_token_fetches_what_is_shared(shared: Study, node: int, tmp_path: Path, target: Path) -> None:
    shared.developer("node", "token", "new", "verifier", "-o", tmp_path / "token")
    verifier, url = shared.verifier, f"http://127.0.0.1:{node}"
    verifier("content", "place", "add", "developer", url, "--token-file", tmp_path / "token")
    verifier("content", "fetch", "tumours", "-o", target, "--from", "developer")
    assert read_files(target) == TREE
    assert verifier("content", "check", "tumours", "--at", "developer").out.count("good") == 1
    refused = verifier("content", "push", "single", shared.developer.folder / "model.bin", "--to", "developer", code=2)
    assert "may only read" in refused.err
    shared.developer("node", "token", "revoke", "verifier")
    denied = verifier("content", "fetch", "tumours", "-o", tmp_path / "denied", "--from", "developer", code=5)
    assert "401" in denied.err
    verifier("content", "place", "remove", "developer")


def test_a_peer_that_may_put_replicates_to_the_node(shared: Study, node: int, tmp_path: Path, target: Path) -> None:
    made = shared.developer.json("node", "token", "new", "archive", "--may-put", "10k")
    (tmp_path / "token").write_text(made["token"])
    operator = shared.operator
    operator("content", "place", "add", "developer", f"http://127.0.0.1:{node}", "--token-file", tmp_path / "token")
    model = shared.developer.folder / "model.bin"
    operator("content", "replicate", "single", model, "--copies", 1, "--to", "developer")
    operator("content", "fetch", "single", "-o", target, "--from", "developer")
    assert target.read_bytes() == b"model"
    placed = shared.developer.json("node", "token", "list")["peers"]
    assert [one["placed_bytes"] > 0 for one in placed if one["name"] == "archive"] == [True]
    assert shared.developer("content", "shared").out.count("tumours@1") == 1
    shared.developer("node", "token", "revoke", "archive")
    operator("content", "place", "remove", "developer")


def test_a_node_needs_a_token(shared: Study) -> None:
    answer = shared.verifier("content", "place", "add", "clinic", "https://127.0.0.1:1", code=2)
    assert "--token-file" in answer.err
    assert shared.verifier.json("content", "place", "list")["places"] == []


# ------------------------------------------------------------------------------------------------ killed anywhere


@pytest.mark.slow
def test_killed_again_and_again_everything_arrives_once_and_whole(shared: Study, tmp_path: Path) -> None:
    """Kills pushes and fetches at moments spread over their whole length, and repeats them until they are done."""
    developer, verifier = shared.developer, shared.verifier
    files = {f"{number % 7}/{number}.bin": some_bytes(300_000 + number, number) for number in range(60)}
    files["large.bin"] = some_bytes(40 << 20, 99)
    for name, data in files.items():
        path = developer.folder / "many" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    developer("act", "many", "collect", "many", "--kind", "source")
    bucket, target = tmp_path / "bucket", tmp_path / "fetched"
    pushes = killed(developer, ["content", "push", "many", "many", "--to", str(bucket)])
    fetches = killed(verifier, ["content", "fetch", "many", "-o", str(target), "--from", str(bucket)])
    assert pushes
    assert fetches
    arrived = read_files(target)
    assert arrived.keys() == files.keys()
    assert arrived == files
    assert not list(bucket.rglob(".unfinished-*"))


def killed(person: Person, words: list[str]) -> int:
    """Runs a command, killing it later and later, until it ends by itself; returns how often it was killed."""
    environment = {"PROML_HOME": str(person.home), "PATH": "/usr/bin:/bin", "HOME": str(person.home)}
    wait_s, kills = 0.3, 0
    while True:
        with subprocess.Popen([sys.executable, "-m", "proml", *words], cwd=person.folder, env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
            try:
                assert process.wait(wait_s) == 0, process.stderr and process.stderr.read()
            except subprocess.TimeoutExpired:
                process.kill()
                kills, wait_s = kills + 1, 1.2 * wait_s
                continue
            return kills
