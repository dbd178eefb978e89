"""The working folder is found, and a broken configuration says file, line, expected and found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml import config
from proml.config import Config, Folder
from proml.errors import ConfigError, LocalStorageError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def make(root: Path, text: str | bytes) -> Folder:
    folder = Folder(root)
    folder.dot.mkdir(parents=True, exist_ok=True)
    folder.config_file.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def test_the_nearest_working_folder_upwards_is_found(tmp_path: Path) -> None:
    make(tmp_path, "")
    inner = make(tmp_path / "a", "")
    (tmp_path / "a/b/c").mkdir(parents=True)
    assert config.find_folder(tmp_path / "a/b/c") == inner
    assert config.find_folder(tmp_path).root == tmp_path


def test_identities_alone_do_not_make_a_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".proml/identities").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no working folder") as caught:
        config.find_folder()
    assert "proml init" in caught.value.hint


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "w", "")
    monkeypatch.setenv("PROML_FOLDER", str(tmp_path / "w"))
    assert config.find_folder().root == tmp_path / "w"


def test_a_start_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        config.find_folder(tmp_path / "nowhere")


@given(
    identity=st.text(max_size=20).filter(lambda text: "\x00" not in text and "\r" not in text),
    ledger=st.text(max_size=20),
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, identity: str, ledger: str) -> None:
    """Law: read(write(config)) == config, for any strings."""
    folder = Folder(tmp_path_factory.mktemp("w"))
    config.write_config(folder, Config(identity=identity, ledger=ledger))
    assert config.read_config(folder) == Config(identity=identity, ledger=ledger)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('identity = "a"\nledger = [1', "at line 2|at end of document"),
        ('# x\nidentiy = "a"', r"line 2: unknown setting 'identiy'; expected one of identity, workspace, ledger"),
        ("identity = 7", r"line 1: identity must be a string in quotes; found int 7"),
        ("\n[workspace]\na = 1", r"line 2: workspace must be a string in quotes; found dict"),
        ('workspace = ""', r"line 1: workspace must name a file"),
        ("a = " + "[" * 100_000, "is not valid TOML"),
        (b"identity = '\xff'", "is not UTF-8 text: byte 12 is 0xff"),
        ("#" * (1 << 21), "is larger than"),
    ],
    ids=["toml", "unknown", "number", "table", "empty", "deep", "encoding", "huge"],
)
def test_a_broken_configuration_says_where_and_what_was_expected(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    folder = make(tmp_path, text)
    with pytest.raises(ConfigError, match=expected) as caught:
        config.read_config(folder)
    assert str(folder.config_file) in caught.value.message
    assert caught.value.hint


def test_a_configuration_that_is_a_folder_is_reported(tmp_path: Path) -> None:
    Folder(tmp_path).config_file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="Is a directory"):
        config.read_config(Folder(tmp_path))


def test_a_failed_write_keeps_the_old_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    config.write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LocalStorageError, match="No space left"):
        config.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    config.write_config(Folder(tmp_path), Config())
    assert Folder(tmp_path).config_file.stat().st_mode & 0o777 == 0o600
    assert Folder(tmp_path).dot.stat().st_mode & 0o777 == 0o700


def test_the_working_folder_keeps_itself_out_of_version_control(tmp_path: Path) -> None:
    config.write_config(Folder(tmp_path), Config())
    assert "*" in (Folder(tmp_path).dot / ".gitignore").read_text().splitlines()


def test_a_file_that_is_not_to_be_replaced_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "message.json"
    config.write_atomically(path, b"first", mode=0o644, replace=False)
    with pytest.raises(UsageError, match="not overwritten"):
        config.write_atomically(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["message.json"]


def test_a_new_file_is_written_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", fail)
    config.write_atomically(tmp_path / "a", b"first", replace=False)
    with pytest.raises(UsageError, match="not overwritten"):
        config.write_atomically(tmp_path / "a", b"second", replace=False)
    assert (tmp_path / "a").read_bytes() == b"first"
