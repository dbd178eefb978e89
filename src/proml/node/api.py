"""A node over HTTP, for those who have its token.

| request | answers |
|---|---|
| ``GET /health`` | how it is; 200, or 503 while something is wrong. The only one without a token |
| ``GET /v1/status[/NAME]`` | as ``proml status --json`` |
| ``GET /v1/history/NAME`` | as ``proml log --json`` |
| ``HEAD``, ``GET``, ``PUT /v1/documents/DIGEST`` | records, by SHA-256 in hex |
| ``POST /v1/intents`` | ``{"intents": […], "again": …}``: takes them in; answers ``{"entries": […]}`` |
| ``GET /v1/entries/N`` | what became of one |
| ``POST /v1/entries/N`` | ``{"key": …, "decision": "rebase" or "drop"}``, for one that failed; answers as above |
| ``POST /v1/messages`` | takes a member's signed message in, for relaying; answers ``{"entry": number}`` |

Content, for peers, is in :mod:`proml.node.content_api`.

Errors are ``{"error": {"type", "message", "hint"}}`` with 400 (malformed), 401, 404, 409 (refused, conflict), 413, 503.
"""

from __future__ import annotations

import hmac
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proml.core.canonical import parse_json
from proml.errors import (
    ConflictError,
    LocalStorageError,
    NotAvailable,
    ProMLError,
    RefusedError,
    UnknownName,
    UnreachableError,
    UsageError,
    VerificationError,
)
from proml.node.answers import error_answer, refusal
from proml.node.service import MAX_DOCUMENT_BYTES, intent_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from proml.node.service import Service

    Handler = Callable[[Request], Awaitable[Response]]

_MAX_JSON_BYTES = 16 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STATUS: tuple[tuple[type[ProMLError], HTTPStatus], ...] = (
    (NotAvailable, HTTPStatus.NOT_FOUND),
    (UnknownName, HTTPStatus.NOT_FOUND),
    (LocalStorageError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (RefusedError, HTTPStatus.CONFLICT),
    (ConflictError, HTTPStatus.CONFLICT),
    (VerificationError, HTTPStatus.CONFLICT),
    (UsageError, HTTPStatus.BAD_REQUEST),
)


class _TooLarge(UsageError):
    """A request's body is larger than the limit."""


def make_app(service: Service, token: str, others: Sequence[Route] = ()) -> Starlette:
    """Returns the ASGI application.

    Args:
        service: What answers.
        token: What ``Authorization: Bearer`` has to say.
        others: Routes that guard themselves.
    """
    expected = f"Bearer {token}".encode()

    def guarded(handler: Handler) -> Handler:
        async def guard(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                return error_answer(HTTPStatus.UNAUTHORIZED, "Unauthorized", "expected the node's token.", _TOKEN_HINT)
            try:
                return await handler(request)
            except _TooLarge as error:
                return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error)
            except ProMLError as error:
                status = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
                return refusal(status or HTTPStatus.INTERNAL_SERVER_ERROR, error)

        return guard

    endpoints = _Endpoints(service)
    routes = [
        Route("/health", endpoints.health),
        Route("/v1/status", guarded(endpoints.status)),
        Route("/v1/status/{name:path}", guarded(endpoints.status)),
        Route("/v1/history/{name:path}", guarded(endpoints.history)),
        Route("/v1/documents/{digest}", guarded(endpoints.document), methods=["GET", "HEAD", "PUT"]),
        Route("/v1/intents", guarded(endpoints.intents), methods=["POST"]),
        Route("/v1/entries/{number:int}", guarded(endpoints.entry), methods=["GET", "POST"]),
        Route("/v1/messages", guarded(endpoints.messages), methods=["POST"]),
        *others,
    ]
    return Starlette(routes=routes)


_TOKEN_HINT = "Name its file in PROML_NODE_TOKEN_FILE; the node's owner has it in .proml/node-token."  # noqa: S105 - where it is


class _Endpoints:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _: Request) -> Response:
        found = await run_in_threadpool(self._service.health)
        return JSONResponse(found, HTTPStatus.OK if found["ok"] else HTTPStatus.SERVICE_UNAVAILABLE)

    async def status(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._service.status, request.path_params.get("name")))

    async def history(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._service.history, request.path_params["name"]))

    async def document(self, request: Request) -> Response:
        text = request.path_params["digest"]
        if not _DIGEST.fullmatch(text):
            raise UsageError(f"expected a SHA-256 digest of 64 lower-case hex digits, found {text!r:.80}.")
        digest = bytes.fromhex(text)
        if request.method == "PUT":
            await run_in_threadpool(self._service.put, digest, await _body(request, MAX_DOCUMENT_BYTES))
            return Response(status_code=HTTPStatus.NO_CONTENT)
        if request.method == "HEAD":
            there = await run_in_threadpool(self._service.has, digest)
            return Response(status_code=HTTPStatus.OK if there else HTTPStatus.NOT_FOUND)
        data = await run_in_threadpool(self._service.get, digest)
        return Response(data, media_type="application/octet-stream")

    async def intents(self, request: Request) -> Response:
        document = await _document(request)
        listed = document.get("intents")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise UsageError('expected {"intents": [objects]}.')
        wanted = [intent_of(cast("dict[str, Any]", one)) for one in listed]
        numbers = await run_in_threadpool(self._service.take, wanted, again=document.get("again") is True)
        return JSONResponse({"entries": numbers})

    async def entry(self, request: Request) -> Response:
        number = request.path_params["number"]
        if request.method == "POST":
            asked = await _document(request)
            return JSONResponse(
                await run_in_threadpool(self._service.decide, number, asked.get("key"), asked.get("decision"))
            )
        return JSONResponse(await run_in_threadpool(self._service.outcome, number))

    async def messages(self, request: Request) -> Response:
        return JSONResponse(
            {"entry": await run_in_threadpool(self._service.relay, await _body(request, _MAX_JSON_BYTES))}
        )


async def _document(request: Request) -> dict[str, Any]:
    """Returns the request's body, a JSON object; anything else is an empty one, which has nothing that is expected."""
    # Not json.loads: the EVM raises Python's limit of recursion, and deep nesting would end the process.
    document = parse_json(await _body(request, _MAX_JSON_BYTES), "the request", max_bytes=_MAX_JSON_BYTES)
    return document if isinstance(document, dict) else {}


async def _body(request: Request, most_bytes: int) -> bytes:
    """Returns the request's body, read no further than the limit, whatever its length was said to be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise _TooLarge(f"expected at most {most_bytes} bytes, found more.")
    return bytes(body)


def _json(document: Any) -> Response:
    return Response(json.dumps(document, default=_hex), media_type="application/json")


def _hex(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    raise TypeError(f"expected a JSON value, found {type(value).__name__}")
