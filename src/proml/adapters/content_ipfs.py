"""Content in IPFS: written by a Kubo daemon's RPC, read by it or by any trustless HTTP gateway.

IPFS names a file by the root of its tree of blocks, which does not follow from the file's digest. So each object gets a
name in the daemon's own folders, ``/proml/ALGORITHM/ab/cdef…``, and that folder's CID names all of them: whoever has it
finds them by any gateway. Nothing of this is believed: blocks are compared with their CIDs as they come, and the whole
with its digest by whoever receives it. Sources: the Kubo RPC v0 reference, the trustless gateway specification
(specs.ipfs.tech/http-gateways/trustless-gateway).
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import urllib.parse
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from proml.adapters.http_head import response_within
from proml.adapters.ipfs_blocks import MAX_BLOCK_BYTES, RAW, Cid, Node, check_block, parse_cid, parse_node
from proml.contents import CHUNK_BYTES, not_there, read_only
from proml.errors import ConfigError, NotAvailable, ProMLError, UnreachableError, VerificationError
from proml.filling import verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.contents import Chunks, ObjectName, OpenAt, Piece, Told

TIMEOUT_S = 60.0
HEAD_S = 2 * TIMEOUT_S
FOLDER = "/proml"
_MOST_ANSWER_BYTES = 1 << 20
_MOST_DEPTH = 32
_MOST_KEPT = 256
_MISSING = b"does not exist"
"""What Kubo says of a file that is not there, by the status 500 that it has for everything."""


class IpfsDaemon:
    """The :class:`~proml.contents.Contents` of a Kubo daemon.

    Args:
        url: ``http(s)://HOST:PORT`` of its RPC, which has no password: never open it to others.
    """

    def __init__(self, url: str) -> None:
        self._server = _Server(url)
        self.where = f"ipfs+{self._server.where}"

    def size(self, name: ObjectName) -> int | None:
        """Returns the length that the daemon tells; None if it has no such object."""
        found = self._stat(f"{FOLDER}/{name.path}")
        return int(found["Size"]) if found is not None and isinstance(found.get("Size"), int) else None

    @property
    def root(self) -> str:
        """The CID of all that was pushed here, which finds it by any gateway; empty if there is nothing."""
        found = self._stat(FOLDER)
        return str(found["Hash"]) if found is not None else ""

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields an object's bytes; raises NotAvailable or UnreachableError."""
        wanted = {"arg": f"{FOLDER}/{name.path}", "offset": offset, **({} if length is None else {"count": length})}
        with self._server.asked("POST", _call("files/read", **wanted)) as response:
            if response.status != HTTPStatus.OK:
                told = _answer(response)
                raise NotAvailable(not_there(self.where, name)) if _MISSING in told else self._refused(response, told)
            while data := response.read1(CHUNK_BYTES):
                yield data

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        """Adds an object to the daemon, and gives it its name.

        Raises:
            VerificationError: The bytes given have another digest; nothing is named.
            UnreachableError: No answer.
        """
        path = f"{FOLDER}/{piece.name.path}"
        self._do("files/mkdir", **{"arg": path.rpartition("/")[0], "parents": "true", "cid-version": 1})
        if self.size(piece.name) is not None:
            self._do("files/rm", arg=path, force="true")
        boundary = secrets.token_hex(16)
        head = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="content"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n").encode()  # fmt: skip
        tail = f"\r\n--{boundary}--\r\n".encode()

        def body() -> Chunks:
            yield head
            with closing(verified(open_at(0), piece, told)) as chunks:
                yield from chunks
            yield tail

        query = _call("add", **{"cid-version": 1, "raw-leaves": "true", "pin": "false", "to-files": path})
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + piece.size_bytes + len(tail)),
        }
        with closing(body()) as sending, self._server.asked("POST", query, sending, headers) as response:
            self._must(response)
        # An error after the first bytes of an answer is told in a trailer that clients do not see: so it is asked.
        if self.size(piece.name) != piece.size_bytes:
            raise UnreachableError(f"{self.where} took {piece.name}, and does not have it.", hint="Repeat the command.")

    def close(self) -> None:
        """Nothing is held."""

    def _stat(self, path: str) -> dict[str, Any] | None:
        with self._server.asked("POST", _call("files/stat", arg=path)) as response:
            told = _answer(response)
            if response.status == HTTPStatus.OK:
                return _json(told, self.where)
            if _MISSING in told:
                return None
            raise self._refused(response, told)

    def _do(self, call: str, **arguments: object) -> None:
        with self._server.asked("POST", _call(call, **arguments)) as response:
            self._must(response)

    def _must(self, response: http.client.HTTPResponse) -> None:
        told = _answer(response)
        if response.status != HTTPStatus.OK:
            raise self._refused(response, told)

    def _refused(self, response: http.client.HTTPResponse, told: bytes) -> UnreachableError:
        return UnreachableError(
            f"{self.where} answered {response.status}: {told[:300]!r}.",
            hint="Is that the RPC of a Kubo daemon? By default it is http://127.0.0.1:5001.",
        )


