"""When a block counts as final, as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.finality import MAX_DEPTH, Finality, clique_depth, parse_finality
from proml.errors import UsageError

RULES = st.one_of(
    st.just(Finality("immediate")),
    st.just(Finality("tag")),
    st.builds(Finality, st.just("depth"), st.integers(1, MAX_DEPTH)),
)


@given(RULES)
def test_a_rule_is_read_as_it_is_written(rule: Finality) -> None:
    assert parse_finality(str(rule)) == rule


@pytest.mark.parametrize(
    "text", ["", "tag", "depth", "depth:", "depth:0", "depth:-1", "depth:01", "depth:1.5", "depth:1000001", "Immediate"]
)
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(UsageError, match="immediate, finalized or depth:K"):
        parse_finality(text)


@pytest.mark.parametrize(("signers", "depth"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 4)])
def test_clique_needs_a_majority_of_the_signers_on_top(signers: int, depth: int) -> None:
    assert clique_depth(signers) == depth
