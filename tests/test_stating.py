from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from proml.errors import ContentError, InvalidRecord, ProMLError
from proml.hashing import hash_path
from proml.stating import state_content

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b/c", "b/d e"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(name)
    return tmp_path / "tree"


def sums(folder: Path, *files: str) -> str:
    """What the real sha256sum writes."""
    program = shutil.which("sha256sum")
    assert program
    return subprocess.run([program, *files], cwd=folder, check=True, capture_output=True, text=True).stdout


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_named: Any) -> None:
        raise AssertionError("a file of the content was opened")

    monkeypatch.setattr("os.open", refuse)


@pytest.mark.parametrize("prefix", ["", "./", "tree/"])
def test_a_folder_is_named_by_what_sha256sum_wrote_without_reading_it(
    tree: Path, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = hash_path(tree)
    where = tmp_path if prefix == "tree/" else tree
    (tmp_path / "SUMS").write_text(sums(where, *(prefix + name for name in ("b/d e", "a", "b/c"))))
    forbid_reading(monkeypatch)
    found = state_content("tree", tmp_path / "SUMS")
    assert found.manifest == expected
    assert found.mark() == {"digests": {"stated": 3}}


def test_a_list_inside_the_folder_is_one_of_its_files_and_is_read(tree: Path) -> None:
    (tree / "SUMS").write_text(sums(tree, "a", "b/c", "b/d e"))
    found = state_content(tree, tree / "SUMS")
    assert found.manifest == hash_path(tree)
    assert found.mark() == {"digests": {"read": 1, "stated": 3}}


def test_one_file_is_found_in_a_list_of_many(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "SUMS").write_text(sums(tree, "a", "b/c"))
    assert state_content(tree / "a", tmp_path / "SUMS").manifest == hash_path(tree / "a")


def test_a_manifest_with_sizes_needs_no_files(tree: Path, tmp_path: Path) -> None:
    manifest = hash_path(tree)
    (tmp_path / "manifest.json").write_bytes(manifest.bytes)
    shutil.rmtree(tree)
    assert state_content(None, tmp_path / "manifest.json").manifest == manifest


def test_a_list_without_sizes_needs_the_files(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "SUMS").write_text(sums(tree, "a"))
    with pytest.raises(ContentError, match="no sizes"):
        state_content(None, tmp_path / "SUMS")


@pytest.mark.parametrize(
    ("meddle", "expected"),
    [
        (lambda tree: (tree / "new").write_text(""), "new.*is there and not listed"),
        (lambda tree: (tree / "a").unlink(), "lists 'a'"),
        (lambda tree: (tree / "a").write_text("longer than before"), "1 bytes, and it has 18"),
    ],
)
def test_files_that_are_not_those_listed_are_refused(tree: Path, tmp_path: Path, meddle: Any, expected: str) -> None:
    (tmp_path / "manifest.json").write_bytes(hash_path(tree).bytes)
    meddle(tree)
    with pytest.raises(ContentError, match=expected):
        state_content(tree, tmp_path / "manifest.json")


@pytest.mark.parametrize("name", ["../a", "/a", "a\u202eb"])
def test_names_that_are_no_path_below_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    one = {"name": name, "algorithm": "sha256", "digest": "aa" * 32, "size_bytes": 1}
    listed = {"serialization": {"method": "files", "hash_type": "sha256"}, "resources": [one]}
    (tmp_path / "m").write_text(json.dumps(listed))
    with pytest.raises((ContentError, InvalidRecord)):
        state_content(None, tmp_path / "m")


def test_a_list_that_cannot_be_read_is_named(tree: Path) -> None:
    with pytest.raises(ProMLError, match="nowhere"):
        state_content(tree, "nowhere")
