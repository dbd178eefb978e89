"""Errors as a node answers them: ``{"error": {"type", "message", "hint"}}``."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.responses import Response

    from proml.errors import ProMLError

_RETRY_S = "5"
_LATER = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


def refusal(status: HTTPStatus, error: ProMLError) -> Response:
    """Returns the answer for an error of ours."""
    return error_answer(status, type(error).__name__, error.message, error.hint)


def error_answer(status: HTTPStatus, kind: str, message: str, hint: str) -> Response:
    """Returns the answer for an error of this kind."""
    headers = {"Retry-After": _RETRY_S} if status in _LATER else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": {"type": kind, "message": message, "hint": hint}}, status, headers)
