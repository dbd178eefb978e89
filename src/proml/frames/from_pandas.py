"""Reads a pandas frame as Arrow columns, without the changes that a conversion for convenience makes.

In floating-point columns not-a-number stays what it is. In columns of objects, text, times and categories pandas itself
knows one kind of missing value, however it is written (None, NaN, NaT, NA): that is null.
"""

from __future__ import annotations

from typing import Any


def pandas_columns(frame: Any) -> list[tuple[object, Any]]:
    """Returns names and Arrow columns: first those of the index, unless it only numbers the rows from 0.

    Args:
        frame: A DataFrame or Series.
    """
    import pandas as pd  # noqa: PLC0415 - an extra

    if isinstance(frame, pd.Index):
        frame = frame.to_frame(index=False)
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(name="0" if frame.name is None else frame.name)
    columns: list[tuple[object, Any]] = []
    index = frame.index
    if not (isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None):
        for level, name in enumerate(index.names):
            columns.append(({"index": _name(name)}, _column(index.get_level_values(level))))
    columns += [(_name(name), _column(frame.iloc[:, number])) for number, name in enumerate(frame.columns)]
    return columns


def _name(name: object) -> object:
    return name if isinstance(name, str) else {type(name).__name__: str(name)}


def _column(values: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - comes with pandas
    import pandas as pd  # noqa: PLC0415 - an extra
    import pyarrow as pa  # noqa: PLC0415 - an extra

    kept = values.array
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        column = pa.array(values.to_numpy(), from_pandas=False)
    elif isinstance(values.dtype, pd.DatetimeTZDtype):
        kind = pa.timestamp(values.dtype.unit, str(values.dtype.tz))
        column = pa.array(kept.tz_convert(None).to_numpy(), kind)  # not-a-time is null
    elif hasattr(kept, "__arrow_array__"):
        column = pa.array(kept)
    else:
        column = pa.array(values, from_pandas=True)
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
