"""Manifests of shards, as model_signing writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core.shards import Shard, StatedShards, parse_shards, spans
from proml.core.stated import parse_stated
from proml.errors import InvalidRecord

D = "ab" * 32


def predicate(*names: str, shard_size: object = 10, algorithm: str = "sha256-sharded-10") -> dict[str, Any]:
    return {
        "serialization": {"method": "shards", "hash_type": "sha256", "shard_size": shard_size},
        "resources": [{"name": name, "algorithm": algorithm, "digest": D} for name in names],
    }


@given(st.integers(0, 10_000), st.integers(1, 3_000))
def test_the_shards_of_a_file_are_all_of_it_once(size_bytes: int, shard_bytes: int) -> None:
    """Law: the spans are adjacent, begin at 0, end at the size, and all but the last are of full length."""
    found = list(spans(size_bytes, shard_bytes))
    assert [start for start, _ in found] == list(range(0, size_bytes, shard_bytes))
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert (found[-1][1] if found else 0) == size_bytes


@pytest.mark.parametrize("shard_size", [10, 10.0])
def test_a_manifest_of_shards_is_read_in_any_order(shard_size: object) -> None:
    value = predicate("b:10:12", "a:b/c:0:3", "b:0:10", shard_size=shard_size)
    digest = bytes.fromhex(D)
    shards = (Shard("a:b/c", 0, 3, digest), Shard("b", 0, 10, digest), Shard("b", 10, 12, digest))
    assert parse_stated(json.dumps(value).encode(), "it") == StatedShards("sha256", 10, shards)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (predicate(), "at least one shard"),
        (predicate("a"), "NAME:START:END"),
        (predicate("a:0:-1"), "NAME:START:END"),
        (predicate("a:00:1"), "NAME:START:END"),
        (predicate("a:0:10", "a:11:12"), "from 10 to at most 20"),
        (predicate("a:0:10", "a:0:10"), "from 10 to at most 20"),
        (predicate("a:0:5", "a:5:10"), "from 5 to at most"),
        (predicate("a:0:11"), "from 0 to at most 10"),
        (predicate("a:10:20"), "from 0 to at most 10"),
        (predicate("a:0:1", algorithm="sha256"), "sha256-sharded-10"),
        (predicate("a:0:1", algorithm="sha256-sharded-11"), "sha256-sharded-10"),
        (predicate("a:0:1", shard_size=0), "shard_size"),
        (predicate("a:0:1", shard_size=10.5), "shard_size"),
        (predicate("a:0:1", shard_size=True), "shard_size"),
        ({**predicate("a:0:1"), "resources": {}}, "resources"),
    ],
)
def test_a_malformed_manifest_is_refused(value: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRecord, match=said):
        parse_shards(value, "it")
