from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proml.core.digest import format_digest, sha256
from proml.core.finality import Finality
from proml.core.workspace_file import checksum_address, parse_workspace_file
from proml.errors import InvalidRecord

CORPUS = Path(__file__).parents[1] / "corpus" / "workspace-v1.json"
GOLDEN_DIGEST = "sha256:1158c1337b8486e3fe28da5af5a6211ad96a44dc621b81dfcf8535087bab8cb9"


def test_the_golden_workspace_file_still_reads_and_writes_the_same_bytes() -> None:
    data = CORPUS.read_bytes()
    file = parse_workspace_file(data)
    assert format_digest(sha256(file.to_bytes())) == GOLDEN_DIGEST
    assert file.to_bytes() == data
    assert (file.chain_id, file.organisations[2], file.roles[6]) == (1337, "Data house", "labeller")


@pytest.mark.parametrize("rule", [Finality("immediate"), Finality("tag"), Finality("depth", 3)])
def test_the_rule_of_finality_is_kept(rule: Finality) -> None:
    file = replace(parse_workspace_file(CORPUS.read_bytes()), finality=rule)
    assert parse_workspace_file(file.to_bytes()) == file


def test_the_name_key_is_not_shown() -> None:
    file = parse_workspace_file(CORPUS.read_bytes())
    assert file.name_key.hex() not in repr(file)
    assert str(list(file.name_key)[0:4]) not in repr(file)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "proml/workspace/v2"),
        ("name", ""),
        ("name", "two\nlines"),
        ("chain_id", 0),
        ("chain_id", "1337"),
        ("genesis_hash", "00" * 32),
        ("contract", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
        ("contract", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"),
        ("contract", None),
        ("factory", "0x00"),
        ("code_hash", "0x" + "0" * 63),
        ("first_block", -1),
        ("name_key", "0x"),
        ("organisations", {"0": "Nobody"}),
        ("organisations", {"65536": "Too many"}),
        ("organisations", {"01": "Padded"}),
        ("organisations", {"1": "Clinic", "2": "\uff23linic"}),
        ("organisations", {"1": "Clinic\u202e"}),
        ("roles", {"5": "auditor"}),
        ("roles", {"16": "beyond"}),
        ("roles", {"6": "No Identifier"}),
        ("ledgers", ["ftp://example.org"]),
        ("ledgers", ["embedded:"]),
        ("ledgers", "embedded:x"),
        ("stores", [1]),
        ("finality", "soon"),
        ("finality", 3),
        ("surprise", 1),
    ],
)
def test_a_malformed_field_is_refused_by_name(field: str, value: object) -> None:
    fields: dict[str, Any] = {**json.loads(CORPUS.read_bytes()), field: value}
    with pytest.raises(InvalidRecord, match=field) as caught:
        parse_workspace_file(json.dumps(fields).encode(), "w.json")
    assert "w.json" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("field", ["name", "chain_id", "contract", "name_key", "ledgers"])
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    fields = json.loads(CORPUS.read_bytes())
    del fields[field]
    with pytest.raises(InvalidRecord, match=f"'{field}'"):
        parse_workspace_file(json.dumps(fields).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b'{"schema":1,"schema":2}'])
def test_what_is_no_workspace_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        parse_workspace_file(data)


def test_a_malformed_file_is_not_written() -> None:
    file = parse_workspace_file(CORPUS.read_bytes())
    with pytest.raises(InvalidRecord, match="chain_id"):
        replace(file, chain_id=0).to_bytes()


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_checksums_are_those_of_eip_55(address: str) -> None:
    assert checksum_address(address.lower()) == checksum_address(address) == address


def test_what_is_no_address_has_no_checksum() -> None:
    with pytest.raises(InvalidRecord, match="40 hex digits"):
        checksum_address("0x123")
