"""ProML on a machine whose clock is wrong: `python -m tests.network.shifted SECONDS WORDS…` is `proml WORDS…` there."""

from __future__ import annotations

import sys
import time


def main() -> int:
    seconds = int(sys.argv[1])
    true_s, true_ns = time.time, time.time_ns
    time.time = lambda: true_s() + seconds
    time.time_ns = lambda: true_ns() + seconds * 1_000_000_000

    from proml.cli import main as proml  # noqa: PLC0415 - only once the clock is wrong

    return proml(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
