"""A node as a process: the worker, the HTTP server, and an orderly end."""

from __future__ import annotations

import secrets
import socket
import ssl
from typing import TYPE_CHECKING, Any, ClassVar

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from proml.config import write_atomically
from proml.core.url import host_in_url
from proml.errors import UsageError
from proml.node.api import make_app
from proml.node.content_api import content_routes
from proml.node.content_service import ContentService
from proml.node.service import Service
from proml.node.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from proml.node.worker import Tell
    from proml.wiring import Participant

_TOKEN_BYTES = 32
_DRAIN_S = 10
_WORKER_S = 150.0
"""How long the round that runs is waited for at the end; it writes ahead, so that being killed then loses nothing."""
_BACKLOG = 128
_MOST_CONNECTIONS = 256
MOST_FROM_ONE = 128
"""Connections of one address at once."""
SILENT_S = 10.0
"""How long a connection may say nothing before its first request."""


class _Guarded(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # which one depends on what is installed
    """A connection that is closed unless it soon asks something; of one address there are only so many.

    Whoever has no token could otherwise keep everybody else out with connections that say nothing.
    """

    open_from: ClassVar[dict[str, int]] = {}

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        self.open_from[self._address] = self.open_from.get(self._address, 0) + 1
        if self.open_from[self._address] > MOST_FROM_ONE:
            transport.close()
        self._timer = self.loop.call_later(SILENT_S, self._close_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self.open_from[self._address] -= 1
        if not self.open_from[self._address]:
            del self.open_from[self._address]
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        if self.cycle is None:  # no whole head of a request has come
            self.transport.close()


class NodeServer:
    """A participant's node.

    Args:
        participant: For the requests; its identity is unlocked.
        for_worker: Another one of the same folder, for the worker.
        every_s: As for :class:`~proml.node.worker.Worker`.
        tell: As there.
    """

    def __init__(self, participant: Participant, for_worker: Participant, *, every_s: float | None, tell: Tell) -> None:
        self._participants = (participant, for_worker)
        self.folder = participant.folder.root
        self.identity = participant.identity.name
        self.token_file = participant.folder.node_token_file
        self._worker = Worker(for_worker, every_s=every_s, tell=tell)
        self._content = ContentService(participant.folder)
        self._app = make_app(
            Service(participant, self._worker), token_of(self.token_file), content_routes(self._content)
        )
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None

    def bind(self, host: str, port: int, tls: tuple[Path, Path] | None) -> int:
        """Takes the address; returns its port, which differs from ``port`` if that is 0.

        Raises:
            UsageError: The address is taken or not this machine's, or the certificate cannot be used.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # By name of the protocol: only then asyncio sends small answers at once (TCP_NODELAY) and not 40 ms later.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen at {host_in_url(host)}:{port}: {error.strerror or error}.",
                hint="Choose another with --listen.",
            ) from error
        cert, key = tls or (None, None)
        if cert is not None and key is not None:
            _check_tls(cert, key)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            lifespan="off",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            http=_Guarded,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_DRAIN_S,
            ssl_certfile=cert,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)
        return int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """Works and answers until :meth:`stop`."""
        assert self._server is not None
        assert self._socket is not None
        self._worker.start()
        self._server.run(sockets=[self._socket])
        self._worker.stop(_WORKER_S)

    def stop(self) -> None:
        """Ends :meth:`serve`: requests under way are answered, the round that runs is finished. For signal handlers."""
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Releases everything; safe to call twice."""
        if self._socket is not None:
            self._socket.close()
        self._content.close()
        for participant in self._participants:
            participant.close()


def _check_tls(cert: Path, key: Path) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"expected a certificate in {cert} and its key in {key}, both PEM: {error}.",
            hint="Correct --tls-cert and --tls-key.",
        ) from error


def token_of(path: Path) -> str:
    """Returns a node's token, made when there is none."""
    if not path.exists():
        write_atomically(path, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode())
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token.isascii() or not token.isprintable() or len(token) < _TOKEN_BYTES:
        raise UsageError(
            f"expected a token of at least {_TOKEN_BYTES} printable characters in {path}, found something else.",
            hint="Delete the file; a new token is made.",
        )
    return token
