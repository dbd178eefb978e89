"""JSON-RPC 2.0 over the end points of one chain: the envelope, waiting when told to, and moving on when one fails."""

from __future__ import annotations

import itertools
import json
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from proml.adapters.jsonrpc.refusals import is_own_fault
from proml.adapters.jsonrpc.transport import (
    Limits,
    Throttled,
    TimedOut,
    TooLarge,
    Transport,
    open_transport,
    without_secrets,
)
from proml.core.portions import portions
from proml.errors import ConfigError, ProMLError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proml.ports import Clock

T = TypeVar("T")

_ATTEMPTS_WHEN_THROTTLED = 4
_MOST_CALLS = 100  # in one message: what hosted end points take
_MOST_CHARACTERS = 2_000_000  # in one message: go-ethereum takes 5 MB
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
# How much of a node's own words is repeated in ours.
_SHOWN_CHARACTERS = 200
_KEPT_CHARACTERS = 2000


class RpcError(Exception):
    """A node answered a request with a JSON-RPC error; never leaves this package.

    Args:
        where: The end point, without secrets.
        code: JSON-RPC error code.
        message: Its text.
        data: Whatever the client attached.
    """

    def __init__(self, where: str, code: int, message: str, data: Any) -> None:
        super().__init__(f"{where} answered: {message} (code {code})")
        self.code = code
        self.message = message
        self.data = data

    def unexpected(self, method: str) -> UnreachableError:
        """Returns the error for a refusal that has no meaning of its own."""
        return UnreachableError(
            f"expected an answer to {method}, found a refusal: {self}",
            hint="Check that the node offers this method and is in step with its network.",
        )


