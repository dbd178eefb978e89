from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from proml.adapters.digest_cache import SqliteDigestCache, open_digest_cache
from proml.core.manifest import Manifest
from proml.hashing import Hashed, hash_content, hash_path

PACKAGE = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def _everything_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of these tests were made just now; the tests about that set it back."""
    monkeypatch.setattr("proml.hashing._SETTLED_NS", 0)


@pytest.fixture
def cache(tmp_path: Path) -> SqliteDigestCache:
    return SqliteDigestCache(tmp_path / "digests.sqlite", recheck_share=0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(20):
        (folder / f"f{number:02}").write_bytes(b"%d" % number)
    time.sleep(0.02)  # more than the tick of the file system's clock
    return folder


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the files that are opened, whatever the result says about them."""
    opened: list[str] = []
    real_open = os.open

    def noting(path: Any, *args: Any, **named: Any) -> int:
        opened.append(os.fspath(path))
        return real_open(path, *args, **named)

    monkeypatch.setattr(os, "open", noting)
    return opened


def poison(cache_file: Path, digest: bytes) -> None:
    """Gives all rows another digest with the right check sum, as if their files had changed unseen."""
    from proml.adapters import digest_cache  # noqa: PLC0415

    connection = sqlite3.connect(cache_file)
    for device, inode, algorithm, size, modified, changed in connection.execute(
        "SELECT device, inode, algorithm, size_bytes, modified_ns, changed_ns FROM digest"
    ).fetchall():
        check = digest_cache._check_sum((device, inode, algorithm), size, modified, changed, digest)
        connection.execute("UPDATE digest SET digest = ?, check_sum = ? WHERE inode = ?", (digest, check, inode))
    connection.commit()
    connection.close()


