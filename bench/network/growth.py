"""What a participant needs after 100,000 transitions: processor, memory and disk; and how long a newcomer takes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from bench.network.clients import cpu_s, disk_bytes, memory_mib, until
from bench.network.node import running_node
from bench.network.raw import newest
from bench.network.world import Writer, join

if TYPE_CHECKING:
    from pathlib import Path

    from bench.network.world import World

WRITERS = 4
ARTEFACTS = 2_500
"""Of each writer; each gets as many versions as it takes."""
_CLIENT, _LATE = 1, 4


def measure(world: World, transitions: int, watcher: str, newcomer: str) -> dict[str, float]:
    """Records that many transitions through four writers while a node follows, then lets a newcomer join.

    Args:
        world: The workspace; nothing else happens on its clients.
        transitions: How many in all.
        watcher: Identity whose node follows, on a client of its own.
        newcomer: Identity that joins when all is recorded, on the client that was not started yet.

    Returns:
        Figures by name, of the watcher's node and of one client.
    """
    clients = world.clients
    folder, client = world.folder(watcher), clients.folder(_CLIENT)
    with running_node(clients, folder, PROML_IDENTITY=watcher, PROML_LEDGER=clients.urls[_CLIENT]) as node:
        until(lambda: node.block_number() >= newest(clients.urls[_CLIENT]) - 1, "the node has caught up")
        before = _sizes(folder, client, world)
        cpu_before = cpu_s(node.pid), cpu_s(clients.pid(_CLIENT))
        seconds = _record(world, transitions)
        until(lambda: node.block_number() >= newest(clients.urls[_CLIENT]) - 1, "the node has caught up", 600)
        after = _sizes(folder, client, world)
        figures = {
            "transitions_per_s": transitions / seconds,
            "node_cpu_us": 1e6 * (cpu_s(node.pid) - cpu_before[0]) / transitions,
            "client_cpu_us": 1e6 * (cpu_s(clients.pid(_CLIENT)) - cpu_before[1]) / transitions,
            "node_memory_mib": memory_mib(node.pid),
            "client_memory_mib": memory_mib(clients.pid(_CLIENT)),
            **{f"{what}_bytes": (after[what] - before[what]) / transitions for what in after},
        }
    return {**figures, **_newcomer(world, newcomer)}


def _sizes(folder: Path, client: Path, world: World) -> dict[str, float]:
    return {
        "index": sum(path.stat().st_size for path in (folder / ".proml").glob("index.sqlite*")),
        "chain": disk_bytes(client / "data"),
        "records": disk_bytes(world.clients.root / "store"),
    }


def _record(world: World, transitions: int) -> float:
    """Returns the seconds that recording took."""
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(contextlib.closing(Writer(world, number))) for number in range(WRITERS)]
        for writer in writers:
            writer.answer()
        for version in range(1, 1 + transitions // (WRITERS * ARTEFACTS)):
            for writer in writers:
                writer.tell("queue", first=50_000_000, count=ARTEFACTS, version=version)
                writer.tell("deliver")
            for writer in writers:
                writer.answer()
                writer.answer()
            print(f"{version * WRITERS * ARTEFACTS:,} transitions after {time.monotonic() - begun:.0f} s", flush=True)
    return time.monotonic() - begun


def _newcomer(world: World, name: str) -> dict[str, float]:
    """Returns how long a new participant's client takes to have the chain, and its folder to have the index."""
    clients = world.clients
    goal = newest(clients.urls[0])
    begun = time.monotonic()
    clients.proml("consortium", "start", clients.folder(_LATE))
    until(lambda: newest(clients.urls[_LATE]) >= goal, "the newcomer's client has the chain", 1200, 0.5)
    synced = time.monotonic()
    folder = join(clients, name, clients.urls[_LATE], clients.root / "workspace.json")
    clients.proml("sync", folder=folder, PROML_IDENTITY=name, PROML_LEDGER=clients.urls[_LATE])
    return {"newcomer_client_s": synced - begun, "newcomer_index_s": time.monotonic() - synced}
