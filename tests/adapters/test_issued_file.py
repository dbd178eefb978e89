from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proml.adapters.issued_file import IssuedFile
from proml.errors import LocalStorageError
from proml.ports import IssuedMessage

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = IssuedMessage("0xc", "0xs", 0, 9, "one.json"), IssuedMessage("0xc", "0xs", 1, 9, "zwei\n.json")


def test_what_was_added_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    assert IssuedFile(path).all() == ()
    IssuedFile(path).add(ONE)
    IssuedFile(path).add(TWO)
    assert IssuedFile(path).all() == (ONE, TWO)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("broken", [b'{"contract": "0x', b"\xff\x00", b"[]", b"{}", b'{"nonce": "0"}', b"[" * 10_000])
def test_a_line_that_a_crash_or_somebody_broke_is_passed_over(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "messages.jsonl"
    IssuedFile(path).add(ONE)
    with path.open("ab") as file:
        file.write(broken)
    IssuedFile(path).add(TWO)
    assert IssuedFile(path).all() == (ONE, TWO)


def test_a_file_that_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(LocalStorageError, match="cannot be read"):
        IssuedFile(tmp_path / "folder").all()
    with pytest.raises(LocalStorageError, match="cannot be written"):
        IssuedFile(tmp_path / "folder").add(ONE)
