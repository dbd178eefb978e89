"""Another host's node over HTTP: the Node port. The standard library only, so that training hosts need nothing more."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from proml.core.digest import sha256
from proml.core.url import host_in_url
from proml.errors import (
    ConfigError,
    ConflictError,
    InvalidRecord,
    ProMLError,
    UnknownName,
    UnreachableError,
    UsageError,
)
from proml.ports import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.ports import Decision, Intent

_TIMEOUT_S = 30.0
_MOST_ANSWER_BYTES = 16 << 20
_STATES = frozenset({"pending", "sent", "confirmed", "refused", "conflict", "dropped"})
_HASH_BYTES = 32
_MOST_NUMBER = 2**63 - 1
_KINDS: dict[int, type[ProMLError]] = {
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.NOT_FOUND: UnknownName,
    HTTPStatus.BAD_REQUEST: InvalidRecord,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidRecord,
}


class HttpNode:
    """The :class:`~proml.ports.Node` at a URL.

    Args:
        url: ``http(s)://HOST[:PORT][/PATH]``.
        token: Its token.

    Raises:
        ConfigError: The URL is none, or the token cannot be sent.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
            raise ConfigError(
                f"expected http(s)://HOST[:PORT] of a node, found {url!r:.100}.", hint="Correct PROML_NODE."
            )
        if not token.isascii() or not token.isprintable() or not token:
            raise ConfigError("expected the node's token on one line, found something else.", hint="Copy it anew.")
        self._secure, self._host, self._port = parts.scheme == "https", host, port
        self._path = parts.path.rstrip("/")
        self._token = token
        self._connection: http.client.HTTPConnection | None = None

    @property
    def where(self) -> str:
        """Its URL; there are no secrets in it."""
        port = f":{self._port}" if self._port else ""
        return f"{'https' if self._secure else 'http'}://{host_in_url(self._host)}{port}{self._path}"

    def has(self, digest: bytes) -> bool:
        """Tells whether the node has a document."""
        status, _ = self._ask("HEAD", f"/v1/documents/{digest.hex()}")
        if status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise self._refused(status, "", "")
        return status == HTTPStatus.OK

    def put(self, data: bytes) -> None:
        """Gives the node a document, durably."""
        self._must("PUT", f"/v1/documents/{sha256(data).hex()}", data)

    def add(self, intents: Sequence[Intent], *, again: bool = False) -> Sequence[int]:
        """Gives the node intents, all or none, durably; returns their numbers there.

        Raises:
            UnreachableError: No answer, or it takes no more for now.
            InvalidRecord: It does not take one of these, or not so much at once.
            UsageError: It does not take anything from us.
        """
        listed = [intent.to_json() for intent in intents]
        asked = {"intents": listed, **({"again": True} if again else {})}
        answer = self._must("POST", "/v1/intents", json.dumps(asked).encode())
        numbers = answer.get("entries")
        if not isinstance(numbers, list) or len(numbers) != len(intents) or not all(type(n) is int for n in numbers):
            raise self._odd(f"{len(intents)} numbers of entries", answer)
        return numbers

    def outcomes(self, numbers: Sequence[int]) -> Sequence[Outcome]:
        """Returns what became of entries of the node; raises UnknownName if it has not one of them."""
        return [self._outcome(self._must("GET", f"/v1/entries/{number}")) for number in numbers]

    def decide(self, number: int, key: str, decision: Decision) -> Outcome:
        """Sends an entry of the node that failed again, or gives it up; returns what became of it.

        Raises:
            ConflictError: It did not fail, or is another one.
            UnreachableError: No answer; nothing is known of what it did.
        """
        body = json.dumps({"key": key, "decision": decision}).encode()
        return self._outcome(self._must("POST", f"/v1/entries/{number}", body))

    def close(self) -> None:
        """Drops the connection; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _outcome(self, answer: dict[str, Any]) -> Outcome:
        try:
            state, transaction, block = answer["state"], _bytes(answer["transaction"]), _bytes(answer["block_hash"])
            numbers = [answer[name] for name in ("entry", "block_number", "gas_used", "confirmed_ns")]
            numbers.append(answer.get("created_ns", 0))
            texts = [answer["key"], answer["error"], state]
        except (KeyError, TypeError, ValueError) as error:
            raise self._odd("what became of an entry", answer) from error
        whole = all(type(n) is int and abs(n) <= _MOST_NUMBER for n in numbers) and all(map(_is_text, texts))
        if not whole or state not in _STATES or (state == "confirmed" and len(transaction) != _HASH_BYTES):
            raise self._odd("what became of an entry", answer)
        number, block_number, gas_used, confirmed_ns, created_ns = numbers
        final = answer.get("final") is True
        return Outcome(
            number, texts[0], state, transaction, block_number, block, gas_used, confirmed_ns, texts[1], final,
            created_ns,
        )  # fmt: skip

    def _must(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        status, data = self._ask(method, path, body)
        if status == HTTPStatus.NO_CONTENT:
            return {}
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self._refused(status, data[:100].decode(errors="replace"), "")
        if not isinstance(answer, dict):
            raise self._odd("a JSON object", data[:100])
        if status == HTTPStatus.OK:
            return answer
        told = answer.get("error")
        message, hint = (told.get("message"), told.get("hint")) if isinstance(told, dict) else ("", "")
        raise self._refused(status, str(message or ""), str(hint or ""))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        reused = self._connection is not None
        try:
            return self._exchange(method, path, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            self.close()
            # It closes connections that were idle. Everything that is asked may be asked twice.
            if not reused:
                raise self._unreachable(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._unreachable(error) from error
        return self._ask(method, path, body)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "proml"}
        self._connection.request(method, f"{self._path}{path}", body, headers)
        response = self._connection.getresponse()
        data = response.read(_MOST_ANSWER_BYTES + 1)
        if len(data) > _MOST_ANSWER_BYTES:
            self.close()
            raise self._odd(f"at most {_MOST_ANSWER_BYTES} bytes", "more")
        return response.status, data

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)

    def _refused(self, status: int, message: str, hint: str) -> ProMLError:
        if status == HTTPStatus.UNAUTHORIZED:
            message, hint = "it does not know this token.", "Copy .proml/node-token of the node again."
        text = f"the node {self.where} answered {status}: {message[:500] or 'nothing more.'}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnreachableError(text, hint="What was captured is safe here. Try again later: `proml sync`.")
        return _KINDS.get(status, UsageError)(text, hint=hint[:500] or "Ask whoever runs the node.")

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(
            f"cannot reach the node at {self.where}: {type(error).__name__}: {error}",
            hint="What was captured is safe here. Start the node or correct PROML_NODE, then run `proml sync`.",
        )

    def _odd(self, expected: str, found: object) -> UnreachableError:
        return UnreachableError(
            f"expected {expected} from the node {self.where}, found {found!r:.200}",
            hint="Check that PROML_NODE is the URL of a ProML node of this version.",
        )


def _is_text(value: object) -> bool:
    """Whether it is text that can be stored: halves of surrogate pairs cannot."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError("expected 0x")
    return bytes.fromhex(text[2:])
