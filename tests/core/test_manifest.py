from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.core import manifest as manifest_module
from proml.core.canonical import canonical_json
from proml.core.digest import format_digest, sha256
from proml.core.manifest import Manifest, Resource, difference
from proml.errors import InvalidRecord

CORPUS = Path(__file__).parents[1] / "corpus"
GOLDEN_DIGEST = "sha256:ccddc98241a4d651c9d15a4ab288fdadbe3fce8781bcc4ff39469bda2ac06a3f"

segments = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"], exclude_characters="/"), min_size=1, max_size=6
).filter(lambda text: text not in {".", ".."})
file_names = st.lists(segments, min_size=1, max_size=3).map("/".join)
manifests = st.dictionaries(file_names, st.binary(max_size=4), min_size=1, max_size=8).map(
    lambda files: Manifest.of(resource(name, data) for name, data in files.items())
)


def resource(name: str, data: bytes = b"x") -> Resource:
    return Resource(name, "sha256", sha256(data), len(data))


def altered(**change: object) -> dict[str, Any]:
    value: dict[str, Any] = Manifest.of([resource("a")]).to_json()
    value["resources"][0].update(change)
    return value


@pytest.mark.parametrize("case", ["tree-sha256", "tree-blake3", "file-sha256", "file-blake3"])
def test_a_statement_of_the_real_model_signing_package_has_our_root_in_its_order(case: str) -> None:
    statement = json.loads((CORPUS / f"model-signing-1.1.1-{case}.json").read_bytes())
    ours = Manifest.of(
        (
            Resource(one["name"], one["algorithm"], bytes.fromhex(one["digest"]), 0)
            for one in statement["predicate"]["resources"]
        ),
        statement["predicate"]["serialization"]["hash_type"],
    )
    assert ours.oms_root("reference").hex() == statement["subject"][0]["digest"]["sha256"]


def test_the_specification_orders_by_name_and_the_reference_code_by_component() -> None:
    tree = Manifest.of([resource("a/b", b"1"), resource("a-b", b"2")])
    assert [one.name for one in tree.resources] == ["a-b", "a/b"]
    assert tree.oms_root() == sha256(sha256(b"2") + sha256(b"1"))
    assert tree.oms_root("reference") == sha256(sha256(b"1") + sha256(b"2"))


def test_the_golden_manifest_still_parses_to_the_same_digest() -> None:
    data = (CORPUS / "manifest-v1.json").read_bytes()
    golden = Manifest.from_bytes(data)
    assert format_digest(golden.digest) == GOLDEN_DIGEST
    assert golden.bytes == data
    assert len(golden.resources) == 6


@given(manifests)
def test_a_manifest_reads_back_from_its_json_and_its_bytes(one: Manifest) -> None:
    """Law: from_json(to_json(x)) == from_bytes(x.bytes) == x, and its digest is that of its bytes."""
    assert Manifest.from_json(one.to_json()) == Manifest.from_bytes(one.bytes) == one
    assert one.digest == sha256(one.bytes)


@given(manifests, st.randoms(use_true_random=False))
def test_the_order_in_which_files_are_given_does_not_matter(one: Manifest, random: Any) -> None:
    """Law: of(permutation(x)) == x."""
    shuffled = list(one.resources)
    random.shuffle(shuffled)
    assert Manifest.of(shuffled).digest == one.digest


@given(manifests, manifests)
def test_manifests_are_equal_exactly_when_they_do_not_differ(one: Manifest, other: Manifest) -> None:
    """Law: not difference(x, y) == (x.digest == y.digest), and difference is antisymmetric."""
    found = difference(one, other)
    assert (not found) == (one.digest == other.digest)
    back = difference(other, one)
    assert (found.missing, found.added, found.changed) == (back.added, back.missing, back.changed)


def test_the_digest_commits_to_the_name_of_every_file() -> None:
    assert Manifest.of([resource("a")]).digest != Manifest.of([resource("b")]).digest


def test_a_difference_names_changed_missing_and_added_files_up_to_a_limit() -> None:
    before = Manifest.of([resource("a"), resource("gone"), *(resource(f"m{n:02}") for n in range(13))])
    after = Manifest.of([resource("a", b"y"), resource("new\u00e9")])
    found = difference(before, after)
    assert found.changed == ("a",)
    assert found.added == ("new\u00e9",)
    assert found.describe(limit=2) == (
        "1 file changed: 'a'; 14 files missing: 'gone', 'm00' and 12 more; 1 file added: 'new\u00e9'"
    )


def test_a_changed_single_file_is_described_without_the_name_dot() -> None:
    found = difference(Manifest.of([resource(".")]), Manifest.of([resource(".", b"y")]))
    assert found.describe() == "the file's bytes changed"
    assert difference(Manifest.of([resource(".")]), Manifest.of([resource(".")])).describe() == "no difference"


def test_manifests_of_different_algorithms_are_not_compared() -> None:
    other = Manifest.of([replace(resource("a"), algorithm="blake3")], "blake3")
    with pytest.raises(InvalidRecord, match="Expected a manifest with sha256"):
        difference(Manifest.of([resource("a")]), other)


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", "a\nb", "a\x1bb", "a\u202eb", "a\udcffb", "x" * 4097],
)
def test_names_that_leave_the_folder_or_deceive_are_refused(name: str) -> None:
    with pytest.raises(InvalidRecord):
        Manifest.of([resource(name)])


def test_the_name_dot_is_for_a_single_file_only() -> None:
    assert Manifest.of([resource(".")]).resources[0].name == "."
    with pytest.raises(InvalidRecord, match="path below the folder"):
        Manifest.of([resource("."), resource("a")])


def test_a_manifest_has_at_least_one_file() -> None:
    with pytest.raises(InvalidRecord, match="at least one file"):
        Manifest.of([])


def test_a_name_occurs_once() -> None:
    with pytest.raises(InvalidRecord, match="distinct"):
        Manifest.of([resource("a"), resource("a", b"y")])


def test_all_digests_are_by_one_algorithm() -> None:
    with pytest.raises(InvalidRecord, match="all by the same"):
        Manifest.of([resource("a"), replace(resource("b"), algorithm="blake3")])


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False}, "resources": []},
        {**altered(), "extra": 1},
        {**altered(), "serialization": {"method": "shards", "hash_type": "sha256", "allow_symlinks": False}},
        {**altered(), "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": True}},
        {**altered(), "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": 0}},
        {**altered(), "resources": altered()["resources"] * 2},
        altered(digest="AB" * 32),
        altered(digest=b"ab"),
        altered(size_bytes=-1),
        altered(size_bytes=True),
        altered(size_bytes=1.5),
        altered(algorithm="md5"),
        altered(algorithm="blake3"),
        altered(name=["a"]),
        altered(more="x"),
    ],
)
def test_malformed_manifests_are_refused(value: object) -> None:
    with pytest.raises(InvalidRecord):
        Manifest.from_json(value)


def test_bytes_that_are_not_canonical_are_refused() -> None:
    pretty = json.dumps(Manifest.of([resource("a")]).to_json(), indent=1).encode()
    with pytest.raises(InvalidRecord, match="canonical"):
        Manifest.from_bytes(pretty)


def test_a_record_carries_a_small_manifest_whole_and_a_large_one_by_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "INLINE_RESOURCES", 1)
    small = Manifest.of([resource("a")])
    large = Manifest.of([resource("a"), resource("b")])
    assert small.to_record_field() == small.to_json()
    assert large.to_record_field() == {"digest": format_digest(large.digest), "files": 2, "size_bytes": 2}
    assert sha256(canonical_json(large.to_json())) == large.digest
