"""EIP-712 messages: what a member signs so that anybody may send its operation, and what a session key consents to.

The types are those of :mod:`proml.core.interface`. ``eth_account`` hashes the same messages for the tests; wallets show
them to people. Source: EIP-712.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

from proml.core.abi import static_word
from proml.core.calls import function_and_arguments
from proml.core.digest import keccak256
from proml.core.interface import FUNCTIONS, MESSAGES, STRUCTS, Field, fields, struct_fields
from proml.core.words import address_word, bytes_word, number_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.core.operation import Operation, Session

DOMAIN_NAME = "ProML Workspace"
DOMAIN_VERSION = "1"

_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_CONSENT = fields("address member, address key, uint16 roles, bytes32 artefact, uint40 expires")
_REPLAY_GUARD = ", uint256 nonce, uint256 deadline"


def domain_separator(chain_id: int, contract: str) -> bytes:
    """Returns the EIP-712 domain separator of a workspace."""
    return keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + number_word(chain_id)
        + address_word(contract)
    )


def typed_hash(operation: Operation, *, nonce: int, deadline: int, domain: bytes) -> bytes:
    """Returns the hash that a member signs (``Signer.sign_hash``) to have the operation relayed.

    Args:
        operation: What it wants done.
        nonce: The signer's next nonce (``nonceOf``).
        deadline: Unix time, in seconds, after which the message is void.
        domain: See :func:`domain_separator`.

    Raises:
        UsageError: A value does not fit its type.
    """
    name, arguments = function_and_arguments(operation)
    members = fields(FUNCTIONS[name] + _REPLAY_GUARD)
    return _signed(domain, _hash_members(MESSAGES[name], members, [*arguments, nonce, deadline]))


def session_consent_hash(session: Session, *, member: str, domain: bytes) -> bytes:
    """Returns the hash that a session key signs to consent to act for ``member``."""
    values = [member, session.key, session.roles, session.artefact, session.expires]
    return _signed(domain, _hash_members("SessionConsent", _CONSENT, values))


def message_types() -> dict[str, tuple[Field, ...]]:
    """Returns every message and struct with its members, as a wallet needs them to show a message."""
    types = {MESSAGES[name]: fields(FUNCTIONS[name] + _REPLAY_GUARD) for name in FUNCTIONS}
    return types | {"SessionConsent": _CONSENT} | {struct: struct_fields(struct) for struct in STRUCTS}


def _signed(domain: bytes, message: bytes) -> bytes:
    return keccak256(b"\x19\x01" + bytes_word(domain) + message)


def _hash_members(name: str, members: tuple[Field, ...], values: Sequence[Any]) -> bytes:
    hashed = (_encode(member.type, value) for member, value in zip(members, values, strict=True))
    return keccak256(_type_hash(name, members) + b"".join(hashed))


def _encode(type_name: str, value: Any) -> bytes:
    """Returns one member as a word (EIP-712, "Definition of encodeData")."""
    if type_name in STRUCTS:
        values = [getattr(value, f.name) for f in dataclasses.fields(value)]
        return _hash_members(type_name, struct_fields(type_name), values)
    if type_name.endswith("[]"):
        return keccak256(b"".join(_encode(type_name.removesuffix("[]"), element) for element in value))
    if type_name == "bytes":
        return keccak256(value)
    return static_word(type_name, value)


@cache
def _type_hash(name: str, members: tuple[Field, ...]) -> bytes:
    """Returns the hash of encodeType: the message's members, then those of all structs it names, sorted."""
    used = sorted(_structs_in(members))
    parts = [(name, members), *((struct, struct_fields(struct)) for struct in used)]
    spelled = "".join(f"{part}({','.join(f'{m.type} {m.name}' for m in declared)})" for part, declared in parts)
    return keccak256(spelled.encode())


def _structs_in(members: tuple[Field, ...]) -> set[str]:
    named = {m.type.removesuffix("[]") for m in members} & STRUCTS.keys()
    return named.union(*(_structs_in(struct_fields(struct)) for struct in named))
