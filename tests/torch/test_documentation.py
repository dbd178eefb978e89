from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.frameworks.snippets import snippet

from proml.core.record import validate_record

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

PUBLISHED = {"PyTorch Lightning": "line", "Hugging Face Trainer": "small-gpt", "Hugging Face Datasets": None}


@pytest.mark.parametrize("section", PUBLISHED)
def test_the_snippet_of_the_documentation_records(section: str, here: Recorded) -> None:
    exec(compile(snippet(section), section, "exec"), {"__name__": "__main__"})
    record = here.record
    validate_record(record)
    assert record["parameters"]
    assert record.get("artefact", {}).get("name") == PUBLISHED[section]
