"""A data frame has one content digest, whatever holds it; everything that is part of it changes the digest."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import proml
from proml import frames
from proml.errors import ContentError, LocalStorageError
from proml.hashing import hash_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.frameworks.conftest import Recorded

ROWS = 50
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
COLUMNS: dict[str, list[Any]] = {
    "count": [3 * row for row in range(ROWS)],
    "size": [row / 7 for row in range(ROWS)],
    "name": [f"patient {row}" for row in range(ROWS)],
    "malignant": [row % 3 == 0 for row in range(ROWS)],
    "at": [NOW + dt.timedelta(minutes=row) for row in range(ROWS)],
}


def digest(frame: object) -> bytes:
    return frames.manifest(frame).digest


def pandas_frame(**changed: list[Any]) -> pd.DataFrame:
    frame = pd.DataFrame({**COLUMNS, **changed})
    frame["at"] = frame["at"].astype("datetime64[us, UTC]")
    return frame


def polars_frame() -> pl.DataFrame:
    return pl.DataFrame(COLUMNS, schema_overrides={"at": pl.Datetime("us", "UTC")})


def test_pandas_polars_and_arrow_agree() -> None:
    arrow = pa.table(COLUMNS, schema=pa.schema([
        ("count", pa.int64()), ("size", pa.float64()), ("name", pa.string()), ("malignant", pa.bool_()),
        ("at", pa.timestamp("us", "UTC")),
    ]))  # fmt: skip
    assert digest(pandas_frame()) == digest(polars_frame()) == digest(arrow)


def test_chunks_make_no_difference() -> None:
    whole = polars_frame()
    parts = [whole[start : start + 7] for start in range(0, ROWS, 7)]
    in_chunks = pl.concat(parts, rechunk=False)
    assert in_chunks.n_chunks() > 1
    assert digest(in_chunks) == digest(whole)
    table = pa.concat_tables([part.to_arrow() for part in parts])
    assert digest(table) == digest(whole)
    assert digest(pa.concat_tables([whole.to_arrow(), whole.to_arrow()]).slice(13, ROWS)) != digest(whole)
    assert digest(pa.concat_tables([whole.to_arrow(), whole.to_arrow()]).slice(ROWS, ROWS)) == digest(whole)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(count=frame["count"].where(frame["count"] != 9, 10)),
        lambda frame: frame.assign(size=frame["size"].where(frame.index != 49, np.nextafter(frame["size"][49], 8))),
        lambda frame: frame.assign(name=frame["name"].where(frame.index != 20, "patient 2O")),
        lambda frame: frame.assign(malignant=~frame["malignant"]),
        lambda frame: frame.assign(at=frame["at"] + pd.Timedelta("1us")),
        lambda frame: frame.assign(at=frame["at"].astype("datetime64[ms, UTC]")),
        lambda frame: frame.assign(at=frame["at"].dt.tz_convert("Europe/Paris")),
        lambda frame: frame.assign(count=frame["count"].astype("int32")),
        lambda frame: frame.assign(size=frame["size"].astype("float32")),
        lambda frame: frame.assign(name=frame["name"].astype("category")),
        lambda frame: frame[["size", "count", "name", "malignant", "at"]],
        lambda frame: frame.rename(columns={"size": "Size"}),
        lambda frame: frame.iloc[::-1].reset_index(drop=True),
        lambda frame: frame.iloc[:-1],
        lambda frame: frame.iloc[1:],
        lambda frame: pd.concat([frame, frame.iloc[:1]], ignore_index=True),
        lambda frame: frame.set_index("count"),
        lambda frame: frame.assign(more=1),
        lambda frame: frame.drop(columns="size"),
        lambda frame: frame.assign(name=frame["name"].where(frame.index != 20, None)),
        lambda frame: frame.assign(name=frame["name"].where(frame.index != 20, "")),
    ],
)  # fmt: skip
def test_every_change_changes_the_digest(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = pandas_frame()
    assert digest(change(frame)) != digest(frame)


def test_null_and_not_a_number_differ() -> None:
    with_nan = pl.DataFrame({"x": [1.0, float("nan"), 3.0]})
    with_null = pl.DataFrame({"x": [1.0, None, 3.0]})
    assert digest(with_nan) != digest(with_null)
    assert digest(pd.DataFrame({"x": [1.0, float("nan"), 3.0]})) == digest(with_nan)
    assert digest(pd.DataFrame({"x": pd.array([1.0, None, 3.0], dtype="Float64")})) == digest(with_null)


def test_not_a_number_is_one_value_whatever_its_bits_are() -> None:
    other = np.array([1.0, -np.nan])
    other.view(np.uint64)[1] |= 5
    assert digest(pd.DataFrame({"x": other})) == digest(pd.DataFrame({"x": [1.0, np.nan]}))
    assert digest(pd.DataFrame({"x": [0.0]})) != digest(pd.DataFrame({"x": [-0.0]}))


def test_what_lies_under_a_null_is_no_content() -> None:
    validity = pa.py_buffer(bytes([0b101]))
    first, second = (pa.Array.from_buffers(pa.int64(), 3, [validity, pa.py_buffer(np.array(values))])
                     for values in ([1, 2, 3], [1, 9, 3]))  # fmt: skip
    assert digest(pa.table({"x": first})) == digest(pa.table({"x": second}))


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ([[1, 2], [], None, [3]], [[1], [2], None, [3]]),
        ([["a", None], ["b"]], [["a"], [None, "b"]]),
        ([{"a": 1, "b": "x"}, {"a": None, "b": "y"}], [{"a": 1, "b": "x"}, {"a": 0, "b": "y"}]),
        ([b"\x00\x01", b""], [b"\x00", b"\x01"]),
        ([None, None], ["", ""]),
        ([dt.date(2026, 1, 1)], [dt.date(2026, 1, 2)]),
        ([dt.timedelta(seconds=1)], [dt.timedelta(seconds=2)]),
        ([dt.time(1, 2)], [dt.time(2, 1)]),
        (["ab", "c"], ["a", "bc"]),
    ],
)  # fmt: skip
def test_values_of_every_type_count(column: list[Any], other: list[Any]) -> None:
    first, second = pl.DataFrame({"x": column}), pl.DataFrame({"x": other})
    assert digest(first) == digest(pl.DataFrame({"x": column}))
    assert digest(first) != digest(second)
    kind = first.to_arrow().schema.field("x").type
    assert digest(first) == digest(pa.table({"x": pa.array(column, kind)}))


def test_a_frame_without_rows_has_categories_too() -> None:
    ordered = pd.DataFrame({"x": pd.Categorical([], categories=["a", "b"], ordered=True)})
    assert digest(ordered) != digest(pd.DataFrame({"x": pd.Categorical([], categories=["b", "a"], ordered=True)}))


def test_decimals_and_half_floats_count() -> None:
    kind = pa.decimal128(10, 2)
    numbers, others = (pa.array([Decimal(1), None, Decimal(last)], kind) for last in (3, 4))
    assert digest(pa.table({"x": numbers})) != digest(pa.table({"x": others}))
    halves = [pa.table({"x": pa.array(np.array(values, dtype=np.float16))}) for values in ([1.0, 2.0], [1.0, 2.5])]
    assert digest(halves[0]) != digest(halves[1])


def test_ordered_categories_count_in_their_order_and_others_by_value() -> None:
    values = ["low", "high", "low"]
    low_high, high_low = (
        pd.DataFrame({"x": pd.Categorical(values, categories=order, ordered=True)})
        for order in (["low", "high"], ["high", "low"])
    )
    assert digest(low_high) != digest(high_low)
    loose, other = (
        pd.DataFrame({"x": pd.Categorical(values, categories=order)}) for order in (["low", "high"], ["high", "low"])
    )
    assert digest(loose) == digest(other) == digest(pl.DataFrame({"x": pl.Series(values, dtype=pl.Categorical)}))
    assert digest(loose) != digest(low_high)
    assert digest(low_high) == digest(pl.DataFrame({"x": pl.Series(values, dtype=pl.Enum(["low", "high"]))}))


def test_missing_values_of_text_are_one_however_pandas_writes_them() -> None:
    first, second, third = (
        pd.DataFrame({"x": pd.Series(["a", missing], dtype=object)}) for missing in (None, float("nan"), pd.NA)
    )
    assert digest(first) == digest(second) == digest(third) == digest(pl.DataFrame({"x": ["a", None]}))


def test_half_the_rows_and_every_timestamp_changed_is_another_dataset() -> None:
    """A digest of a sample of rows, with times left out, calls these two the same."""
    rows = 40_000
    at = pd.date_range("2026-01-01", periods=rows, freq="min")
    first = pd.DataFrame({"at": at, "value": np.arange(rows)})
    second = pd.DataFrame({"at": at + pd.Timedelta("1D"), "value": np.arange(rows)}).iloc[: rows // 2]
    assert digest(first) != digest(second)
    assert digest(first) != digest(first.assign(at=first["at"] + pd.Timedelta("1D")))
    changed = first.copy()
    changed.loc[rows - 1, "value"] = 0
    assert digest(first) != digest(changed)


def test_a_saved_frame_is_a_folder_of_the_same_content(tmp_path: Path) -> None:
    frame = pandas_frame(name=[None if row == 3 else f"p{row}" for row in range(ROWS)])
    folder = frames.save(frame, tmp_path / "frame")
    assert hash_path(folder) == frames.manifest(frame)
    with pytest.raises(LocalStorageError, match="new folder"):
        frames.save(frame, folder)


def test_an_empty_frame_and_a_series_have_content() -> None:
    assert digest(pd.DataFrame()) == digest(pl.DataFrame())
    assert digest(pd.DataFrame({"x": np.array([], dtype="int64")})) == digest(
        pl.DataFrame({"x": pl.Series([], dtype=pl.Int64)})
    )
    assert digest(pd.Series([1, 2], name="x")) == digest(pl.Series("x", [1, 2])) == digest(pl.DataFrame({"x": [1, 2]}))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"x": [1]}).lazy(), "collect"),
        (pd.DataFrame({"x": [1, "a"]}, dtype=object), "one type"),
        (pd.DataFrame({"x": [object()]}), "one type"),
        (pd.DataFrame({"x": pd.period_range("2026-01", periods=2, freq="M")}), "no agreed form"),
        (17, "expected a data frame"),
    ],
)
def test_what_has_no_agreed_form_is_refused(frame: object, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        frames.manifest(frame)


def test_a_run_uses_and_publishes_frames(here: Recorded) -> None:
    frame = polars_frame()
    with proml.start_run("frames", strict=True) as run:
        used = run.use(frame, role="training data", name="tumours")
        content = run.publish(
            "tumours-clean", frame.filter(pl.col("size") > 1).to_pandas(), kind="dataset", action="derive"
        )
    assert used.content == f"sha256:{digest(frame).hex()}"
    (record,) = here.records
    assert record["uses"] == [
        {
            "role": "training data",
            "name": "tumours",
            "content": used.content,
            "size_bytes": frames.manifest(frame).size_bytes,
        }
    ]
    assert content == f"sha256:{digest(frame.filter(pl.col('size') > 1)).hex()}"
    assert record["content"]["resources"][-1]["name"] == frames.SCHEMA_FILE


def test_a_frame_that_cannot_be_read_is_a_warning(here: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    with proml.start_run("frames") as run:
        run.use(pd.DataFrame({"x": [1, "a"]}, dtype=object), name="mixed")
        run.log_param("went", "on")
    assert "one type" in caplog.text
    assert here.record["parameters"] == {"went": "on"}
