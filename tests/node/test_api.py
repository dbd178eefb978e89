"""What a node answers to those who have no token, send nonsense, or too much."""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from proml.core.intent import GovernIntent, RegisterIntent
from proml.errors import UnreachableError
from proml.node import service as service_module
from proml.node import worker as worker_module
from proml.node.service import MAX_DOCUMENT_BYTES, Overloaded, Service
from proml.node.worker import Worker
from proml.submit import deciding, intents
from proml.wiring import open_participant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.node.conftest import Host, RunningNode

    from proml.core.intent import Intent

pytestmark = pytest.mark.slow
DOCUMENT = b'{"schema":"something"}'
DIGEST = hashlib.sha256(DOCUMENT)


def taken(node: RunningNode) -> int:
    """Returns how many entries the node has ever taken."""
    return next(number for number in itertools.count() if node.ask("GET", f"/v1/entries/{number + 1}")[0] == 404)


def posted(*wanted: Intent) -> bytes:
    return json.dumps({"intents": [intent.to_json() for intent in wanted]}).encode()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/status"), ("GET", "/v1/status/x"), ("GET", "/v1/history/x"), ("GET", f"/v1/documents/{'0' * 64}"),
     ("PUT", f"/v1/documents/{DIGEST.hexdigest()}"), ("POST", "/v1/intents"), ("GET", "/v1/entries/1"),
     ("POST", "/v1/entries/1"), ("POST", "/v1/messages")],
)  # fmt: skip
def test_nothing_but_health_is_answered_without_the_token(node: RunningNode, method: str, path: str) -> None:
    for token in (None, "wrong", node.token_file.read_text().strip()[:-1]):
        status, answer = node.ask(method, path, DOCUMENT if method != "GET" else None, token=token)
        assert (status, answer["error"]["type"]) == (401, "Unauthorized")
    assert set(node.ask("GET", "/health", token=None)[1]) == {
        "ok", "error", "started", "rounds", "finished", "block_number", "finalized", "waiting",
    }  # fmt: skip


def test_documents_are_kept_under_their_own_digest_only(node: RunningNode) -> None:
    document = b'{"schema":"of this test alone"}'
    path = f"/v1/documents/{hashlib.sha256(document).hexdigest()}"
    assert node.ask("HEAD", path)[0] == 404
    assert node.ask("GET", path)[0] == 404
    status, answer = node.ask("PUT", path, document + b" ")
    assert (status, "Expected bytes with the digest" in answer["error"]["message"]) == (400, True)
    assert node.ask("PUT", path, document)[0] == 204
    assert node.ask("HEAD", path)[0] == 200
    assert node.ask("GET", path) == (200, json.loads(document))
    assert node.ask("GET", "/v1/documents/..%2f..%2fconfig.toml")[0] in (400, 404)


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"[]", b"{}", b'{"intents": 1}', b'{"intents": [1]}', b'{"intents": []}', b"[" * 100_000,
     b'{"intents": [{"key": "k", "kind": "register", "artefact": "a", "body": {}}]}',
     b'{"intents": [{"key": "k", "kind": "nonsense", "artefact": "a", "body": {}}]}'],
)  # fmt: skip
def test_nonsense_is_refused_in_words_and_changes_nothing(node: RunningNode, body: bytes) -> None:
    before = taken(node)
    status, answer = node.ask("POST", "/v1/intents", body)
    assert status == 400, answer
    assert answer["error"]["message"]
    assert taken(node) == before


def test_an_intent_whose_record_is_missing_is_not_taken(node: RunningNode) -> None:
    status, answer = node.ask("POST", "/v1/intents", posted(RegisterIntent("a", "source", bytes(32)).intent()))
    assert (status, "lacks the document" in answer["error"]["message"]) == (404, True)


def test_governance_is_not_taken_from_hosts(node: RunningNode) -> None:
    intent = GovernIntent(0, bytes(32), b"").intent()
    status, answer = node.ask("POST", "/v1/intents", posted(intent))
    assert (status, "not 'govern'" in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"key": "k"}', b'{"key": "k", "decision": "confirm"}',
                                  b'{"key": "k", "decision": ["drop"]}'])  # fmt: skip