class IpfsGateway:
    """The :class:`~proml.contents.Contents` below a root CID, read block by block from a gateway that nobody trusts.

    Args:
        root: The CID of what was pushed, as :attr:`IpfsDaemon.root` says it.
        gateway: ``http(s)://HOST[:PORT]``.
    """

    def __init__(self, root: str, gateway: str) -> None:
        self._server = _Server(gateway)
        self._root = parse_cid(root)
        self.where = f"ipfs://{root} by {self._server.where}"
        self._kept: dict[Cid, Node] = {}
        self._lock = threading.Lock()

    def size(self, name: ObjectName) -> int | None:
        """Returns the length of an object below the root; None if there is none."""
        cid = self._find(name)
        return None if cid is None else self._node(cid).size_bytes

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields an object's bytes, each block compared with its CID.

        Raises:
            NotAvailable: There is none below the root.
            VerificationError: The gateway sent another block.
            UnreachableError: No answer.
        """
        cid = self._find(name)
        if cid is None:
            raise NotAvailable(not_there(self.where, name))
        left = length
        for data in self._walk(cid, offset, 0):
            part = data if left is None else data[:left]
            if part:
                yield part
            if left is not None:
                left -= len(part)
                if not left:
                    return

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:  # noqa: ARG002 - the port's
        """Refuses: a root names what there was."""
        raise read_only(self.where)

    def close(self) -> None:
        """Nothing is held."""

    def _find(self, name: ObjectName) -> Cid | None:
        cid: Cid | None = self._root
        for segment in name.path.split("/"):
            if cid is None:
                return None
            node = self._node(cid)
            if not node.is_folder:
                return None
            cid = next((target for label, target in node.links if label == segment), None)
        return cid

    def _walk(self, cid: Cid, offset: int, depth: int) -> Iterator[bytes]:
        if depth > _MOST_DEPTH:
            raise UnreachableError(f"{self.where} has a tree of blocks deeper than {_MOST_DEPTH}.")
        node = self._node(cid)
        if node.data[offset:]:
            yield node.data[offset:]
        position = len(node.data)
        for (_, target), size_bytes in zip(node.links, node.sizes, strict=False):
            if offset < position + size_bytes:
                self._check_length(target, size_bytes)
                yield from self._walk(target, max(0, offset - position), depth + 1)
            position += size_bytes

    def _check_length(self, cid: Cid, size_bytes: int) -> None:
        """Lengths that do not add up would let a few blocks be walked through for ever."""
        found = self._node(cid).size_bytes
        if found != size_bytes:
            raise VerificationError(
                f"expected {size_bytes} bytes in the block {cid} of {self.where}, as the block above it says; "
                f"found {found}.",
                hint="Do not use this root; ask for another.",
            )

    def _node(self, cid: Cid) -> Node:
        with self._lock:
            kept = self._kept.get(cid)
        if kept is not None:
            return kept
        headers = {"Accept": "application/vnd.ipld.raw"}
        with self._server.asked("GET", f"/ipfs/{cid}?format=raw", headers=headers) as response:
            if response.status != HTTPStatus.OK:
                raise UnreachableError(f"{self._server.where} answered {response.status} for the block {cid}.")
            block = response.read(MAX_BLOCK_BYTES + 1)
        check_block(cid, block, self._server.where)
        node = parse_node(cid, block)
        if cid.codec != RAW:
            with self._lock:
                while len(self._kept) >= _MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[cid] = node
        return node


class _Server:
    """Something that speaks HTTP; each request has a connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
            raise ConfigError(f"expected http(s)://HOST[:PORT], found {url!r:.100}.", hint="Correct the place.")
        self._secure, self._host, self._port, self._path = parts.scheme == "https", host, port, parts.path.rstrip("/")
        self.where = url.rstrip("/")

    @contextmanager
    def asked(
        self, method: str, path: str, body: Chunks | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Asks; nothing is followed elsewhere."""
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, f"{self._path}{path}", body, dict(headers or {}))
            yield response_within(connection, HEAD_S)
        except (ProMLError, GeneratorExit):
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnreachableError(
                f"cannot reach {self.where}: {type(error).__name__}: {error}", hint="Repeat the command when it runs."
            ) from error
        finally:
            connection.close()


def _call(name: str, **arguments: object) -> str:
    return f"/api/v0/{name}?{urllib.parse.urlencode(arguments)}"


def _answer(response: http.client.HTTPResponse) -> bytes:
    return response.read(_MOST_ANSWER_BYTES)


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnreachableError(f"expected a JSON object from {where}, found {data[:100]!r}.")
    return value
