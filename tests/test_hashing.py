from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import blake3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proml.core.manifest import difference
from proml.errors import ContentError
from proml.hashing import hash_path

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


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
@pytest.mark.parametrize("part", ["tree", "file"])
def test_a_path_has_the_files_and_digests_that_the_real_model_signing_package_finds(
    tree: Path, algorithm: Any, part: str
) -> None:
    statement = json.loads((CORPUS / f"model-signing-1.1.1-{part}-{algorithm}.json").read_bytes())
    found = hash_path(tree if part == "tree" else tree / "weights.bin", algorithm)
    theirs = {one["name"]: one["digest"] for one in statement["predicate"]["resources"]}
    assert {one.name: one.digest.hex() for one in found.resources} == theirs
    assert found.oms_root("reference").hex() == statement["subject"][0]["digest"]["sha256"]


def test_a_tree_has_the_digest_of_the_golden_manifest(tree: Path) -> None:
    assert hash_path(tree).bytes == (CORPUS / "manifest-v1.json").read_bytes()


def test_a_copy_elsewhere_under_another_name_is_the_same_content(tree: Path, tmp_path: Path) -> None:
    before = hash_path(tree).digest
    tree.rename(tmp_path / "other")
    assert hash_path(tmp_path / "other").digest == before


def test_one_flipped_bit_is_seen_and_named(tree: Path) -> None:
    before = hash_path(tree)
    data = bytearray((tree / "weights.bin").read_bytes())
    data[1000] ^= 1
    (tree / "weights.bin").write_bytes(data)
    assert difference(before, hash_path(tree)).changed == ("weights.bin",)


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
@pytest.mark.parametrize("threads", [1, 3])
def test_large_files_are_hashed_in_chunks_by_any_number_of_threads(
    tmp_path: Path, algorithm: Any, threads: int
) -> None:
    data = os.urandom((1 << 20) + 17)
    for number in range(5):
        (tmp_path / f"f{number}").write_bytes(data)
    found = hash_path(tmp_path, algorithm, threads=threads)
    expected = hashlib.sha256(data).digest() if algorithm == "sha256" else blake3.blake3(data).digest()
    assert [one.digest for one in found.resources] == [expected] * 5
    assert found.size_bytes == 5 * len(data)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=100))
def test_a_file_is_named_by_the_digest_of_its_bytes(tmp_path: Path, data: bytes) -> None:
    """Law: hash_path(file) is sha256(bytes of the file)."""
    (tmp_path / "f").write_bytes(data)
    [only] = hash_path(tmp_path / "f").resources
    assert (only.name, only.digest, only.size_bytes) == (".", hashlib.sha256(data).digest(), len(data))


def test_progress_ends_with_all_bytes_done(tree: Path) -> None:
    calls: list[tuple[int, int]] = []
    total = hash_path(tree, progress=lambda done, all_: calls.append((done, all_))).size_bytes
    assert calls[0] == (0, total)
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


def test_an_error_of_the_progress_callback_is_its_own(tree: Path) -> None:
    def fail(_done: int, _total: int) -> None:
        raise OSError("screen gone")

    with pytest.raises(OSError, match="screen gone") as caught:
        hash_path(tree, progress=fail)
    assert not isinstance(caught.value, ContentError)


def test_names_may_have_spaces_dashes_and_any_script(tmp_path: Path) -> None:
    names = ["-rf", " leading", "\u0645\u0644\u0641", "\u6a21\u578b", "a\\b", "~", "$(x)", "\U0001f600"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [one.name for one in hash_path(tmp_path).resources] == sorted(names)


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"a\nb", "U+000A"), (b"a\xffb", "U+DCFF"), (b"a\x1b[2J", "U+001B"), ("a\u202eb".encode(), "U+202E")],
)
def test_names_that_cannot_be_shown_truthfully_are_refused(tmp_path: Path, name: bytes, shown: str) -> None:
    with open(os.path.join(os.fsencode(tmp_path), name), "wb"):  # noqa: PTH118, PTH123  # pathlib takes no bytes
        pass
    with pytest.raises(ContentError) as caught:
        hash_path(tmp_path)
    assert shown in caught.value.message
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("target", ["Z", "/etc/hostname", "a", "nowhere", "loop"])
def test_a_symlink_inside_a_folder_is_refused_wherever_it_points(tree: Path, target: str) -> None:
    (tree / "loop").symlink_to(target)
    with pytest.raises(ContentError, match=r"symbolic link.*loop"):
        hash_path(tree)


