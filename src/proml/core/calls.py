"""Call data of a workspace contract's functions, direct and relayed, and the payloads of governance.

Structs, functions and their ABI types stand in one table each; selectors are derived from them, and a test compares them
with the committed ABI.
"""

from __future__ import annotations

from proml.core.operation import Lifecycle, Member, Operation, Proposal, Relay


def encode_call(operation: Operation) -> bytes:
    """Returns the call data of the function with which an account performs the operation itself."""
    raise NotImplementedError


def encode_relayed(operation: Operation, relay: Relay) -> bytes:
    """Returns the call data of the ``…For`` function with which anybody performs a signed operation."""
    raise NotImplementedError


def set_member(member: Member, salt: bytes) -> Proposal:
    """Returns the proposal to add, change or (roles = 0) remove a member."""
    raise NotImplementedError


def set_quorum(quorum: int, salt: bytes) -> Proposal:
    """Returns the proposal that governance shall need admins of this many organisations."""
    raise NotImplementedError


def add_lifecycle(lifecycle: Lifecycle, salt: bytes) -> Proposal:
    """Returns the proposal to add a lifecycle."""
    raise NotImplementedError


def recover(owner: str, new_owner: str, artefacts: tuple[bytes, ...], salt: bytes) -> Proposal:
    """Returns the proposal to give artefacts of one owner to another."""
    raise NotImplementedError


def revoke_session(key: str, salt: bytes) -> Proposal:
    """Returns the proposal to revoke a session key."""
    raise NotImplementedError


def decode_proposal(proposal: Proposal) -> object:
    """Returns what a proposal would do: Member, int (quorum), Lifecycle, Recovery or str (session key).

    Raises:
        InvalidRecord: The action is unknown or the bytes are not what it takes.
    """
    raise NotImplementedError
