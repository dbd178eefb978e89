"""How fast is the embedded ledger? Transitions of the real contract, one per block, and the time to reopen."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.local_signer import LocalSigner
from proml.contract_build import load_contract
from proml.core.calls import encode_call, encode_constructor, encode_view
from proml.core.digest import sha256
from proml.core.heads import genesis_head, next_head
from proml.core.operation import Lifecycle, Member, Operation, Registration, Rule, Transition
from proml.ports import Fees, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable

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
        view = encode_view("artefactOf", _artefact(0))
        call_ms = _median_ms(lambda: workload.ledger.call(workload.contract, view), 200)
        workload.ledger.close()
        size = path.stat().st_size
        reopen_ms = _reopen_ms(path, "ledger.newest()")
        load_ms = _reopen_ms(path, f"ledger.call({workload.contract!r}, {view!r})")
    rate = len(seconds) / sum(seconds)
    return [
        _row("embedded.transitions_per_s", rate, "1/s", target=100, met=rate >= 100),
        _row("embedded.reopen_ms", reopen_ms, "ms", target=50, met=reopen_ms <= 50),
        _row("embedded.reopen_and_load_evm_ms", load_ms, "ms"),
        _row("embedded.call_ms", call_ms, "ms"),
        _row("embedded.bytes_per_block", size / BLOCKS, "bytes"),
    ]


class Workload:
    """A workspace with one member on a ledger, and the transactions it sends there."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        self.ledger = ledger
        self._signer = LocalSigner.generate()
        self._nonce = 0
        member = Member(self._signer.address, 1, 1 | _CONTRIBUTOR)
        creation = load_contract("Workspace").creation_code + encode_constructor([member], 1, [_TWO_STATES])
        receipt = ledger.receipt(ledger.send(self._signed(None, creation)))
        assert receipt is not None
        assert receipt.contract is not None
        self.contract = receipt.contract

    def run(self, blocks: int) -> list[float]:
        """Adds blocks, and returns the seconds that sending each of the last measured transitions took."""
        seconds: list[float] = []
        number = 0
        while self._nonce < blocks:
            registration = Registration(_artefact(number), 1, _digest(number, 0))
            number += 1
            self._send(registration)
            head = genesis_head(self.ledger.chain_id, self.contract, registration, self._signer.address)
            for seq in range(1, TRANSITIONS_PER_ARTEFACT + 1):
                before, after = (seq + 1) % 2, seq % 2
                change = Transition(
                    registration.artefact, head, before, _digest(number, seq), _digest(number, seq + 100)
                )
                taken = self._send(change)
                if self._nonce > blocks - MEASURED:
                    seconds.append(taken)
                head = next_head(change, from_state=before, to_state=after, seq=seq, key=self._signer.address)
        return seconds

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
        transaction = UnsignedTransaction(
            chain_id=self.ledger.chain_id,
            nonce=self._nonce,
            to=to,
            data=data,
            gas=12_000_000 if to is None else 300_000,
            fees=Fees(0, 0),
        )
        self._nonce += 1
        return self._signer.sign_transaction(transaction)


def _artefact(number: int) -> bytes:
    return sha256(b"artefact %d" % number)


def _digest(number: int, seq: int) -> bytes:
    return sha256(b"digest %d %d" % (number, seq))


def _median_ms(work: Callable[[], object], runs: int) -> float:
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def _reopen_ms(path: Path, expression: str) -> float:
    """Returns the median time to open the file and evaluate, each in a new process that has imported the adapter."""
    program = (
        "import time; from proml.adapters.embedded import EmbeddedLedger; start = time.perf_counter();"
        f"ledger = EmbeddedLedger.open({str(path)!r}); {expression}; print((time.perf_counter() - start) * 1000)"
    )
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
        for _ in range(RUNS)
    )


def _row(name: str, value: float, unit: str, target: float | None = None, met: bool | None = None) -> dict[str, object]:  # noqa: FBT001  (a cell of the table)
    return {"name": name, "value": round(value, 2), "unit": unit, "target": target, "met": met}
