from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.frameworks.snippets import snippet

from proml.core.record import validate_record

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

PUBLISHED = {
    "scikit-learn": "iris-model",
    "XGBoost": "iris-booster",
    "LightGBM": "iris-booster",
    "Keras": "iris-network",
    "Optuna": None,
}


@pytest.mark.parametrize("section", PUBLISHED)
def test_the_snippet_of_the_documentation_records(
    section: str, here: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    code = snippet(section)
    exec(compile(code, section, "exec"), {"__name__": "__main__"})
    record = here.record
    validate_record(record)
    assert record["parameters"]
    assert record["metrics"]
    assert record.get("artefact", {}).get("name") == PUBLISHED[section]
