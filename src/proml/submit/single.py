"""Single transactions outside the outbox: creating a workspace, and messages that somebody else signed.

A relayed message is signed by a member and sent by anybody, who pays for it: :func:`sign_message` makes one out of an
intent, :func:`read_message` reads it. Its nonce and deadline keep it from being sent twice or late (EIP-712).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.core.calls import decode_call, decode_view, encode_relayed, encode_view
from proml.core.canonical import parse_json
from proml.core.intent import documents_of, parse_intent
from proml.core.messages import domain_separator, typed_hash
from proml.core.operation import Relay
from proml.core.refusal import explain
from proml.core.words import parse_address
from proml.errors import ConflictError, InvalidRecord, ProMLError, UnreachableError, UsageError
from proml.ports import Entry, Reverted, UnsignedTransaction
from proml.submit.bind import Binder
from proml.submit.patience import Patience
from proml.submit.publishing import Publisher

if TYPE_CHECKING:
    from proml.core.operation import Operation
    from proml.core.refusal import Names
    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Clock, Intent, Ledger, Receipt, Signer
    from proml.submit.deliver import Channel

SCHEMA = "proml/message/v1"
_WAIT_S = 180.0
_POLL_S = 0.2
_GAS_MARGIN_PERCENT = 15


@dataclass(frozen=True, slots=True)
class Transaction:
    """What is to be sent.

    Attributes:
        to: Contract; None creates one.
        doing: What it does, as a noun phrase for messages.
        names: What things are called, for messages.
    """

    to: str | None
    data: bytes
    doing: str
    names: Names | None = None


def transact(ledger: Ledger, signer: Signer, clock: Clock, wanted: Transaction) -> Receipt:
    """Sends one transaction and waits for its block.

    Raises:
        RefusedError: It is reverted; also ConflictError, if a second try may succeed.
        UnreachableError: No answer, or no block within three minutes.
    """
    try:
        gas = ledger.estimate_gas(signer.address, wanted.to, wanted.data)
    except Reverted as error:
        raise explain(error.data, wanted.names, doing=wanted.doing) from error
    transaction = UnsignedTransaction(
        chain_id=ledger.chain_id,
        nonce=ledger.nonce(signer.address),
        to=wanted.to,
        data=wanted.data,
        gas=gas + gas * _GAS_MARGIN_PERCENT // 100,
        fees=ledger.fees(),
    )
    digest = ledger.send(signer.sign_transaction(transaction))
    waited = 0.0
    while (receipt := ledger.receipt(digest)) is None:
        if waited >= _WAIT_S:
            raise UnreachableError(
                f"the transaction 0x{digest.hex()} is in no block after {_WAIT_S:.0f} s.",
                hint="Check that the chain makes blocks and that the account can pay, then try again.",
            )
        clock.sleep(_POLL_S)
        waited += _POLL_S
    if not receipt.succeeded:
        raise ConflictError(
            f"the transaction 0x{digest.hex()} was reverted in block {receipt.block_number}, "
            "though it was accepted when it was tried.",
            hint="Try again.",
        )
    return receipt


def sign_message(channel: Channel, intent: Intent, *, lifetime_s: int) -> bytes:
    """Returns an intent as a signed message that anybody may send; its records are published first.

    Args:
        channel: Whose key signs, in which workspace.
        intent: What is wanted; bound to heads and inputs as they are now.
        lifetime_s: How long the message may be sent, in seconds.

    Raises:
        UnknownName: An artefact, kind, action or input does not exist.
        UnreachableError: The ledger or a store does not answer.
    """
    pins, account, typed = channel.workspace, channel.signer.address, parse_intent(intent)
    publisher = Publisher(channel.store, channel.stores, channel.clock, Patience())
    publisher.publish(documents_of(typed))
    binder = Binder(channel.resolver, account, pins.chain_id, pins.contract, _no_registration)
    operation = binder.bind(Entry(0, intent), typed)
    (nonce,) = decode_view("nonceOf", channel.ledger.call(pins.contract, encode_view("nonceOf", account)))
    deadline = channel.clock.now_ns() // 1_000_000_000 + lifetime_s
    domain = domain_separator(pins.chain_id, pins.contract)
    signed = channel.signer.sign_hash(typed_hash(operation, nonce=nonce, deadline=deadline, domain=domain))
    call = encode_relayed(operation, Relay(account, nonce, deadline, signed))
    document = {
        "schema": SCHEMA,
        "chain_id": pins.chain_id,
        "contract": pins.contract,
        "signer": account,
        "nonce": nonce,
        "deadline": deadline,
        "call": f"0x{call.hex()}",
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def read_message(data: bytes, workspace: WorkspaceFile, what: str) -> tuple[bytes, Operation, Relay]:
    """Returns a signed message's call data, and what it asks for on whose behalf.

    Raises:
        InvalidRecord: It is no signed message.
        UsageError: It is for another workspace.
    """
    value = parse_json(data, what)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InvalidRecord(f"{what}: expected a signed message ({SCHEMA}).", hint="Ask its signer for the file again.")
    try:
        call = bytes.fromhex(str(value["call"]).removeprefix("0x"))
        contract, chain_id = parse_address(str(value["contract"])), value["chain_id"]
        decoded = decode_call(call)
    except (KeyError, ValueError, ProMLError) as error:
        raise InvalidRecord(f"{what}: malformed ({error}).", hint="Ask its signer for the file again.") from error
    if (chain_id, contract) != (workspace.chain_id, workspace.contract):
        raise UsageError(
            f"{what} is for the workspace {contract} on chain {chain_id}, not for {workspace.name}.",
            hint="Relay it from a folder of that workspace.",
        )
    if decoded is None or decoded[1] is None:
        raise InvalidRecord(f"{what}: its call is no relayed operation.", hint="Ask its signer for the file again.")
    return call, decoded[0], decoded[1]


def _no_registration(*_: object) -> bytes:
    raise UsageError("a message cannot register an artefact on the way.", hint="Sign the registration by itself first.")
