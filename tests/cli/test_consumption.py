"""What `proml log` says of the resources of a run, whoever wrote the record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.cli.consumption import resources

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["processes", "machines", "seconds", "cpu_s", "peak_memory_bytes", "gpus", "energy_j", "mean"]
            ),
            inner,
            max_size=4,
        )
    ),
)


def test_two_ranks_on_a_machine_with_graphics_processors() -> None:
    told = {
        "processes": [
            {"rank": 0, "seconds": 60.2, "cpu_s": 100.0, "peak_memory_bytes": 1_000_000_000},
            {"rank": 1, "seconds": 61.0, "cpu_s": 20.0, "peak_memory_bytes": 3_500_000_000},
        ],
        "machines": [
            {
                "energy_j": {"cpu": 1000.0, "gpu": 2500.0},
                "gpus": [{"utilisation_percent": {"mean": 80}}, {"utilisation_percent": {"mean": 40}}],
            }
        ],
    }
    assert resources({"facts": {"resources": told}}) == (
        "2 processes, 1:01 min, 2:00 min of processor time, 3.5 GB of memory at most, 2 GPUs 60 % busy, "
        "3.5 kJ by the machine"
    )


def test_a_short_run() -> None:
    told = {"processes": [{"seconds": 0.31, "cpu_s": 0.2, "peak_memory_bytes": 31_000_000}]}
    assert resources({"facts": {"resources": told}}) == "less than 1 s, 31.0 MB of memory at most"


@pytest.mark.parametrize("record", [{}, {"facts": None}, {"facts": {"resources": []}}, {"facts": {"resources": {}}}])
def test_a_record_without(record: dict[str, Any]) -> None:
    assert resources(record) == ""


@given(JSON)
def test_whatever_a_record_says_it_is_a_line(told: Any) -> None:
    """Law: for every JSON value resources() returns one line."""
    line = resources({"facts": {"resources": told}})
    assert "\n" not in line
