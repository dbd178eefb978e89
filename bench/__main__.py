"""Runs the measurements: ``python -m bench [NAME…]`` prints a table and writes ``bench/out/summary.json``.

A name given in full or in part (``gas``, ``cli.help_ms``) selects the modules that measure it, ``all`` everything.
Without names, the modules that take long (their ``MINUTES``) are left out, and named.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

MODULES = (
    "gas",
    "embedded",
    "capture",
    "observed",
    "observations",
    "peers",
    "command_line",
    "training",
    "hashing",
    "exchange",
    "frames",
    "sampling",
    "cost",
    "network",
)
COLUMNS = ("name", "value", "unit", "target", "met", "peer", "peer_value")

Row = Mapping[str, object]


def main(wanted: Sequence[str]) -> int:
    """Measures what is wanted and returns the exit status: 2 for an unknown name, else 0."""
    modules = {name: importlib.import_module(f"bench.{name}") for name in MODULES}
    known = {row: name for name, module in modules.items() for row in module.NAMES}
    if everything := list(wanted) == ["all"]:
        wanted = []
    if unknown := [word for word in wanted if not any(row.startswith(word) for row in known)]:
        print(f"error: nothing measures {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = {name for row, name in known.items() if not wanted or any(row.startswith(word) for word in wanted)}
    long = {name: minutes for name in chosen if (minutes := getattr(modules[name], "MINUTES", 0))}
    if not wanted and not everything:
        chosen -= long.keys()
        for name, minutes in long.items():
            print(f"left out: {name}, which takes about {minutes} min; `make bench NAMES={name}`, or NAMES=all")
    rows: list[Row] = []
    for name in MODULES:
        if name in chosen:
            start = time.monotonic()
            rows += modules[name].rows()
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    if wanted:
        rows = [row for row in rows if any(str(row["name"]).startswith(word) for word in wanted)]
    print_table(rows)
    write_summary(rows)
    return 0


def print_table(rows: Sequence[Row]) -> None:
    """Prints the rows as an aligned table."""
    cells = [COLUMNS, *([show(row.get(column)) for column in COLUMNS] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show(value: object) -> str:
    """Returns a cell's text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if not isinstance(value, float | int):
        return str(value)
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"


def write_summary(rows: Sequence[Row]) -> None:
    """Writes the rows, replacing those of the same names that an earlier run wrote."""
    path = Path(__file__).parent / "out" / "summary.json"
    path.parent.mkdir(exist_ok=True)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    measured = {row["name"] for row in rows}
    merged = [row for row in kept if row["name"] not in measured] + [dict(row) for row in rows]
    path.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
