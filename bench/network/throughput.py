"""How many transitions a second, through the whole product, beside raw transactions of the same gas in the same run."""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import TYPE_CHECKING

from bench.network.raw import newest, send_all
from bench.network.world import Raw, Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.network.world import World
    from proml.adapters.local_signer import LocalSigner

TOGETHER = 50


def measure(
    world: World, signers: Sequence[LocalSigner], *, single: int, rounds: int
) -> dict[str, tuple[float, float]]:
    """Returns transitions a second of ours and of raw transactions, one and fifty in a transaction, by name.

    Args:
        world: The workspace.
        signers: The raw accounts, as many as writers.
        single: How many artefacts in all get a first version, each in a transaction of its own.
        rounds: How often all of them get another version, fifty in a transaction.
    """
    writers = len(signers)
    raws = [Raw(world, signer, number) for number, signer in enumerate(signers)]
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(contextlib.closing(Writer(world, number))) for number in range(writers)]
        for writer in ours:
            writer.answer()
        share = single // writers
        first = writers * 1_000_000  # artefacts that no other measurement uses
        theirs_single = _raw_first(raws, share)
        ours_single = _ours(world, ours, first, share, 1)
        theirs, mine = [], []
        for version in range(2, 2 + rounds):
            theirs.append(_raw_next(raws, share))
            mine.append(_ours(world, ours, first, share, version))
    return {
        "single": (ours_single, theirs_single),
        "batched": (statistics.harmonic_mean(mine), statistics.harmonic_mean(theirs)),
    }


def _raw_first(raws: Sequence[Raw], share: int) -> float:
    for raw in raws:
        raw.first_versions(share)
    return share * len(raws) / send_all([raw.account for raw in raws])


def _raw_next(raws: Sequence[Raw], share: int) -> float:
    for raw in raws:
        raw.next_versions(TOGETHER)
    return share * len(raws) / send_all([raw.account for raw in raws])


def _ours(world: World, writers: Sequence[Writer], first: int, share: int, version: int) -> float:
    """Returns transitions a second, from the outboxes to blocks that a client has."""
    for number, writer in enumerate(writers):
        writer.tell("queue", first=first + number * share, count=share, version=version)
    for writer in writers:
        writer.answer()
    begun = time.monotonic()
    for writer in writers:
        writer.tell("deliver")
    answers = [writer.answer() for writer in writers]
    seconds = time.monotonic() - begun
    assert max(answer["block"] for answer in answers) <= max(newest(url) for url in world.clients.urls)
    print({"writers": len(writers), "version": version, "seconds": round(seconds, 2),
           "cpu_s": [round(a["cpu_s"], 2) for a in answers][:4]}, flush=True)  # fmt: skip
    return share * len(writers) / seconds