def test_a_symlink_given_as_the_path_is_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert hash_path(tmp_path / "link").digest == hash_path(tree).digest


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_regular_file_is_refused_without_waiting(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()
    if kind == "pipe":
        os.mkfifo(tmp_path / "d" / "x")
        expected = "named pipe"
    else:
        monkeypatch.chdir(tmp_path / "d")  # a socket's path may have 107 bytes only
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("x")
        expected = "socket"
    for path in (tmp_path / "d", tmp_path / "d" / "x"):
        with pytest.raises(ContentError, match=expected):
            hash_path(path)


def test_a_device_is_refused() -> None:
    with pytest.raises(ContentError, match="character device"):
        hash_path("/dev/zero")


@pytest.mark.parametrize("path", ["", "nope", "x\0y", "a" * 5000, "f/below"])
def test_a_path_that_names_nothing_is_refused(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(ContentError):
        hash_path(path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(ContentError, match="has no files"):
        hash_path(tmp_path)


def test_a_refusal_to_read_names_the_file(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def refuse(path: str, *args: int) -> int:
        if str(path).endswith("Z"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ContentError, match=r"'.*Z' is not permitted"):
        hash_path(tree)


def test_a_read_error_of_the_disk_names_the_file(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str, *_args: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(ContentError, match="failed: Input/output error"):
        hash_path(tree)


def test_the_working_folder_of_proml_is_left_out_at_the_top_only(tree: Path) -> None:
    before = hash_path(tree).digest
    (tree / ".proml").mkdir()
    (tree / ".proml" / "outbox.sqlite").write_bytes(b"x")
    assert hash_path(tree).digest == before
    (tree / "a" / ".proml").mkdir()
    (tree / "a" / ".proml" / "hidden").write_bytes(b"x")
    assert "a/.proml/hidden" in {one.name for one in hash_path(tree).resources}


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace_by_an_equal_file(path: Path) -> None:
    twin = path.with_name("twin")
    twin.write_bytes(path.read_bytes())
    twin.rename(path)


def overwrite_in_place(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def add_a_neighbour(path: Path) -> None:
    path.with_name("neighbour").write_bytes(b"")


@pytest.mark.parametrize("change", [grow, replace_by_an_equal_file, overwrite_in_place, add_a_neighbour, Path.unlink])
def test_a_change_while_reading_is_seen(tmp_path: Path, change: Any) -> None:
    victim = tmp_path / "folder" / "victim"
    victim.parent.mkdir()
    victim.write_bytes(bytes(3 << 20))
    once = threading.Event()

    def meddle(done: int, _total: int) -> None:
        if done > 0 and not once.is_set():
            once.set()
            change(victim)

    with pytest.raises(ContentError, match=r"changed while it was read|There is no file"):
        hash_path(victim.parent, progress=meddle, threads=2)


def test_a_symlink_put_in_a_files_place_after_listing_is_not_followed(tree: Path) -> None:
    def swap(done: int, _total: int) -> None:
        if done == 0 and not (tree / "Z").is_symlink():
            (tree / "Z").unlink()
            (tree / "Z").symlink_to("/etc/hostname")

    with pytest.raises(ContentError, match="Z"):
        hash_path(tree, progress=swap)


def test_ctrl_c_stops_all_threads(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"f{number}").write_bytes(bytes(2 << 20))

    def interrupt(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_path(tmp_path, progress=interrupt, threads=4)
    assert not [one for one in threading.enumerate() if one.name.startswith("proml-hashing")]


@pytest.mark.parametrize(("algorithm", "threads"), [("md5", 1), ("sha256", 0)])
def test_unknown_algorithms_and_no_threads_are_refused(tree: Path, algorithm: Any, threads: int) -> None:
    with pytest.raises(ContentError, match="Expected"):
        hash_path(tree, algorithm, threads=threads)
