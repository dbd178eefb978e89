"""What does each operation of the contract cost? Gas of whole transactions, exact.

Gas depends on nothing but the rules of the London EVM and the bytes that are sent, so the figures are the same on every
engine: ``contracts/gas.json`` holds them, and a test compares them exactly, in the embedded EVM and on anvil. Steady
state is meant: the artefact has changed before, the member has anchored before, the account has relayed before.

    python -m bench.gas     # measures in the embedded EVM and writes contracts/gas.json anew
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner
from proml.contract_build import load_contract
from proml.core.calls import encode_call, encode_constructor, encode_relayed
from proml.core.heads import anchor_head, genesis_head, inputs_commitment, next_head
from proml.core.messages import domain_separator, typed_hash
from proml.core.operation import (
    ZERO,
    ZERO_ADDRESS,
    Anchor,
    Endorsement,
    Input,
    Lifecycle,
    Member,
    Operation,
    Registration,
    Relay,
    Rule,
    Transition,
)
from proml.ports import Fees, UnsignedTransaction

if TYPE_CHECKING:
    from proml.ports import Ledger, Receipt

TARGETS: dict[str, int | None] = {
    "gas.register": 78_000,
    "gas.transition": 44_000,
    "gas.transition_one_input": 52_000,
    "gas.transition_one_input_usable": 52_000,
    "gas.transition_relayed": 58_000,
    "gas.transition_batch50": 17_000,
    "gas.transition_batch50_same": 8_000,
    "gas.endorse_first": 55_000,
    "gas.endorse_next": 40_000,
    "gas.anchor": 30_000,
    "gas.workspace": None,
}
PEERS = {
    "gas.register": "attest",
    "gas.transition": "attest",
    "gas.transition_relayed": "attestByDelegation",
    "gas.transition_batch50": "multiAttest",
    "gas.transition_batch50_same": "multiAttest",
    "gas.anchor": "timestamp",
    "gas.anchor_of_50": "multiTimestamp",
}
"""What the Ethereum Attestation Service has for it. A root of 50 leaves stands beside 50 time stamps, by the leaf."""
NAMES = (*TARGETS, "gas.anchor_of_50")
SNAPSHOT = Path(__file__).parents[1] / "contracts" / "gas.json"
CHAIN_ID = 1337
"""Heads commit to it, and a zero byte of call data costs less than another: exact figures need one fixed chain."""
BATCH = 50
_ANY, _DEADLINE = 0xFFFF, 1 << 40
_LIFECYCLE = Lifecycle(
    definition=b"\x01" * 32,
    register_roles=_ANY,
    initial=0,
    state_flags=(1, 1),
    rules=(
        Rule(0, 0, _ANY, 0, 0, 0, 0, 0),
        Rule(0, 0, _ANY, 16, 0, 0, 0, 0),
        Rule(0, 1, _ANY, 0, 2, _ANY, 0, 0),
    ),
)
_MOVE, _USE, _VOTED = range(3)


def rows() -> list[dict[str, object]]:
    """Deploys a workspace of three organisations and performs each operation once in steady state."""
    measured, theirs = measure_beside_peer()
    measured["gas.anchor_of_50"] = measured["gas.anchor"] // BATCH
    return [row(name, measured[name], theirs) for name in NAMES]


def row(name: str, value: int, theirs: dict[str, int]) -> dict[str, object]:
    """Returns a row of the table, beside the peer's operation if it was measured."""
    target, peer = TARGETS.get(name), PEERS.get(name, "")
    other = theirs.get(peer)
    return {
        "name": name,
        "value": value,
        "unit": "gas each" if "50" in name else "gas",
        "target": target,
        "met": None if target is None else value <= target,
        "peer": f"EAS {peer} ({value / other:.2f}x)" if other else None,
        "peer_value": other,
    }


def measure_beside_peer() -> tuple[dict[str, int], dict[str, int]]:
    """Returns our figures and the peer's, both from one chain of anvil, or ours alone in the embedded EVM."""
    from tests.ports.ledgers import find_anvil, running_anvil

    from bench.eas import ARTIFACTS, Service
    from proml.adapters.jsonrpc import JsonRpcLedger
    from proml.ports import Finality

    program = find_anvil()
    if program is None or not ARTIFACTS.is_dir():
        print("left out: the Ethereum Attestation Service; `make engines eas` installs it and anvil", file=sys.stderr)
        return measure_embedded(), {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_anvil(program, Path(folder), "--chain-id", str(CHAIN_ID)) as anvil,
    ):
        ledger = JsonRpcLedger(anvil.url, finality=Finality("immediate"))
        try:
            bench = Bench(ledger)
            return bench.measure(), Service.deploy(bench).measure()
        finally:
            ledger.close()


