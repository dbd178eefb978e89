"""Asks a client for many views at once, and tells how many it answered so; run where the client is reached.

``python views.py URL CONTRACT COUNT``
"""

from __future__ import annotations

import sys

from proml.adapters.clock import SystemClock
from proml.adapters.jsonrpc.endpoint import EndPoints
from proml.adapters.jsonrpc.joined_views import JoinedViews
from proml.adapters.jsonrpc.transport import Limits
from proml.asking import Question
from proml.core.calls import encode_view
from proml.core.digest import sha256
from proml.ports import Reverted


def joined(url: str, contract: str, count: int) -> int:
    """Returns of how many artefacts that do not exist a client said so in one answer for many of them."""
    end_points = EndPoints([url], Limits(timeout_s=30, answer_bytes=1 << 24), SystemClock(), lambda _: None)
    wanted = [Question("view", (contract, encode_view("artefactOf", sha256(b"%d" % n)))) for n in range(count)]
    found = JoinedViews(end_points).ask(wanted)
    end_points.close()
    return sum(isinstance(answer, Reverted) for answer in found.values())


if __name__ == "__main__":
    sys.stdout.write(f"{joined(sys.argv[1], sys.argv[2], int(sys.argv[3]))}\n")
