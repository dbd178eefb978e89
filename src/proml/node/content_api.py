"""Content over HTTP, for peers that have a token of their own.

| request | answers |
|---|---|
| ``HEAD``, ``GET /v1/content/ALGORITHM/DIGEST`` | the bytes of an object, or a ``Range`` of them |
| ``GET /v1/uploads/ALGORITHM/DIGEST?size=N`` | ``Upload-Offset``: how much has come of it |
| ``PUT /v1/uploads/ALGORITHM/DIGEST`` | takes the rest, from ``Upload-Offset`` on, of ``Upload-Length`` bytes |

What the owner does not share is 404, like what is not there. Other errors: 401, 403 (not allowed, over the quota),
409 (somebody else sends it), 416, 422 (other bytes than their name says), 429 and 503 (later).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import anyio
import anyio.from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from proml.contents import ObjectName, Piece, SourceFault, not_there
from proml.errors import (
    ConflictError,
    NotAvailable,
    ProMLError,
    RefusedError,
    UnreachableError,
    UsageError,
    VerificationError,
)
from proml.node.answers import error_answer, refusal
from proml.node.content_service import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from proml.adapters.sharing_sqlite import Peer
    from proml.contents import Chunks
    from proml.core.manifest import Algorithm
    from proml.node.content_service import ContentService

    Handler = Callable[[Request, Peer], Awaitable[Response]]

STALLED_S = 30.0
"""How long a peer may send nothing."""
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_STATUS: tuple[tuple[type[ProMLError], HTTPStatus], ...] = (
    (NotAvailable, HTTPStatus.NOT_FOUND),
    (Busy, HTTPStatus.TOO_MANY_REQUESTS),
    (SourceFault, HTTPStatus.REQUEST_TIMEOUT),
    (RefusedError, HTTPStatus.FORBIDDEN),
    (ConflictError, HTTPStatus.CONFLICT),
    (VerificationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_HINT = "The node's owner makes tokens: `proml node token new PEER`."


def content_routes(service: ContentService) -> list[Route]:
    """Returns the routes; each asks for a peer's token."""
    asked = _Asked(service)
    return [
        Route("/v1/content/{algorithm}/{digest}", asked.guarded(asked.content), methods=["GET"]),  # and HEAD
        Route("/v1/uploads/{algorithm}/{digest}", asked.guarded(asked.upload), methods=["GET", "PUT"]),
    ]


class _Streaming(StreamingResponse):
    """Answers with bytes, and says when that has ended, however it ended."""

    done: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.done()


class _Asked:
    def __init__(self, service: ContentService) -> None:
        self._service = service

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def guard(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            peer = await run_in_threadpool(self._service.peer, token) if scheme.lower() == "bearer" else None
            if peer is None:
                return error_answer(HTTPStatus.UNAUTHORIZED, "Unauthorized", "expected a peer's token.", _HINT)
            try:
                self._service.begin(peer)
            except Busy as error:
                return refusal(HTTPStatus.TOO_MANY_REQUESTS, error)
            response: Response | None = None
            try:
                response = await handler(request, peer)
            except ProMLError as error:
                return refusal(next((code for kind, code in _STATUS if isinstance(error, kind)), _OTHER), error)
            finally:
                if not isinstance(response, _Streaming):
                    self._service.end(peer)
            return response

        return guard

    async def content(self, request: Request, peer: Peer) -> Response:
        name = _name(request)
        size_bytes = await run_in_threadpool(self._service.size, name)
        if size_bytes is None:
            raise NotAvailable(not_there("the node", name))
        headers = {"Accept-Ranges": "bytes"}
        start, end, status = 0, size_bytes, HTTPStatus.OK
        if (wanted := request.headers.get("range")) is not None:
            found = _RANGE.fullmatch(wanted)
            start = int(found[1]) if found else size_bytes
            end = min(int(found[2]) + 1, size_bytes) if found and found[2] else size_bytes
            if not start < end:
                return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                                headers={"Content-Range": f"bytes */{size_bytes}"})  # fmt: skip
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
            status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        chunks = self._service.read(name, start, end - start)
        answer = _Streaming(_passed_on(chunks), status, headers, "application/octet-stream")
        answer.done = lambda: self._service.end(peer)
        return answer

    async def upload(self, request: Request, peer: Peer) -> Response:
        name = _name(request)
        if request.method == "GET":
            piece = Piece(name, _length(request.query_params.get("size"), "size"))
            offset = await run_in_threadpool(self._service.offset, peer, piece)
            return JSONResponse({"offset": offset}, headers={"Upload-Offset": str(offset)})
        offset = _length(request.headers.get("upload-offset"), "Upload-Offset")
        piece = Piece(name, _length(request.headers.get("upload-length"), "Upload-Length"))
        await run_in_threadpool(self._service.put, peer, piece, offset, _coming(request.stream(), name))
        return Response(status_code=HTTPStatus.NO_CONTENT)


_OTHER = HTTPStatus.BAD_REQUEST


async def _passed_on(chunks: Chunks) -> AsyncIterator[bytes]:
    try:
        while (chunk := await run_in_threadpool(next, chunks, None)) is not None:
            yield chunk
    finally:
        chunks.close()


def _coming(stream: AsyncIterator[bytes], name: ObjectName) -> Chunks:
    """Yields a request's body to a thread, which sets the pace."""

    async def following() -> bytes | None:
        with anyio.fail_after(STALLED_S):
            return await anext(stream, None)

    while True:
        try:
            chunk = anyio.from_thread.run(following)
        except (ClientDisconnect, TimeoutError):
            raise SourceFault(f"the bytes of {name} ended early, or came too slowly.") from None
        if chunk is None:
            return
        if chunk:
            yield chunk


def _name(request: Request) -> ObjectName:
    algorithm, digest = request.path_params["algorithm"], request.path_params["digest"]
    if algorithm not in ("sha256", "blake3") or not _DIGEST.fullmatch(digest):
        raise UsageError(
            f"expected sha256 or blake3, and 64 lower-case hex digits; found {algorithm!r:.20} and {digest!r:.80}."
        )
    return ObjectName(cast("Algorithm", algorithm), bytes.fromhex(digest))


def _length(text: str | None, what: str) -> int:
    if text is None or not _LENGTH.fullmatch(text):
        raise UsageError(f"expected a number of bytes in {what}, found {text!r:.80}.")
    return int(text)
