"""What tests of content exchange share: bytes with their names, and nodes that hand content out."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from blake3 import blake3
from starlette.applications import Starlette

from proml.adapters.sharing_sqlite import SqliteSharing
from proml.contents import CHUNK_BYTES, ObjectName, Piece
from proml.core.manifest import SINGLE_FILE, Manifest, Resource
from proml.node.content_api import content_routes
from proml.node.content_service import ContentService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from proml.config import Folder
    from proml.contents import Chunks, OpenAt
    from proml.core.manifest import Algorithm


def some_bytes(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


def piece_of(data: bytes, algorithm: Algorithm = "sha256") -> Piece:
    digest = hashlib.sha256(data).digest() if algorithm == "sha256" else blake3(data).digest()
    return Piece(ObjectName(algorithm, digest), len(data))


def giving(data: bytes, chunk_bytes: int = CHUNK_BYTES) -> OpenAt:
    """Gives bytes from any offset on."""

    def open_at(offset: int) -> Chunks:
        for start in range(offset, len(data), chunk_bytes):
            yield data[start : start + chunk_bytes]

    return open_at


def manifest_of(files: Mapping[str, bytes], algorithm: Algorithm = "sha256") -> Manifest:
    return Manifest.of(
        (Resource(name, algorithm, piece_of(data, algorithm).name.digest, len(data)) for name, data in files.items()),
        algorithm,
    )


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder if name == SINGLE_FILE else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Told:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._lock:
            self.bytes += count


@contextlib.contextmanager
def serving(folder: Folder, **options: Any) -> Iterator[int]:
    """Hands the content of a working folder out on loopback, in a thread; yields the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=content_routes(ContentService(folder)))
        config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False, **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


def new_peer(folder: Folder, name: str = "peer", *, quota_bytes: int = 0) -> str:
    return SqliteSharing(folder.sharing_file).new_peer(name, may_put=bool(quota_bytes), quota_bytes=quota_bytes)
