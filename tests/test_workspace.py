"""Creating a workspace on a real embedded ledger, and its file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from proml.adapters.clock import SystemClock
from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner
from proml.adapters.store_folder import FolderStore
from proml.contract_build import load_contract
from proml.core import calls
from proml.core.digest import keccak256
from proml.core.lifecycle import ROLE_BITS
from proml.core.operation import Lifecycle
from proml.errors import ConfigError, InvalidLifecycle, InvalidRecord, UsageError, VerificationError
from proml.lifecycles import load_shipped
from proml.workspace import (
    Charter,
    Founder,
    check_lifecycles,
    create_workspace,
    encode_lifecycles,
    number_organisations,
    publish_lifecycles,
    read_workspace_file,
    write_workspace_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = ROLE_BITS["admin"]
SIGNER = LocalSigner.generate()
OTHER = LocalSigner.generate().address


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedLedger]:
    opened = EmbeddedLedger.create(tmp_path_factory.mktemp("chain") / "chain.sqlite")
    yield opened
    opened.close()


def charter(**changes: object) -> Charter:
    founders = (Founder("clinic", ADMIN, SIGNER.address), Founder("lab", ADMIN | ROLE_BITS["reviewer"], OTHER))
    made = Charter("study", founders, 2, tuple(load_shipped().values()), ("embedded:x",), ("store",))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_new_workspace_has_the_founders_the_quorum_and_the_lifecycles(ledger: EmbeddedLedger) -> None:
    file = create_workspace(charter(), ledger, SIGNER, SystemClock()).file

    def view(name: str, *arguments: object) -> tuple[object, ...]:
        return calls.decode_view(name, ledger.call(file.contract, calls.encode_view(name, *arguments)))

    assert view("governance")[:2] == (2, 2)
    assert view("memberOf", OTHER) == (2, ADMIN | ROLE_BITS["reviewer"])
    assert view("lifecycleCount") == (len(load_shipped()),)
    (first,) = view("lifecycleOf", 1)
    assert isinstance(first, Lifecycle)
    assert first.definition == next(iter(load_shipped().values())).digest
    assert dict(file.organisations) == {1: "clinic", 2: "lab"}


def test_the_file_pins_the_chain_and_the_committed_code(ledger: EmbeddedLedger) -> None:
    file = create_workspace(charter(), ledger, SIGNER, SystemClock()).file
    assert (file.chain_id, file.genesis_hash) == (ledger.chain_id, ledger.genesis_hash)
    assert file.code_hash == load_contract("Workspace").code_hash == keccak256(ledger.code(file.contract))


def test_every_workspace_has_a_name_key_and_an_address_of_its_own(ledger: EmbeddedLedger) -> None:
    files = [create_workspace(charter(), ledger, SIGNER, SystemClock()).file for _ in range(2)]
    assert len({file.name_key for file in files}) == 2
    assert len({file.contract for file in files}) == 2


def test_a_known_factory_is_used_again(ledger: EmbeddedLedger) -> None:
    first = create_workspace(charter(), ledger, SIGNER, SystemClock())
    second = create_workspace(charter(factory=first.file.factory), ledger, SIGNER, SystemClock())
    assert (len(first.receipts), len(second.receipts)) == (2, 1)


def test_something_else_at_the_factorys_address_is_not_used(ledger: EmbeddedLedger) -> None:
    workspace = create_workspace(charter(), ledger, SIGNER, SystemClock()).file
    for address in (workspace.contract, OTHER):
        with pytest.raises(VerificationError, match="is not the WorkspaceFactory"):
            create_workspace(charter(factory=address), ledger, SIGNER, SystemClock())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quorum": 3}, "governance by 3 organisations needs as many with an admin; there are 2"),
        ({"quorum": 0}, "governance by 0"),
        ({"founders": ()}, "there are 0"),
        ({"founders": (Founder("a", ADMIN, OTHER), Founder("b", ADMIN, OTHER))}, "is named twice"),
    ],
)
def test_a_charter_that_cannot_work_is_refused_before_anything_is_sent(
    ledger: EmbeddedLedger, changes: dict[str, object], expected: str
) -> None:
    before = ledger.newest().number
    with pytest.raises(UsageError, match=expected):
        create_workspace(charter(**changes), ledger, SIGNER, SystemClock())
    assert ledger.newest().number == before


def test_organisations_are_numbered_in_the_order_in_which_they_are_named() -> None:
    founders = [Founder(name, ADMIN, OTHER) for name in ("b", "a", "b", "c")]
    assert number_organisations(founders) == {"b": 1, "a": 2, "c": 3}


def test_evidence_of_a_kind_that_is_not_there_is_refused() -> None:
    model = load_shipped()["model"]
    with pytest.raises(InvalidLifecycle):
        check_lifecycles([model], kinds=[])
    check_lifecycles([model], kinds=["evaluation"])
    with pytest.raises(InvalidLifecycle):
        encode_lifecycles([model])


def test_new_lifecycles_are_numbered_on() -> None:
    (encoded,) = encode_lifecycles([load_shipped()["model"]], {"evaluation": 3, "dataset": 7})
    assert {rule.evidence for rule in encoded.rules} == {0, 3}


def test_published_definitions_are_found_by_the_digest_on_chain(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    definitions = load_shipped().values()
    publish_lifecycles(definitions, [store])
    assert [store.get(definition.digest) for definition in definitions] == [d.bytes for d in definitions]


def test_a_workspace_file_is_read_back_and_secret(ledger: EmbeddedLedger, tmp_path: Path) -> None:
    file = create_workspace(charter(), ledger, SIGNER, SystemClock()).file
    path = tmp_path / "new/workspace.json"
    write_workspace_file(path, file)
    assert read_workspace_file(path) == file
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "error", "expected"),
    [
        (None, ConfigError, "does not exist"),
        (b"{", InvalidRecord, "workspace.json"),
        (b" " * (2 << 20), ConfigError, "larger than"),
    ],
)
def test_a_workspace_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, error: type[Exception], expected: str
) -> None:
    path = tmp_path / "workspace.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=expected):
        read_workspace_file(path)