def test_a_thousand_files_of_which_one_changed_are_one_file_to_read(
    tmp_path: Path, cache: SqliteDigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    for number in range(20):
        (folder / f"d{number}").mkdir(parents=True)
        for inner in range(50):
            (folder / f"d{number}" / f"f{inner}").write_bytes(b"%d %d" % (number, inner))
    time.sleep(0.02)
    hash_content(folder, cache=cache)
    (folder / "d7" / "f7").write_bytes(b"new")
    time.sleep(0.02)
    opened = count_reads(monkeypatch)
    found = hash_content(folder, cache=cache)
    assert opened == [str(folder / "d7" / "f7")]
    assert (found.read, found.cached) == (1, 999)
    assert found.mark() == {"digests": {"read": 1, "cached": 999}}
    assert found.manifest == hash_path(folder)


def test_a_content_with_the_old_size_and_the_old_time_of_modification_is_read(
    tree: Path, cache: SqliteDigestCache
) -> None:
    hash_content(tree, cache=cache)
    victim = tree / "f03"
    before = victim.stat()
    victim.write_bytes(b"X")
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert victim.stat().st_mtime_ns == before.st_mtime_ns
    found = hash_content(tree, cache=cache)
    assert found.read == 1
    assert found.manifest == hash_path(tree)


def test_a_new_file_in_a_reused_inode_is_read(tree: Path, cache: SqliteDigestCache) -> None:
    hash_content(tree, cache=cache)
    victim = tree / "f03"
    old = victim.stat()
    for attempt in range(200):  # which inode a new file gets is the file system's choice
        victim.unlink()
        victim.write_bytes(b"X")
        os.utime(victim, ns=(old.st_atime_ns, old.st_mtime_ns))
        if victim.stat().st_ino == old.st_ino:
            break
        victim.rename(tree.parent / f"kept{attempt}")
        victim.write_bytes(b"")
    else:
        # This file system does not reuse them: as if it had.
        connection = sqlite3.connect(tree.parent / "digests.sqlite")
        connection.execute("UPDATE digest SET inode = ? WHERE inode = ?", (victim.stat().st_ino, old.st_ino))
        connection.commit()
        connection.close()
    time.sleep(0.02)
    assert hash_content(tree, cache=cache).manifest == hash_path(tree)


def test_files_that_changed_just_now_are_not_remembered(
    tree: Path, cache: SqliteDigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.hashing._SETTLED_NS", 2_000_000_000)
    old = time.time_ns() - 60_000_000_000
    os.utime(tree / "f00", ns=(old, old))  # its time of change is now all the same
    assert hash_content(tree, cache=cache).read == 20
    assert hash_content(tree, cache=cache).read == 20


def test_algorithms_do_not_mix(tree: Path, cache: SqliteDigestCache) -> None:
    hash_content(tree, cache=cache)
    assert hash_content(tree, "blake3", cache=cache).manifest == hash_path(tree, "blake3")
    assert hash_content(tree, "blake3", cache=cache).cached == 20
    assert hash_content(tree, cache=cache).cached == 20


def test_a_renamed_file_is_still_known_and_has_its_new_name(tree: Path, cache: SqliteDigestCache) -> None:
    first = hash_content(tree, cache=cache).manifest
    tree.rename(tree.with_name("moved"))
    found = hash_content(tree.with_name("moved"), cache=cache)
    # A folder's rename leaves its files' inodes alone.
    assert (found.cached, found.manifest) == (20, first)


def test_a_sample_finds_a_poisoned_cache_and_everything_is_read(tree: Path, tmp_path: Path) -> None:
    cache = SqliteDigestCache(tmp_path / "digests.sqlite", recheck_share=0)
    hash_content(tree, cache=cache)
    poison(tmp_path / "digests.sqlite", hashlib.sha256(b"something else").digest())
    assert hash_content(tree, cache=cache).manifest != hash_path(tree)  # this is why there is a sample
    found = hash_content(tree, cache=SqliteDigestCache(tmp_path / "digests.sqlite", recheck_share=0.5))
    assert found.wrong.startswith(str(tree))
    assert (found.read, found.cached) == (20, 0)
    assert found.manifest == hash_path(tree)
    assert hash_content(tree, cache=cache).manifest == hash_path(tree)  # and it was made anew


def test_the_sample_has_about_the_share_that_is_asked_for(tmp_path: Path, tree: Path) -> None:
    known = SqliteDigestCache(tmp_path / "digests.sqlite", recheck_share=0.25)
    hash_content(tree, cache=known)
    reads = [hash_content(tree, cache=known).read for _ in range(100)]
    assert 300 < sum(reads) < 700  # 500 expected, of 2,000; ten standard deviations
    assert len(set(reads)) > 1


def flip_a_digest(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("UPDATE digest SET digest = ?", (bytes(32),))
    connection.commit()
    connection.close()


def make_a_later_version(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"not a database" * 1000),
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(file.read_bytes()[:100] + os.urandom(len(file.read_bytes()) - 100)),
        lambda file: file.write_bytes(b""),
        flip_a_digest,
        make_a_later_version,
    ],
)
def test_a_damaged_file_is_as_none_and_is_made_anew(
    tree: Path, tmp_path: Path, cache: SqliteDigestCache, damage: Any
) -> None:
    expected = hash_content(tree, cache=cache).manifest
    damage(tmp_path / "digests.sqlite")
    assert hash_content(tree, cache=cache) == Hashed(expected, 20, 0)
    assert hash_content(tree, cache=cache) == Hashed(expected, 0, 20)


@pytest.mark.parametrize("place", ["missing/digests.sqlite", "folder"])
def test_a_file_that_cannot_be_made_is_as_none(tree: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    cache = SqliteDigestCache(tmp_path / place, recheck_share=0)
    assert [hash_content(tree, cache=cache).read for _ in range(2)] == [20, 20]


def test_a_file_that_another_process_locks_is_as_none(
    tree: Path, tmp_path: Path, cache: SqliteDigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proml.adapters.digest_cache._BUSY_S", 0.05)
    expected = hash_content(tree, cache=cache).manifest
    other = sqlite3.connect(tmp_path / "digests.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert hash_content(tree, cache=cache) == Hashed(expected, 20, 0)
    other.execute("ROLLBACK")
    other.close()
    assert hash_content(tree, cache=cache) == Hashed(expected, 0, 20)


def test_its_size_is_bounded(tmp_path: Path, tree: Path) -> None:
    file = tmp_path / "digests.sqlite"
    cache = SqliteDigestCache(file, recheck_share=0, max_bytes=16_384)
    for number in range(400):
        (tree / f"more{number}").write_bytes(b"%d" % number)
    time.sleep(0.02)
    for _ in range(3):
        assert hash_content(tree, cache=cache).manifest == hash_path(tree)
        assert file.stat().st_size <= 16_384
    assert hash_content(tree, cache=cache).cached > 0


def test_processes_use_it_at_once_and_agree(tree: Path, tmp_path: Path) -> None:
    script = tmp_path / "many_times.py"
    script.write_text(
        "import sys; from pathlib import Path; import proml.hashing\n"
        "from proml.adapters.digest_cache import SqliteDigestCache\n"
        "proml.hashing._SETTLED_NS = 0\n"
        "cache = SqliteDigestCache(Path(sys.argv[2]), recheck_share=0.2)\n"
        "for turn in range(30):\n"
        "    print(proml.hashing.hash_content(sys.argv[1], cache=cache).manifest.digest.hex())\n"
        "    if turn % 10 == 5: cache.drop()\n"
    )
    command = [sys.executable, str(script), str(tree), str(tmp_path / "digests.sqlite")]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    answers = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert {digest for answer in answers for digest in answer} == {hash_path(tree).digest.hex()}
    assert [len(answer) for answer in answers] == [30] * 4


@pytest.mark.parametrize("value", ["1", "yes"])
def test_an_environment_variable_switches_it_off(tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_digest_cache(tmp_path) is not None
    monkeypatch.setenv("PROML_NO_CACHE", value)
    assert open_digest_cache(tmp_path) is None


@pytest.mark.parametrize(("value", "share"), [("", 0.01), ("0.5", 0.5), ("0", 0.0), ("often", 1.0)])
def test_the_share_of_the_sample_is_set_by_the_environment(
    tmp_path: Path, value: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROML_RECHECK", value)
    cache = open_digest_cache(tmp_path)
    assert cache is not None
    assert cache.recheck_share == share


def test_what_verifies_has_no_cache(tree: Path, tmp_path: Path, cache: SqliteDigestCache) -> None:
    hash_content(tree, cache=cache)
    poison(tmp_path / "digests.sqlite", bytes(32))
    assert isinstance(hash_path(tree), Manifest)
    assert all(one.digest != bytes(32) for one in hash_path(tree).resources)
