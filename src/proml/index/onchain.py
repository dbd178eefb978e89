"""Reads a workspace contract's views, and checks that it is the pinned one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proml.core import abi
from proml.core.calls import decode_view, encode_view
from proml.core.digest import keccak256
from proml.core.interface import fields
from proml.core.operation import Lifecycle
from proml.errors import InvalidRecord, VerificationError
from proml.ports import Reverted

if TYPE_CHECKING:
    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Ledger


@dataclass(frozen=True, slots=True)
class ArtefactState:
    """What ``artefactOf`` answers."""

    owner: str
    lifecycle: int
    state: int
    flags: int
    seq: int
    changed_at: int
    head: bytes
    held_inputs: bytes


def check_pins(ledger: Ledger, workspace: WorkspaceFile) -> None:
    """Raises VerificationError unless chain id, genesis hash and contract code are the pinned ones."""
    found_code = ledger.code(workspace.contract)
    pins: tuple[tuple[str, object, object], ...] = (
        ("the chain id", workspace.chain_id, ledger.chain_id),
        ("the genesis block", "0x" + workspace.genesis_hash.hex(), "0x" + ledger.genesis_hash.hex()),
        (
            f"the code of the contract {workspace.contract}",
            "0x" + workspace.code_hash.hex(),
            "0x" + keccak256(found_code).hex() if found_code else "no code",
        ),
    )
    for what, expected, found in pins:
        if expected != found:
            raise VerificationError(
                f"this ledger is not that of workspace {workspace.name!r}: {what} should be {expected}, found {found}",
                hint="Check the ledger's URL and the workspace file; do not go on until they agree.",
            )


def view(ledger: Ledger, contract: str, name: str, *arguments: object, block: int | None = None) -> tuple[Any, ...]:
    """Calls one of the contract's views.

    Raises:
        Reverted: The contract refuses to answer.
        VerificationError: The answer is not what the view returns.
        UnreachableError: No answer.
    """
    answer = ledger.call(contract, encode_view(name, *arguments), block=block)
    try:
        return decode_view(name, answer)
    except InvalidRecord as error:
        raise VerificationError(
            f"the contract {contract} does not answer {name} as expected, found 0x{answer.hex()}: {error.message}",
            hint="This node does not answer as an Ethereum node does; ask another one.",
        ) from error


def artefact_state(ledger: Ledger, contract: str, artefact: bytes, block: int | None = None) -> ArtefactState | None:
    """Returns an artefact as the contract holds it, or None if it has none of this id."""
    try:
        return ArtefactState(*view(ledger, contract, "artefactOf", artefact, block=block))
    except Reverted:
        return None


def lifecycle(ledger: Ledger, contract: str, number: int) -> Lifecycle:
    """Returns a lifecycle's rules; they never change, so the newest block will do."""
    (found,) = view(ledger, contract, "lifecycleOf", number)
    assert isinstance(found, Lifecycle)
    return found


def encode_lifecycle(rules: Lifecycle) -> bytes:
    """Returns a lifecycle's rules as the index keeps them: as the contract's ABI has them."""
    return abi.encode(fields("Lifecycle found"), (rules,))


def decode_lifecycle(data: bytes) -> Lifecycle:
    """Returns the rules that :func:`encode_lifecycle` made the bytes of."""
    (found,) = abi.decode(fields("Lifecycle found"), data)
    assert isinstance(found, Lifecycle)
    return found
