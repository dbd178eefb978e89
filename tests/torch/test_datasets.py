from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from datasets import Dataset, DatasetDict, IterableDataset, concatenate_datasets, load_from_disk

import proml
from proml import frames
from proml.core.digest import format_digest
from proml.core.record import validate_record
from proml.integrations.datasets import content_of, use

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

ROWS = {"text": [f"line {number}" for number in range(50)], "label": [number % 3 for number in range(50)]}


def made() -> Any:
    return Dataset.from_dict(ROWS)


def test_a_data_set_is_named_by_its_rows_and_its_fingerprint_is_what_is_stated(here: Recorded) -> None:
    dataset = made()
    with proml.start_run():
        use(dataset, role="training data")
    record = here.record
    validate_record(record)
    (used,) = record["uses"]
    assert used["role"] == "training data"
    assert used["content"] == format_digest(content_of(dataset).digest)
    stated = record["parameters"]["datasets.training data"]
    assert (stated["fingerprint"], stated["rows"]) == (dataset._fingerprint, 50)
    assert stated["columns"] == ["text", "label"]


def test_the_splits_of_a_data_set_are_inputs_of_their_own(here: Recorded) -> None:
    splits = made().train_test_split(test_size=10, seed=0)
    assert isinstance(splits, DatasetDict)
    with proml.start_run():
        use(splits, role="data")
    assert [used["role"] for used in here.record["uses"]] == ["data, train", "data, test"]
    assert len({used["content"] for used in here.record["uses"]}) == 2


def test_how_a_data_set_was_made_does_not_matter(here: Recorded) -> None:
    dataset = made()
    dataset.save_to_disk("saved")
    same = {
        "saved": load_from_disk("saved"),
        "in parts": concatenate_datasets([dataset.select(range(20)), dataset.select(range(20, 50))]),
        "by indices": dataset.select(list(reversed(range(50)))).select(list(reversed(range(50)))),
        "a frame": dataset,
    }
    digests = {name: content_of(one).digest for name, one in same.items()}
    assert set(digests.values()) == {content_of(dataset).digest}
    assert frames.manifest(dataset.with_format("arrow")[:]) == content_of(dataset)


@pytest.mark.parametrize(
    "other",
    [
        lambda one: one.shuffle(seed=1),
        lambda one: one.select(range(49)),
        lambda one: one.rename_column("text", "words"),
        lambda one: one.map(lambda row: {"label": row["label"] + (row["text"] == "line 31")}),
    ],
    ids=["order", "rows", "names", "one value"],
)
def test_every_row_matters(here: Recorded, other: Any) -> None:
    assert content_of(other(made())).digest != content_of(made()).digest


def test_rows_that_are_made_while_they_are_read_are_said_and_do_not_stop_the_script(
    here: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    stream = IterableDataset.from_generator(lambda: iter([{"a": 1}]))
    with caplog.at_level(logging.WARNING, "proml"), proml.start_run():
        use(stream)
    assert "whose rows are all there; found IterableDataset" in caplog.text
    assert "uses" not in here.record
