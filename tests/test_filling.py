"""Partial files are continued, checked whole, and touched by one process at a time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.contents import Told, giving, piece_of, some_bytes

from proml.contents import CHUNK_BYTES, SourceFault
from proml.errors import ConflictError, LocalStorageError, VerificationError
from proml.filling import filled, watched

if TYPE_CHECKING:
    from pathlib import Path

    from proml.contents import Chunks, OpenAt

DATA = some_bytes(2 * CHUNK_BYTES + 77)
PIECE = piece_of(DATA)


def asked_from(offsets: list[int]) -> OpenAt:
    def open_at(offset: int) -> Chunks:
        offsets.append(offset)
        return giving(DATA)(offset)

    return open_at


@pytest.mark.parametrize("have", [0, 1, CHUNK_BYTES, len(DATA) - 1])
def test_a_partial_file_is_continued_where_it_ends(tmp_path: Path, have: int) -> None:
    partial = tmp_path / "partial"
    partial.write_bytes(DATA[:have])
    offsets: list[int] = []
    told = Told()
    with filled(partial, PIECE, asked_from(offsets), told):
        assert partial.read_bytes() == DATA
    assert offsets == [have]
    assert told.bytes == len(DATA)


def test_a_whole_partial_file_needs_no_source(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    partial.write_bytes(DATA)
    offsets: list[int] = []
    with filled(partial, PIECE, asked_from(offsets), Told()):
        pass
    assert offsets == []


@pytest.mark.parametrize("wrong", [b"x" * CHUNK_BYTES, DATA + b"more", b"x" * len(DATA)])
def test_a_part_from_before_that_was_wrong_costs_one_more_turn(tmp_path: Path, wrong: bytes) -> None:
    partial = tmp_path / "partial"
    partial.write_bytes(wrong)
    offsets: list[int] = []
    told = Told()
    with filled(partial, PIECE, asked_from(offsets), told):
        assert partial.read_bytes() == DATA
    assert told.bytes == len(DATA)
    assert offsets[-1:] == ([0] if not DATA.startswith(wrong[: len(DATA)]) else [])


def test_wrong_bytes_leave_nothing_to_continue(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    partial.write_bytes(DATA[:100])
    told = Told()
    with pytest.raises(VerificationError), filled(partial, PIECE, giving(b"x" * len(DATA)), told):
        pytest.fail("it was taken for whole")
    assert partial.read_bytes() == b""
    assert told.bytes == 0


def test_what_came_before_a_source_ended_is_kept(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    with pytest.raises(SourceFault, match="ended after"), filled(partial, PIECE, giving(DATA[:-7]), Told()):
        pytest.fail("it was taken for whole")
    assert partial.read_bytes() == DATA[:-7]


def test_a_source_that_gives_more_than_agreed_is_wrong(tmp_path: Path) -> None:
    def endless(offset: int) -> Chunks:
        yield from giving(DATA)(offset)
        while True:
            yield b"x"

    with pytest.raises(VerificationError, match="more than"), filled(tmp_path / "partial", PIECE, endless, Told()):
        pytest.fail("it was taken for whole")


def test_a_source_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def dripping() -> Chunks:
        for byte in DATA:
            now[0] += 1
            yield bytes([byte])

    with pytest.raises(SourceFault, match="too slow"):
        list(watched(dripping(), PIECE))


def test_two_do_not_fill_one_file(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    with filled(partial, PIECE, giving(DATA), Told()):
        with pytest.raises(ConflictError, match="at this moment"), filled(partial, PIECE, giving(DATA), Told()):
            pytest.fail("it was filled twice")
        partial.rename(tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == DATA


def test_a_link_or_pipe_in_the_place_of_a_partial_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(LocalStorageError), filled(tmp_path / name, PIECE, giving(DATA), Told()):
            pytest.fail("it was filled")
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_a_full_disk_is_said_and_what_came_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size >= CHUNK_BYTES:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: CHUNK_BYTES // 2])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(LocalStorageError, match="disk is full"), filled(tmp_path / "p", PIECE, giving(DATA), Told()):
        pytest.fail("it was filled")
    assert (tmp_path / "p").read_bytes() == DATA[:CHUNK_BYTES]
