"""Hashes what it is told, by the library it is told, and says how long it took; one JSON document a line.

Run by the interpreter that has the library: ``python hashing_worker.py ours|model_signing|one_core``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Digests = dict[str, str]
_CHUNK_BYTES = 1 << 20


def ours(path: str, algorithm: str, cache: str) -> Digests:
    """Hashes with ProML; with a cache if a file for it is given."""
    hashing = importlib.import_module("proml.hashing")
    digest_cache = importlib.import_module("proml.adapters.digest_cache")
    known = digest_cache.SqliteDigestCache(Path(cache)) if cache else None
    found = hashing.hash_content(path, algorithm, cache=known).manifest
    return {one.name: one.digest.hex() for one in found.resources}


def model_signing(path: str, algorithm: str, _cache: str) -> Digests:
    """Hashes with the OpenSSF package, by files, with its own defaults for threads and chunks."""
    hashing = importlib.import_module("model_signing.hashing")
    found = hashing.Config().use_file_serialization(hashing_algorithm=algorithm).hash(path)
    return {one.identifier: one.digest.digest_hex for one in found.resource_descriptors()}


def one_core(path: str, algorithm: str, _cache: str) -> Digests:
    """Hashes file after file in the plainest loop: what one core can do."""
    found = {}
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    for file in sorted(Path(path).rglob("*")):
        if file.is_file():
            hasher = hashlib.sha256() if algorithm == "sha256" else importlib.import_module("blake3").blake3()
            with file.open("rb", buffering=0) as opened:
                while count := opened.readinto(buffer):
                    hasher.update(buffer[:count])
            found[str(file.relative_to(path))] = hasher.hexdigest()
    return found


def main(library: str) -> None:
    """Answers each line of standard input."""
    hash_by: Callable[[str, str, str], Digests] = {
        "ours": ours, "model_signing": model_signing, "one_core": one_core
    }[library]  # fmt: skip
    for line in sys.stdin:
        asked = json.loads(line)
        start, cpu = time.perf_counter(), time.process_time()
        digests = hash_by(asked["path"], asked["algorithm"], asked.get("cache", ""))
        taken = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        print(json.dumps({**taken, "digests": digests}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
