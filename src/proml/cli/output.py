"""What the command line prints: JSON, tables, colours, progress. Whatever others wrote is made harmless first."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "dim": "bright_black", "name": "cyan"}
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SHORT_DIGITS = 4
_GUTTER = 2
_LEAST_ROOM = 24
_BAR_WIDTH = 24
_REDRAW_S = 0.1
_FIRST_RATE_S = 0.5  # before, a rate says nothing
_MINUTE_S = 60


def printable(text: object) -> str:
    """Returns text in which control, formatting and unassigned characters are escaped.

    Names, paths and notes come from other people: an escape sequence in one must not reach the terminal.
    """
    value = str(text)
    if value.isascii() and value.isprintable():
        return value
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in _HIDDEN_CATEGORIES
        else character
        for character in value
    )  # fmt: skip


def short(value: bytes | str) -> str:
    """Returns ``0x1234…abcd`` for an address, hash or digest."""
    text = f"0x{value.hex()}" if isinstance(value, bytes) else value
    prefix, _, digits = text.rpartition(":" if ":" in text else "0x")
    mark = text[: len(text) - len(digits)] if prefix or text.startswith("0x") else ""
    if len(digits) <= 2 * _SHORT_DIGITS + 1:
        return text
    return f"{mark}{digits[:_SHORT_DIGITS]}…{digits[-_SHORT_DIGITS:]}"


def when(seconds: float) -> str:
    """Returns a Unix time as ``2026-11-22 10:00:00Z``; a dash for none."""
    if not seconds:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"


def size(size_bytes: int) -> str:
    """Returns a size as people read it, in powers of 1,000."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":  # noqa: PLR2004 - the step between units
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return ""


def digests(record: Mapping[str, object]) -> str:
    """Returns how many digests of the content were not computed when it was recorded; empty if all were."""
    facts = record.get("facts")
    told = facts.get("digests") if isinstance(facts, dict) else None
    parts = told if isinstance(told, dict) else {}
    words = {"stated": "stated, not computed", "cached": "from the cache", "read": "computed"}
    return ", ".join(f"{parts[name]} {text}" for name, text in words.items() if parts.get(name))


def duration(seconds: float) -> str:
    """Returns a time to wait as people say it: ``42 s``, ``3:07 min``, ``2:05 h``."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _MINUTE_S * _MINUTE_S:
        return f"{whole // _MINUTE_S}:{whole % _MINUTE_S:02} min"
    minutes = whole // _MINUTE_S
    return f"{minutes // _MINUTE_S}:{minutes % _MINUTE_S:02} h"


class Coloured(str):
    """Text with colour codes that this module put there; it needs no escaping any more."""

    __slots__ = ()


def colour(text: object, kind: str) -> Coloured:
    """Returns the text, escaped, in the colour for ``good``, ``bad``, ``warn``, ``dim`` or ``name``.

    :func:`print_line` takes the colours out again where no terminal shows them.
    """
    return Coloured(click.style(printable(text), fg=_COLOURS[kind]))


def terminal(stream: TextIO | None = None) -> bool:
    """Tells whether a stream (standard output by default) is a terminal."""
    checked = sys.stdout if stream is None else stream
    try:
        return bool(checked.isatty())
    except (AttributeError, ValueError):
        return False


def print_line(line: str = "", *, error: bool = False) -> None:
    """Prints a line, with its colours only on a terminal and without NO_COLOR."""
    stream = sys.stderr if error else sys.stdout
    plain = bool(os.environ.get("NO_COLOR")) or not terminal(stream)
    text = click.unstyle(line) if plain else line
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), err=error, color=not plain)


def print_json(document: Mapping[str, object]) -> None:
    """Prints one JSON document."""
    import json  # noqa: PLC0415 - keeps --help quick

    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=True))


def plain(value: object) -> object:  # noqa: PLR0911 - one per type
    """Returns a value made of JSON types: bytes as 0x-hex, dataclasses as objects, sets sorted."""
    if value is None or isinstance(value, bool | int | float | str):
        return _plain_scalar(value)
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "items"):
        return {_plain_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def _plain_key(key: object) -> str:
    return f"0x{key.hex()}" if isinstance(key, bytes) else str(key)


def _plain_scalar(value: object) -> object:
    # JSON has no NaN or infinity; a metric may have.
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN
        return str(value)
    return value


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yields the lines of a table: columns aligned, the last one wrapped at the width of the screen.

    Args:
        headings: One per column.
        rows: Cells; integers are aligned to the right.
    """
    cells = [[printable_cell(cell) for cell in row] for row in rows]
    widths = [
        max([_width(heading), *(_width(row[column]) for row in cells)]) for column, heading in enumerate(headings)
    ]
    numeric = [all(isinstance(row[column], int) for row in rows) and bool(rows) for column in range(len(headings))]
    gutter = " " * _GUTTER
    start = sum(widths[:-1]) + _GUTTER * (len(widths) - 1)
    room = screen_width() - start
    # Too little room beside the other columns: below them, indented.
    below = room < min(widths[-1], _LEAST_ROOM)

    def lines(items: Sequence[str]) -> Iterator[str]:
        parts = [_pad(item, widths[column], right=numeric[column]) for column, item in enumerate(items)]
        if below:
            yield gutter.join(parts[:-1]).rstrip()
            yield from (f"{gutter}{gutter}{part}" for part in _wrap(items[-1], screen_width() - 2 * _GUTTER))
            return
        first, *more = _wrap(parts[-1], room) or [""]
        yield gutter.join([*parts[:-1], first]).rstrip()
        yield from (f"{'':{start}}{part}" for part in more)

    if any(headings):
        yield from (colour(line, "dim") for line in lines(list(headings)))
    for row in cells:
        yield from lines(row)