def test_nonsense_about_an_entry_is_refused_in_words(node: RunningNode, body: bytes) -> None:
    status, answer = node.ask("POST", "/v1/entries/1", body)
    assert (status, bool(answer["error"]["message"])) == (400, True)


def test_too_much_is_refused_before_it_is_read_to_the_end(node: RunningNode) -> None:
    path = f"/v1/documents/{'0' * 64}"
    status, _ = node.ask("PUT", path, b"\0" * (MAX_DOCUMENT_BYTES + 1))
    assert status in (0, 413)  # 0: it hung up while we were still sending


def test_connections_that_say_nothing_keep_nobody_out(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(300)]
    try:
        node.until(lambda: node.ask("GET", "/health", token=None)[0] == 200)
        closed = time.monotonic() + 30
        while time.monotonic() < closed and any(not _is_closed(one) for one in silent):
            time.sleep(0.2)
        assert all(_is_closed(one) for one in silent)
    finally:
        for one in silent:
            one.close()


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)  # noqa: FBT003 - the standard library's
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_what_is_not_there_is_404(node: RunningNode) -> None:
    for path in ("/v1/status/nobody", "/v1/history/nobody", "/v1/entries/99", f"/v1/entries/{10**20}", "/v2"):
        assert node.ask("GET", path)[0] == 404


def test_a_node_with_too_much_to_send_takes_no_more(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    monkeypatch.setattr(service_module, "MOST_WAITING", 1)
    monkeypatch.setenv("PROML_HOME", str(node.home))
    assert node.end() == 0
    with open_participant(node.folder) as participant:
        service = Service(participant, Worker(participant, every_s=1, tell=print))
        service.put(DIGEST.digest(), DOCUMENT)
        one, two = (RegisterIntent(name, "source", DIGEST.digest()).intent() for name in "ab")
        service.take([one])
        with pytest.raises(Overloaded, match="takes no more"):
            service.take([two])
        assert participant.outbox.count("pending") == 1


def test_a_long_chain_that_is_followed_holds_up_neither_what_is_sent_nor_the_end(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROML_HOME", str(node.home))
    monkeypatch.setattr(worker_module, "_BETWEEN_S", 0)
    assert node.end() == 0
    with open_participant(node.folder) as participant, open_participant(node.folder) as training:
        worker = Worker(participant, every_s=60, tell=print)
        waiting = threading.Event()

        def follow_for_ever(progress: Callable[[int, int], None]) -> None:
            waiting.set()
            for done in itertools.count():
                progress(done, 10**9)

        monkeypatch.setattr(participant, "follow", follow_for_ever)
        worker.start()
        assert waiting.wait(30)
        queued = intents.register(training.desk, "in-between", "source")
        node.until(lambda: training.outbox.entry(queued.number).state == "confirmed")
        assert worker.stop(30)


def test_the_loop_goes_on_whatever_fails(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROML_HOME", str(node.home))
    assert node.end() == 0
    told: list[str] = []
    failures: list[Exception] = [UnreachableError("the chain is away"), UnreachableError("the chain is away"),
                                 ZeroDivisionError("a bug")]  # fmt: skip
    with open_participant(node.folder) as participant:
        worker = Worker(participant, every_s=0.01, tell=told.append)
        follow: Callable[..., Any] = participant.follow
        seen: list[bool] = []

        def fail_first(*arguments: Any) -> Any:
            if failures:
                raise failures.pop(0)
            seen.append(True)
            return follow(*arguments)

        for entry in participant.outbox.entries("refused"):
            deciding.drop(participant.outbox, participant.identity.address, entry.number)
        monkeypatch.setattr(participant, "follow", fail_first)
        worker.start()
        node.until(lambda: bool(seen) and not worker.pulse.error)
        assert worker.stop(30)
    assert told == ["waiting for the ledger: the chain is away", "unexpected ZeroDivisionError: a bug",
                    "all is well again"]  # fmt: skip
