"""Contents arrive whole, where they should and nowhere else, from whichever place has them unharmed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contents import giving, manifest_of, piece_of, read_files, some_bytes, write_files

from proml.adapters.content_files import LocalFiles
from proml.adapters.content_folder import FolderContents
from proml.contents import CHUNK_BYTES, file_pieces
from proml.core.manifest import SINGLE_FILE
from proml.errors import ContentError, NotAvailable, UnreachableError, VerificationError
from proml.exchange import target
from proml.exchange.fetching import Fetching, fetch
from proml.exchange.pushing import push
from proml.exchange.transfer import Sources, Tally, in_parallel

if TYPE_CHECKING:
    from proml.contents import Chunks, Contents, ObjectName, OpenAt, Piece, Told
    from proml.core.manifest import Manifest

FILES = {
    "a.csv": b"1,2\n",
    "deep/er/weights.bin": some_bytes(2 * CHUNK_BYTES + 9),
    "deep/same.csv": b"1,2\n",
    "empty": b"",
    "name with space, ü and \\": b"x",
}
MANIFEST = manifest_of(FILES)


class Serving:
    """A place with bytes by name, which a test can make lie."""

    def __init__(self, files: dict[str, bytes], where: str = "place") -> None:
        self.where = where
        self.objects = {piece_of(data).name: data for data in files.values()}
        self.asked: list[tuple[ObjectName, int]] = []

    def size(self, name: ObjectName) -> int | None:
        return len(self.objects[name]) if name in self.objects else None

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        self.asked.append((name, offset))
        if name not in self.objects:
            raise NotAvailable(f"{self.where} does not have {name}.")
        data = self.objects[name]
        yield from giving(data if length is None else data[: offset + length])(offset)

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        data = b"".join(open_at(0))
        assert piece_of(data) == piece
        self.objects[piece.name] = data
        told(len(data))

    def close(self) -> None: ...


class Away(Serving):
    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        self.asked.append((name, offset))
        raise UnreachableError(f"{self.where} does not answer.")
        yield b""


class Ending(Serving):
    """Ends after the first chunk."""

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        with_all = super().read(name, offset, length)
        yield from [next(with_all)] if offset == 0 else []


class Lying(Serving):
    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        for chunk in super().read(name, offset, length):
            yield bytes([chunk[0] ^ 1]) + chunk[1:]


def manifest_and_place(names: list[str]) -> tuple[Manifest, Serving]:
    files = {name: f"bytes of {name}".encode() for name in names}
    return manifest_of(files), Serving(files)


def test_a_folder_arrives_as_it_was(tmp_path: Path) -> None:
    done = fetch(MANIFEST, tmp_path / "new" / "data", [Serving(FILES)])
    assert read_files(tmp_path / "new" / "data") == FILES
    assert (done.files, done.there, done.size_bytes) == (5, 0, MANIFEST.size_bytes)
    assert not (tmp_path / "new" / "data" / ".proml").exists()


def test_a_single_file_arrives_under_the_name_that_was_asked_for(tmp_path: Path) -> None:
    fetch(manifest_of({SINGLE_FILE: b"model"}), tmp_path / "model.bin", [Serving({"": b"model"})])
    assert read_files(tmp_path) == {"model.bin": b"model"}


def test_a_single_file_is_not_put_into_a_folder_by_guess(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="single file"):
        fetch(manifest_of({SINGLE_FILE: b"model"}), tmp_path, [Serving({"": b"model"})])


def test_files_with_the_same_bytes_are_fetched_once(tmp_path: Path) -> None:
    place = Serving(FILES)
    fetch(MANIFEST, tmp_path / "data", [place])
    assert len(place.asked) == len({name for name, _ in place.asked}) == 3  # not the one without bytes


def test_identical_files_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    write_files(tmp_path, {name: FILES[name] for name in ("a.csv", "deep/er/weights.bin")})
    before = (tmp_path / "deep/er/weights.bin").stat()
    place = Serving(FILES)
    done = fetch(MANIFEST, tmp_path, [place])
    assert done.there == 2
    assert piece_of(FILES["deep/er/weights.bin"]).name not in {name for name, _ in place.asked}
    assert (tmp_path / "deep/er/weights.bin").stat().st_ino == before.st_ino
    assert read_files(tmp_path) == FILES


def test_a_different_file_is_not_overwritten_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"mine")
    place = Serving(FILES)
    with pytest.raises(ContentError, match=r"a\.csv"):
        fetch(MANIFEST, tmp_path, [place])
    assert (tmp_path / "a.csv").read_bytes() == b"mine"
    assert place.asked == []


def test_a_different_file_is_overwritten_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"mine")
    fetch(MANIFEST, tmp_path, [Serving(FILES)], Fetching(overwrite=True))
    assert read_files(tmp_path) == FILES


def test_a_file_that_comes_into_being_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    class Meanwhile(Serving):
        def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
            (tmp_path / "a.csv").write_bytes(b"mine")
            yield from super().read(name, offset, length)

    with pytest.raises(ContentError, match="came into being"):
        fetch(MANIFEST, tmp_path, [Meanwhile(FILES)])
    assert (tmp_path / "a.csv").read_bytes() == b"mine"


@pytest.mark.parametrize("link", ["deep", "deep/er"])
def test_links_on_the_way_are_not_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "data" / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / link).symlink_to(tmp_path / "outside")
    with pytest.raises(ContentError, match="on the way"):
        fetch(MANIFEST, tmp_path / "data", [Serving(FILES)], Fetching(overwrite=True))
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"1,2\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").symlink_to(tmp_path / "victim")
    with pytest.raises(ContentError, match=r"a\.csv"):
        fetch(MANIFEST, tmp_path / "data", [Serving(FILES)])
    fetch(MANIFEST, tmp_path / "data", [Serving(FILES)], Fetching(overwrite=True))
    assert not (tmp_path / "data" / "a.csv").is_symlink()
    assert (tmp_path / "victim").read_bytes() == b"1,2\n"


@pytest.mark.parametrize("name", [".proml/config.toml", ".PROML/x", "release/.proml/workspace.json", "a/.Proml"])
def test_names_that_would_become_a_working_folder_are_refused(tmp_path: Path, name: str) -> None:
    manifest, place = manifest_and_place(["b", name])
    with pytest.raises(ContentError, match="a working folder of somebody else's"):
        fetch(manifest, tmp_path, [place])
    assert place.asked == []


def test_a_repository_is_fetched_into_a_new_folder_only(tmp_path: Path) -> None:
    manifest, place = manifest_and_place(["a", ".git/hooks/pre-commit"])
    fetch(manifest, tmp_path / "new", [place])
    assert (tmp_path / "new" / ".git" / "hooks" / "pre-commit").exists()
    (tmp_path / "mine" / ".git").mkdir(parents=True)
    with pytest.raises(ContentError, match="how programs work"):
        fetch(manifest, tmp_path / "mine", [place])
    assert list((tmp_path / "mine" / ".git").iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_place_of_a_file_stays(tmp_path: Path, overwrite: bool) -> None:  # noqa: FBT001
    (tmp_path / "data" / "a.csv").mkdir(parents=True)
    (tmp_path / "data" / "a.csv" / "mine").write_text("1")
    with pytest.raises(ContentError, match="a folder is there" if overwrite else r"a\.csv"):
        fetch(MANIFEST, tmp_path / "data", [Serving(FILES)], Fetching(overwrite=overwrite))
    assert (tmp_path / "data" / "a.csv" / "mine").read_text() == "1"


def test_a_name_that_the_file_system_does_not_take_is_said(tmp_path: Path) -> None:
    manifest, place = manifest_and_place(["a", "x" * 300])
    with pytest.raises(ContentError, match="too long"):
        fetch(manifest, tmp_path / "data", [place])


def test_names_that_are_one_on_the_file_system_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, place = manifest_and_place(["A/x", "a/X"])
    monkeypatch.setattr(target, "is_case_blind", lambda _folder: True)
    with pytest.raises(ContentError, match="one on this file system"):
        fetch(manifest, tmp_path / "blind", [place])
    assert place.asked == []


def test_a_place_that_lies_is_told_and_the_next_one_asked(tmp_path: Path) -> None:
    done = fetch(MANIFEST, tmp_path, [Lying(FILES, "liar"), Serving(FILES, "honest")])
    assert read_files(tmp_path) == FILES
    assert list(done.faults) == ["liar"]
    assert "Expected" in done.faults["liar"][0]
    assert set(done.sources) == {"honest"} | ({"liar"} if "liar" in done.sources else set())


def test_only_other_bytes_is_a_failed_verification_and_places_nothing(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="liar"):
        fetch(MANIFEST, tmp_path, [Lying(FILES, "liar"), Serving({}, "empty")])
    found = {name: data for name, data in read_files(tmp_path).items() if not name.startswith(".proml")}
    assert found == {"empty": b""}


def test_a_place_that_ends_early_is_continued_by_the_next(tmp_path: Path) -> None:
    honest = Serving(FILES, "honest")
    done = fetch(MANIFEST, tmp_path, [Ending(FILES, "ending"), honest], Fetching(threads=1))
    assert read_files(tmp_path) == FILES
    assert (piece_of(FILES["deep/er/weights.bin"]).name, CHUNK_BYTES) in honest.asked
    assert "ended after" in done.faults["ending"][0]


def test_a_liar_s_part_does_not_harm_what_the_next_place_gives(tmp_path: Path) -> None:
    class LyingThenEnding(Lying):
        def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
            yield from [next(super().read(name, offset, length))] if offset == 0 else []

    fetch(MANIFEST, tmp_path, [LyingThenEnding(FILES, "liar"), Serving(FILES, "honest")], Fetching(threads=1))
    assert read_files(tmp_path) == FILES


def test_a_place_that_is_away_is_asked_twice_and_no_more(tmp_path: Path) -> None:
    files = {f"{number}": some_bytes(10, number) for number in range(20)}
    away = Away(files, "away")
    with pytest.raises(UnreachableError, match="20 of 20 files"):
        fetch(manifest_of(files), tmp_path, [away], Fetching(threads=1))
    assert len(away.asked) == 2


def test_what_nobody_has_is_not_available_and_the_rest_arrives(tmp_path: Path) -> None:
    rest = {name: data for name, data in FILES.items() if name != "deep/er/weights.bin"}
    with pytest.raises(NotAvailable, match="1 of 5 files could not be had"):
        fetch(MANIFEST, tmp_path, [Serving(rest)])
    assert {name for name in read_files(tmp_path) if not name.startswith(".proml")} == set(rest)
    fetch(MANIFEST, tmp_path, [Serving(FILES)])
    assert read_files(tmp_path) == FILES


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


THRICE = FILES | {"deep/third.csv": FILES["a.csv"]}


@pytest.mark.parametrize("number", range(len(THRICE)))
def test_killed_when_a_file_has_its_name_and_its_partial_name_it_is_neither_changed_nor_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    named = kill_after_naming(monkeypatch, number)
    with pytest.raises(Killed):
        fetch(manifest_of(THRICE), tmp_path, [Serving(THRICE)], Fetching(threads=1))
    monkeypatch.undo()
    kept = {path: path.stat() for path in named}
    assert len(kept) == number + 1
    fetch(manifest_of(THRICE), tmp_path, [Serving(THRICE)])
    assert read_files(tmp_path) == THRICE
    assert not (tmp_path / ".proml").exists()
    assert {path: (status.st_ino, status.st_mtime_ns) for path, status in kept.items()} == {
        path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in kept
    }


def test_killed_when_a_single_file_has_its_name_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_after_naming(monkeypatch, 0)
    single = manifest_of({SINGLE_FILE: b"model"})
    with pytest.raises(Killed):
        fetch(single, tmp_path / "model.bin", [Serving({"": b"model"})])
    monkeypatch.undo()
    fetch(single, tmp_path / "model.bin", [Serving({"": b"model"})])
    assert read_files(tmp_path) == {"model.bin": b"model"}


def test_a_file_that_was_edited_after_a_kill_is_not_taken_for_a_partial_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_after_naming(monkeypatch, 0)
    files = {"a": b"bytes of a"}
    with pytest.raises(Killed):
        fetch(manifest_of(files), tmp_path, [Serving(files)])
    monkeypatch.undo()
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(VerificationError):
        fetch(manifest_of(files), tmp_path, [Lying(files)], Fetching(overwrite=True))
    assert (tmp_path / "a").read_bytes() == b"mine"
    fetch(manifest_of(files), tmp_path, [Serving(files)], Fetching(overwrite=True))
    assert read_files(tmp_path) == files


def kill_after_naming(monkeypatch: pytest.MonkeyPatch, number: int) -> list[Path]:
    """Ends the fetch when this many files have got their names and the next has two; returns what gets a name."""
    link, named = os.link, list[Path]()

    def linked(source: Path, leaf: str, **how: Any) -> None:
        link(source, leaf, **how)
        named.append(Path(f"/proc/self/fd/{how['dst_dir_fd']}").resolve() / leaf)
        if len(named) > number:
            raise Killed

    monkeypatch.setattr(os, "link", linked)
    return named


def test_without_a_place_it_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="no place to take"):
        fetch(MANIFEST, tmp_path, [])


def test_progress_ends_at_the_length_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FILES["a.csv"])
    seen: list[tuple[int, int]] = []
    how = Fetching(progress=lambda done, total: seen.append((done, total)))
    fetch(MANIFEST, tmp_path, [Ending(FILES), Lying(FILES), Serving(FILES)], how)
    assert seen[-1] == (MANIFEST.size_bytes, MANIFEST.size_bytes)
    assert max(done for done, _ in seen) <= MANIFEST.size_bytes


def test_an_interruption_does_not_wait_for_a_place_that_is_silent() -> None:
    silent, begun = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if number:
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        silent.wait(60)

    since = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_parallel([1, 0], work, Tally(0))
    assert time.monotonic() - since < 30
    silent.set()


def test_a_failure_of_one_thread_stops_the_others_and_is_the_one_that_is_raised() -> None:
    tally = Tally(0)
    begun = threading.Barrier(3)
    ended: list[int] = []
    until_s = time.monotonic() + 20

    def work(job: int) -> None:
        begun.wait(10)
        if job == 0:
            raise UnreachableError("the first")
        while time.monotonic() < until_s:
            tally.told(1)
        ended.append(job)

    with pytest.raises(UnreachableError, match="the first"):
        in_parallel(range(3), work, tally, 3)
    assert ended == []


# ------------------------------------------------------------------------------------------------------- pushing


def local(tmp_path: Path, files: dict[str, bytes] = FILES) -> Contents:
    root = write_files(tmp_path / "own", files)
    return LocalFiles(manifest_of(FILES), {name: str(root / name) for name in files}, str(root))


def test_a_push_places_the_manifest_and_every_file(tmp_path: Path) -> None:
    place = FolderContents(tmp_path / "place")
    done = push(MANIFEST, [local(tmp_path)], place)
    assert (done.objects, done.there) == (5, 0)
    assert b"".join(place.read(piece_of(MANIFEST.bytes).name)) == MANIFEST.bytes
    fetch(MANIFEST, tmp_path / "back", [place])
    assert read_files(tmp_path / "back") == FILES


def test_only_what_is_missing_is_sent(tmp_path: Path) -> None:
    place = FolderContents(tmp_path / "place")
    push(MANIFEST, [local(tmp_path)], place)
    (tmp_path / "place" / piece_of(b"x").name.path).unlink()
    done = push(MANIFEST, [local(tmp_path)], place)
    assert (done.there, done.sent_bytes) == (4, 1)


def test_names_stay_at_home_when_asked(tmp_path: Path) -> None:
    from proml.exchange.pushing import Pushing  # noqa: PLC0415 - this test's

    place = FolderContents(tmp_path / "place")
    push(MANIFEST, [local(tmp_path)], place, Pushing(with_names=False))
    assert place.size(piece_of(MANIFEST.bytes).name) is None
    assert all(place.size(piece.name) == piece.size_bytes for piece in file_pieces(MANIFEST))
    assert not any(b"weights.bin" in data for data in read_files(tmp_path / "place").values())


def test_files_that_are_not_the_content_are_not_pushed(tmp_path: Path) -> None:
    own = local(tmp_path, {**FILES, "a.csv": b"9,9\n", "deep/same.csv": b"9,9\n"})
    place = FolderContents(tmp_path / "place")
    with pytest.raises(VerificationError, match="Expected 4 bytes"):
        push(MANIFEST, [own], place)
    assert place.size(piece_of(b"1,2\n").name) is None


def test_a_target_that_refuses_is_not_taken_for_a_source_that_fails(tmp_path: Path) -> None:
    class Refusing(Serving):
        def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
            next(open_at(0))
            raise UnreachableError("the target is away")

    sources = Sources([Serving(FILES, "one"), Serving(FILES, "two")])
    piece = piece_of(b"1,2\n")
    refusing: Any = Refusing({})
    with pytest.raises(UnreachableError, match="the target is away"):
        sources.take(piece, lambda open_at: refusing.put(piece, open_at, lambda _count: None))
    assert sources.faults() == {}
