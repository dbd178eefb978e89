"""The Contents port, one suite on every adapter."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contents import Told, giving, new_peer, piece_of, serving, some_bytes
from tests.ipfs import running_daemon

from proml.adapters.content_folder import FolderContents
from proml.adapters.content_fsspec import FsspecContents
from proml.adapters.content_ipfs import IpfsDaemon
from proml.adapters.content_node import NodeContents
from proml.config import Folder
from proml.contents import CHUNK_BYTES, ObjectName, Piece, SourceFault
from proml.errors import ConflictError, NotAvailable, UnreachableError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kubo import Kubo
    from tests.minio import Minio

    from proml.contents import Chunks, Contents

LARGE = some_bytes(3 * CHUNK_BYTES + 5)


# `make test-stores` tries those that need a server.
PLACES = os.environ.get("PROML_TEST_PLACES", "folder file memory node ipfs").split()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Contents]:
    if request.param == "s3":
        minio: Minio = request.getfixturevalue("minio")
        yield FsspecContents(f"{minio.url}/{uuid.uuid4().hex}", {"endpoint_url": minio.endpoint})
    elif request.param == "folder":
        yield FolderContents(tmp_path / "place")
    elif request.param == "file":
        yield FsspecContents(f"file://{tmp_path}/place")
    elif request.param == "ipfs":
        with running_daemon() as (_, url):
            yield IpfsDaemon(url)
    elif request.param == "kubo":
        kubo: Kubo = request.getfixturevalue("kubo")
        yield IpfsDaemon(kubo.rpc)
        kubo.run("files", "rm", "-r", "--force", "/proml")
    elif request.param == "memory":
        yield FsspecContents(f"memory://{uuid.uuid4().hex}")
    else:
        folder = Folder(tmp_path)
        token = new_peer(folder, quota_bytes=1 << 40)
        with serving(folder) as port:
            node = NodeContents(f"http://127.0.0.1:{port}", token)
            yield node
            node.close()


def put(place: Contents, data: bytes) -> Piece:
    piece = piece_of(data)
    place.put(piece, giving(data), Told())
    return piece


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(data=st.binary(min_size=1, max_size=5000), offset=st.integers(0, 5000), length=st.integers(1, 6000))
def test_what_was_put_comes_back_whole_and_in_part(place: Contents, data: bytes, offset: int, length: int) -> None:
    piece = put(place, data)
    assert place.size(piece.name) == len(data)
    assert b"".join(place.read(piece.name)) == data
    offset %= len(data)
    assert b"".join(place.read(piece.name, offset)) == data[offset:]
    assert b"".join(place.read(piece.name, offset, length)) == data[offset : offset + length]


def test_large_objects_pass_in_pieces(place: Contents) -> None:
    piece, told = piece_of(LARGE), Told()
    place.put(piece, giving(LARGE), told)
    chunks = list(place.read(piece.name))
    assert b"".join(chunks) == LARGE
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert told.bytes == len(LARGE)


def test_objects_are_named_by_blake3_too(place: Contents) -> None:
    piece = piece_of(b"weights", "blake3")
    place.put(piece, giving(b"weights"), Told())
    assert b"".join(place.read(piece.name)) == b"weights"
    assert place.size(ObjectName("sha256", piece.name.digest)) is None


def test_an_object_without_bytes_is_an_object(place: Contents) -> None:
    piece = put(place, b"")
    assert place.size(piece.name) == 0


def test_what_was_never_put_is_not_there(place: Contents) -> None:
    name = piece_of(b"never").name
    assert place.size(name) is None
    with pytest.raises(NotAvailable, match=name.digest.hex()):
        list(place.read(name))
    with pytest.raises(NotAvailable, match=name.digest.hex()):
        list(place.read(name, 3, 5))


@pytest.mark.parametrize("given_bytes", [LARGE[:-1] + b"x", LARGE + b"x"], ids=["other", "more"])
def test_other_bytes_than_the_name_says_are_not_placed(place: Contents, given_bytes: bytes) -> None:
    piece, told = piece_of(LARGE), Told()
    with pytest.raises(VerificationError, match=piece.name.digest.hex()):
        place.put(piece, giving(given_bytes), told)
    assert place.size(piece.name) is None
    assert told.bytes == 0
    place.put(piece, giving(LARGE), told)
    assert b"".join(place.read(piece.name)) == LARGE


def test_too_few_bytes_are_not_placed(place: Contents) -> None:
    piece, told = piece_of(LARGE), Told()
    with pytest.raises(SourceFault, match="ended after"):
        place.put(piece, giving(LARGE[:-1]), told)
    assert place.size(piece.name) is None
    assert told.bytes == 0


def test_a_source_that_fails_is_the_source_s_fault_and_the_next_attempt_succeeds(place: Contents) -> None:
    piece = piece_of(LARGE)

    def failing(offset: int) -> Chunks:
        yield LARGE[offset : offset + CHUNK_BYTES]
        raise SourceFault("the source is away")

    with pytest.raises(SourceFault, match="the source is away"):
        place.put(piece, failing, Told())
    assert place.size(piece.name) is None
    told = Told()
    place.put(piece, giving(LARGE), told)
    assert b"".join(place.read(piece.name)) == LARGE
    assert told.bytes == len(LARGE)


def test_putting_again_has_no_effect(place: Contents) -> None:
    piece = put(place, LARGE)
    put(place, LARGE)
    assert b"".join(place.read(piece.name)) == LARGE


def test_reading_may_be_given_up_at_any_byte(place: Contents) -> None:
    piece = put(place, LARGE)
    for _ in range(3):
        chunks = place.read(piece.name)
        next(chunks)
        chunks.close()
    assert b"".join(place.read(piece.name)) == LARGE


def test_many_threads_place_and_read_at_once(place: Contents) -> None:
    contents = [some_bytes(200_000, seed) for seed in range(12)]

    def work(data: bytes) -> bytes:
        try:
            put(place, data)
        except (ConflictError, UnreachableError) as error:
            if "at this moment" not in str(error):  # another thread places the same
                raise
        return b"".join(place.read(piece_of(data).name)) if place.size(piece_of(data).name) else b""

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, contents + contents))
    assert all(result in (data, b"") for result, data in zip(results, contents + contents, strict=True))
    assert all(b"".join(place.read(piece_of(data).name)) == data for data in contents)


@pytest.mark.parametrize("digest", [b"", b"short", b"../../../../etc/passwd", b"x" * 33])
def test_what_is_no_digest_is_no_name(digest: bytes) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        ObjectName("sha256", digest)


def test_a_place_that_is_away_is_unreachable() -> None:
    away = NodeContents("http://127.0.0.1:9", "token")
    for use in (
        away.size,
        lambda name: list(away.read(name)),
        lambda name: away.put(Piece(name, 1), giving(b"x"), Told()),
    ):
        with pytest.raises(UnreachableError, match="cannot reach the node"):
            use(piece_of(b"x").name)
