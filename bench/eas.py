"""What does the Ethereum Attestation Service cost for the same 160 bytes? Its built contracts, in the same run.

An attestation of five words is beside our transition, which carries artefact, head, rule, content and record. Nothing
is referred to and nobody receives it, which is the cheapest that the service offers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode

from bench.gas import BATCH, Bench, digest
from proml.core.digest import keccak256

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = "1.9.0"
ARTIFACTS = Path(__file__).parents[1] / ".engines" / f"eas-contracts-{VERSION}" / "package" / "artifacts" / "contracts"
_NOBODY = "0x" + "00" * 20
_DEADLINE = 1 << 40
_DATA = "(address,uint64,bool,bytes32,bytes,uint256)"
_ATTEST_FIELDS = "address,bytes32,address,uint64,bool,bytes32,bytes32,uint256,uint256,uint64"


@dataclass
class Service:
    """Registry and service, deployed by the members of a bench on its ledger."""

    bench: Bench
    schema: bytes
    contract: str

    @classmethod
    def deploy(cls, bench: Bench) -> Service:
        """Deploys both and registers the schema."""
        registry = _create(bench, "SchemaRegistry")
        contract = _create(bench, "EAS", encode(["address"], [registry]))
        text = "bytes32 artefact,bytes32 head,bytes32 rule,bytes32 content,bytes32 record"
        _send(bench, registry, "register", ["string", "address", "bool"], [text, _NOBODY, True])
        schema = keccak256(text.encode() + bytes(20) + b"\x01")
        return cls(bench, schema, contract)

    def measure(self) -> dict[str, int]:
        """Returns the gas of each operation by name; of those of many, for each."""
        one, many = f"(bytes32,{_DATA})", f"(bytes32,{_DATA}[])[]"
        attest = self._send("attest", [one], [(self.schema, _data("one"))])
        batch = [_data(f"of many {number}") for number in range(BATCH)]
        roots = [digest(f"time {number}") for number in range(BATCH)]
        self._delegated(0)
        return {
            "attest": attest,
            "multiAttest": self._send("multiAttest", [many], [[(self.schema, batch)]]) // BATCH,
            "attestByDelegation": self._delegated(1),
            "timestamp": self._send("timestamp", ["bytes32"], [digest("time")]),
            "multiTimestamp": self._send("multiTimestamp", ["bytes32[]"], [roots]) // BATCH,
        }

    def _delegated(self, nonce: int) -> int:
        """Has the second member send what the first signed."""
        to, expires, revocable, refers, payload, value = data = _data(f"delegated {nonce}")
        attester = self.bench.first.address
        kind = keccak256(
            b"Attest(address attester,bytes32 schema,address recipient,uint64 expirationTime,bool revocable,"
            b"bytes32 refUID,bytes data,uint256 value,uint256 nonce,uint64 deadline)"
        )
        fields = [attester, self.schema, to, expires, revocable, refers, keccak256(payload), value, nonce, _DEADLINE]
        message = keccak256(kind + encode(_ATTEST_FIELDS.split(","), fields))
        domain = self.bench.ledger.call(self.contract, keccak256(b"getDomainSeparator()")[:4])
        signature = self.bench.first.sign_hash(keccak256(b"\x19\x01" + domain + message))
        parts = (signature[64], signature[:32], signature[32:64])
        types = [f"(bytes32,{_DATA},(uint8,bytes32,bytes32),address,uint64)"]
        values = [(self.schema, data, parts, attester, _DEADLINE)]
        return self._send("attestByDelegation", types, values, sender=1)

    def _send(self, name: str, types: Sequence[str], values: Sequence[Any], sender: int = 0) -> int:
        return _send(self.bench, self.contract, name, types, values, sender=sender)


def _data(text: str) -> tuple[str, int, bool, bytes, bytes, int]:
    """Returns an attestation's arguments with 160 bytes of payload."""
    payload = b"".join(digest(f"{text} word {number}") for number in range(5))
    return _NOBODY, 0, True, bytes(32), payload, 0


def _create(bench: Bench, name: str, arguments: bytes = b"") -> str:
    document = json.loads((ARTIFACTS / f"{name}.sol" / f"{name}.json").read_text(encoding="utf-8"))
    _, contract = bench.send_raw(bench.first, None, bytes.fromhex(document["bytecode"][2:]) + arguments)
    assert contract is not None
    return contract


def _send(bench: Bench, to: str, name: str, types: Sequence[str], values: Sequence[Any], *, sender: int = 0) -> int:
    selector = keccak256(f"{name}({','.join(types)})".encode())[:4]
    return bench.send_raw(bench.members[sender], to, selector + encode(types, values))[0]
