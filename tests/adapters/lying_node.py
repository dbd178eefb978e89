"""An HTTP server that answers JSON-RPC as a test tells it to: wrongly, half, late, or not at all."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GENESIS = "0x" + "11" * 32


@dataclass
class Raw:
    """An HTTP answer as it goes over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    declared_bytes: int | None = None
    pause_s: float = 0.0
    drop: bool = False


@dataclass
class Refusal:
    """A JSON-RPC error."""

    code: int
    message: str
    data: Any = None


def block(number: int, block_hash: str = GENESIS, **more: Any) -> dict[str, Any]:
    """Returns a block as a client writes it."""
    return {"number": hex(number), "hash": block_hash, "parentHash": "0x" + "22" * 32, "timestamp": "0x65", **more}


Answer = Raw | Refusal | Any


class LyingNode:
    """What a node answers by method; functions are called with the parameters.

    ``eth_chainId`` and block 0 are answered honestly unless a test says otherwise, so that it gets past the greeting.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[..., Answer]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.chain_id = 5
        self.genesis = GENESIS
        self.url = ""
        self.batch: Callable[[list[dict[str, Any]]], Raw] | None = None  # what a list of requests is answered

    def answer(self, method: str, parameters: list[Any]) -> Answer:
        self.asked.append((method, parameters))
        if method == "eth_chainId" and method not in self.answers:
            return hex(self.chain_id)
        if method == "eth_getBlockByNumber" and parameters[0] == "0x0":
            return block(0, self.genesis)
        answer = self.answers.get(method, Refusal(-32601, f"the method {method} does not exist"))
        return answer(*parameters) if callable(answer) else answer


def _answer_one(node: LyingNode, request: dict[str, Any]) -> Raw:
    answer = node.answer(request["method"], request["params"])
    return answer if isinstance(answer, Raw) else Raw(json.dumps(_envelope(request, answer)).encode())


def _answer_all(node: LyingNode, requests: list[dict[str, Any]]) -> Raw:
    if node.batch is not None:
        return node.batch(requests)
    answers = [(request, node.answer(request["method"], request["params"])) for request in requests]
    raw = next((answer for _, answer in answers if isinstance(answer, Raw)), None)
    return raw or Raw(json.dumps([_envelope(request, answer) for request, answer in reversed(answers)]).encode())


def _envelope(request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    if not isinstance(answer, Refusal):
        return {"jsonrpc": "2.0", "id": request["id"], "result": answer}
    error = {"code": answer.code, "message": answer.message}
    return {
        "jsonrpc": "2.0",
        "id": request["id"],
        "error": error | ({} if answer.data is None else {"data": answer.data}),
    }


@contextlib.contextmanager
def running(node: LyingNode) -> Iterator[LyingNode]:
    """Serves a node on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = _answer_all(node, request) if isinstance(request, list) else _answer_one(node, request)
            time.sleep(answer.pause_s)
            if answer.drop:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            declared = len(answer.body) if answer.declared_bytes is None else answer.declared_bytes
            if "Transfer-Encoding" not in answer.headers:
                self.send_header("Content-Length", str(declared))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer.body)
            if declared != len(answer.body):
                self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (the base class's name)
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up on a liar are expected here."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
