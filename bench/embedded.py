"""How fast is the embedded ledger? Transitions of the real contract, one per block, and the time to reopen."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from proml.adapters.embedded import EmbeddedLedger
from proml.contract_build import load_contract
from proml.core.calls import encode_call, encode_constructor
from proml.core.heads import genesis_head, next_head
from proml.core.operation import Lifecycle, Member, Operation, Registration, Rule, Transition

NAMES = (
    "embedded.transitions_per_s",
    "embedded.reopen_ms",
    "embedded.reopen_and_load_evm_ms",
    "embedded.call_ms",
    "embedded.bytes_per_block",
)
BLOCKS = 10_000
# What the rate is measured over: the newest blocks of the chain, where its tries are deepest.
MEASURED = 2_000
TRANSITIONS_PER_ARTEFACT = 4
RUNS = 15

_CONTRIBUTOR = 2
_TWO_STATES = Lifecycle(
    definition=b"\x01" * 32,
    register_roles=_CONTRIBUTOR,
    initial=0,
    state_flags=(1, 1),
    rules=(Rule(0, 1, _CONTRIBUTOR, 0, 0, 0, 0, 0), Rule(1, 0, _CONTRIBUTOR, 0, 0, 0, 0, 0)),
)


def rows() -> list[dict[str, object]]:
    """Builds a chain of 10,000 blocks, a fifth of them registrations, the others transitions with new content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.sqlite"
        workload = Workload(EmbeddedLedger.create(path))
        seconds = workload.run(BLOCKS)
        call_ms = workload.call_ms()
        workload.ledger.close()
        size = path.stat().st_size
        reopen_ms = _reopen_ms(path, "ledger.newest()")
        load_ms = _reopen_ms(path, f"ledger.call({workload.contract!r}, {workload.view!r})")
    rate = len(seconds) / sum(seconds)
    return [
        _row("embedded.transitions_per_s", rate, "1/s", 100, at_least=True),
        _row("embedded.reopen_ms", reopen_ms, "ms", 50),
        _row("embedded.reopen_and_load_evm_ms", load_ms, "ms", None),
        _row("embedded.call_ms", call_ms, "ms", None),
        _row("embedded.bytes_per_block", size / BLOCKS, "bytes", None),
    ]


class Workload:
    """A workspace with one member on a ledger, and the transactions it sends there."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        self.ledger = ledger
        self._account: LocalAccount = Account.create()
        self._nonce = 0
        self._number = 0
        build = load_contract("Workspace")
        member = Member(self._account.address, 1, 1 | _CONTRIBUTOR)
        raw = self._signed(None, build.creation_code + encode_constructor([member], 1, [_TWO_STATES]))
        receipt = ledger.receipt(ledger.send(raw))
        assert receipt is not None
        assert receipt.contract is not None
        self.contract = receipt.contract
        self.view = b""

    def run(self, blocks: int) -> list[float]:
        """Adds blocks, and returns the seconds that sending each of the last measured transitions took."""
        seconds: list[float] = []
        while self._nonce < blocks:
            artefact = self._number.to_bytes(32, "big")
            self._number += 1
            registration = Registration(artefact, 1, _digest(artefact, 0))
            self._send(registration)
            head = genesis_head(self.ledger.chain_id, self.contract, registration, self._account.address)
            for seq in range(1, TRANSITIONS_PER_ARTEFACT + 1):
                before, after = (seq + 1) % 2, seq % 2
                change = Transition(artefact, head, before, _digest(artefact, seq), _digest(artefact, -seq))
                taken = self._send(change)
                if self._nonce > blocks - MEASURED:
                    seconds.append(taken)
                head = next_head(change, from_state=before, to_state=after, seq=seq, key=self._account.address)
        from proml.core.calls import encode_view

        self.view = encode_view("artefactOf", artefact)
        return seconds

    def call_ms(self) -> float:
        """Returns the median time of reading an artefact's state from the contract, in milliseconds."""
        return statistics.median(_milliseconds(lambda: self.ledger.call(self.contract, self.view)) for _ in range(200))

    def _send(self, operation: Operation) -> float:
        raw = self._signed(self.contract, encode_call(operation))
        start = time.perf_counter()
        digest = self.ledger.send(raw)
        taken = time.perf_counter() - start
        receipt = self.ledger.receipt(digest)
        assert receipt is not None
        assert receipt.succeeded
        return taken

    def _signed(self, to: str | None, data: bytes) -> bytes:
        fields = {
            "chainId": self.ledger.chain_id,
            "nonce": self._nonce,
            "data": data,
            "gas": 12_000_000 if to is None else 300_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            "value": 0,
        }
        self._nonce += 1
        return bytes(self._account.sign_transaction(fields if to is None else {**fields, "to": to}).raw_transaction)


def _digest(artefact: bytes, number: int) -> bytes:
    import hashlib

    return hashlib.sha256(artefact + number.to_bytes(8, "big", signed=True)).digest()


def _milliseconds(work: object) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _reopen_ms(path: Path, expression: str) -> float:
    """Returns the median time to open the file and evaluate, each time in a new process that has imported the adapter."""
    program = (
        "import time; from proml.adapters.embedded import EmbeddedLedger; start = time.perf_counter();"
        f"ledger = EmbeddedLedger.open({str(path)!r}); {expression}; print((time.perf_counter() - start) * 1000)"
    )
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
        for _ in range(RUNS)
    )


def _row(name: str, value: float, unit: str, target: float | None, *, at_least: bool = False) -> dict[str, object]:
    met = None if target is None else value >= target if at_least else value <= target
    return {"name": name, "value": round(value, 2), "unit": unit, "target": target, "met": met}
