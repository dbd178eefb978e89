"""Copies in n places are made from what there is; places that only claim to have something are caught."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.contents import giving, manifest_of, piece_of, read_files, some_bytes, write_files
from tests.exchange.test_fetching import FILES, MANIFEST, Away, Lying, Serving

from proml.adapters.content_files import LocalFiles
from proml.adapters.content_folder import FolderContents
from proml.contents import file_pieces
from proml.errors import UnreachableError, VerificationError
from proml.exchange import shard_lists
from proml.exchange.fetching import fetch
from proml.exchange.pushing import pieces_of, replicate
from proml.exchange.sampling import chance, draw, parts_of, sample

if TYPE_CHECKING:
    from pathlib import Path

    from proml.contents import Chunks, Contents, ObjectName, OpenAt, Piece, Told

PIECES = pieces_of(MANIFEST, with_names=False)
EVERYTHING = parts_of(MANIFEST)


class Silent(Serving):
    def size(self, name: ObjectName) -> int | None:
        raise UnreachableError(f"{self.where} does not answer.")


class ReadOnly(Serving):
    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        raise UnreachableError(f"{self.where} takes nothing.")


class Claiming(Serving):
    """Says that it has everything, and gives nothing."""

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        yield from ()


def own() -> LocalFiles:
    return LocalFiles(MANIFEST, {}, "the manifest")


def test_copies_are_made_until_there_are_enough() -> None:
    places = [Serving(FILES, "has"), Serving({}, "second"), Serving({}, "third")]
    found = replicate(MANIFEST, [own()], places, 2)
    assert [one.is_whole for one in found.holdings] == [True, True, False]
    assert found.copies == 2
    assert [one.where for one in found.pushed] == ["has", "second"]  # the first lacked the manifest


def test_places_that_fail_are_passed_over_and_told() -> None:
    places = [Silent({}, "silent"), ReadOnly({}, "reading"), Serving({}, "good"), Serving(FILES, "has")]
    found = replicate(MANIFEST, [own()], places, 2)
    assert found.copies == 2
    assert set(found.refused) == {"silent", "reading"}


def test_too_few_places_are_told_by_their_number() -> None:
    assert replicate(MANIFEST, [own()], [Serving(FILES, "has"), Silent({}, "silent")], 2).copies == 1


def test_a_copy_is_put_together_from_several_places() -> None:
    names = list(FILES)
    half = Serving({name: FILES[name] for name in names[:2]}, "half")
    other = Serving({name: FILES[name] for name in names[2:]}, "other")
    found = replicate(MANIFEST, [own()], [Serving({}, "new"), half, other], 1)
    assert found.holdings[0].is_whole


def test_a_copy_is_not_made_from_other_bytes(tmp_path: Path) -> None:
    target = FolderContents(tmp_path / "place")
    with pytest.raises(VerificationError):
        replicate(MANIFEST, [own()], [Lying(FILES, "liar"), target], 2)
    assert all(target.size(piece.name) is None for piece in file_pieces(MANIFEST) if piece.size_bytes)


def test_a_good_place_is_good() -> None:
    found = sample(Serving(FILES), PIECES, EVERYTHING)
    assert (found.verdict, found.good, found.parts) == ("good", len(EVERYTHING), len(EVERYTHING))


def test_a_place_that_has_nothing_is_no_liar() -> None:
    assert sample(Serving({}), PIECES, EVERYTHING).verdict == "none"


def test_a_place_with_some_of_it_is_partial() -> None:
    assert sample(Serving({"a": b"1,2\n"}), PIECES, EVERYTHING).verdict == "partial"


@pytest.mark.parametrize(("kind", "verdict"), [(Claiming, "missing"), (Lying, "wrong"), (Away, "unreachable"),
                                               (Silent, "unreachable")])  # fmt: skip
def test_a_place_that_does_not_give_what_it_claims_is_caught(kind: type[Serving], verdict: str) -> None:
    found = sample(kind(FILES, "suspect"), PIECES, EVERYTHING)
    assert found.verdict == verdict
    assert found.faults


def test_a_changed_file_of_a_folder_is_found(tmp_path: Path) -> None:
    files = {f"{number}": some_bytes(100, number) for number in range(30)}
    manifest = manifest_of(files)
    place = FolderContents(tmp_path)
    for data in files.values():
        place.put(piece_of(data), giving(data), lambda _count: None)
    path = tmp_path / piece_of(files["7"]).name.path
    path.write_bytes(b"x" * 100)
    assert sample(place, pieces_of(manifest, with_names=False), parts_of(manifest)).verdict == "wrong"


def test_the_same_seed_draws_the_same_parts_and_another_one_others() -> None:
    parts = parts_of(manifest_of({f"{number}": some_bytes(9, number) for number in range(100)}))
    assert draw(parts, 10, 1) == draw(parts, 10, 1) != draw(parts, 10, 2)
    assert draw(parts, 1000, 1) == parts


def test_the_chance_is_what_drawing_makes() -> None:
    lost, seen = set(range(10)), 0
    for seed in range(2000):
        seen += bool(lost & set(random.Random(seed).sample(range(100), 20)))
    assert abs(seen / 2000 - chance(20, 0.1)) < 0.05  # drawing without putting back sees a little more


def test_large_files_are_sampled_by_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_lists, "SHARD_BYTES", 1000)
    files = {"large": some_bytes(3500), "small": b"x", "none": b""}
    manifest = manifest_of(files)
    root = write_files(tmp_path / "own", files)
    made = shard_lists.make_list(tmp_path / "lists", manifest, root)
    assert shard_lists.read_list(tmp_path / "lists", manifest) == made
    parts = parts_of(manifest, made)
    assert sorted(part.piece.size_bytes for part in parts) == [0, 1, 500, 1000, 1000, 1000]
    place = Serving(files)
    pieces = pieces_of(manifest, with_names=False)
    assert sample(place, pieces, parts).verdict == "good"
    large = piece_of(files["large"]).name
    place.objects[large] = files["large"][:2999] + b"!" + files["large"][3000:]
    found = sample(place, pieces, parts)
    assert (found.verdict, found.wrong, found.good) == ("wrong", 1, 5)


def test_a_list_of_shards_is_not_made_of_other_files(tmp_path: Path) -> None:
    root = write_files(tmp_path / "own", {"a": b"other"})
    with pytest.raises(VerificationError):
        shard_lists.make_list(tmp_path / "lists", MANIFEST, root)
    assert shard_lists.read_list(tmp_path / "lists", MANIFEST) is None
    assert read_files(root) == {"a": b"other"}


def test_what_was_replicated_can_be_fetched(tmp_path: Path) -> None:
    places: list[Contents] = [Serving(FILES, "has"), FolderContents(tmp_path / "place")]
    replicate(MANIFEST, [own()], places, 2)
    fetch(MANIFEST, tmp_path / "back", [places[1]])
    assert read_files(tmp_path / "back") == FILES
