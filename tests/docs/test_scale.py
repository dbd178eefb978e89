"""The calculation of how far it scales stands in the document as the code makes it."""

from __future__ import annotations

import json

import pytest
from bench.scale import CONSTANTS, DOCUMENT, ENGINES, MEASURED, ORGANISATIONS, in_document, read_constants, tables


def test_every_constant_was_measured() -> None:
    assert set(json.loads(CONSTANTS.read_text())) == set(MEASURED)
    assert all(value > 0 for value in read_constants().values())


@pytest.mark.parametrize("name", ["engines", "participant", "observations"])
def test_the_document_has_the_table_that_is_computed(name: str) -> None:
    made = tables(read_constants())[name]
    assert in_document(name, DOCUMENT.read_text()) == made, "write it anew: python -m bench.scale --update"


def test_more_organisations_never_wait_less() -> None:
    for engine in ENGINES:
        waits = [engine.wait_s(count) for count in ORGANISATIONS]
        assert waits == sorted(waits)


def test_twice_the_index_is_twice_the_disk() -> None:
    constants = read_constants()
    doubled = {**constants, "network.growth_index_bytes": 2 * constants["network.growth_index_bytes"]}
    assert tables(doubled)["participant"] != tables(constants)["participant"]
