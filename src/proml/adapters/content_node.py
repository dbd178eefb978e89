"""Another participant's node as a place that has content, over HTTP. The standard library only.

Every answer is taken for what it may be: another's. Nothing is followed elsewhere, no length is believed, and nobody
waits longer than a minute for a byte.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import threading
import time
import urllib.parse
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from proml.adapters.http_head import hang_up, response_within
from proml.contents import CHUNK_BYTES, not_there
from proml.errors import ConfigError, NotAvailable, ProMLError, UnreachableError, UsageError, VerificationError
from proml.filling import verified, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from proml.contents import Chunks, ObjectName, OpenAt, Piece, Told

TIMEOUT_S = 30.0
_MOST_ERROR_BYTES = 1 << 16
_PATIENCE, _PAUSE_S = 20, 0.25
_AGAIN = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class _Underway(UnreachableError):
    """Another request writes the same object at this moment."""


class NodeContents:
    """The :class:`~proml.contents.Contents` of another participant's node.

    Args:
        url: ``https://HOST[:PORT][/PATH]``; ``http:`` only to this machine, since the token goes along.
        token: What its owner gave us.
        ca_file: Certificate that the node's has to be, or be signed by; None for those that the system trusts.

    Raises:
        ConfigError: The URL, the token or the certificate cannot be used.
    """

    timeout_s = TIMEOUT_S
    """How long is waited for any byte; twice that for the beginning of an answer, however many bytes it is."""

    def __init__(self, url: str, token: str, ca_file: Path | None = None) -> None:
        self._secure, self._host, self._port, self._path = _parts(url)
        if not token.isascii() or not token.isprintable() or not token:
            raise ConfigError(f"expected the token for {url} on one line, found something else.", hint="Copy it anew.")
        self.where = url.rstrip("/")
        self._token = token
        self._context = _context(ca_file) if self._secure else None
        self._kept = threading.local()
        self._lock = threading.Lock()
        self._open: set[http.client.HTTPConnection] = set()

    def size(self, name: ObjectName) -> int | None:
        """Returns the length that the node tells; None if it has no such object, or does not share it with us."""
        with self._asked("HEAD", _content(name)) as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return None
            if response.status != HTTPStatus.OK:
                raise self._refused(response)
            return _number(response.getheader("Content-Length"))

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:
        """Yields an object's bytes.

        Raises:
            NotAvailable: The node does not have it, or does not share it with us.
            UnreachableError: No answer.
        """
        if length == 0:
            return  # no range of bytes means none
        end = "" if length is None else str(offset + length - 1)
        headers = {"Range": f"bytes={offset}-{end}"} if offset or length is not None else {}
        with self._asked("GET", _content(name), headers=headers) as response:
            if response.status == HTTPStatus.NOT_FOUND:
                raise NotAvailable(not_there(self.where, name))
            if response.status != (HTTPStatus.PARTIAL_CONTENT if headers else HTTPStatus.OK):
                raise self._refused(response)
            while data := response.read1(CHUNK_BYTES):
                yield data

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:
        """Gives the node an object, from where it has it already.

        Raises:
            VerificationError: The bytes given have another digest.
            UsageError: The node does not take it, or not from us.
            UnreachableError: No answer; what was sent is continued next time.
        """
        for left in reversed(range(_PATIENCE)):
            try:
                # A part that it had from before may be wrong; then it has thrown that away.
                if self._send(piece, self._offset(piece), open_at, told) or self._send(piece, 0, open_at, told):
                    return
            except _Underway:
                # What an attempt before this one sent is still being written, or somebody else sends it.
                if not left:
                    raise
                time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Drops all connections; safe to call twice."""
        with self._lock:
            for connection in self._open:
                hang_up(connection)  # another thread may wait for it
                connection.close()
            self._open.clear()

    def _offset(self, piece: Piece) -> int:
        # Asked first, so that a node which does not take it says so before anything is sent.
        with self._asked("GET", f"{_upload(piece.name)}?size={piece.size_bytes}") as response:
            if response.status != HTTPStatus.OK:
                raise self._refused(response)
            have_bytes = _number(response.getheader("Upload-Offset")) or 0
            return have_bytes if have_bytes <= piece.size_bytes else 0

    def _send(self, piece: Piece, offset: int, open_at: OpenAt, told: Told) -> bool:
        headers = {
            "Upload-Offset": str(offset),
            "Upload-Length": str(piece.size_bytes),
            "Content-Length": str(piece.size_bytes - offset),
            "Content-Type": "application/octet-stream",
        }
        sent = [offset]
        told(offset)

        def counted(chunks: Chunks) -> Chunks:
            with closing(chunks):
                for chunk in chunks:
                    yield chunk
                    sent[0] += len(chunk)
                    told(len(chunk))

        # From the beginning, our own digest tells a wrong source before the node has to; else the node's tells.
        whole = offset == 0
        chunks = verified(open_at(0), piece, lambda _count: None) if whole else watched(open_at(offset), piece, offset)
        try:
            with closing(counted(chunks)) as body, self._asked("PUT", _upload(piece.name), body, headers) as response:
                if response.status == HTTPStatus.NO_CONTENT:
                    return True
                if response.status == HTTPStatus.UNPROCESSABLE_ENTITY and not whole:
                    told(-sent[0])
                    return False
                self._refuse(response)
        except BaseException:
            told(-sent[0])
            raise
        return False

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Chunks | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Asks, and keeps the connection for the next question of this thread if the answer was read to its end."""
        connection, reused = self._connection()
        answered = False
        try:
            try:
                response = self._exchange(connection, method, path, body, headers)
            except _AGAIN:
                # It closes connections that were idle. What has a body was perhaps begun, and is not sent twice.
                if not reused or body is not None:
                    raise
                connection.close()
                response = self._exchange(connection, method, path, body, headers)
            yield response
            if not response.length:
                response.read()
            answered = response.isclosed() and not response.will_close
        except (ProMLError, GeneratorExit):
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        finally:
            if answered:
                self._kept.connection = connection
            else:
                with self._lock:
                    self._open.discard(connection)
                connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Chunks | None,
        headers: Mapping[str, str] | None,
    ) -> http.client.HTTPResponse:  # fmt: skip
        chosen = {"Authorization": f"Bearer {self._token}", "User-Agent": "proml", **(headers or {})}
        try:
            connection.request(method, f"{self._path}{path}", body, chosen)
        except _AGAIN:
            # It may have answered before it closed: a refusal says why. Without an answer, the first error counts.
            if body is None:
                raise
            with suppress(OSError, http.client.HTTPException):
                return self._head(connection)
            raise
        return self._head(connection)

    def _head(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        return response_within(connection, 2 * self.timeout_s)

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        self._kept.connection = None
        if kept is not None:
            return kept, True
        made: http.client.HTTPConnection
        if self._context is not None:
            made = http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout_s, context=self._context)
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)
        with self._lock:
            self._open.add(made)
        return made, False

    def _refuse(self, response: http.client.HTTPResponse) -> None:
        raise self._refused(response)

    def _refused(self, response: http.client.HTTPResponse) -> ProMLError:
        status = response.status
        try:
            told = json.loads(response.read(_MOST_ERROR_BYTES))["error"]
            message, hint = str(told["message"])[:500], str(told["hint"])[:500]
        except (ValueError, KeyError, TypeError, RecursionError, OSError, http.client.HTTPException):
            message, hint = "nothing more.", ""
        text = f"the node {self.where} answered {status}: {message}"
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return UnreachableError(
                f"{text} It points elsewhere, which is not followed.", hint="Correct the place's URL."
            )
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return VerificationError(text, hint=hint)
        if status == HTTPStatus.CONFLICT:
            return _Underway(text, hint="Somebody else sends it at this moment. Repeat the command later.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
            return UnreachableError(text, hint=hint or "Repeat the command later: what arrived is kept.")
        if status == HTTPStatus.UNAUTHORIZED:
            hint = "Ask its owner for a token: `proml node token new PEER` there, `proml content place add` here."
        return UsageError(text, hint=hint or "Ask whoever runs the node.")

    def _unreachable(self, error: Exception) -> UnreachableError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return UnreachableError(
                f"the node at {self.where} shows a certificate that is not the one to expect: {error.verify_message}.",
                hint="Ask its owner for the certificate, and name it with --ca-file.",
            )
        return UnreachableError(
            f"cannot reach the node at {self.where}: {type(error).__name__}: {error}",
            hint="Repeat the command when it runs: what arrived is kept.",
        )


_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})


def _content(name: ObjectName) -> str:
    return f"/v1/content/{name.algorithm}/{name.digest.hex()}"


def _upload(name: ObjectName) -> str:
    return f"/v1/uploads/{name.algorithm}/{name.digest.hex()}"


def _parts(url: str) -> tuple[bool, str, int | None, str]:
    parts = urllib.parse.urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigError(f"expected https://HOST[:PORT] of a node, found {url!r:.100}.", hint="Correct the place.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise ConfigError(
            f"expected https:// for a node on another machine, found {url!r:.100}: anybody on the way could read the "
            "token and use it.",
            hint="Start that node with --tls-cert and --tls-key, and name its certificate here with --ca-file.",
        )
    return parts.scheme == "https", host, port, parts.path.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"expected a certificate (PEM) in {ca_file}: {error}.", hint="Name its file with --ca-file."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _number(text: str | None) -> int | None:
    return (
        int(text)
        if text is not None and text.isascii() and text.isdecimal() and len(text) <= len(str(1 << 62))
        else None
    )
