"""How long until a captured run is in a block, and under twelve: by the product, and by a raw transaction beside it.

Each sample begins at a random moment: a script publishes a result in a run, and a raw transaction of the same gas is
handed in at the same moment. The script's clock starts before `publish`; what counts is when the participant's node
answers that the artefact is in a block, and that so many blocks lie on top of it.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.network.clients import until
from bench.network.node import running_node
from bench.network.raw import ask, newest
from bench.network.world import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.network.node import Node
    from bench.network.world import World
    from proml.adapters.local_signer import LocalSigner

DEPTHS = (1, 12)
"""Confirmations, as the paper counts them: L@1 is the block with the transaction, L@12 has eleven on top of it."""
_LONGEST_S = 400.0
SCRIPT = """
import pathlib, sys, time
import proml
print("ready", flush=True)
for line in sys.stdin:
    name = line.strip()
    pathlib.Path("data.csv").write_text(name)
    begun = time.monotonic()
    with proml.start_run("bench") as run:
        run.log_metric("loss", 0.5)
        run.publish(name, "data.csv", kind="source", action="collect")
    print(begun, time.monotonic() - begun, flush=True)
"""


@dataclass
class Sample:
    """One moment at which both begun; seconds until each depth, by ours and by the raw transaction."""

    name: str
    begun: float
    raw_begun: float
    raw_hash: str
    ours: dict[int, float] = field(default_factory=dict)
    raw: dict[int, float] = field(default_factory=dict)


def measure(world: World, signer: LocalSigner, count: int) -> tuple[dict[int, tuple[float, float, float]], float]:
    """Returns for each depth the medians of ours and raw and the ratio of their means; and what closing a run took."""
    folder = world.folder(world.names[0])
    raw = Raw(world, signer, 0)
    samples: list[Sample] = []
    closing: list[float] = []
    with running_node(world.clients, folder) as node, script(world, folder) as trainer:
        trainer.stdin.write("warm-up\n")
        trainer.stdin.flush()
        trainer.stdout.readline()
        until(lambda: node.on_top("warm-up") is not None, "the node sees the first run")
        for number in range(count):
            ends = time.monotonic() + world.clients.period_s * random.uniform(0.6, 1.6)
            while time.monotonic() < ends:
                _look(samples, node, world.url(0), world.clients.period_s)
            samples.append(_begin(trainer, raw, f"run-{number}", closing))
        limit = time.monotonic() + _LONGEST_S
        while any(len(sample.ours) + len(sample.raw) < 2 * len(DEPTHS) for sample in samples):
            if time.monotonic() > limit:
                raise TimeoutError("not all runs were confirmed")
            _look(samples, node, world.url(0), world.clients.period_s)
    return {
        depth: (
            statistics.median(s.ours[depth] for s in samples),
            statistics.median(s.raw[depth] for s in samples),
            statistics.fmean(s.ours[depth] for s in samples) / statistics.fmean(s.raw[depth] for s in samples),
        )
        for depth in DEPTHS
    }, statistics.median(closing)


def _begin(trainer: Any, raw: Raw, name: str, closing: list[float]) -> Sample:
    signed = raw.one()
    trainer.stdin.write(f"{name}\n")
    trainer.stdin.flush()
    raw_begun = time.monotonic()
    (digest,) = ask(raw.account.url, ("eth_sendRawTransaction", ["0x" + signed.hex()]))
    begun, took = trainer.stdout.readline().split()
    closing.append(float(took))
    return Sample(name, float(begun), raw_begun, digest)


def _look(samples: list[Sample], node: Node, client: str, period_s: float) -> None:
    """Looks once at all that may have come further; asking for all of it all the time would keep the node busy."""
    for sample in samples:
        if _may_be_next(sample.ours, sample.begun, period_s):
            blocks = node.on_top(sample.name)
            _note(sample.ours, sample.begun, -1 if blocks is None else blocks)
        if _may_be_next(sample.raw, sample.raw_begun, period_s):
            (receipt,) = ask(client, ("eth_getTransactionReceipt", [sample.raw_hash]))
            blocks = newest(client) - int(receipt["blockNumber"], 16) if receipt else -1
            _note(sample.raw, sample.raw_begun, blocks)
    time.sleep(0.01)


def _may_be_next(reached: dict[int, float], begun: float, period_s: float) -> bool:
    """Tells whether the next depth may be reached by now; no block comes before its time."""
    if not reached or len(reached) == len(DEPTHS):
        return not reached
    blocks = DEPTHS[len(reached)] - DEPTHS[len(reached) - 1]
    return time.monotonic() - begun > max(reached.values()) + (blocks - 1) * period_s


def _note(reached: dict[int, float], begun: float, on_top: int) -> None:
    seconds = time.monotonic() - begun
    for depth in DEPTHS:
        if on_top + 1 >= depth:
            reached.setdefault(depth, seconds)


@contextlib.contextmanager
def script(world: World, folder: Path) -> Iterator[Any]:
    """Runs the user's script in a working folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=world.clients.environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
