"""Content over a real MinIO server, which is killed while content goes to it and comes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contents import Told, giving, piece_of, read_files, some_bytes, write_files
from tests.minio import ENVIRONMENT, Minio, running_minio
from tests.processes import command, sizes, until
from tests.stores.people import two_people

from proml.adapters.content_fsspec import FsspecContents
from proml.adapters.store_fsspec import FsspecStore
from proml.errors import ConfigError, UnreachableError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Person

SMALL = {f"{number % 5}/{number}.bin": some_bytes(50_000 + number, number) for number in range(20)}
LARGE = some_bytes(64 << 20, 99)


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    with running_minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture
def place(minio: Minio) -> FsspecContents:
    return FsspecContents(minio.url, {"endpoint_url": minio.endpoint})


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, minio: Minio) -> tuple[Person, Person]:
    """The owner of a data set, and somebody who has its workspace; both know the bucket."""
    owner, other = two_people(tmp_path_factory)
    write_files(owner.folder / "data", {**SMALL, "large.bin": LARGE})
    owner("act", "tumours", "collect", "data", "--kind", "source")
    for person in (owner, other):
        person("content", "place", "add", "bucket", minio.url, "--endpoint", minio.endpoint)
    return owner, other


def test_an_object_of_several_parts_comes_back(place: FsspecContents) -> None:
    data = some_bytes(40 << 20, 1)
    piece, told = piece_of(data), Told()
    place.put(piece, giving(data), told)
    assert place.size(piece.name) == len(data) == told.bytes
    assert b"".join(place.read(piece.name)) == data
    assert b"".join(place.read(piece.name, (20 << 20) + 1, 5)) == data[(20 << 20) + 1 :][:5]


def test_wrong_bytes_of_several_parts_leave_no_object(place: FsspecContents) -> None:
    data = some_bytes(40 << 20, 2)
    piece = piece_of(data)
    with pytest.raises(VerificationError):
        place.put(piece, giving(data[:-1] + b"!"), Told())
    assert place.size(piece.name) is None


def test_records_are_kept_there_too(minio: Minio) -> None:
    store = FsspecStore(minio.url, options={"endpoint_url": minio.endpoint})
    digest = store.put(b"record")
    assert store.get(digest) == b"record"
    assert store.has(digest)
    assert not store.has(bytes(32))


def test_wrong_keys_and_a_missing_bucket_are_said(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = FsspecContents("s3://no-such-bucket/content", {"endpoint_url": minio.endpoint})
    with pytest.raises((UnreachableError, ConfigError), match="s3://no-such-bucket"):
        missing.put(piece_of(b"x"), giving(b"x"), Told())
    options = {"endpoint_url": minio.endpoint, "key": "wrong", "secret": "wrong"}
    with pytest.raises(UnreachableError, match="s3://"):
        FsspecContents(minio.url, options).size(piece_of(b"never").name)


def test_what_is_pushed_is_fetched_and_a_changed_object_is_found(
    people: tuple[Person, Person], minio: Minio, place: FsspecContents, tmp_path: Path
) -> None:
    owner, other = people
    owner("content", "push", "tumours", "data", "--to", "bucket")
    assert owner.json("content", "push", "tumours", "data", "--to", "bucket")["pushed"][0]["sent_bytes"] == 0
    other("content", "fetch", "tumours", "-o", tmp_path / "data")
    assert read_files(tmp_path / "data") == {**SMALL, "large.bin": LARGE}
    assert "good" in other("content", "check", "tumours", owner.folder / "data").out
    name = piece_of(SMALL["0/0.bin"]).name
    path = f"{minio.bucket}/content/{name.path}"
    place._files.pipe_file(path, b"x" * 50_000)
    other("content", "check", "tumours", "--sample", 1000, code=4)
    other("content", "fetch", "tumours", "-o", tmp_path / "again", code=4)
    place._files.rm_file(path)
    owner("content", "push", "tumours", "data", "--to", "bucket")
    other("content", "check", "tumours", "--sample", 1000)


def test_a_server_killed_in_the_middle_of_a_push_costs_only_the_rest(
    people: tuple[Person, Person], minio: Minio, place: FsspecContents
) -> None:
    owner, other = people
    place._files.rm(f"{minio.bucket}/content", recursive=True)
    push = ["content", "push", "tumours", "data", "--to", "bucket", "--jobs", "1", "--json"]
    with command(owner.home, owner.folder, *push, **ENVIRONMENT) as process:
        # Large files go first: the one with many parts is underway when the first byte is there.
        until(lambda: any((minio.folder / "data" / ".minio.sys" / "multipart").rglob("part.*")))
        minio.kill()
        assert process.wait(300) == 5, process.communicate()
    minio.start()
    assert other.json("content", "list", "tumours")["versions"][0]["places"][0]["objects"] < 21
    assert owner.json("content", "push", "tumours", "data", "--to", "bucket")["pushed"][0]["objects"] == 22
    assert "good" in other("content", "check", "tumours", "--sample", 1000).out


def test_a_server_killed_in_the_middle_of_a_fetch_costs_only_the_rest(
    people: tuple[Person, Person], minio: Minio, tmp_path: Path
) -> None:
    owner, other = people
    owner("content", "push", "tumours", "data", "--to", "bucket")
    target = tmp_path / "data"
    partial = target / ".proml" / "partial"
    fetch = ["content", "fetch", "tumours", "-o", target, "--json"]
    with command(other.home, other.folder, *fetch, **ENVIRONMENT) as process:
        until(lambda: max(sizes(partial, "sha256-*"), default=0) > 10 << 20)
        minio.kill()
        assert process.wait(300) == 5, process.communicate()
    have_bytes = sum(sizes(partial, "sha256-*"))
    minio.start()
    other("content", "fetch", "tumours", "-o", target)
    assert read_files(target) == {**SMALL, "large.bin": LARGE}
    assert have_bytes > 0
