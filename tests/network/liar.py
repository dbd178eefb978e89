"""An end point that lies: passes JSON-RPC on to a real client, and changes what comes back in one chosen way.

    python -m tests.network.liar PORT CLIENT_URL LIE

It listens on the loopback interface of the machine that it runs on and prints a line when it does.
"""

from __future__ import annotations

import copy
import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STALE_BLOCKS = 45
_HEAD_ENDS = 2 + 7 * 64  # the seventh word of what `artefactOf` answers, in hexadecimal


class Liar:
    """What an end point makes of a client's answers; a lie is a method of this class.

    Args:
        client: URL of the client behind it.
    """

    def __init__(self, client: str) -> None:
        self._client = client
        self._swallowed: dict[str, dict[str, Any]] = {}

    def ask(self, method: str, *parameters: Any) -> Any:
        """Returns what the client says."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self._client, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def honest(self, _method: str, _parameters: list[Any], answer: Any) -> Any:
        return answer

    def log_left_out(self, method: str, _parameters: list[Any], answer: Any) -> Any:
        return answer[:-1] if method == "eth_getLogs" else answer

    def log_made_up(self, method: str, _parameters: list[Any], answer: Any) -> Any:
        if method != "eth_getLogs" or not answer:
            return answer
        return [*answer, {**answer[-1], "logIndex": hex(int(answer[-1]["logIndex"], 16) + 1)}]

    def log_changed(self, method: str, _parameters: list[Any], answer: Any) -> Any:
        if method != "eth_getLogs" or not answer:
            return answer
        return [*answer[:-1], {**answer[-1], "data": _changed(answer[-1]["data"])}]

    def another_state(self, method: str, _parameters: list[Any], answer: Any) -> Any:
        """Of every artefact, `artefactOf` answers another head."""
        if method != "eth_call" or len(answer) != 2 + 8 * 64:
            return answer
        return _changed(answer[:_HEAD_ENDS]) + answer[_HEAD_ENDS:]

    def another_block(self, method: str, parameters: list[Any], answer: Any) -> Any:
        """One block in the middle has another root, under the hash that everybody knows."""
        if method == "eth_getBlockByNumber" and parameters[0] == "0x5":
            return {**answer, "stateRoot": _changed(answer["stateRoot"])}
        return answer

    def another_receipt(self, method: str, _parameters: list[Any], answer: Any) -> Any:
        """Every transaction failed."""
        answer = copy.deepcopy(answer)
        for receipt in answer if isinstance(answer, list) else [answer]:
            if method in ("eth_getBlockReceipts", "eth_getTransactionReceipt") and receipt:
                receipt["status"] = "0x0"
        return answer

    def another_chain(self, method: str, _parameters: list[Any], answer: Any) -> Any:
        return hex(int(answer, 16) + 1) if method == "eth_chainId" else answer

    def another_genesis(self, method: str, parameters: list[Any], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and parameters[0] == "0x0":
            return {**answer, "hash": _changed(answer["hash"])}
        return answer

    def stale(self, method: str, parameters: list[Any], answer: Any) -> Any:
        """The newest block is an old one, and there is nothing after it."""
        if method != "eth_getBlockByNumber":
            return answer
        newest = int(self.ask("eth_blockNumber")["result"], 16) - STALE_BLOCKS
        if parameters[0] == "latest" or (parameters[0].startswith("0x") and int(parameters[0], 16) > newest):
            is_there = parameters[0] == "latest"
            return self.ask("eth_getBlockByNumber", hex(newest), parameters[1])["result"] if is_there else None
        return answer

    def included(self, method: str, parameters: list[Any], answer: Any) -> Any:
        """Transactions are thrown away, and said to be in an old block."""
        if method == "eth_getTransactionReceipt" and parameters[0] in self._swallowed:
            return self._swallowed[parameters[0]]
        return answer

    def swallow(self, raw: str) -> str:
        """Keeps a transaction, and makes a receipt for it in a real, final block."""
        from eth_hash.auto import keccak  # noqa: PLC0415 - only this lie needs it

        digest = "0x" + keccak(bytes.fromhex(raw[2:])).hex()
        number = int(self.ask("eth_blockNumber")["result"], 16) - 5
        block = self.ask("eth_getBlockByNumber", hex(number), False)["result"]  # noqa: FBT003 - without transactions
        self._swallowed[digest] = {
            "transactionHash": digest, "transactionIndex": "0x0",
            "blockHash": block["hash"], "blockNumber": hex(number),
            "status": "0x1", "gasUsed": "0x5208", "cumulativeGasUsed": "0x5208", "logs": [], "contractAddress": None,
            "logsBloom": "0x" + "00" * 256, "type": "0x2",
        }  # fmt: skip
        return digest


LIES = [name for name in vars(Liar) if not name.startswith("_") and name not in ("ask", "swallow", "honest")]


def _changed(text: str) -> str:
    return text[:-1] + ("1" if text[-1] != "1" else "2")


def main() -> None:
    port, client, lie = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    liar = Liar(client)
    change: Callable[[str, list[Any], Any], Any] = getattr(liar, lie)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        method, parameters = request["method"], request["params"]
        if lie == "included" and method == "eth_sendRawTransaction":
            return {"jsonrpc": "2.0", "id": request["id"], "result": liar.swallow(parameters[0])}
        found = liar.ask(method, *parameters)
        if "result" in found:
            found["result"] = change(method, parameters, found["result"])
        return {**found, "id": request["id"]}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found: Any = [answer(one) for one in request] if isinstance(request, list) else answer(request)
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  (the base class's name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print("listening", flush=True)  # noqa: T201 - whoever started it waits for this
    server.serve_forever()


if __name__ == "__main__":
    main()
