"""A limit to how long the beginning of an HTTP answer may take: ``http.client`` limits only the wait for each byte."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import http.client


def response_within(connection: http.client.HTTPConnection, seconds: float) -> http.client.HTTPResponse:
    """Returns the answer to what was asked, its body unread.

    Raises:
        TimeoutError: Its beginning took longer; the connection is ended.
        OSError, http.client.HTTPException: As ``getresponse``.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        hang_up(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    response: http.client.HTTPResponse | None = None
    try:
        response = connection.getresponse()
    except Exception:
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set() or response is None:
        if response is not None:
            response.close()  # what ended in the middle of its head is taken for one without a body
        raise TimeoutError(f"no whole answer within {seconds:g} s")
    return response


def hang_up(connection: http.client.HTTPConnection) -> None:
    """Ends a connection, also for a thread that waits for its next byte at this moment."""
    opened = connection.sock
    if opened is not None:
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
