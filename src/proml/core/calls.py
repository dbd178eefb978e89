"""Call data: operations direct and relayed, views, deployment, and the payloads of governance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.core.abi import decode, encode
from proml.core.interface import (
    CONSTRUCTOR,
    CREATE,
    FUNCTIONS,
    VIEWS,
    fields,
    relayed,
    selector,
)
from proml.core.operation import (
    Anchor,
    Endorsement,
    Grant,
    Lifecycle,
    Member,
    Operation,
    Proposal,
    Recovery,
    Registration,
    Relay,
    Relayed,
    Revocation,
    Transition,
)
from proml.errors import InvalidRecord, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FUNCTION_OF = {
    Registration: "register",
    Transition: "transition",
    Endorsement: "endorse",
    Anchor: "anchor",
    Grant: "grantSession",
    Revocation: "revokeSession",
    Proposal: "govern",
}


def function_and_arguments(operation: Operation) -> tuple[str, list[Any]]:
    """Returns the contract's function for an operation, and its arguments."""
    match operation:
        case (Registration(), Transition()):
            return "registerWith", list(operation)
        case tuple():
            if not operation or not all(isinstance(change, Transition) for change in operation):
                raise UsageError(f"expected one or more transitions, found {operation!r}")
            return "transitions", [operation]
        case Grant():
            return "grantSession", [operation.session, operation.consent]
        case Revocation():
            return "revokeSession", [operation.key]
        case _:
            return _FUNCTION_OF[type(operation)], [operation]


def encode_call(operation: Operation | Relayed) -> bytes:
    """Returns the call data with which an account performs the operation itself, or sends what another one signed.

    Raises:
        UsageError: A value does not fit its type.
    """
    if isinstance(operation, Relayed):
        return encode_relayed(operation.operation, operation.relay)
    name, arguments = function_and_arguments(operation)
    return _encode(name, FUNCTIONS[name], arguments)


def encode_relayed(operation: Operation, relay: Relay) -> bytes:
    """Returns the call data of the ``…For`` function with which anybody performs a signed operation.

    Args:
        operation: What was signed.
        relay: Who signed it, with which nonce, deadline and signature.
    """
    name, arguments = function_and_arguments(operation)
    return _encode(f"{name}For", relayed(FUNCTIONS[name]), [*arguments, relay])


def decode_call(data: bytes) -> tuple[Operation, Relay | None] | None:
    """Returns the operation that call data asks for, and its relay if it is relayed; None if it is none of ours.

    The inverse of :func:`encode_call` and :func:`encode_relayed`.

    Raises:
        InvalidRecord: The selector is one of ours and the arguments do not fit it.
    """
    for name, declaration in FUNCTIONS.items():
        if data[:4] == selector(name, declaration):
            return _operation(name, decode(fields(declaration), data[4:])), None
        if data[:4] == selector(f"{name}For", relayed(declaration)):
            *arguments, relay = decode(fields(relayed(declaration)), data[4:])
            return _operation(name, arguments), relay
    return None


def _operation(name: str, arguments: Sequence[Any]) -> Operation:
    match name:
        case "registerWith":
            registration, first = arguments
            return (registration, first)
        case "grantSession":
            return Grant(*arguments)
        case "revokeSession":
            return Revocation(*arguments)
        case _:
            (only,) = arguments
            operation: Operation = only
            return operation


def encode_view(view: str, *arguments: Any) -> bytes:
    """Returns the call data of a view of ``IWorkspace``, e.g. ``encode_view("headOf", artefact)``."""
    return _encode(view, VIEWS[view][0], arguments)


def decode_view(view: str, answer: bytes) -> tuple[Any, ...]:
    """Returns the values that a view answered, in the order of its declaration in :mod:`proml.core.interface`.

    Raises:
        InvalidRecord: The answer does not fit, as when no contract stands at the address.
    """
    return decode(fields(VIEWS[view][1]), answer)


def encode_create(salt: bytes, founders: Sequence[Member], quorum: int, lifecycles: Sequence[Lifecycle]) -> bytes:
    """Returns the call data of ``WorkspaceFactory.create``."""
    return _encode("create", CREATE, [salt, founders, quorum, lifecycles])


def encode_constructor(founders: Sequence[Member], quorum: int, lifecycles: Sequence[Lifecycle]) -> bytes:
    """Returns the constructor's arguments, which follow a workspace's creation code."""
    return encode(fields(CONSTRUCTOR), [founders, quorum, lifecycles])


def _encode(name: str, declaration: str, arguments: Sequence[Any]) -> bytes:
    return selector(name, declaration) + encode(fields(declaration), arguments)


# -------------------------------------------------------------------------------------------------------- governance

SET_MEMBER, SET_QUORUM, ADD_LIFECYCLE, RECOVER, REVOKE_SESSION = 1, 2, 3, 4, 5

_TAKES: dict[int, str] = {
    SET_MEMBER: "Member member",
    SET_QUORUM: "uint8 quorum",
    ADD_LIFECYCLE: "Lifecycle lifecycle",
    RECOVER: "address owner, address newOwner, bytes32[] artefacts",
    REVOKE_SESSION: "address key",
}


def set_member(member: Member, salt: bytes) -> Proposal:
    """Returns the proposal to add, change or (roles = 0) remove a member."""
    return _proposal(SET_MEMBER, salt, member)


def set_quorum(quorum: int, salt: bytes) -> Proposal:
    """Returns the proposal that governance shall need admins of this many organisations."""
    return _proposal(SET_QUORUM, salt, quorum)


def add_lifecycle(lifecycle: Lifecycle, salt: bytes) -> Proposal:
    """Returns the proposal to add a lifecycle."""
    return _proposal(ADD_LIFECYCLE, salt, lifecycle)


def recover(recovery: Recovery, salt: bytes) -> Proposal:
    """Returns the proposal to give artefacts of one owner to another."""
    return _proposal(RECOVER, salt, recovery.owner, recovery.new_owner, recovery.artefacts)


def revoke_session(revocation: Revocation, salt: bytes) -> Proposal:
    """Returns the proposal to revoke a session key of any member."""
    return _proposal(REVOKE_SESSION, salt, revocation.key)


def _proposal(action: int, salt: bytes, *arguments: Any) -> Proposal:
    return Proposal(action, salt, encode(fields(_TAKES[action]), arguments))


def decode_proposal(proposal: Proposal) -> Member | int | Lifecycle | Recovery | Revocation:
    """Returns what a proposal would do; a number is the new quorum.

    Raises:
        InvalidRecord: The action is unknown or the bytes are not exactly what it takes.
    """
    if proposal.action not in _TAKES:
        raise InvalidRecord(f"expected a governance action from 1 to {max(_TAKES)}, found {proposal.action}")
    arguments = decode(fields(_TAKES[proposal.action]), proposal.data)
    match proposal.action:
        case _ if proposal.action == RECOVER:
            return Recovery(*arguments)
        case _ if proposal.action == REVOKE_SESSION:
            return Revocation(*arguments)
        case _:
            change: Member | int | Lifecycle = arguments[0]
            return change