def measure_embedded() -> dict[str, int]:
    """Returns the gas of each operation by name, in the embedded EVM."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = EmbeddedLedger.create(Path(folder) / "chain.sqlite", chain_id=CHAIN_ID)
        try:
            return Bench(ledger).measure()
        finally:
            ledger.close()


def write_snapshot() -> None:
    """Writes the figures that every engine has to give."""
    SNAPSHOT.write_text(json.dumps(measure_embedded(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_snapshot() -> dict[str, int]:
    """Returns the figures of ``contracts/gas.json``."""
    figures: dict[str, int] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return figures


class Bench:
    """A workspace on a ledger, its members, and the heads of its artefacts.

    Args:
        ledger: Any ledger of chain :data:`CHAIN_ID`, fresh, whose transactions are mined without being asked.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.members = [LocalSigner(digest(f"member {number}")) for number in range(3)]
        self.first = self.members[0]
        founders = [Member(member.address, number, _ANY) for number, member in enumerate(self.members, 1)]
        creation = load_contract("Workspace").creation_code + encode_constructor(founders, 2, [_LIFECYCLE])
        self.creation_gas, contract = self.send_raw(self.first, None, creation)
        assert contract is not None
        self.contract = contract
        self.heads: dict[bytes, tuple[bytes, int]] = {}

    def measure(self) -> dict[str, int]:
        """Returns the gas of each operation by name."""
        artefacts = [digest(f"artefact {number}") for number in range(BATCH + 1)]
        register = [self.register(artefact) for artefact in artefacts]
        for artefact in artefacts:
            self.send(self.move(artefact))
        subject, source = artefacts[0], artefacts[-1]
        used = (Input(ZERO_ADDRESS, source, self.heads[source][0]),)
        figures = {
            "gas.workspace": self.creation_gas,
            "gas.register": register[-1],
            "gas.transition": self.send(self.move(subject)),
            "gas.transition_one_input": self.send(self.move(subject, _MOVE, used)),
            "gas.transition_one_input_usable": self.send(self.move(subject, _USE, used)),
        }
        self.relay(self.move(subject), nonce=0)
        figures["gas.transition_relayed"] = self.relay(self.move(subject), nonce=1)
        figures["gas.transition_batch50"] = self.send(tuple(self.move(a) for a in artefacts[:BATCH])) // BATCH
        figures["gas.transition_batch50_same"] = self.send(tuple(self.move(subject) for _ in range(BATCH))) // BATCH
        vote = Endorsement(subject, self.heads[subject][0], _VOTED, ZERO, inputs_commitment(()), digest("vote"), True)  # noqa: FBT003 - field of the struct
        figures["gas.endorse_first"] = self.send(vote, self.members[1])
        figures["gas.endorse_next"] = self.send(vote, self.members[2])
        first = Anchor(ZERO, digest("root 1"), 1000)
        self.send(first)
        figures["gas.anchor"] = self.send(Anchor(anchor_head(first, self.first.address), digest("root 2"), 50_000))
        return figures

    def register(self, artefact: bytes) -> int:
        """Registers an artefact and returns the gas."""
        registration = Registration(artefact, 1, digest(artefact.hex()))
        self.heads[artefact] = genesis_head(self.ledger.chain_id, self.contract, registration, self.first.address), 0
        return self.send(registration)

    def move(self, artefact: bytes, rule: int = _MOVE, inputs: tuple[Input, ...] = ()) -> Transition:
        """Returns the artefact's next transition, which brings new content, and counts on its being sent."""
        head, seq = self.heads[artefact]
        change = Transition(artefact, head, rule, digest(f"content {head.hex()}"), digest(head.hex()), inputs)
        after = next_head(change, from_state=0, to_state=0, seq=seq + 1, key=self.first.address)
        self.heads[artefact] = after, seq + 1
        return change

    def relay(self, change: Transition, nonce: int) -> int:
        """Has the second member send what the first signed, and returns the gas."""
        domain = domain_separator(self.ledger.chain_id, self.contract)
        unsigned = Relay(self.first.address, nonce, _DEADLINE, b"")
        signature = self.first.sign_hash(typed_hash(change, nonce=nonce, deadline=_DEADLINE, domain=domain))
        data = encode_relayed(change, replace(unsigned, signature=signature))
        return self.send_raw(self.members[1], self.contract, data)[0]

    def send(self, operation: Operation, sender: LocalSigner | None = None) -> int:
        """Performs an operation and returns the gas of its transaction."""
        return self.send_raw(sender or self.first, self.contract, encode_call(operation))[0]

    def send_raw(self, sender: LocalSigner, to: str | None, data: bytes) -> tuple[int, str | None]:
        """Sends a transaction and returns its gas and the contract it created."""
        nonce = self.ledger.nonce(sender.address)
        unsigned = UnsignedTransaction(self.ledger.chain_id, nonce, to, data, 15_000_000, Fees(0, 0))
        receipt = mined(self.ledger, self.ledger.send(sender.sign_transaction(unsigned)))
        assert receipt.succeeded, "the measurement itself is wrong: the contract refused it"
        return receipt.gas_used, receipt.contract


def mined(ledger: Ledger, transaction_hash: bytes) -> Receipt:
    """Waits for a transaction's block and returns the receipt."""
    ends = time.monotonic() + 20
    while (receipt := ledger.receipt(transaction_hash)) is None:
        assert time.monotonic() < ends, "the transaction was not mined within 20 s"
        time.sleep(0.005)
    return receipt


def digest(text: str) -> bytes:
    """Returns 32 bytes without structure, as real digests are."""
    return hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    write_snapshot()
