"""A consortium of four real clients on this machine: how soon, how much at once, and what it needs.

Every figure of ours goes through the whole product; beside it, in the same run, on the same clients, are raw
transactions of the same gas that were signed beforehand and are handed in by hand. The clients' blocks come every 1, 2
or 12 s; all processes share this machine's processors, ours and four clients', so rates are lower than on four
machines.

``PROML_BENCH_SHARE=0.1`` does a tenth of everything, for trying the bench out.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from bench.network import growth, latency, observing, throughput
from bench.network.clients import ChainStandsError, find_geth, running
from bench.network.world import found
from proml.adapters.local_signer import LocalSigner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PERIODS_S = (1, 2, 12)
SAMPLES = {1: 60, 2: 40, 12: 12}
WRITERS = (1, 4, 16)
SINGLE = 3_200
ROUNDS = 3
TRANSITIONS = 100_000
GROWTH_PERIOD_S = 5
"""With full blocks every second for minutes, four clients on two processors come to two branches of equal weight."""
MOST_STANDS = 3
OBSERVATIONS = 8_000_000
PAPER = {1: 16.0, 12: 150.0}
"""Seconds until L@1 and L@12 that the paper reports, at 12.5 s a block (arXiv 2206.10110)."""
LATENCY_TARGET, RATE_TARGET, OBSERVATIONS_TARGET = 1.10, 0.80, 50_000
GROWTH_UNITS = {
    "transitions_per_s": "1/s", "node_cpu_us": "µs each", "client_cpu_us": "µs each", "node_memory_mib": "MiB",
    "client_memory_mib": "MiB", "index_bytes": "bytes each", "chain_bytes": "bytes each", "records_bytes": "bytes each",
    "newcomer_client_s": "s", "newcomer_index_s": "s",
}  # fmt: skip
NAMES = (
    *(f"network.l{depth}_s_at_{period}s" for period in PERIODS_S for depth in latency.DEPTHS),
    *(f"network.{way}_per_s_{writers}" for writers in WRITERS for way in ("single", "batched")),
    "network.observations_per_s",
    *(f"network.growth_{what}" for what in GROWTH_UNITS),
)
MINUTES = 25


def rows() -> list[dict[str, object]]:
    """Measures all of it; nothing if there is no client."""
    geth = find_geth()
    if geth is None:
        print("left out: network; `make geth` builds the client")
        return []
    made: list[dict[str, object]] = []
    latencies = [functools.partial(_latency, period_s=period_s) for period_s in PERIODS_S]
    parts: list[Callable[[Path], list[dict[str, object]]]] = [*latencies, _throughput, _growth]
    for part in parts:
        found = _again(part, geth)
        print(*found, sep="\n", flush=True)  # what was measured is told, whatever becomes of the next part
        made += found
    return made


def _again(part: Callable[[Path], list[dict[str, object]]], geth: Path) -> list[dict[str, object]]:
    """Measures a part, on a fresh chain if the clients' chain comes to a stand in between; says so."""
    for _ in range(MOST_STANDS):
        try:
            return part(geth)
        except ChainStandsError as error:
            print(f"measured again on a fresh chain: {error}", flush=True)
    return part(geth)


def share(whole: int, least: int = 1) -> int:
    """Returns the part of it that is asked for."""
    return max(least, round(whole * float(os.environ.get("PROML_BENCH_SHARE", "1"))))


def _latency(geth: Path, period_s: int) -> list[dict[str, object]]:
    signer = LocalSigner.generate()
    with running(geth, period_s, ["trainer"], [signer.address]) as clients:
        found_world = found(clients, ["trainer"], [signer])
        by_depth, closing_s = latency.measure(found_world, signer, share(SAMPLES[period_s], 4))
    print(f"closing a run: {1000 * closing_s:.0f} ms")
    return [
        row(
            f"network.l{depth}_s_at_{period_s}s",
            ours,
            "s",
            peer=f"raw ({ratio:.2f}x)" + (f", paper {PAPER[depth]:.0f} s" if period_s == max(PERIODS_S) else ""),
            peer_value=raw,
            target=LATENCY_TARGET * raw,
            met=ratio <= LATENCY_TARGET,
        )
        for depth, (ours, raw, ratio) in by_depth.items()
    ]


def _throughput(geth: Path) -> list[dict[str, object]]:
    names = [f"w{number}" for number in range(max(WRITERS))]
    signers = {writers: [LocalSigner.generate() for _ in range(writers)] for writers in WRITERS}
    raw = [signer for some in signers.values() for signer in some]
    made: list[dict[str, object]] = []
    with running(geth, 1, names, [signer.address for signer in raw]) as clients:
        world = found(clients, names, raw)
        for writers in WRITERS:
            rates = throughput.measure(world, signers[writers], single=share(SINGLE, 64), rounds=ROUNDS)
            made += [
                row(
                    f"network.{way}_per_s_{writers}",
                    ours,
                    "1/s",
                    peer=f"raw ({ours / raw:.2f}x)",
                    peer_value=raw,
                    target=RATE_TARGET * raw,
                    met=ours >= RATE_TARGET * raw,
                )
                for way, (ours, raw) in rates.items()
            ]
        rate = observing.measure(world, share(OBSERVATIONS, 100_000))
        is_met = rate >= OBSERVATIONS_TARGET
        made.append(row("network.observations_per_s", rate, "1/s", target=OBSERVATIONS_TARGET, met=is_met))
    return made


def _growth(geth: Path) -> list[dict[str, object]]:
    names = [f"w{number}" for number in range(growth.WRITERS)]
    with running(geth, GROWTH_PERIOD_S, [*names, "watcher", "newcomer"], late=1) as clients:
        world = found(clients, [*names, "watcher"], [])
        figures = growth.measure(world, share(TRANSITIONS, growth.WRITERS * growth.ARTEFACTS), "watcher", "newcomer")
    return [row(f"network.growth_{what}", value, GROWTH_UNITS[what]) for what, value in figures.items()]


def row(
    name: str, value: float, unit: str, *, peer: str | None = None, peer_value: float | None = None,
    target: float | None = None, met: bool | None = None,
) -> dict[str, object]:  # fmt: skip
    """Returns a row of the table."""
    return {
        "name": name, "value": round(value, 3), "unit": unit, "target": target and round(target, 2), "met": met,
        "peer": peer, "peer_value": peer_value and round(peer_value, 3),
    }  # fmt: skip
