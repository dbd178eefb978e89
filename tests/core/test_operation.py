"""Operations: their call data and messages, against the committed ABI and eth_account."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils.crypto import keccak

from proml.contract_build import load_contract
from proml.core import calls, interface, messages
from proml.core import operation as op
from proml.errors import InvalidRecord, UsageError

if TYPE_CHECKING:
    from proml.core.interface import Field

CHAIN_ID = 1337
CONTRACT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
SALT = b"s" * 32

INPUTS = (op.Input(op.ZERO_ADDRESS, b"i" * 32, b"j" * 32), op.Input(OTHER, b"k" * 32, b"l" * 32))
REGISTRATION = op.Registration(b"a" * 32, 3, b"r" * 32)
TRANSITION = op.Transition(b"a" * 32, b"h" * 32, 2, b"c" * 32, b"r" * 32, INPUTS, INPUTS[:1])
BARE = op.Transition(b"b" * 32, op.ZERO, 0, op.ZERO, b"q" * 32)
ENDORSEMENT = op.Endorsement(b"a" * 32, b"h" * 32, 2, b"c" * 32, b"i" * 32, b"r" * 32, approve=True)
ANCHOR = op.Anchor(b"e" * 32, b"m" * 32, 2**64 - 1)
SESSION = op.Session(OTHER, 6, b"a" * 32, 2**40 - 1)
LIFECYCLE = op.Lifecycle(
    b"d" * 32, 2, 0, (0, 1, 6), (op.Rule(0, 1, 2, 5, 2, 4, 60, 1), op.Rule(255, 2, 1, 0, 0, 0, 0, 0))
)

OPERATIONS: dict[str, op.Operation] = {
    "register": REGISTRATION,
    "registerWith": (REGISTRATION, TRANSITION),
    "transition": TRANSITION,
    "transitions": (TRANSITION, BARE),
    "endorse": ENDORSEMENT,
    "anchor": ANCHOR,
    "grantSession": op.Grant(SESSION, b"consent" * 10),
    "revokeSession": op.Revocation(OTHER),
    "govern": calls.add_lifecycle(LIFECYCLE, SALT),
}
PROPOSALS = [
    (calls.set_member, op.Member(OTHER, 7, 3)),
    (calls.set_quorum, 2),
    (calls.add_lifecycle, LIFECYCLE),
    (calls.recover, op.Recovery(OTHER, CONTRACT, (b"a" * 32, b"b" * 32))),
    (calls.revoke_session, op.Revocation(OTHER)),
]
RELAY = op.Relay(OTHER, 4, 99, b"s" * 65)


def abi_type(entry: dict[str, Any]) -> str:
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    inner = ",".join(abi_type(component) for component in entry["components"])
    return f"({inner}){entry['type'].removeprefix('tuple')}"


def abi_declarations(contract: str, kind: str) -> set[tuple[str, tuple[tuple[str, str, bool], ...]]]:
    return {
        (e["name"], tuple((abi_type(i), i["name"].rstrip("_"), i.get("indexed", False)) for i in e["inputs"]))
        for e in load_contract(contract).abi
        if e["type"] == kind
    }


def declared(table: dict[str, str]) -> set[tuple[str, tuple[tuple[str, str, bool], ...]]]:
    return {
        (name, tuple((interface.canonical_type(f.type), f.name, f.indexed) for f in interface.fields(declaration)))
        for name, declaration in table.items()
    }


# ------------------------------------------------------------------------------------------------ the interface table


def test_functions_and_views_are_those_of_the_committed_abi() -> None:
    relayed = {f"{name}For": interface.relayed(declaration) for name, declaration in interface.FUNCTIONS.items()}
    views = {name: arguments for name, (arguments, _) in interface.VIEWS.items()}
    assert declared(interface.FUNCTIONS | relayed | views) == abi_declarations("Workspace", "function")


def test_views_answer_with_the_types_of_the_committed_abi() -> None:
    answers = {
        e["name"]: [abi_type(o) for o in e["outputs"]] for e in load_contract("Workspace").abi if e.get("outputs")
    }
    ours = {
        name: [interface.canonical_type(f.type) for f in interface.fields(answer)]
        for name, (_, answer) in interface.VIEWS.items()
    }
    assert ours == answers


def test_events_are_those_of_the_committed_abi() -> None:
    assert declared(interface.EVENTS) == abi_declarations("Workspace", "event")


def test_errors_are_those_of_the_committed_abi() -> None:
    assert declared(interface.ERRORS) == abi_declarations("Workspace", "error")


def test_the_factory_is_that_of_the_committed_abi() -> None:
    assert declared({"create": interface.CREATE}) <= abi_declarations("WorkspaceFactory", "function")
    assert declared({"WorkspaceCreated": interface.WORKSPACE_CREATED}) == abi_declarations("WorkspaceFactory", "event")


def test_the_constructor_is_that_of_the_committed_abi() -> None:
    (constructor,) = [e for e in load_contract("Workspace").abi if e["type"] == "constructor"]
    ours = [interface.canonical_type(f.type) for f in interface.fields(interface.CONSTRUCTOR)]
    assert ours == [abi_type(i) for i in constructor["inputs"]]


@pytest.mark.parametrize("struct", interface.STRUCTS)
def test_each_struct_has_a_dataclass_with_its_members_in_order(struct: str) -> None:
    renamed = {"from": "from_state", "to": "to_state"}
    ours = [f.name.replace("_", "") for f in dataclasses.fields(interface.struct_class(struct))]
    theirs = [renamed.get(f.name, f.name).replace("_", "").lower() for f in interface.struct_fields(struct)]
    assert ours == theirs


# --------------------------------------------------------------------------------------------------------- call data


@pytest.mark.parametrize("function", OPERATIONS)
def test_call_data_begins_with_the_selector_of_its_function(function: str) -> None:
    spelled = interface.signature(function, interface.FUNCTIONS[function])
    assert calls.encode_call(OPERATIONS[function])[:4] == keccak(text=spelled)[:4]


@pytest.mark.parametrize("function", OPERATIONS)
def test_call_data_reads_back_as_the_operation(function: str) -> None:
    operation = OPERATIONS[function]
    assert calls.decode_call(calls.encode_call(operation)) == (operation, None)


@pytest.mark.parametrize("function", OPERATIONS)
def test_relayed_call_data_reads_back_as_the_operation_and_its_relay(function: str) -> None:
    operation = OPERATIONS[function]
    assert calls.decode_call(calls.encode_relayed(operation, RELAY)) == (operation, RELAY)


def test_foreign_call_data_is_none_of_ours() -> None:
    assert calls.decode_call(b"\xa9\x05\x9c\xbb" + bytes(64)) is None
    assert calls.decode_call(b"") is None


def test_an_empty_list_of_transitions_is_refused() -> None:
    with pytest.raises(UsageError, match="one or more transitions"):
        calls.encode_call(())


def test_a_role_beyond_16_bits_is_refused() -> None:
    with pytest.raises(UsageError, match="uint16"):
        calls.encode_call(op.Grant(dataclasses.replace(SESSION, roles=2**16), b""))


# -------------------------------------------------------------------------------------------------------- governance


@pytest.mark.parametrize(("propose", "change"), PROPOSALS)
def test_a_proposal_reads_back_as_its_change(propose: Any, change: object) -> None:
    proposal = propose(change, SALT)
    assert calls.decode_proposal(proposal) == change
    assert proposal.salt == SALT


@pytest.mark.parametrize(("propose", "change"), PROPOSALS)
def test_a_proposal_with_a_byte_more_is_refused(propose: Any, change: object) -> None:
    proposal = propose(change, SALT)
    with pytest.raises(InvalidRecord):
        calls.decode_proposal(dataclasses.replace(proposal, data=proposal.data + b"\0"))


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(InvalidRecord, match="action from 1 to 5, found 6"):
        calls.decode_proposal(op.Proposal(6, SALT, b""))


# ---------------------------------------------------------------------------------------------------------- messages


def eip712(primary: str, message: dict[str, Any]) -> bytes:
    """Returns eth_account's hash of a message with our types."""
    types: dict[str, Any] = {
        name: [{"type": f.type, "name": f.name} for f in members] for name, members in messages.message_types().items()
    }
    types["EIP712Domain"] = [
        {"type": "string", "name": "name"},
        {"type": "string", "name": "version"},
        {"type": "uint256", "name": "chainId"},
        {"type": "address", "name": "verifyingContract"},
    ]
    needed, todo = {"EIP712Domain": types["EIP712Domain"]}, [primary]
    while todo:
        name = todo.pop()
        needed[name] = types[name]
        todo += [m["type"].removesuffix("[]") for m in types[name] if m["type"].removesuffix("[]") in types]
    domain = {"name": "ProML Workspace", "version": "1", "chainId": CHAIN_ID, "verifyingContract": CONTRACT}
    full = {"types": needed, "primaryType": primary, "domain": domain, "message": message}
    return bytes(_hash_eip191_message(encode_typed_data(full_message=full)))


