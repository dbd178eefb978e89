"""Moves one JSON-RPC message to a node and one back: by HTTP(S), WebSocket, or the node's IPC socket.

Every failure of the network, of TLS or of a protocol leaves here as :class:`proml.errors.UnreachableError`. A
connection is kept between messages, renewed when it turns out to be stale, and never shared with a forked child.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from proml.adapters.http_head import response_within
from proml.errors import ConfigError, MissingExtra, UnreachableError

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """What is granted to a node for one answer.

    Attributes:
        timeout_s: Until the whole answer must be there.
        answer_bytes: How large it may be.
    """

    timeout_s: float
    answer_bytes: int


class TooLarge(UnreachableError):
    """An answer is larger than the limit; asking for less may help."""


class TimedOut(UnreachableError):
    """No whole answer in time; asking for less may help."""


class Throttled(UnreachableError):
    """The node asks to be asked later: HTTP 429 or 503.

    Args:
        message: What happened.
        wait_s: How many seconds the node asked to wait; 0 if it did not say.
    """

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Transport(Protocol):
    """A way to a node."""

    def exchange(self, message: bytes) -> bytes:
        """Sends a message and returns the answer."""
        ...

    def close(self) -> None:
        """Drops the connection; safe to call twice."""
        ...


def open_transport(url: str, limits: Limits) -> Transport:
    """Returns the transport for a URL, without connecting: http(s), ws(s), or the path of an IPC socket.

    Raises:
        ConfigError: The URL is of no such kind.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"expected the URL of a node, found {without_secrets(url)!r}: {error}") from error
    if parts.scheme in ("http", "https") and host:
        return _HttpTransport(parts, limits)
    if parts.scheme in ("ws", "wss") and host:
        return _WebSocketTransport(url, limits)
    if parts.scheme in ("", "ipc") and parts.path.startswith("/"):
        return _IpcTransport(parts.path, limits)
    raise ConfigError(
        f"expected http(s)://…, ws(s)://… or the absolute path of an IPC socket, found {without_secrets(url)!r}",
        hint="Correct the ledger's URL.",
    )