class EndPoints:
    """Several ways to one chain, of which one is used until it fails.

    Args:
        urls: End points, in the order of preference.
        limits: What is granted for one answer.
        clock: Waits when a node asks to.
        on_change: Called with this object when an end point is used for the first time, to check that it serves the
            same chain; what it raises makes the end point count as failed.
    """

    def __init__(
        self, urls: Sequence[str], limits: Limits, clock: Clock, on_change: Callable[[EndPoints], None]
    ) -> None:
        if not urls:
            raise ConfigError("expected the URL of a ledger, found none", hint="Name one in the workspace file.")
        self._ways: list[tuple[str, Transport]] = [(without_secrets(url), open_transport(url, limits)) for url in urls]
        self._clock = clock
        self._on_change = on_change
        self._checked: set[int] = set()
        self._current = 0
        self._ids = itertools.count(1)
        self._lock = threading.RLock()
        self._closed = False

    @property
    def where(self) -> str:
        """The end point in use, without secrets."""
        return self._ways[self._current][0]

    def request(self, method: str, *parameters: Any) -> Any:
        """Returns a method's result from the first end point that answers.

        Raises:
            RpcError: The node answered with an error.
            UnreachableError: No end point answered; :class:`TooLarge` or :class:`TimedOut` if asking for less may help.
        """
        return self._first_that_answers(lambda: self._ask_usable(method, parameters))

    def request_all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Returns the results of methods, or the RpcError of each, from the first end point that answers.

        Many go in one message (JSON-RPC 2.0, section 6). One that an end point does not take is asked call by call.

        Raises:
            UnreachableError: No end point answered.
        """
        found: list[Any] = []
        for some in portions(calls, _characters, most_items=_MOST_CALLS, most_size=_MOST_CHARACTERS):
            found += self._first_that_answers(partial(self._ask_all_usable, some))
        return found

    def _ask_usable(self, method: str, parameters: Sequence[Any]) -> Any:
        try:
            return self._ask(method, parameters)
        except RpcError as error:
            self._leave_if_faulty(error)
            raise

    def _ask_all_usable(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        found = self._ask_all(calls)
        for one in found:
            if isinstance(one, RpcError):
                self._leave_if_faulty(one)
        return found

    def _leave_if_faulty(self, error: RpcError) -> None:
        """Takes an end point that says it is unable for one that does not answer, if there is another to ask."""
        if len(self._ways) > 1 and is_own_fault(error):
            raise error.unexpected("a request") from error

    def _first_that_answers(self, step: Callable[[], T]) -> T:
        with self._lock:
            if self._closed:
                raise UnreachableError("the ledger was closed", hint="Open it again.")
            failures: list[ProMLError] = []
            for _ in self._ways:
                try:
                    self._check_chain()
                    return step()
                except UnreachableError as error:
                    failures.append(error)
                self._current = (self._current + 1) % len(self._ways)
        if len(failures) == 1:
            raise failures[0]
        for failure in failures:
            if isinstance(failure, TooLarge | TimedOut):
                raise failure  # less may be answered, at least there
        raise UnreachableError(
            f"none of {len(failures)} end points of the ledger answers: "
            + "; ".join(failure.message for failure in failures),
            hint="What was captured is safe. Start a node or correct the URLs, then run `proml sync`.",
        ) from failures[-1]

    def close(self) -> None:
        """Drops all connections; safe to call twice."""
        with self._lock:
            self._closed = True
            for _, transport in self._ways:
                transport.close()

    def _check_chain(self) -> None:
        if self._current not in self._checked:
            self._checked.add(self._current)
            try:
                self._on_change(self)
            except BaseException:
                self._checked.discard(self._current)
                raise

    def ask_current(self, method: str, *parameters: Any) -> Any:
        """Like :meth:`request`, of the end point in use only."""
        return self._ask(method, parameters)

    def _ask(self, method: str, parameters: Sequence[Any]) -> Any:
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        return _result(self._exchange(message), number, self.where)

    def _ask_all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        numbers = [next(self._ids) for _ in calls]
        answer = self._exchange([
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, parameters) in zip(numbers, calls, strict=True)
        ])  # fmt: skip
        envelopes = _envelopes(answer)
        if envelopes is None:
            return [_or_error(partial(self._ask, method, parameters)) for method, parameters in calls]
        return [_or_error(partial(_result, envelopes.get(number, answer), number, self.where)) for number in numbers]

    def _exchange(self, message: object) -> bytes:
        where, transport = self._ways[self._current]
        data = json.dumps(message).encode()
        for attempt in range(_ATTEMPTS_WHEN_THROTTLED):
            try:
                return transport.exchange(data)
            except Throttled as throttled:
                if attempt == _ATTEMPTS_WHEN_THROTTLED - 1:
                    raise
                self._clock.sleep(min(max(throttled.wait_s, _FIRST_WAIT_S * 2**attempt), _LONGEST_WAIT_S))
        raise AssertionError(f"the last attempt at {where} returns or raises")


def _characters(call: tuple[str, Sequence[Any]]) -> int:
    return len(str(call))


def _or_error(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except RpcError as error:
        return error


def _envelopes(answer: bytes) -> dict[int, Any] | None:
    """Returns the answers to a batch by their numbers; None if this is no list, so that batches are not taken."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    return {one["id"]: one for one in found if isinstance(one, dict) and isinstance(one.get("id"), int)}


def _result(answer: bytes | dict[str, Any], number: int, where: str) -> Any:
    """Returns the result in an answer; raises RpcError for an error, UnreachableError for what is neither."""
    try:
        envelope = answer if isinstance(answer, dict) else json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise _malformed(answer, where) from error
    if not isinstance(envelope, dict):
        raise _malformed(answer, where)
    refusal = envelope.get("error")
    if isinstance(refusal, dict):
        code, message = refusal.get("code"), refusal.get("message")
        raise RpcError(
            where,
            code if isinstance(code, int) else 0,
            message[:_KEPT_CHARACTERS] if isinstance(message, str) else "no message",
            refusal.get("data"),
        )
    if refusal is not None or envelope.get("id") != number or "result" not in envelope:
        raise _malformed(answer, where)
    return envelope["result"]


def _malformed(answer: bytes | dict[str, Any], where: str) -> UnreachableError:
    answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    shown = answer[:_SHOWN_CHARACTERS].decode(errors="replace")
    return UnreachableError(
        f"expected a JSON-RPC answer from {where}, found {len(answer)} bytes that are none: {shown!r}",
        hint="Check that the ledger's URL is that of an Ethereum node.",
    )
