"""What does it cost to watch what a run uses? Microseconds for a reading, and its share of a core by default.

A reading is everything that the thread does every so often: processes, machine, energy, summing up, and the line in the
journal. Its cost grows with the number of processes of the machine, among which psutil looks for those that the run
started; the row's unit says how many there are.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

NAMES = ("sampling.reading_us", "sampling.share_percent", "sampling.begin_us")
READINGS = 200
BEGINNINGS = 50
SHARE_TARGET_PERCENT = 0.1


def rows() -> list[dict[str, object]]:
    """Measures readings of this process, and how long a run waits for its sampling to begin and end."""
    import psutil

    from proml.config import SAMPLE_S

    reading_us = reading()
    share_percent = 100 * reading_us / 1e6 / SAMPLE_S
    processes = len(psutil.pids())  # type: ignore[no-untyped-call]  # psutil has no types
    return [
        row("sampling.reading_us", reading_us, f"µs, {processes} processes", None),
        row("sampling.share_percent", share_percent, f"% of a core, every {SAMPLE_S:.0f} s", SHARE_TARGET_PERCENT),
        row("sampling.begin_us", beginning(), "µs to begin and end", None),
    ]


def reading() -> float:
    """Returns the mean processor time of a reading in µs, by this thread's clock."""
    from proml.adapters.meters import host
    from proml.capture.journal import Journal
    from proml.capture.resources import Account, Scope

    host._TREE_SHARE = 0  # noqa: SLF001 - look through all processes each time, as every ten seconds it would
    with tempfile.TemporaryDirectory() as folder:
        journal, account = Journal(Path(folder), "owner"), Account(Scope(), 10.0)
        account.sample()  # imports psutil
        began_s = time.thread_time()
        for _ in range(READINGS):
            account.sample()
            journal.write("resources", account.summary())
        taken_s = time.thread_time() - began_s
        account.close()
        journal.close()
    return 1e6 * taken_s / READINGS


def beginning() -> float:
    """Returns the median time in µs that a run takes longer by beginning and ending to sample, in its first second."""
    from proml.capture.journal import Journal
    from proml.capture.resources import Scope
    from proml.capture.sampling import sample
    from proml.capture.trouble import Trouble

    taken_s = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / ".proml" / "runs" / "bench"
        folder.mkdir(parents=True)
        (Path(root) / ".proml" / "config.toml").touch()
        journal = Journal(folder, "owner")
        for _ in range(BEGINNINGS):
            began_s = time.perf_counter()
            sampler = sample(folder, journal, Scope(), Trouble())
            assert sampler is not None
            sampler.finish()
            taken_s.append(time.perf_counter() - began_s)
        journal.close()
    return 1e6 * statistics.median(taken_s)


def row(name: str, value: float, unit: str, target: float | None) -> dict[str, object]:
    """Returns a row of the table."""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "target": target,
        "met": None if target is None else value <= target,
        "peer": None,
        "peer_value": None,
    }