def named(members: tuple[Field, ...], values: list[Any]) -> dict[str, Any]:
    return {f.name: named_value(f.type, value) for f, value in zip(members, values, strict=True)}


def named_value(type_name: str, value: Any) -> Any:
    if type_name.endswith("[]"):
        return [named_value(type_name.removesuffix("[]"), element) for element in value]
    if type_name in interface.STRUCTS:
        return named(interface.struct_fields(type_name), [getattr(value, f.name) for f in dataclasses.fields(value)])
    return value


DOMAIN = messages.domain_separator(CHAIN_ID, CONTRACT)


@pytest.mark.parametrize("function", OPERATIONS)
def test_the_hash_of_a_message_is_that_of_eth_account(function: str) -> None:
    operation = OPERATIONS[function]
    primary = interface.MESSAGES[function]
    _, arguments = calls.function_and_arguments(operation)
    message = named(messages.message_types()[primary], [*arguments, 5, 1_800_000_000])
    ours = messages.typed_hash(operation, nonce=5, deadline=1_800_000_000, domain=DOMAIN)
    assert ours == eip712(primary, message)


def test_the_hash_of_a_consent_is_that_of_eth_account() -> None:
    message = {"member": CONTRACT} | named_value("Session", SESSION)
    assert messages.session_consent_hash(SESSION, member=CONTRACT, domain=DOMAIN) == eip712("SessionConsent", message)


@pytest.mark.parametrize("function", OPERATIONS)
def test_nonce_deadline_chain_and_contract_all_change_the_hash(function: str) -> None:
    operation = OPERATIONS[function]
    hashes = {
        messages.typed_hash(
            operation, nonce=nonce, deadline=deadline, domain=messages.domain_separator(chain, contract)
        )
        for nonce in (0, 1)
        for deadline in (8, 9)
        for chain in (1, 2)
        for contract in (CONTRACT, OTHER)
    }
    assert len(hashes) == 16
