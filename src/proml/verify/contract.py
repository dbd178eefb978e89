"""Is the contract at the pinned address the one that was agreed, on the chain that was agreed, of a published build?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.contract_build import load_contract, release_of
from proml.core.digest import keccak256
from proml.core.interface import WORKSPACE_CREATED, topic
from proml.core.words import address_word
from proml.ports import LogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Ledger

_NO_CODE = "no contract"
_UNKNOWN = "no release that this installation of ProML knows"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes:
        name: What was compared.
        ok: Whether it is as agreed.
        expected: What was agreed.
        found: What is there.
    """

    name: str
    ok: bool
    expected: str
    found: str

    def to_json(self) -> dict[str, object]:
        """Returns the comparison as JSON-compatible values."""
        return {"name": self.name, "ok": self.ok, "expected": self.expected, "found": self.found}


def check_contract(file: WorkspaceFile, ledger: Ledger) -> tuple[Check, ...]:
    """Compares a ledger with what a workspace file pins, and the code with the published builds.

    Every comparison is made, whatever the others say: what differs, taken together, tells what happened.

    Args:
        file: What is agreed.
        ledger: Where the contract should be.

    Returns:
        The comparisons, in the order in which trust is built.

    Raises:
        UnreachableError: The ledger does not answer.
    """
    return tuple(_checks(file, ledger))


def _checks(file: WorkspaceFile, ledger: Ledger) -> Iterator[Check]:
    yield _same("chain id", str(file.chain_id), str(ledger.chain_id))
    yield _same("genesis block", _hex(file.genesis_hash), _hex(ledger.genesis_hash))
    code = ledger.code(file.contract)
    code_hash = keccak256(code)
    yield _same("code of the contract", _hex(file.code_hash), _hex(code_hash) if code else _NO_CODE)
    yield from _builds(file, code_hash if code else None)
    yield from _factory(file, ledger)


def _builds(file: WorkspaceFile, code_hash: bytes | None) -> Iterator[Check]:
    """The release that the code belongs to, and whether it is the one that this installation speaks to."""
    agreed, found = _release_name(file.code_hash), _release_name(code_hash) if code_hash else _NO_CODE
    yield Check("build", agreed == found != _UNKNOWN, agreed, found)
    mine = load_contract("Workspace").code_hash
    yield _same("build of this ProML", agreed, _release_name(mine))


def _factory(file: WorkspaceFile, ledger: Ledger) -> Iterator[Check]:
    """Who created the contract: a factory whose code puts nothing but workspaces at the addresses that it announces."""
    if file.factory is None:
        yield Check("factory", ok=False, expected="the factory's address", found="none in the workspace file")
        return
    release = release_of(file.code_hash)
    code = ledger.code(file.factory)
    expected = _hex(release.factory_code_hash) if release else _UNKNOWN
    yield _same("code of the factory", expected, _hex(keccak256(code)) if code else _NO_CODE)
    # The factory announces only what CREATE2 made of its own copy of the code, so its event is proof of the derivation.
    query = LogQuery(
        address=file.factory,
        topics=((topic("WorkspaceCreated", WORKSPACE_CREATED),), (address_word(file.contract),)),
        first_block=file.first_block,
        last_block=file.first_block,
    )
    what = f"{file.contract} by {file.factory} in block {file.first_block}"
    # A chain that is shorter than the pinned block is another chain; clients differ in what they answer then.
    announced = ledger.block(file.first_block) is not None and len(ledger.logs(query)) > 0
    yield _same("created", what, what if announced else f"no such creation in block {file.first_block}")


def _same(name: str, expected: str, found: str) -> Check:
    return Check(name, expected == found, expected, found)


def _release_name(code_hash: bytes) -> str:
    release = release_of(code_hash)
    if release is None:
        return _UNKNOWN
    when = f"released {release.released}" if release.released else "not released yet"
    return f"contracts {release.version} ({when}), interface {release.interface}, {release.compiler}"


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
