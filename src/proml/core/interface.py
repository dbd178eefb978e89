"""The contract's interface as tables: structs, functions, views, events and errors, written as in ``IWorkspace.sol``.

Selectors, topics, ABI types and EIP-712 types are all derived from these lines, and a test compares every one with the
committed ABI. How values are laid out in bytes is :mod:`proml.core.abi`'s.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from proml.core import operation
from proml.core.digest import keccak256


class Field(NamedTuple):
    """One argument or member: its type as written (a struct by its name), its name, and whether it is indexed."""

    type: str
    name: str
    indexed: bool = False


# Each struct has a dataclass of the same name in proml.core.operation, with its members in the same order.
STRUCTS = {
    "Member": "address account, uint16 organisation, uint16 roles",
    "Rule": (
        "uint8 from, uint8 to, uint16 roles, uint16 guards, uint8 quorum, uint16 voteRoles, uint32 minDelay,"
        " uint16 evidence"
    ),
    "Lifecycle": "bytes32 definition, uint16 registerRoles, uint8 initial, uint8[] stateFlags, Rule[] rules",
    "Registration": "bytes32 artefact, uint16 lifecycle, bytes32 record",
    "Input": "address workspace, bytes32 artefact, bytes32 head",
    "Transition": (
        "bytes32 artefact, bytes32 expectedHead, uint8 rule, bytes32 content, bytes32 record, Input[] inputs,"
        " Input[] held"
    ),
    "Endorsement": (
        "bytes32 artefact, bytes32 expectedHead, uint8 rule, bytes32 content, bytes32 inputs, bytes32 record,"
        " bool approve"
    ),
    "Anchor": "bytes32 expectedHead, bytes32 root, uint64 leaves",
    "Session": "address key, uint16 roles, bytes32 artefact, uint40 expires",
    "Proposal": "uint8 action, bytes32 salt, bytes data",
    "Relay": "address signer, uint256 nonce, uint256 deadline, bytes signature",
}

# Each has a relayed form: "For" after its name, and a Relay after its arguments.
FUNCTIONS = {
    "register": "Registration registration",
    "registerWith": "Registration registration, Transition first",
    "transition": "Transition change",
    "transitions": "Transition[] changes",
    "endorse": "Endorsement vote",
    "anchor": "Anchor root",
    "grantSession": "Session session, bytes consent",
    "revokeSession": "address key",
    "govern": "Proposal change",
}

# What is signed to have a function called by somebody else; see proml.core.messages.
MESSAGES = {
    "register": "Register",
    "registerWith": "RegisterWith",
    "transition": "Transit",
    "transitions": "TransitMany",
    "endorse": "Endorse",
    "anchor": "PutAnchor",
    "grantSession": "GrantSession",
    "revokeSession": "RevokeSession",
    "govern": "Govern",
}

VIEWS = {
    "memberOf": ("address account", "uint16 organisation, uint16 roles"),
    "sessionOf": ("address key", "address member, uint16 roles, bytes32 artefact, uint40 expires"),
    "artefactOf": (
        "bytes32 artefact",
        (
            "address owner, uint16 lifecycle, uint8 state, uint8 flags, uint32 seq, uint40 changedAt, bytes32 head,"
            " bytes32 heldInputs"
        ),
    ),
    "headOf": ("bytes32 artefact", "bytes32 head"),
    "usableAt": ("bytes32 artefact, bytes32 head", "bool usable"),
    "revoked": ("bytes32 artefact", "bool revoked"),
    "ballotOf": ("bytes32 ballot", "uint8 endorsed, bytes32 commitment"),
    "lifecycleOf": ("uint16 lifecycle", "Lifecycle found"),
    "lifecycleCount": ("", "uint16 count"),
    "anchorHeadOf": ("address member", "bytes32 head"),
    "nonceOf": ("address account", "uint256 nonce"),
    "governance": ("", "uint8 quorum, uint16 adminOrganisations, uint64 epoch"),
    "proposalOf": ("Proposal change", "bytes32 proposal, uint8 approvals, bool executed"),
    "domainSeparator": ("", "bytes32 separator"),
}

EVENTS = {
    "MemberSet": "address indexed account, uint16 indexed organisation, uint16 roles",
    "GovernanceQuorumSet": "uint8 quorum",
    "LifecycleAdded": "uint16 indexed lifecycle, bytes32 indexed definition",
    "ProposalApproved": "bytes32 indexed proposal, address indexed admin, uint16 organisation, Proposal change",
    "ProposalExecuted": "bytes32 indexed proposal",
    "ArtefactRecovered": "bytes32 indexed artefact, address indexed from, address indexed to",
    "SessionGranted": "address indexed member, address indexed key, uint16 roles, bytes32 artefact, uint40 expires",
    "SessionRevoked": "address indexed member, address indexed key",
    "Registered": (
        "bytes32 indexed artefact, uint16 indexed lifecycle, address indexed owner, address key, bytes32 record,"
        " bytes32 head"
    ),
    "Transitioned": (
        "bytes32 indexed artefact, bytes32 indexed content, address indexed actor, uint256 step, bytes32 record,"
        " bytes32 head"
    ),
    "InputUsed": "bytes32 indexed artefact, bytes32 indexed input, bytes32 indexed inputHead, uint256 use",
    "Endorsed": (
        "bytes32 indexed artefact, address indexed actor, uint256 cast, bytes32 expectedHead, bytes32 content,"
        " bytes32 inputs, bytes32 record, bytes32 commitment"
    ),
    "Anchored": "address indexed actor, bytes32 indexed root, uint256 signed, bytes32 head",
}

ERRORS = {
    "NotAMember": "address account",
    "RoleMissing": "address account, uint16 has, uint16 needed",
    "SessionEnded": "address key, uint40 expires",
    "SessionScope": "address key, bytes32 scope, bytes32 artefact",
    "SessionRefused": "address key, uint16 roles, uint40 expires",
    "ConsentInvalid": "address key",
    "SessionTaken": "address key, address member",
    "MembersOnly": "address key",
    "UnknownArtefact": "bytes32 artefact",
    "AlreadyRegistered": "bytes32 artefact",
    "UnknownLifecycle": "uint16 lifecycle",
    "UnknownRule": "uint16 lifecycle, uint8 rule",
    "HeadMismatch": "bytes32 artefact, bytes32 expected, bytes32 actual",
    "WrongState": "bytes32 artefact, uint8 state, uint8 from",
    "Terminal": "bytes32 artefact, uint8 state",
    "OwnerOnly": "bytes32 artefact, address owner, address actor",
    "FourEyes": "bytes32 artefact, uint16 organisation",
    "ContentNeeded": "bytes32 artefact",
    "ContentForbidden": "bytes32 artefact",
    "InputNeeded": "bytes32 artefact",
    "InputNotUsable": "address workspace, bytes32 input, bytes32 head",
    "HeldMismatch": "bytes32 artefact, bytes32 expected, bytes32 actual",
    "InputRevoked": "address workspace, bytes32 input",
    "EvidenceMissing": "bytes32 artefact, uint16 evidence",
    "QuorumMissing": "bytes32 artefact, uint8 endorsed, uint8 needed",
    "NoQuorum": "bytes32 artefact, uint8 rule",
    "AlreadyVoted": "bytes32 ballot, uint16 organisation",
    "TooEarly": "bytes32 artefact, uint256 earliest",
    "AnchorMismatch": "address member, bytes32 expected, bytes32 actual",
    "EmptyAnchor": "",
    "DeadlinePassed": "uint256 deadline",
    "NonceMismatch": "address signer, uint256 given, uint256 next",
    "SignatureInvalid": "address signer",
    "AlreadyApproved": "bytes32 proposal, uint16 organisation",
    "AlreadyExecuted": "bytes32 proposal",
    "UnknownAction": "uint8 action",
    "MemberInvalid": "address account, uint16 organisation",
    "GovernanceLocked": "uint8 quorum, uint256 adminOrganisations",
    "LifecycleInvalid": "uint8 rule",
    "NotOwnedBy": "bytes32 artefact, address owner",
}

# WorkspaceFactory and the constructor that it calls.
CREATE = "bytes32 salt, Member[] founders, uint8 governanceQuorum, Lifecycle[] lifecycles"
CONSTRUCTOR = "Member[] founders, uint8 governanceQuorum, Lifecycle[] lifecycles"
WORKSPACE_CREATED = "address indexed workspace, address indexed creator"


@cache
def fields(declaration: str) -> tuple[Field, ...]:
    """Returns the fields of one declaration of the tables, such as ``"address indexed account, uint16 roles"``."""
    found = []
    for part in filter(None, (p.strip() for p in declaration.split(","))):
        type_name, *indexed, name = part.split()
        found.append(Field(type_name, name, indexed == ["indexed"]))
    return tuple(found)


@cache
def struct_fields(struct: str) -> tuple[Field, ...]:
    """Returns the members of a struct."""
    return fields(STRUCTS[struct])


def struct_class(struct: str) -> type:
    """Returns the dataclass that holds a struct."""
    cls: type = getattr(operation, struct)
    return cls


@cache
def canonical_type(type_name: str) -> str:
    """Returns a type as signatures spell it: structs as tuples of their members' types."""
    if type_name.endswith("[]"):
        return canonical_type(type_name.removesuffix("[]")) + "[]"
    if type_name in STRUCTS:
        return "(" + ",".join(canonical_type(f.type) for f in struct_fields(type_name)) + ")"
    return type_name


@cache
def signature(name: str, declaration: str) -> str:
    """Returns the canonical signature, e.g. ``anchor((bytes32,bytes32,uint64))``."""
    return f"{name}({','.join(canonical_type(f.type) for f in fields(declaration))})"


@cache
def topic(name: str, declaration: str) -> bytes:
    """Returns the hash of a signature: an event's first topic."""
    return keccak256(signature(name, declaration).encode())


def selector(name: str, declaration: str) -> bytes:
    """Returns the four bytes that name a function or an error."""
    return topic(name, declaration)[:4]


def relayed(declaration: str) -> str:
    """Returns the arguments of a function's relayed form."""
    return f"{declaration}, Relay relay"
