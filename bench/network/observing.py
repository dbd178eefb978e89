"""How many observations a second, from a training script's call to an anchor in a block."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench.network.clients import until
from bench.network.node import running_node
from bench.network.raw import newest

if TYPE_CHECKING:
    from bench.network.world import World

PROCESSES = 2
SCRIPT = """
import sys
import proml
with proml.start_run("bench") as run:
    log_metric = run.log_metric
    for step in range(int(sys.argv[1])):
        log_metric("loss", 0.123456789 * step, step)
"""


def measure(world: World, count: int) -> float:
    """Returns observations a second: from the start of the scripts until the node has all anchors in blocks."""
    folder = world.folder(world.names[0])
    environment = world.clients.environment(PROML_IDENTITY=world.names[0])
    with running_node(world.clients, folder, PROML_IDENTITY=world.names[0]) as node:
        url = world.url(0)
        until(lambda: node.block_number() >= newest(url) - 1, "the node has followed what was measured before", 600)
        begun = time.monotonic()
        scripts = [
            subprocess.Popen([sys.executable, "-c", SCRIPT, str(count // PROCESSES)], cwd=folder, env=environment)
            for _ in range(PROCESSES)
        ]
        if any(script.wait() for script in scripts):
            raise RuntimeError("a script that observes failed")
        ended = time.monotonic()
        while node.ask("/health")["waiting"]:
            if time.monotonic() > ended + 300:
                raise TimeoutError("the anchors did not come into blocks")
            time.sleep(0.05)
        done = time.monotonic()
    print(json.dumps({"observations": count, "log_and_close_s": ended - begun, "anchor_s": done - ended}), flush=True)
    return count / (done - begun)
