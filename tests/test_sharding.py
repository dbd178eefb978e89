"""Digests of shards are those of the real model_signing package, and what it signed is compared with the bytes."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from proml import sharding
from proml.errors import ContentError
from proml.hashing import hash_path
from proml.listing import identity_of
from proml.sharding import hash_shards
from proml.stating import state_content

CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tree that the golden statements of the model_signing package describe."""
    folder = tmp_path / "oms-tree"
    for name, data in {
        "a/b": b"slash\n",
        "a-b": b"dash\n",
        "weights.bin": bytes(range(256)) * 8,
        "empty": b"",
        "u\u0308/x y.txt": b"space\n",
        "Z": b"upper\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def golden(part: str) -> Path:
    return CORPUS / f"model-signing-1.1.1-{part}-sha256-shards.json"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("part", ["tree", "file"])
def test_shards_are_those_of_the_real_model_signing_package(tree: Path, part: str, threads: int) -> None:
    statement = json.loads(golden(part).read_bytes())
    path = tree if part == "tree" else tree / "weights.bin"
    found = hash_shards(path, shard_bytes=1000, threads=threads)
    theirs = {one["name"]: one["digest"] for one in statement["predicate"]["resources"]}
    assert {f"{one.name}:{one.start}:{one.end}": one.digest.hex() for one in found} == theirs
    ordered = sorted(found, key=lambda one: (one.name.split("/"), one.start))
    root = hashlib.sha256(b"".join(one.digest for one in ordered)).hexdigest()
    assert root == statement["subject"][0]["digest"]["sha256"]


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_one_shard_has_the_digest_of_the_whole_file(tree: Path, algorithm: Any) -> None:
    (shard,) = hash_shards(tree / "weights.bin", algorithm)
    (resource,) = hash_path(tree / "weights.bin", algorithm).resources
    assert (shard.digest, shard.end) == (resource.digest, resource.size_bytes)


@pytest.mark.parametrize("part", ["tree", "file"])
def test_what_was_signed_by_shards_is_compared_and_hashed_as_ever(tree: Path, part: str) -> None:
    path = tree if part == "tree" else tree / "weights.bin"
    found = state_content(path, golden(part))
    assert found.manifest == hash_path(path)
    assert found.mark() == {}, "nothing was taken on trust"


def test_the_list_may_lie_in_the_folder(tree: Path) -> None:
    (tree / "model.json").write_bytes(golden("tree").read_bytes())
    assert state_content(tree, tree / "model.json").manifest == hash_path(tree)


def test_a_difference_is_told_with_its_place(tree: Path) -> None:
    data = bytearray((tree / "weights.bin").read_bytes())
    data[1500] ^= 1
    (tree / "weights.bin").write_bytes(data)
    with pytest.raises(ContentError, match=r"bytes 1000 to 2000 of .*weights\.bin"):
        state_content(tree, golden("tree"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("add", "new.*: nothing; found"),
        ("remove", "does not have"),
        ("grow", "bytes 2000 to 2049"),
        ("cut", "bytes 2000 to 2040"),
    ],
)
def test_files_that_are_more_or_less_than_listed_are_refused(tree: Path, change: str, said: str) -> None:
    weights = tree / "weights.bin"
    if change == "add":
        (tree / "new").write_text("x")
    elif change == "remove":
        (tree / "Z").unlink()
    elif change == "grow":
        weights.write_bytes(weights.read_bytes() + b"x")
    else:
        os.truncate(weights, 2040)
    with pytest.raises(ContentError, match=said):
        state_content(tree, golden("tree"))


def test_a_list_of_shards_alone_names_no_content() -> None:
    with pytest.raises(ContentError, match="those of the files do not follow") as refused:
        state_content(None, golden("tree"))
    assert "Name the file" in refused.value.hint


def test_a_file_that_changes_meanwhile_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = threading.Event()

    def changing(status: os.stat_result) -> object:
        identity = identity_of(status)
        if status.st_size == 2048 and not once.is_set():
            once.set()
            (tree / "weights.bin").write_bytes(b"y" * 2048)
        return identity

    monkeypatch.setattr("proml.sharding.identity_of", changing)
    with pytest.raises(ContentError, match="changed"):
        hash_shards(tree, shard_bytes=1000)


def test_memory_stays_bounded_and_a_large_file_is_read_by_several_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 << 20)
    at_once = threading.Barrier(2, timeout=60)
    digest = sharding._digest

    def meeting(*arguments: Any) -> bytes:
        at_once.wait()  # two shards of the one file are under way at the same time
        assert len(arguments[-1]) == 1 << 20
        return digest(*arguments)

    monkeypatch.setattr(sharding, "_digest", meeting)
    shards = hash_shards(large, shard_bytes=16 << 20, threads=2)
    assert len({shard.digest for shard in shards}) == 1
    assert len(shards) == 4


@pytest.mark.parametrize("wrong", [{"shard_bytes": 0}, {"threads": 0}])
def test_lengths_and_threads_are_at_least_one(tree: Path, wrong: Any) -> None:
    with pytest.raises(ContentError, match="at least one"):
        hash_shards(tree, **wrong)
