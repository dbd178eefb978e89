"""A writer: queues transitions in the outbox of its working folder, and delivers them when told to.

``python writer.py NAME`` reads an order a line, as JSON, and answers each with a line. Run by :mod:`bench.network`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from proml.core.digest import sha256
from proml.core.manifest import Manifest, Resource
from proml.submit.intents import Act, act_all
from proml.wiring import open_participant

if TYPE_CHECKING:
    from proml.wiring import Participant


def queue(participant: Participant, name: str, first: int, count: int, version: int) -> dict[str, Any]:
    """Asks for a version of each artefact; the first registers it on the way."""
    start = time.perf_counter()
    requests = [
        Act(
            f"{name}-{index}",
            "source",
            "collect",
            content=Manifest.of([Resource("data.csv", "sha256", sha256(b"%d %d" % (index, version)), 1_000)]),
            register=version == 1,
        )
        for index in range(first, first + count)
    ]
    act_all(participant.desk, requests)
    return {"seconds": time.perf_counter() - start}


def deliver(participant: Participant) -> dict[str, Any]:
    """Delivers all that waits, and says how long it took and in which block the last of it is."""
    begun = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF)
    report = participant.deliver(wait="included")
    after = resource.getrusage(resource.RUSAGE_SELF)
    states = sorted({entry.state for entry in report.entries})
    if states != ["confirmed"]:
        errors = [entry.error for entry in report.entries if entry.error]
        raise RuntimeError(f"not all was taken: {states}, {errors[:3]}")
    return {
        "begun": begun,
        "seconds": time.monotonic() - begun,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "entries": len(report.entries),
        "block": max(entry.block_number for entry in report.entries),
    }


def main(name: str) -> None:
    """Carries out orders until there are no more."""
    with open_participant() as participant:
        _ = participant.signer
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            what = order.pop("order")
            answer = queue(participant, name, **order) if what == "queue" else deliver(participant)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
