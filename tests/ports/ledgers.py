"""Ledgers that run, and somebody who uses them: what the ledger tests share."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proml.adapters.local_signer import LocalSigner
from proml.core.digest import keccak256
from proml.core.words import word_address
from proml.ports import Fees, Ledger, Receipt, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_PROBE = json.loads((Path(__file__).parent / "probe.json").read_text(encoding="utf-8"))
PROBE_CREATION = bytes.fromhex(_PROBE["creation"])
PROBE_RUNTIME = bytes.fromhex(_PROBE["runtime"])
STORED = keccak256(b"Stored(bytes32,bytes32,address,uint256)")
REFUSED = keccak256(b"Refused(uint256,address)")[:4]


def word(value: int | bytes | str) -> bytes:
    """Returns a number, an address or up to 32 bytes (padded at the left) as one ABI word."""
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    return (bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else value).rjust(32, b"\0")


def call_data(signature: str, *arguments: int | bytes | str) -> bytes:
    """Returns the call data for a function whose parameters are all one word."""
    return keccak256(signature.encode())[:4] + b"".join(map(word, arguments))


def store(key: int | bytes, value: int | bytes) -> bytes:
    """Returns the call data of the probe's ``store``."""
    return call_data("store(bytes32,bytes32)", key, value)


@dataclass
class Person:
    """An account and the ledger it uses."""

    ledger: Ledger
    signer: LocalSigner = field(default_factory=LocalSigner.generate)

    @property
    def address(self) -> str:
        return self.signer.address

    def sign(
        self,
        to: str | None,
        data: bytes,
        *,
        nonce: int | None = None,
        gas: int = 1_500_000,
        chain_id: int | None = None,
    ) -> bytes:
        return self.signer.sign_transaction(
            UnsignedTransaction(
                chain_id=self.ledger.chain_id if chain_id is None else chain_id,
                nonce=self.ledger.nonce(self.address) if nonce is None else nonce,
                to=to,
                data=data,
                gas=gas,
                fees=Fees(0, 0),
            )
        )

    def transact(self, to: str | None, data: bytes, *, gas: int = 1_500_000) -> Receipt:
        return mined(self.ledger, self.ledger.send(self.sign(to, data, gas=gas)))

    def deploy(self) -> str:
        contract = self.transact(None, PROBE_CREATION).contract
        assert contract is not None
        return contract


def mined(ledger: Ledger, transaction_hash: bytes) -> Receipt:
    """Waits until a transaction is in a block."""
    ends = time.monotonic() + 10
    while (receipt := ledger.receipt(transaction_hash)) is None:
        assert time.monotonic() < ends, "the transaction was not mined within 10 s"
        time.sleep(0.01)
    return receipt


def created_address(receipt: Receipt) -> str:
    """Returns the address in the data of the probe's only ``Created`` event."""
    return word_address(receipt.logs[0].data)


# ----------------------------------------------------------------------------------------------------------- anvil


def find_anvil() -> Path | None:
    """Returns the anvil of `make engines`, or the one on the path."""
    folders = [Path(value) for value in [os.environ.get("PROML_ENGINES", "")] if value] + [_ROOT / ".engines"]
    candidates = [folder / "node_modules" / ".bin" / "anvil" for folder in folders]
    found = shutil.which("anvil")
    return next((path for path in candidates if path.exists()), Path(found) if found else None)


def wanted_anvil() -> Path:
    """Returns anvil, or skips the test where it is missing; in continuous integration that is a failure."""
    program = find_anvil()
    if program is None:
        reason = "anvil is missing: `make engines` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@dataclass
class Anvil:
    """An anvil process of our own."""

    url: str
    ipc: str
    process: subprocess.Popen[bytes]

    def ask(self, method: str, *parameters: Any) -> Any:
        """Returns the result of a JSON-RPC method, anvil's own ones included."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["result"]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


@contextlib.contextmanager
def running_anvil(program: Path, folder: Path, *options: str, hardfork: str = "london") -> Iterator[Anvil]:
    """Runs anvil on a free loopback port until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ipc = folder / "anvil.ipc"
    fixed = ["--hardfork", hardfork, "--base-fee", "0", "--gas-price", "0", "--accounts", "0", "--quiet"]
    process = subprocess.Popen(
        [_binary(program), "--host", "127.0.0.1", "--port", str(port), "--ipc", str(ipc), *fixed, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    anvil = Anvil(f"http://127.0.0.1:{port}", str(ipc), process)
    try:
        _wait_until_it_answers(anvil)
        yield anvil
    finally:
        anvil.stop()


def _binary(program: Path) -> str:
    """Returns the binary behind npm's launcher, so that the process we stop is anvil itself."""
    packages = program.resolve().parents[1]
    found = sorted(packages.parent.glob("anvil-*/bin/anvil"))
    return str(found[0] if found else program)


def _wait_until_it_answers(anvil: Anvil) -> None:
    ends = time.monotonic() + 20
    while True:
        try:
            anvil.ask("eth_chainId")
        except OSError:
            assert anvil.process.poll() is None, f"anvil ended with exit code {anvil.process.returncode}"
            assert time.monotonic() < ends, "anvil did not answer within 20 s"
            time.sleep(0.02)
        else:
            return