def fields(pairs: Sequence[tuple[str, object]]) -> Iterator[str]:
    """Yields lines ``name   value``, aligned; pairs without a value are left out."""
    kept = [(name, value) for name, value in pairs if value not in (None, "", ())]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        yield f"{colour(name.ljust(width), 'dim')}  {printable_cell(value)}"


def printable_cell(cell: object) -> str:
    """Returns a cell's text, escaped unless :func:`colour` made it, which escapes by itself."""
    return cell if isinstance(cell, Coloured) else printable(cell)


def screen_width() -> int:
    """Returns the number of columns; without a terminal nothing is cut."""
    return _columns() if terminal() else 10_000


def _columns() -> int:
    import shutil  # noqa: PLC0415 - keeps --help quick

    return shutil.get_terminal_size((80, 24)).columns


@contextlib.contextmanager
def progress(label: str, *, quiet: bool = False, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Shows a progress bar on standard error, on a terminal only.

    Args:
        label: What goes on.
        quiet: Show nothing.
        in_bytes: What is done is bytes: also show how many a second, and the time left.

    Yields:
        A function that takes what is done and the total (0 when it is unknown), both in the same unit.
    """
    if quiet or not terminal(sys.stderr):
        yield lambda _done, _total: None
        return
    bar = _Bar(label, in_bytes=in_bytes)
    try:
        yield bar.advance
    finally:
        bar.clear()


class _Bar:
    """A line on standard error that is drawn again at most ten times a second, and always at the end."""

    def __init__(self, label: str, *, in_bytes: bool) -> None:
        self._label = label
        self._in_bytes = in_bytes
        self._started = time.monotonic()
        self._drawn = 0.0

    def advance(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._drawn and now - self._drawn < _REDRAW_S and done != total:
            return
        self._drawn = now
        filled = _BAR_WIDTH * done // total if total else 0
        percent = f"{100 * done // total:>3} %" if total else size(done)
        # A narrow terminal must not wrap the line: it could not be drawn over.
        text = f"{self._label} [{'#' * filled}{' ' * (_BAR_WIDTH - filled)}] {percent}{self._pace(done, total, now)}"
        columns = _columns()
        click.echo(f"\r{text[-columns + 1 :] if len(text) >= columns else text}\x1b[K", err=True, nl=False)

    def clear(self) -> None:
        if self._drawn:
            click.echo("\r\x1b[K", err=True, nl=False)

    def _pace(self, done: int, total: int, now: float) -> str:
        elapsed_s = now - self._started
        if not self._in_bytes or not done or elapsed_s < _FIRST_RATE_S:
            return ""
        left = f", {duration(elapsed_s * (total - done) / done)} left" if done < total else ""
        return f"  {size(int(done / elapsed_s))}/s{left}"


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in click.unstyle(text)
    )


def _pad(text: str, width: int, *, right: bool) -> str:
    filler = " " * (width - _width(text))
    return filler + text if right else text + filler


def _wrap(text: str, width: int) -> list[str]:
    """Breaks text at spaces so that each part fits the width; a longer word stands alone, and is not broken."""
    if _width(text) <= width:
        return [text] if text.strip() else []
    parts: list[str] = []
    for word in click.unstyle(text).split():
        if parts and _width(parts[-1]) + 1 + _width(word) <= width:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts
