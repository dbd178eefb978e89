"""What is printed: harmless, aligned, plain where no terminal shows it."""

from __future__ import annotations

import io
import json
import unicodedata
from dataclasses import dataclass

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.cli import output


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@given(st.text())
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    """Law: printable(text) has no control, format, surrogate or unassigned character."""
    assert {unicodedata.category(c) for c in output.printable(text)}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_people_write_stays_as_it_is(text: str) -> None:
    """Law: printable(text) == text for letters, numbers, punctuation and symbols of any script."""
    assert output.printable(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytes(range(32)), "0x0001…1e1f"),
        ("0x2FBb8D611c3DD555b5Fa8adDbeD95ed7B76077B0", "0x2FBb…77B0"),
        ("sha256:" + "ab" * 32, "sha256:abab…abab"),
        ("0x1234", "0x1234"),
    ],
)
def test_addresses_and_digests_are_shortened(value: bytes | str, expected: str) -> None:
    assert output.short(value) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (10**16, "10000.0 TB")],
)
def test_sizes_are_readable(amount: int, expected: str) -> None:
    assert output.size(amount) == expected


@pytest.mark.parametrize(
    ("time", "expected"), [(0, "-"), (1_700_000_000, "2023-11-14 22:13:20Z"), (10**30, f"@{10**30}")]
)
def test_times_are_readable(time: int, expected: str) -> None:
    assert output.when(time) == expected


def test_columns_of_a_table_are_aligned_and_numbers_to_the_right() -> None:
    lines = [click.unstyle(line) for line in output.table(("name", "n", ""), [("a", 5, "x"), ("日本", 12, "y")])]
    assert lines == ["name   n", "a      5  x", "日本  12  y"]


def test_a_table_fits_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "screen_width", lambda: 27)
    lines = [click.unstyle(line) for line in output.table(("a", "b"), [("x", "word " * 7)])]
    assert lines[1:] == ["x  word word word word word", "   word word"]


def test_the_last_column_goes_below_where_it_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "screen_width", lambda: 20)
    lines = [click.unstyle(line) for line in output.table(("a", "b"), [("x" * 15, "one two three four")])]
    assert lines == ["a", "    b", "x" * 15, "    one two three", "    four"]


def test_cells_from_others_are_escaped_and_our_colours_stay() -> None:
    line = list(output.table(("a", "b"), [("\x1b[31mred", output.colour("ok", "good"))]))[1]
    assert "\\x1b[31mred" in line
    assert output.colour("ok", "good") in line


def test_colours_escape_what_they_colour() -> None:
    assert click.unstyle(output.colour("a\x1b[0m", "bad")) == "a\\x1b[0m"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_show_on_a_terminal_unless_refused(
    monkeypatch: pytest.MonkeyPatch, *, no_color: str, coloured: bool
) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("NO_COLOR", no_color)
    output.print_line(output.colour("ok", "good"))
    assert ("\x1b[" in stream.getvalue()) == coloured


def test_colours_do_not_reach_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_line(output.colour("ok", "good"))
    assert capsys.readouterr().out == "ok\n"


def test_a_progress_bar_shows_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.progress("reading") as advance:
        advance(1, 2)
    assert capsys.readouterr().err == ""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with output.progress("reading") as advance:
        advance(1, 2)
        advance(5, 0)
    assert "50 %" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_progress_bar_in_bytes_shows_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with output.progress("reading", in_bytes=True) as advance:
        advance(0, 4_000_000)
        now[0] = 102.0
        advance(1_000_000, 4_000_000)
        now[0] = 108.0
        advance(4_000_000, 4_000_000)
    drawn = stream.getvalue().split("\r")
    assert "25 %  500.0 kB/s, 6 s left" in drawn[2]
    assert "100 %  500.0 kB/s" in drawn[3]
    assert "left" not in drawn[3]


def test_a_progress_bar_is_drawn_ten_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with output.progress("reading") as advance:
        for done in range(1001):
            now[0] += 0.001
            advance(done, 1000)
    assert 9 <= stream.getvalue().count("reading") <= 12


@pytest.mark.parametrize("columns", [30, 80])
def test_a_progress_bar_never_wraps(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with output.progress("reading " + "long/" * 30, in_bytes=True) as advance:
        advance(1, 2)
    assert max(len(line.replace("\x1b[K", "")) for line in stream.getvalue().split("\r")) < columns


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (187, "3:07 min"), (7500, "2:05 h")])
def test_times_to_wait_are_said_as_people_do(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


@dataclass
class Thing:
    digest: bytes
    parts: tuple[int, ...]


def test_json_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"a": Thing(b"\x01", (1, 2)), "n": float("nan"), "s": {3, 1}, "k": {b"\x02": None}})
    assert json.loads(capsys.readouterr().out) == {
        "a": {"digest": "0x01", "parts": [1, 2]}, "n": "nan", "s": [1, 3], "k": {"0x02": None}
    }  # fmt: skip


def test_text_that_the_terminal_cannot_show_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    output.print_line("a → b")
    stream.flush()
    assert stream.buffer.getvalue() == b"a ? b\n"
