from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from proml.core.stated import Stated, parse_stated
from proml.errors import InvalidRecord

CORPUS = Path(__file__).parents[1] / "corpus"
A, B = "aa" * 32, "bb" * 32


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
@pytest.mark.parametrize("wrapping", ["statement", "predicate", "envelope", "bundle"])
def test_a_model_signing_statement_is_read_bare_or_wrapped(algorithm: str, wrapping: str) -> None:
    statement = json.loads((CORPUS / f"model-signing-1.1.1-tree-{algorithm}.json").read_bytes())
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": []}
    forms = {
        "statement": statement,
        "predicate": statement["predicate"],
        "envelope": envelope,
        "bundle": {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope},
    }
    stated = parse_stated(json.dumps(forms[wrapping]).encode(), "it")
    assert isinstance(stated, Stated)
    assert stated.algorithm == algorithm
    assert {name: one.digest.hex() for name, one in stated.files.items()} == {
        one["name"]: one["digest"] for one in statement["predicate"]["resources"]
    }


def test_a_manifest_of_proml_brings_sizes() -> None:
    stated = parse_stated((CORPUS / "manifest-v1.json").read_bytes(), "it")
    assert isinstance(stated, Stated)
    assert stated.files["weights.bin"].size_bytes == 2048


def test_lines_of_sha256sum_are_read_in_all_its_forms() -> None:
    lines = (
        f"# made on the cluster\n{A}  ./a b\r\n{B} *c\n\\{A}  line\\nfeed\\\\\n\nSHA256 (tagged (1)) = {B.upper()}\n"
    )
    stated = parse_stated(lines.encode(), "it")
    assert isinstance(stated, Stated)
    assert stated.algorithm == "sha256"
    assert {name: one.digest.hex() for name, one in stated.files.items()} == {
        "a b": A, "c": B, "line\nfeed\\": A, "tagged (1)": B
    }  # fmt: skip


def test_tagged_blake3_lines_are_blake3() -> None:
    assert parse_stated(f"BLAKE3 (a) = {A}\n".encode(), "it").algorithm == "blake3"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "at least one file"),
        (b"\xff\xfe", "UTF-8"),
        (b"hello\n", "line 1"),
        (f"{A}  a\n{A[:-1]}  b\n".encode(), "line 2"),
        (f"{A}  a\n{B}  ./a\n".encode(), "twice"),
        (f"{A}  a\nBLAKE3 (b) = {B}\n".encode(), "blake3 and sha256"),
        (b"{", "JSON"),
        (b'{"a": 1}', "'serialization' and 'resources'"),
        (b'{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}', "predicate type"),
        (b'{"payload": "%"}', "base64"),
        (b'{"payload": "W10="}', "'serialization' and 'resources'"),
        (b'{"serialization": {"method": "lines", "hash_type": "sha256"}, "resources": []}', "lines"),
        (b'{"serialization": {"method": "shards", "hash_type": "sha256"}, "resources": []}', "shard_size"),
        (b'{"serialization": {"method": "files", "hash_type": "blake2b"}, "resources": []}', "blake2b"),
        (b'{"serialization": {"method": "files", "hash_type": "sha256"}, "resources": []}', "at least one"),
        (b'{"serialization": {"method": "files", "hash_type": "sha256"}, "resources": [{}]}', "name"),
        (
            json.dumps(
                {
                    "serialization": {"method": "files", "hash_type": "sha256"},
                    "resources": [{"name": "a", "algorithm": "blake3", "digest": A}],
                }
            ).encode(),
            "blake3",
        ),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(data: bytes, expected: str) -> None:
    with pytest.raises(InvalidRecord, match=expected):
        parse_stated(data, "it")
