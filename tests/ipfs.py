"""A stand-in for a Kubo daemon and a trustless gateway: what of their interfaces is used, over a dictionary of blocks.

It is not Kubo, but names files and folders as Kubo does (tests/stores/test_kubo.py): 256 KiB, raw leaves, trees of 174.
It is written from the specifications, apart from the reader that it tests.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAF_BYTES, WIDTH = 256 << 10, 174
MISSING = 500, json.dumps({"Message": "file does not exist", "Code": 0, "Type": "error"}).encode()


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


class Daemon:
    """Blocks by CID, and files by path."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.files: dict[str, tuple[bytes, int, int]] = {}
        self.lock = threading.Lock()

    def block(self, codec: int, data: bytes) -> bytes:
        cid = b"\x01" + bytes([codec]) + b"\x12\x20" + hashlib.sha256(data).digest()
        self.blocks[text(cid)] = data
        return cid

    def add(self, data: bytes) -> tuple[bytes, int, int]:
        """Cuts a file into blocks; returns CID, length of the file, and of its blocks together."""
        leaves = [data[start : start + LEAF_BYTES] for start in range(0, len(data), LEAF_BYTES)] or [b""]
        level = [(self.block(0x55, leaf), len(leaf), len(leaf)) for leaf in leaves]
        while len(level) > 1:
            level = [self.parent(level[start : start + WIDTH]) for start in range(0, len(level), WIDTH)]
        return level[0]

    def parent(self, children: list[tuple[bytes, int, int]]) -> tuple[bytes, int, int]:
        size = sum(child[1] for child in children)
        unixfs = field(1, 2) + field(3, size) + b"".join(field(4, child[1]) for child in children)
        return self.node([("", *child) for child in children], unixfs, size)

    def node(self, links: list[tuple[str, bytes, int, int]], unixfs: bytes, size: int) -> tuple[bytes, int, int]:
        listed = b"".join(
            field(2, field(1, cid) + field(2, name.encode()) + field(3, total)) for name, cid, _, total in links
        )
        block = listed + field(1, unixfs)
        return self.block(0x70, block), size, len(block) + sum(link[3] for link in links)

    def folder(self, path: str) -> tuple[bytes, int, int] | None:
        """Makes the blocks of a folder of files by path."""
        below = {name.removeprefix(path + "/").split("/")[0] for name in self.files if name.startswith(path + "/")}
        if not below:
            return None
        links = []
        for name in sorted(below):
            child = self.files.get(f"{path}/{name}") or self.folder(f"{path}/{name}")
            assert child is not None
            links.append((name, *child))
        return self.node(links, field(1, 1), 0)

    def content(self, cid: str) -> bytes:
        data = self.blocks[cid]
        if cid.startswith("bafkrei"):
            return data
        return b"".join(
            self.content(text(link)) for link in re.findall(rb"\x01[\x55\x70]\x12\x20.{32}", data, re.DOTALL)
        )


def text(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


class Calls:
    """What of the RPC is used: each call returns a status and a body."""

    def __init__(self, daemon: Daemon) -> None:
        self.files = daemon.files
        self.daemon = daemon

    def answer(self, call: str, query: dict[str, str], kind: str, body: bytes) -> tuple[int, bytes]:
        known = {"files/rm": self.rm, "files/stat": self.stat, "files/read": self.read, "files/mkdir": self.mkdir}
        if call == "add":
            return self.add(query, kind, body)
        return known[call](query) if call in known else (404, b"404 page not found")

    def mkdir(self, query: dict[str, str]) -> tuple[int, bytes]:
        return (200, b"") if (query["parents"], query["cid-version"]) == ("true", "1") else MISSING

    def rm(self, query: dict[str, str]) -> tuple[int, bytes]:
        return (200, b"") if self.files.pop(query["arg"], None) else MISSING

    def add(self, query: dict[str, str], kind: str, body: bytes) -> tuple[int, bytes]:
        path, boundary = query["to-files"], kind.partition("boundary=")[2].encode()
        end = b"\r\n--" + boundary + b"--\r\n"
        whole = body.startswith(b"--" + boundary) and body.endswith(end)
        if not whole or path in self.files or (query["cid-version"], query["raw-leaves"]) != ("1", "true"):
            return 500, b'{"Message": "unexpected EOF, or the file exists"}'
        self.files[path] = self.daemon.add(body.partition(b"\r\n\r\n")[2].removesuffix(end))
        return 200, json.dumps({"Name": "content", "Hash": text(self.files[path][0])}).encode() + b"\n"

    def stat(self, query: dict[str, str]) -> tuple[int, bytes]:
        found = self.files.get(query["arg"]) or self.daemon.folder(query["arg"])
        if found is None:
            return MISSING
        return 200, json.dumps({"Hash": text(found[0]), "Size": found[1], "Type": "file"}).encode()

    def read(self, query: dict[str, str]) -> tuple[int, bytes]:
        if query["arg"] not in self.files:
            return MISSING
        data = self.daemon.content(text(self.files[query["arg"]][0]))[int(query.get("offset", 0)) :]
        return 200, data[: int(query["count"])] if "count" in query else data


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: Daemon

    def log_message(self, *_: Any) -> None: ...

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        block = self.daemon.blocks.get(parts.path.removeprefix("/ipfs/"))
        raw = self.headers.get("Accept") == "application/vnd.ipld.raw" and parts.query == "format=raw"
        self.answer(*((200, block) if block is not None and raw else (404, b"no such block")))

    def do_POST(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.daemon.lock:
            call = parts.path.removeprefix("/api/v0/")
            self.answer(*Calls(self.daemon).answer(call, query, self.headers.get("Content-Type", ""), body))


@contextlib.contextmanager
def running_daemon() -> Iterator[tuple[Daemon, str]]:
    """Serves RPC and gateway at one address; yields the daemon and its URL."""
    daemon = Daemon()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"daemon": daemon}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield daemon, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
