"""How fast does content go to a folder, to a MinIO server and from node to node, and back? Beside the plain copy.

1 GiB in four files, random bytes, on the same disk, everything on this machine: it is the code that is measured, not a
network. Each measurement is a process of its own; ours reads, compares digests, and has what it wrote on disk before it
ends, as has the plain copy. In turn, each round in another order; figures are medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

NAMES = (
    "exchange.push_folder_mbs",
    "exchange.fetch_folder_mbs",
    "exchange.push_minio_mbs",
    "exchange.fetch_minio_mbs",
    "exchange.push_node_mbs",
    "exchange.fetch_node_mbs",
    "exchange.peak_mb",
)
MINUTES = 6
FILES, FILE_BYTES = 4, 1 << 28
ROUNDS = 3
PEAK_TARGET_MB = 256
WORKER = Path(__file__).with_name("exchange_worker.py")
STORES = Path(__file__).parents[1] / ".venv-stores" / "bin" / "python"
PEERS = {"folder": "shutil.copyfile and fsync", "minio": "s3fs put and get", "node": "http.client, unchecked"}
"""The plain way for each kind of place."""


def rows() -> list[dict[str, object]]:
    """Makes the files, and moves them to and from each kind of place, ours and plainly in turn."""
    from tests.contents import new_peer, serving
    from tests.minio import Minio, running_minio

    from proml.config import Folder

    measured: list[dict[str, object]] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "data").mkdir()
        for number in range(FILES):
            (folder / "data" / f"{number}.bin").write_bytes(os.urandom(FILE_BYTES))
        kinds: dict[str, dict[str, str]] = {"folder": {"url": str(folder / "place")}}
        if not STORES.exists() or not list((Path(__file__).parents[1] / ".engines").glob("minio-*/minio")):
            print("left out: exchange.*_minio_mbs; `make test-stores` sets up what they need", file=sys.stderr)
        else:
            (folder / "minio").mkdir()
            server: Minio = stack.enter_context(running_minio(folder / "minio"))
            kinds["minio"] = {"url": server.url, "endpoint": server.endpoint}
        owner = Folder(folder / "owner")
        port = stack.enter_context(serving(owner))
        kinds["node"] = {"url": f"http://127.0.0.1:{port}", "token": new_peer(owner, quota_bytes=1 << 40)}
        for kind, place in kinds.items():
            seconds: dict[str, list[float]] = {}
            for turn in range(ROUNDS + 1):
                for who in ("ours", "plain")[:: 1 if turn % 2 else -1]:
                    for way in ("push", "fetch"):
                        answer = work(folder, kind, who, way, {**place, "turn": f"{who}{turn}"})
                        if turn:  # the first one warms up
                            seconds.setdefault(f"{way} {who}", []).append(answer["seconds"])
                            peaks += [answer["peak_mb"]] if who == "ours" else []
            measured += [row(kind, way, seconds) for way in ("push", "fetch")]
    megabytes = max(peaks)
    measured.append({
        "name": "exchange.peak_mb", "value": round(megabytes, 1), "unit": "MiB, of a process that moves 1 GiB",
        "target": PEAK_TARGET_MB, "met": megabytes <= PEAK_TARGET_MB, "peer": None, "peer_value": None,
    })  # fmt: skip
    return measured


def work(folder: Path, kind: str, who: str, way: str, place: dict[str, str]) -> dict[str, float]:
    """Has a process move the files once."""
    python = str(STORES) if kind == "minio" else sys.executable
    command = [python, str(WORKER), json.dumps({"folder": str(folder), "kind": kind, "who": who, "way": way, **place})]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def row(kind: str, way: str, seconds: dict[str, list[float]]) -> dict[str, object]:
    """Returns the figure for one kind of place and one way."""
    total_mb = FILES * FILE_BYTES / 1e6
    ours, plain = (total_mb / statistics.median(seconds[f"{way} {who}"]) for who in ("ours", "plain"))
    return {
        "name": f"exchange.{way}_{kind}_mbs", "value": round(ours, 1), "unit": "MB/s", "target": None, "met": None,
        "peer": PEERS[kind], "peer_value": round(plain, 1),
    }  # fmt: skip
