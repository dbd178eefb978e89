"""Content by real Kubo daemons: pushed to one, read by the gateway of another, which gets it from the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contents import Told, giving, piece_of, read_files, some_bytes, write_files
from tests.ipfs import Daemon, running_daemon, text
from tests.kubo import Kubo, running_kubo
from tests.processes import command, until
from tests.stores.people import two_people

from proml.adapters.content_ipfs import IpfsDaemon, IpfsGateway
from proml.errors import NotAvailable, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Person

    from proml.contents import Chunks

SMALL = {f"{number % 5}/{number}.bin": some_bytes(50_000 + number, number) for number in range(20)}
LARGE = some_bytes(64 << 20, 98)
SIZES = (0, 1, 256 << 10, (256 << 10) + 1, 5 << 20, 174 * (256 << 10) + 1)


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with running_kubo(tmp_path_factory.mktemp("kubo")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, kubo: Kubo) -> Iterator[Kubo]:
    """The daemon of another participant, which knows the first."""
    with running_kubo(tmp_path_factory.mktemp("other-kubo")) as daemon:
        daemon.run("swarm", "connect", kubo.swarm)
        yield daemon


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, kubo: Kubo) -> tuple[Person, Person]:
    owner, reader = two_people(tmp_path_factory)
    write_files(owner.folder / "data", {**SMALL, "large.bin": LARGE})
    owner("act", "tumours", "collect", "data", "--kind", "source")
    owner("content", "place", "add", "kubo", f"ipfs+{kubo.rpc}")
    return owner, reader


def test_what_one_pushes_to_its_daemon_another_fetches_by_its_own(
    people: tuple[Person, Person], kubo: Kubo, other: Kubo, tmp_path: Path
) -> None:
    owner, reader = people
    root = owner("content", "push", "tumours", "data", "--to", "kubo").out.split()[-1]
    assert root == f"ipfs://{IpfsDaemon(kubo.rpc).root}"
    reader("content", "place", "add", "web", root, "--gateway", other.gateway)
    reader("content", "fetch", "tumours", "-o", tmp_path / "data", "--from", "web")
    assert read_files(tmp_path / "data") == {**SMALL, "large.bin": LARGE}
    assert "good" in reader("content", "check", "tumours", "--at", "web").out
    assert "good" in owner("content", "check", "tumours", "--at", "kubo").out


@pytest.mark.parametrize("size", SIZES)
def test_the_stand_in_names_files_as_kubo_does(kubo: Kubo, size: int) -> None:
    data = some_bytes(size, size)
    piece = piece_of(data)
    IpfsDaemon(kubo.rpc).put(piece, giving(data), Told())
    named = kubo.run("files", "stat", "--hash", f"/proml/{piece.name.path}").strip()
    assert named == text(Daemon().add(data)[0])


def test_the_stand_in_and_kubo_name_what_was_pushed_alike(tmp_path: Path) -> None:
    roots = []
    with running_kubo(tmp_path) as fresh, running_daemon() as (_, url):
        for daemon in (IpfsDaemon(fresh.rpc), IpfsDaemon(url)):
            for data in SMALL.values():
                daemon.put(piece_of(data), giving(data), Told())
            roots.append(daemon.root)
    assert roots[0] == roots[1]


def test_a_daemon_that_is_killed_in_a_push_has_nothing_half_and_all_after_the_next(kubo: Kubo) -> None:
    data = some_bytes(48 << 20, 5)
    piece, daemon = piece_of(data), IpfsDaemon(kubo.rpc)

    def dying(offset: int) -> Chunks:
        for start in range(offset, len(data), 1 << 20):
            if start == 24 << 20:
                kubo.kill()
            yield data[start : start + (1 << 20)]

    with pytest.raises(UnreachableError):
        daemon.put(piece, dying, Told())
    with pytest.raises(UnreachableError):
        daemon.size(piece.name)
    kubo.start()
    again = IpfsDaemon(kubo.rpc)
    assert again.size(piece.name) is None
    with pytest.raises(NotAvailable):
        list(again.read(piece.name))
    again.put(piece, giving(data), Told())
    assert b"".join(again.read(piece.name)) == data


def test_a_command_that_is_killed_in_a_push_goes_on(people: tuple[Person, Person], kubo: Kubo) -> None:
    owner, _ = people
    (owner.folder / "more").mkdir()
    write_files(owner.folder / "more", {f"{n}.bin": some_bytes(8 << 20, 1000 + n) for n in range(8)})
    owner("act", "more", "collect", "more", "--kind", "source")
    owner("content", "place", "add", "again", f"ipfs+{kubo.rpc}")
    before = len(kubo.run("files", "ls", "/proml/sha256").split())
    push = ("content", "push", "more", "more", "--to", "again", "--jobs", 1)
    with command(owner.home, owner.folder, *push) as process:
        until(lambda: len(kubo.run("files", "ls", "/proml/sha256").split()) > before + 2)
        process.kill()
    assert len(kubo.run("files", "ls", "/proml/sha256").split()) < before + 8
    owner("content", "push", "more", "more", "--to", "again")
    assert "good" in owner("content", "check", "more", "--at", "again").out


def test_a_gateway_without_the_blocks_says_so_in_time(
    kubo: Kubo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.adapters.content_ipfs.TIMEOUT_S", 3.0)
    data = some_bytes(300_000, 7)
    daemon = IpfsDaemon(kubo.rpc)
    daemon.put(piece_of(data), giving(data), Told())
    with running_kubo(tmp_path) as alone, pytest.raises(UnreachableError):
        list(IpfsGateway(daemon.root, alone.gateway).read(piece_of(data).name))
