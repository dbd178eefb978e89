"""How fast are contents hashed? Ours and the OpenSSF package ``model_signing`` in turn, on the same files.

2 files of 1 GiB and 10,000 small ones, in memory (``/dev/shm``), so that no disk is measured. Ratios are medians of
pairs; every digest is compared with the peer's, and a difference ends the bench. ``make peers`` installs the peer.

Both sides use the same libraries' algorithms and keep every core at work, so on large files neither can be much faster
than the other: a row names the ceiling, which is what one core does times the cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAMES = (
    "hashing.large_sha256_gbs",
    "hashing.large_blake3_gbs",
    "hashing.small_sha256_gbs",
    "hashing.small_blake3_gbs",
    "hashing.small_cached_ms",
    "hashing.large_peak_mb",
)
ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("hashing_worker.py")
PEER = ROOT / ".venv-peers" / "bin" / "python"
LARGE_BYTES, LARGE_FILES = 1 << 30, 2
SMALL_BYTES, SMALL_FILES = 4096, 10_000
ROUNDS = {"large": 3, "small": 5}
RATIO_TARGET = 1.5
PEAK_TARGET_MB = 64
# VmHWM, not getrusage: that one counts what the process was before it became this program.
PEAK = """
import re, sys
from pathlib import Path
import proml.hashing
peak = lambda: int(re.search(r"VmHWM:\\s*([0-9]+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
proml.hashing.hash_path(sys.argv[1])
print(peak() - before)
"""

Answer = dict[str, object]


def rows() -> list[dict[str, object]]:
    """Makes the files, and measures each library on them in turn."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name, ExitStack() as stack:
        folder = Path(name)
        make(folder)
        workers = {
            "ours": stack.enter_context(worker(sys.executable, "ours")),
            "one_core": stack.enter_context(worker(sys.executable, "one_core")),
        }
        if PEER.exists():
            workers["model_signing"] = stack.enter_context(worker(str(PEER), "model_signing"))
        measured = [
            compared(workers, folder / size, algorithm)
            for size in ("large", "small")
            for algorithm in ("sha256", "blake3")
        ]
        return [*measured, cached(workers["ours"], folder), peak(folder / "large")]


def make(folder: Path) -> None:
    """Makes the files, of random bytes; hashing takes as long whatever they are."""
    block = os.urandom(1 << 22)
    (folder / "large").mkdir()
    for number in range(LARGE_FILES):
        with (folder / "large" / f"weights-{number}.bin").open("wb") as file:
            file.write(bytes([number]))
            for _ in range(LARGE_BYTES // len(block) - 1):
                file.write(block)
            file.write(block[1:])
    for number in range(SMALL_FILES):
        part = folder / "small" / f"{number % 100:02}"
        part.mkdir(parents=True, exist_ok=True)
        start = number * 97
        (part / f"{number:05}.bin").write_bytes(block[start : start + SMALL_BYTES])


@contextmanager
def worker(python: str, library: str) -> Iterator[subprocess.Popen[str]]:
    """Starts a process that hashes on demand, so that loading the library is not measured."""
    process = subprocess.Popen([python, str(WORKER), library], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate()


def ask(process: subprocess.Popen[str], path: Path, algorithm: str, cache: str = "") -> Answer:
    """Has a worker hash a folder once."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"path": str(path), "algorithm": algorithm, "cache": cache}) + "\n")
    process.stdin.flush()
    answer: Answer = json.loads(process.stdout.readline())
    return answer


def compared(workers: dict[str, subprocess.Popen[str]], path: Path, algorithm: str) -> dict[str, object]:
    """Hashes a folder by every library, round by round, each round in another order."""
    answers: dict[str, list[Answer]] = {library: [] for library in workers}
    for turn in range(ROUNDS[path.name] + 1):
        for library in list(workers)[:: 1 if turn % 2 else -1]:
            answers[library].append(ask(workers[library], path, algorithm))
    seconds = {library: [float(str(one["seconds"])) for one in taken[1:]] for library, taken in answers.items()}
    total_gb = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e9
    speed = {library: total_gb / statistics.median(taken) for library, taken in seconds.items()}
    row: dict[str, object] = {
        "name": f"hashing.{path.name}_{algorithm}_gbs", "value": round(speed["ours"], 3), "unit": "GB/s"
    }  # fmt: skip
    cores = min(os.cpu_count() or 1, 8)
    limit = f"one core {speed['one_core']:.3g} GB/s, ceiling {cores * speed['one_core']:.3g}"
    if "model_signing" not in workers:
        return {**row, "target": None, "met": None, "peer": f"{limit}; model_signing: `make peers`", "peer_value": None}
    check_equal([one["digests"] for taken in answers.values() for one in taken], path)
    ratio = median_ratio(seconds["model_signing"], seconds["ours"])
    cpu = median_ratio(*([float(str(one["cpu_s"])) for one in answers[name][1:]] for name in ("model_signing", "ours")))
    return {
        **row,
        "target": round(RATIO_TARGET * speed["model_signing"], 3),
        "met": ratio >= RATIO_TARGET,
        "peer": f"model_signing 1.1.1 ({ratio:.2f}x the speed, {cpu:.2f}x per CPU second; {limit})",
        "peer_value": round(speed["model_signing"], 3),
    }


def median_ratio(theirs: Sequence[float], our: Sequence[float]) -> float:
    """Returns how many times faster we are, as the median over the pairs."""
    return statistics.median(their / mine for their, mine in zip(theirs, our, strict=True))


def check_equal(digests: Sequence[object], path: Path) -> None:
    """Ends the bench if two libraries disagree."""
    if any(one != digests[0] for one in digests):
        raise SystemExit(f"error: the libraries found other digests in {path}")


def cached(ours: subprocess.Popen[str], folder: Path) -> dict[str, object]:
    """Hashes the small files again with a cache, of which the default share is read all the same."""
    cache = str(folder / "digests.sqlite")
    first = ask(ours, folder / "small", "sha256", cache)
    again = [ask(ours, folder / "small", "sha256", cache) for _ in range(ROUNDS["small"])]
    check_equal([first["digests"], *(one["digests"] for one in again)], folder / "small")
    milliseconds = 1000 * statistics.median(float(str(one["seconds"])) for one in again)
    return {
        "name": "hashing.small_cached_ms", "value": round(milliseconds, 1), "unit": "ms", "target": None, "met": None,
        "peer": "ours, first time", "peer_value": round(1000 * float(str(first["seconds"])), 1),
    }  # fmt: skip


def peak(path: Path) -> dict[str, object]:
    """Measures how much memory hashing the large files takes, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], check=True, capture_output=True, text=True)
    megabytes = float(done.stdout)
    return {
        "name": "hashing.large_peak_mb", "value": round(megabytes, 1), "unit": "MiB", "target": PEAK_TARGET_MB,
        "met": megabytes <= PEAK_TARGET_MB, "peer": None, "peer_value": None,
    }  # fmt: skip
