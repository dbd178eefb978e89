"""Hugging Face Datasets: a data set as an input, named by its content.

    use(dataset, role="training data")

A fingerprint of Datasets tells how a data set was made on this machine, not what is in it: it is recorded as what
Datasets states. What counts is the content digest, made from all rows as :mod:`proml.frames` does for any table: it
does not depend on how rows lie in files, on indices, or on how the data set was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml import frames
from proml.capture import active
from proml.errors import ContentError
from proml.integrations.session import careful, use_content

if TYPE_CHECKING:
    from proml.capture.run import Run
    from proml.core.manifest import Manifest


def use(dataset: Any, *, role: str = "input", name: str | None = None) -> None:
    """Records a data set as an input of the active run.

    Args:
        dataset: A ``Dataset``, or a ``DatasetDict``, whose splits are inputs of their own.
        role: What it is used as; a split's name is added.
        name: What it is called in the record; by default its builder's name.
    """
    run = active.current()
    if run is not None and run.folder is not None:
        _use(run, dataset, role, name)


def content_of(dataset: Any) -> Manifest:
    """Returns the manifest of a data set's rows, that of the same rows as a frame.

    Rows in Arrow files are read from there without a copy; those that are chosen by indices (after ``shuffle`` or
    ``select``) are copied into memory.

    Raises:
        ContentError: The rows are made while they are read (``IterableDataset``), or a column's type has no form.
    """
    if not hasattr(dataset, "num_rows") or not hasattr(dataset, "with_format"):
        raise ContentError(
            f"expected a Dataset, whose rows are all there; found {type(dataset).__name__}.",
            hint="Record the files that it reads, with run.use(PATH).",
        )
    return frames.manifest(dataset.with_format("arrow")[:])


@careful("record a data set")
def _use(run: Run, dataset: Any, role: str, name: str | None) -> None:
    if isinstance(dataset, dict):
        for split, part in dataset.items():
            _use(run, part, f"{role}, {split}", name)
        return
    what = name or getattr(dataset, "builder_name", None) or "dataset"
    use_content(run, content_of(dataset), role=role, what=f"({what})")
    stated = {
        "fingerprint": dataset._fingerprint,  # noqa: SLF001 - Datasets has no public name for it
        "rows": dataset.num_rows,
        "columns": dataset.column_names,
        "split": str(dataset.split) if dataset.split is not None else None,
        "config": dataset.config_name,
        "version": str(dataset.version) if dataset.version is not None else None,
    }
    run.log_params({f"datasets.{role}": {key: value for key, value in stated.items() if value is not None}})