def without_secrets(url: str) -> str:
    """Returns a URL fit to be shown: without user, password, query, and path, where hosted nodes keep their keys."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
    return f"{scheme}://{authority}"


class _Deadline:
    def __init__(self, limits: Limits, where: str) -> None:
        self._ends = time.monotonic() + limits.timeout_s
        self._limits = limits
        self._where = where

    def left_s(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimedOut(f"expected an answer from {self._where} within {self._limits.timeout_s:g} s, found none")
        return left

    def check_size(self, size_bytes: int) -> None:
        if size_bytes > self._limits.answer_bytes:
            raise TooLarge(
                f"expected at most {self._limits.answer_bytes} bytes in an answer from {self._where}, found more"
            )


_NOT_FOR_US = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.PAYMENT_REQUIRED, http.HTTPStatus.FORBIDDEN)


class _HttpTransport:
    def __init__(self, parts: urllib.parse.SplitResult, limits: Limits) -> None:
        self._parts = parts
        self._limits = limits
        self._where = without_secrets(parts.geturl())
        self._target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "proml",
        }
        if parts.username is not None:
            secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
        self._connection: http.client.HTTPConnection | None = None
        self._owner = 0

    def exchange(self, message: bytes) -> bytes:
        reused = self._connection is not None and self._owner == os.getpid()
        try:
            return self._exchange_once(message)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            self.close()
            # A node closes connections that were idle. Sending again is safe: reading changes nothing, and the same
            # raw transaction counts once.
            if not reused:
                raise _unreachable(self._where, error) from error
        except TimeoutError as error:
            self.close()
            raise TimedOut(f"expected an answer from {self._where} within {self._limits.timeout_s:g} s") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _unreachable(self._where, error) from error
        except UnreachableError:
            self.close()
            raise
        return self.exchange(message)

    def close(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None

    def _exchange_once(self, message: bytes) -> bytes:
        deadline = _Deadline(self._limits, self._where)
        connection = self._connected()
        connection.request("POST", self._target, message, self._headers)
        response = response_within(connection, deadline.left_s())
        chunks: list[bytes] = []
        size_bytes = 0
        while True:
            if connection.sock is not None:
                connection.sock.settimeout(deadline.left_s())
            chunk = response.read1(_CHUNK_BYTES)
            if not chunk:
                break
            chunks.append(chunk)
            size_bytes += len(chunk)
            deadline.check_size(size_bytes)
            deadline.left_s()
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # frees the connection for the next request
        body = b"".join(chunks)
        self._check_status(response, body)
        return body

    def _check_status(self, response: http.client.HTTPResponse, body: bytes) -> None:
        if response.status in (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE):
            wait = response.getheader("Retry-After", "")
            raise Throttled(
                f"{self._where} asks to be asked later (HTTP {response.status})", float(wait) if wait.isdecimal() else 0
            )
        # Some clients send JSON-RPC errors under 400 or 500; those are for the caller to read.
        if response.status in _NOT_FOR_US or (response.status != http.HTTPStatus.OK and b'"error"' not in body):
            raise UnreachableError(
                f"expected HTTP 200 from {self._where}, found {response.status} {response.reason}",
                hint="Check the ledger's URL and that its node offers JSON-RPC there.",
            )

    def _connected(self) -> http.client.HTTPConnection:
        if self._owner != os.getpid():
            self._connection = None
        if self._connection is None:
            self._connection = self._connect()
            self._owner = os.getpid()
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(self._limits.timeout_s)
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        host, port, timeout = self._parts.hostname or "", self._parts.port, self._limits.timeout_s
        secure = self._parts.scheme == "https"
        proxy = urllib.request.getproxies().get(self._parts.scheme)
        if proxy and not urllib.request.proxy_bypass(host):
            via = urllib.parse.urlsplit(proxy)
            connection = _connection(secure, via.hostname or "", via.port, timeout)
            connection.set_tunnel(host, port or (443 if secure else 80))
            return connection
        return _connection(secure, host, port, timeout)


def _connection(secure: bool, host: str, port: int | None, timeout_s: float) -> http.client.HTTPConnection:  # noqa: FBT001  (two kinds of one thing)
    if secure:
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


class _WebSocketTransport:
    def __init__(self, url: str, limits: Limits) -> None:
        self._url = url
        self._limits = limits
        self._where = without_secrets(url)
        self._connection: ClientConnection | None = None
        self._owner = 0

    def exchange(self, message: bytes) -> bytes:
        try:
            from websockets.exceptions import ConnectionClosed, PayloadTooBig, WebSocketException  # noqa: PLC0415  (only needed here)
        except ImportError as error:
            raise MissingExtra(
                f"expected the package websockets to reach {self._where}, found none",
                hint="Install it with `pip install websockets`, or use the node's HTTP URL.",
            ) from error
        reused = self._connection is not None and self._owner == os.getpid()
        try:
            return self._exchange_once(message)
        except ConnectionClosed as error:
            self.close()
            if isinstance(error.__cause__, PayloadTooBig) or (error.sent is not None and error.sent.code == 1009):  # noqa: PLR2004  (RFC 6455 §7.4.1: message too big)
                raise TooLarge(f"expected at most {self._limits.answer_bytes} bytes from {self._where}") from error
            if not reused:
                raise _unreachable(self._where, error) from error
        except TimeoutError as error:
            self.close()
            raise TimedOut(f"expected an answer from {self._where} within {self._limits.timeout_s:g} s") from error
        except (OSError, WebSocketException, ValueError, EOFError) as error:
            self.close()
            raise _unreachable(self._where, error) from error
        return self.exchange(message)

    def close(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = None

    def _exchange_once(self, message: bytes) -> bytes:
        from websockets.sync.client import connect  # noqa: PLC0415  (only needed here)

        if self._connection is None or self._owner != os.getpid():
            way = connect(
                self._url,
                open_timeout=self._limits.timeout_s,
                close_timeout=1,
                max_size=self._limits.answer_bytes,
            )
            self._connection = way.__enter__()  # left in close()
            self._owner = os.getpid()
        self._connection.send(message, text=True)
        answer = self._connection.recv(timeout=self._limits.timeout_s)
        return answer if isinstance(answer, bytes) else answer.encode()


class _IpcTransport:
    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._socket: socket.socket | None = None
        self._owner = 0

    def exchange(self, message: bytes) -> bytes:
        reused = self._socket is not None and self._owner == os.getpid()
        try:
            return self._exchange_once(message)
        except (BrokenPipeError, ConnectionResetError, EOFError) as error:
            self.close()
            if not reused:
                raise _unreachable(self._path, error) from error
        except TimeoutError as error:
            self.close()
            raise TimedOut(f"expected an answer from {self._path} within {self._limits.timeout_s:g} s") from error
        except OSError as error:
            self.close()
            raise _unreachable(self._path, error) from error
        except UnreachableError:
            self.close()
            raise
        return self.exchange(message)

    def close(self) -> None:
        if self._socket is not None and self._owner == os.getpid():
            self._socket.close()
        self._socket = None

    def _exchange_once(self, message: bytes) -> bytes:
        deadline = _Deadline(self._limits, self._path)
        if self._socket is None or self._owner != os.getpid():
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._owner = os.getpid()
            self._socket.settimeout(deadline.left_s())
            self._socket.connect(self._path)
        self._socket.settimeout(deadline.left_s())
        self._socket.sendall(message + b"\n")
        answer = bytearray()
        while not _is_whole(answer):
            self._socket.settimeout(deadline.left_s())
            chunk = self._socket.recv(_CHUNK_BYTES)
            if not chunk:
                raise EOFError("the node closed its socket")
            answer += chunk
            deadline.check_size(len(answer))
        return bytes(answer)


def _is_whole(answer: bytearray) -> bool:
    """Tells whether an IPC answer is complete: most clients end it with a line end, some with nothing."""
    if answer.endswith(b"\n"):
        return True
    if not answer.endswith((b"}", b"]")):
        return False
    try:
        json.loads(answer)
    except ValueError:
        return False
    return True


def _unreachable(where: str, error: Any) -> UnreachableError:
    return UnreachableError(
        f"cannot reach the ledger at {where}: {type(error).__name__}: {error}",
        hint="What was captured is safe. Start the node or correct its URL, then run `proml sync`.",
    )
