"""IPFS's blocks are read as the reference writes them, and nothing that a gateway says is believed."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contents import Told, giving, piece_of, some_bytes
from tests.ipfs import Daemon, field, running_daemon, text

from proml.adapters import content_ipfs
from proml.adapters.content_ipfs import IpfsDaemon, IpfsGateway
from proml.adapters.ipfs_blocks import DAG_PB, RAW, Cid, parse_cid, parse_node
from proml.errors import ConfigError, NotAvailable, UnreachableError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Made by the npm package ipfs-unixfs-importer 17.1.1: four files below a root, in leaves of 64 bytes and trees of 3;
# and the CIDs of files cut as Kubo does by default.
GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "corpus" / "ipfs-unixfs-importer-17.1.1.json").read_text(encoding="utf-8")
)
FILES = {name: base64.b64decode(data) for name, data in GOLDEN["files"].items()}
DATA = some_bytes(700_000)
PIECE = piece_of(DATA)


@pytest.fixture
def daemon() -> Iterator[tuple[Daemon, str]]:
    with running_daemon() as running:
        yield running


@pytest.fixture
def golden(daemon: tuple[Daemon, str]) -> IpfsGateway:
    """A gateway that has the reference's blocks; it finds them by digest, as gateways do."""
    blocks, url = daemon[0].blocks, daemon[1]
    for block in (base64.b64decode(one) for one in GOLDEN["blocks"].values()):
        for codec in (RAW, DAG_PB):
            blocks[str(Cid(codec, hashlib.sha256(block).digest()))] = block
    return IpfsGateway(GOLDEN["root"], url)


def chain(count: int) -> bytes:
    """The bytes that the reference's files were made of."""
    out, link = bytearray(), b"large"
    while len(out) < count:
        link = hashlib.sha256(link).digest()
        out += link
    return bytes(out[:count])


@pytest.mark.parametrize("name", FILES)
def test_files_that_the_reference_wrote_are_read(golden: IpfsGateway, name: str) -> None:
    piece = piece_of(FILES[name])
    assert golden.size(piece.name) == len(FILES[name])
    assert b"".join(golden.read(piece.name)) == FILES[name]


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (63, 2), (64, 64), (500, None), (999, 5), (1000, 5)])
def test_parts_of_them_are_read(golden: IpfsGateway, offset: int, length: int | None) -> None:
    data = FILES["deep"]
    expected = data[offset:] if length is None else data[offset : offset + length]
    assert b"".join(golden.read(piece_of(data).name, offset, length)) == expected


@pytest.mark.parametrize("count", GOLDEN["large"])
def test_the_stand_in_cuts_files_as_the_reference_does(count: str) -> None:
    assert text(Daemon().add(chain(int(count)))[0]) == GOLDEN["large"][count]


def test_what_a_daemon_was_given_is_read_by_a_gateway_from_its_root(daemon: tuple[Daemon, str]) -> None:
    writing = IpfsDaemon(daemon[1])
    assert writing.root == ""
    writing.put(PIECE, giving(DATA), Told())
    reading = IpfsGateway(writing.root, daemon[1])
    assert reading.size(PIECE.name) == len(DATA)
    assert b"".join(reading.read(PIECE.name)) == DATA
    assert reading.size(piece_of(b"other").name) is None
    with pytest.raises(NotAvailable):
        list(reading.read(piece_of(b"other").name))
    with pytest.raises(UsageError, match="only read"):
        reading.put(PIECE, giving(DATA), Told())


def test_a_block_that_was_changed_is_noticed_at_once(daemon: tuple[Daemon, str]) -> None:
    writing = IpfsDaemon(daemon[1])
    writing.put(PIECE, giving(DATA), Told())
    reading = IpfsGateway(writing.root, daemon[1])
    blocks = daemon[0].blocks
    changed = next(cid for cid, block in blocks.items() if block == DATA[: 256 << 10])
    blocks[changed] = b"x" + blocks[changed][1:]
    with pytest.raises(VerificationError, match=changed):
        list(reading.read(PIECE.name))
    assert b"".join(reading.read(PIECE.name, 256 << 10)) == DATA[256 << 10 :]


def test_a_block_that_is_gone_is_not_taken_for_the_end(daemon: tuple[Daemon, str]) -> None:
    writing = IpfsDaemon(daemon[1])
    writing.put(PIECE, giving(DATA), Told())
    reading = IpfsGateway(writing.root, daemon[1])
    blocks = daemon[0].blocks
    del blocks[next(cid for cid, block in blocks.items() if block == DATA[2 * 256 << 10 :])]
    with pytest.raises(UnreachableError, match="404"):
        list(reading.read(PIECE.name))


def test_a_tree_without_end_is_given_up(daemon: tuple[Daemon, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_ipfs, "_MOST_DEPTH", 3)
    cid, size = daemon[0].block(RAW, b"x"), 1
    for _ in range(6):
        cid, size, _ = daemon[0].parent([(cid, size, size)])
    name = piece_of(b"x").name
    daemon[0].files[f"/proml/{name.path}"] = (cid, 1, 1)
    with pytest.raises(UnreachableError, match="deeper"):
        list(IpfsGateway(IpfsDaemon(daemon[1]).root, daemon[1]).read(name))


def test_a_few_blocks_with_false_lengths_are_not_walked_for_ever(daemon: tuple[Daemon, str]) -> None:
    node = daemon[0].parent([])
    for _ in range(12):
        node = daemon[0].parent([(node[0], 1, 1)] * 20)
    name = piece_of(b"x").name
    daemon[0].files[f"/proml/{name.path}"] = node
    with pytest.raises(VerificationError, match="as the block above it says"):
        list(IpfsGateway(IpfsDaemon(daemon[1]).root, daemon[1]).read(name))


@pytest.mark.parametrize("block", [b"\xff" * 20, b"\x0a\xff\x01", b"\x0d1234", field(1, field(1, 2) + field(3, 5)),
                                   field(2, field(1, b"no cid")) + field(1, field(1, 1)), b""])  # fmt: skip
def test_what_is_no_file_or_folder_is_refused(block: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_node(Cid(DAG_PB, hashlib.sha256(block).digest()), block)


def test_a_folder_over_several_blocks_is_said() -> None:
    block = field(1, field(1, 5))
    with pytest.raises(UnreachableError, match="several blocks"):
        parse_node(Cid(DAG_PB, hashlib.sha256(block).digest()), block)


def test_both_spellings_of_a_cid_are_read() -> None:
    # The empty folder, by the two names that everybody who uses IPFS has seen.
    old, new = (
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
    )
    assert parse_cid(old) == parse_cid(new) == Cid(DAG_PB, hashlib.sha256(b"\x0a\x02\x08\x01").digest())
    assert str(parse_cid(old)) == new


@pytest.mark.parametrize(
    "wrong", ["", "Qm", "bafy", "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0", "b" * 60, "../x"]
)
def test_what_is_no_cid_is_said(wrong: str) -> None:
    with pytest.raises(UsageError, match="content identifier"):
        parse_cid(wrong)


def test_what_is_no_daemon_is_said(daemon: tuple[Daemon, str]) -> None:
    with pytest.raises(UnreachableError, match="404"):
        IpfsDaemon(f"{daemon[1]}/elsewhere").size(PIECE.name)
    with pytest.raises(UnreachableError, match="cannot reach"):
        IpfsDaemon("http://127.0.0.1:9").size(PIECE.name)
    with pytest.raises(ConfigError, match="http"):
        IpfsDaemon("ftp://127.0.0.1")
