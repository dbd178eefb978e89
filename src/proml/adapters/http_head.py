"""A limit to how long the beginning of an HTTP answer may take: ``http.client`` limits only the wait for each byte."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator


@contextmanager
def within(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Ends a connection whose other end takes longer than this for what is read within.

    Raises:
        TimeoutError: It did, whatever was read until then.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        hang_up(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError(f"no whole answer within {seconds:g} s")


def hang_up(connection: http.client.HTTPConnection) -> None:
    """Ends a connection, also for a thread that waits for its next byte at this moment."""
    opened = connection.sock
    if opened is not None:
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
