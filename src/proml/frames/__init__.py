"""Data frames as content: the whole of a pandas, polars or Arrow table, named by a manifest.

A frame is taken for the folder that :func:`save` writes: ``schema.json`` and one file for each column. So a frame in
memory and that folder have the same content digest, anybody can check it without this module, and two manifests show
which columns differ. How a column becomes bytes is in :mod:`proml.frames.columns`: it depends on types and values
alone, not on how the library divides a column into chunks, nor on which library holds it.

What counts: names, order and types of the columns, order of the rows, every value; null and not-a-number differ. A
pandas index counts as columns, unless it only numbers the rows from 0.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proml.core.canonical import canonical_json
from proml.core.digest import sha256
from proml.core.manifest import Manifest, Resource
from proml.errors import ContentError, LocalStorageError, MissingExtra
from proml.frames.columns import describe, parts

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "proml/frame/v1"
SCHEMA_FILE = "schema.json"
_MODULES = ("pandas", "polars", "pyarrow")
_THREADS = 8


def is_frame(value: object) -> bool:
    """Tells whether a value is a frame of pandas or polars, or anything that exports Arrow data; imports none."""
    return type(value).__module__.partition(".")[0] in _MODULES or hasattr(value, "__arrow_c_stream__")


def manifest(frame: object) -> Manifest:
    """Returns the manifest of a frame's content.

    Args:
        frame: A pandas or polars DataFrame or Series, or an Arrow table or record batch.

    Raises:
        ContentError: A column's type has no agreed form; the message names the column.
        MissingExtra: pyarrow is not installed.
    """
    columns = _columns(frame)
    schema = _schema(columns)
    threads = min(_THREADS, os.cpu_count() or 1, len(columns) or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="proml-frames") as pool:
        hashed = list(pool.map(_hash, range(len(columns)), [column for _, column in columns]))
    return Manifest.of([Resource(SCHEMA_FILE, "sha256", sha256(schema), len(schema)), *hashed])


def save(frame: object, folder: str | os.PathLike[str]) -> Path:
    """Writes a frame as the folder that has its content digest.

    Args:
        frame: As for :func:`manifest`.
        folder: A new folder.

    Returns:
        The folder.

    Raises:
        ContentError, MissingExtra: As :func:`manifest`.
        LocalStorageError: It cannot be written, or is there already.
    """
    path = Path(folder)
    columns = _columns(frame)
    try:
        path.mkdir()
        (path / SCHEMA_FILE).write_bytes(_schema(columns))
        for number, (_, column) in enumerate(columns):
            with (path / _file(number)).open("xb") as file:
                for part in parts(column):
                    file.write(part)
    except OSError as error:
        raise LocalStorageError(
            f"expected to write the frame into a new folder {path}; {error.strerror}.", hint="Name a folder to make."
        ) from error
    return path


def _columns(frame: object) -> list[tuple[object, Any]]:
    """Returns names and Arrow columns; a name is text, or what another library's name is told by."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra(
            "expected pyarrow, through which frames are read; it is not installed.",
            hint="Install it: pip install 'proml[pandas]' or 'proml[polars]'.",
        ) from error
    try:
        if type(frame).__module__.startswith("pandas"):
            from proml.frames.from_pandas import pandas_columns  # noqa: PLC0415 - needs pandas

            return pandas_columns(frame)
        if type(frame).__module__.startswith("polars") and type(frame).__name__ == "Series":
            frame = cast("Any", frame).to_frame()
        table = frame if isinstance(frame, pa.Table) else _exported(pa, frame)
        return [(name, table.column(number)) for number, name in enumerate(table.column_names)]
    except pa.ArrowException as error:
        raise ContentError(
            f"the frame cannot be read as a table: {error}.", hint="Give each column one type, or save it as a file."
        ) from error


def _exported(pa: Any, frame: object) -> Any:
    if not hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pa.RecordBatch):
        raise ContentError(
            f"expected a data frame, found {type(frame).__module__}.{type(frame).__qualname__}.",
            hint="Collect a lazy frame first: frame.collect().",
        )
    return pa.table(frame)


def _schema(columns: list[tuple[object, Any]]) -> bytes:
    rows = len(columns[0][1]) if columns else 0
    described = [{"name": name, "type": describe(column.type, str(name))} for name, column in columns]
    return canonical_json(cast("Any", {"format": FORMAT, "rows": rows, "columns": described}))


def _file(number: int) -> str:
    return f"column-{number:06d}"


def _hash(number: int, column: Any) -> Resource:
    hasher, size_bytes = hashlib.sha256(), 0
    for part in _sized(parts(column)):
        hasher.update(part)
        size_bytes += part.nbytes
    return Resource(_file(number), "sha256", hasher.digest(), size_bytes)


def _sized(pieces: Iterator[Any]) -> Iterator[memoryview]:
    yield from (memoryview(piece) for piece in pieces)
