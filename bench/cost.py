"""What does each step of the demonstration cost? Gas, beside a contract per asset and attestations, and money.

The story of `proml demo` is told once, with the embedded ledger; gas is the same on every engine. Beside each step is
what the same step costs with a contract per asset, which is the paper's way (``bench/asset/Asset.sol``, doing the least
that it can), and as an attestation of the Ethereum Attestation Service.

Money depends on prices that change by the minute: PROML_BENCH_GWEI and PROML_BENCH_L2_GWEI are a unit of gas, and
PROML_BENCH_USD an ether. A layer 2 of the OP stack also asks for the bytes that it writes to Ethereum, by the formula
of its Fjord upgrade. In a consortium gas has no price; what it takes of a block's limit is what it costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode

from bench.gas import Bench, digest, measure_beside_peer
from proml.adapters.embedded import EmbeddedLedger
from proml.core.digest import keccak256

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = (
    "cost.story_gas",
    "cost.story_usd_ethereum",
    "cost.story_usd_l2",
    "cost.story_block_percent",
    "cost.asset_deploy_gas",
    "cost.asset_act_gas",
)
MINUTES = 2
ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).parent / "out" / "cost.md"
GWEI, L2_GWEI, ETHER_USD = 2.0, 0.01, 3_000.0
_BLOCK_GAS = 60_000_000
_REGISTERS_ABOVE = 75_000  # a transition in the story that costs more registers its artefact on the way
_OVERHEAD_BYTES = 110  # of an EIP-1559 transaction beside its call data: nonce, fees, address, signature
# OP stack specification, Fjord: L1-cost fees; the scalars are those that Base set in November 2024.
_SIZE_INTERCEPT, _SIZE_FACTOR, _LEAST_SIZE = -42_585_600, 836_500, 100_000_000
_BASE_FEE_SCALAR, _BLOB_FEE_SCALAR, _BLOB_FEE_WEI = 2_269, 1_055_762, 1


@dataclass(frozen=True)
class Step:
    """One transaction of the story."""

    block: int
    what: str
    who: str
    gas: int
    data_bytes: int
    kind: str
    operations: int


def rows() -> list[dict[str, object]]:
    """Tells the story, adds up, and writes the table step by step to ``bench/out/cost.md``."""
    steps = story()
    deploy, act = contract_per_asset()
    _, theirs = measure_beside_peer()
    attest = theirs.get("attest", 0)
    ours = sum(step.gas for step in steps)
    assets = sum(asset_gas(step, deploy, act) for step in steps)
    attested = sum(step.operations * attest for step in steps)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(steps, deploy, act, attest), encoding="utf-8")
    print(f"step by step: {TABLE}", file=sys.stderr)
    return [
        row("cost.story_gas", ours, "gas", f"contract per asset ({ours / assets:.2f}x)", assets),
        row("cost.story_usd_ethereum", usd_ethereum(ours), "USD", "EAS" if attest else None, usd_ethereum(attested)),
        row("cost.story_usd_l2", sum(usd_l2(step) for step in steps), "USD"),
        row("cost.story_block_percent", 100 * ours / _BLOCK_GAS, "% of a block"),
        row("cost.asset_deploy_gas", deploy, "gas"),
        row("cost.asset_act_gas", act, "gas"),
    ]


def story() -> list[Step]:
    """Tells the story in a folder of its own and returns its transactions, in the order of blocks."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "proml", "demo", "--into", folder], check=True, stdout=subprocess.DEVNULL)
        (chain,) = Path(folder).rglob("ledger.sqlite")
        ledger = EmbeddedLedger.open(chain)
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for dot in sorted(Path(folder).rglob(".proml")):
            for entry in _outbox(dot.parent):
                if entry["state"] == "confirmed":
                    found.setdefault(entry["transaction"], []).append((dot.parent.name, entry))
        steps = [_step(ledger, transaction, entries) for transaction, entries in found.items()]
        ledger.close()
    return sorted(steps, key=lambda step: step.block)


def _outbox(folder: Path) -> list[dict[str, Any]]:
    environment = {**os.environ, "PROML_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "proml", "status", "--outbox", "--json"],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    entries: list[dict[str, Any]] = json.loads(done.stdout)["outbox"]
    return entries


def _step(ledger: EmbeddedLedger, transaction: str, entries: Sequence[tuple[str, dict[str, Any]]]) -> Step:
    data = ledger.transaction_input(bytes.fromhex(transaction.removeprefix("0x"))) or b""
    who, first = entries[0]
    what = ", ".join(f"{entry['action'] or entry['kind']} {entry['artefact']}".strip() for _, entry in entries)
    return Step(first["block"], what, who, first["gas"], len(data), first["kind"], len(entries))


def contract_per_asset() -> tuple[int, int]:
    """Returns the gas of a contract for an asset, and of a step of it in steady state."""
    done = subprocess.run(
        ["node", str(ROOT / "bench" / "asset" / "compile.mjs")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    codes = {name: bytes.fromhex(code) for name, code in json.loads(done.stdout).items()}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(EmbeddedLedger.create(Path(folder) / "chain.sqlite"))
        accounts = [member.address for member in bench.members]
        _, roles = bench.send_raw(
            bench.first, None, codes["Roles"] + encode(["address[]", "uint256"], [accounts, 0xFF])
        )
        code = codes["Asset"] + encode(["address", "bytes32"], [roles, digest("record")])
        deploy, asset = bench.send_raw(bench.first, None, code)
        assert asset is not None
        act = 0
        for rule in range(3):
            head = bench.ledger.call(asset, keccak256(b"head()")[:4])
            fields = [head, rule, digest(f"content {rule}"), digest(f"record {rule}")]
            data = keccak256(b"act(bytes32,uint256,bytes32,bytes32)")[:4] + encode(
                ["bytes32", "uint256", "bytes32", "bytes32"], fields
            )
            act, _ = bench.send_raw(bench.first, asset, data)
        bench.ledger.close()
    return deploy, act


def asset_gas(step: Step, deploy: int, act: int) -> int:
    """Returns what a step costs with a contract per asset; one for what has no asset of its own counts as a step."""
    registers = step.kind == "register" or (step.kind == "transition" and step.gas > _REGISTERS_ABOVE)
    return (step.operations - (step.kind == "register")) * act + registers * deploy


def usd_ethereum(gas: int) -> float:
    """Returns what gas costs on Ethereum."""
    return gas * price("PROML_BENCH_GWEI", GWEI) * 1e-9 * price("PROML_BENCH_USD", ETHER_USD)


def usd_l2(step: Step) -> float:
    """Returns what a step costs on a layer 2 of the OP stack."""
    size = max(_LEAST_SIZE, _SIZE_INTERCEPT + _SIZE_FACTOR * (step.data_bytes + _OVERHEAD_BYTES))
    base_fee_wei = price("PROML_BENCH_GWEI", GWEI) * 1e9
    data_wei = size * (16 * _BASE_FEE_SCALAR * base_fee_wei + _BLOB_FEE_SCALAR * _BLOB_FEE_WEI) / 1e12
    gas_wei = step.gas * price("PROML_BENCH_L2_GWEI", L2_GWEI) * 1e9
    return (gas_wei + data_wei) * 1e-18 * price("PROML_BENCH_USD", ETHER_USD)


def price(variable: str, default: float) -> float:
    """Returns a price that the environment may set."""
    return float(os.environ.get(variable, default))


def table(steps: Sequence[Step], deploy: int, act: int, attest: int) -> str:
    """Returns the story as a Markdown table."""
    lines = [
        "| step | who | bytes | gas | contract per asset | EAS | Ethereum, USD | L2, USD |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {step.what} | {step.who} | {step.data_bytes} | {step.gas:,} | {asset_gas(step, deploy, act):,} "
            f"| {step.operations * attest:,} | {usd_ethereum(step.gas):.3f} | {usd_l2(step):.5f} |"
            for step in steps
        ),
    ]
    return "\n".join(lines) + "\n"


def row(
    name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None
) -> dict[str, object]:
    """Returns a row of the table."""
    return {
        "name": name, "value": round(value, 4), "unit": unit, "target": None, "met": None,
        "peer": peer, "peer_value": peer_value if peer else None,
    }  # fmt: skip
