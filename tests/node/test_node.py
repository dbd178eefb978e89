"""A node takes records in from other hosts and sends them, whatever dies meanwhile."""

from __future__ import annotations

import functools
import json
import random
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.node.conftest import Host, RunningNode, proml

from proml.adapters.clock import SystemClock
from proml.adapters.node_http import HttpNode
from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.adapters.store_folder import FolderStore
from proml.config import Folder
from proml.core.intent import GovernIntent, RegisterIntent
from proml.errors import InvalidRecord, UsageError
from proml.submit import intents
from proml.submit.given import GIVEN
from proml.submit.handing_over import hand_over
from proml.submit.intents import Vote
from proml.wiring import open_participant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from proml.ports import Intent

pytestmark = pytest.mark.slow


def heads(node: RunningNode, prefix: str) -> dict[str, int]:
    """Returns how many transitions each artefact of a test has, by the chain."""
    found = {artefact["name"]: artefact["seq"] for artefact in node.proml("status")["artefacts"]}
    return {name: seq for name, seq in found.items() if name.startswith(prefix)}


def test_several_hosts_hand_over_at_once_and_everything_is_there_once(
    node: RunningNode, new_host: Callable[[str], Host]
) -> None:
    hosts = {name: new_host(name) for name in ("a", "b", "c")}

    def work(name: str) -> None:
        for number in range(3):
            hosts[name].record(f"many-{name}{number}")
        answer = hosts[name].proml("sync")
        assert [entry["state"] for entry in answer["entries"]] == ["confirmed"] * 3

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, hosts))
    assert heads(node, "many-") == {f"many-{name}{number}": 1 for name in hosts for number in range(3)}
    for host in hosts.values():
        assert host.proml("status")["outbox"] == []


def test_a_node_that_is_killed_again_and_again_loses_and_doubles_nothing(node: RunningNode, host: Host) -> None:
    chance = random.Random(5)
    for number in range(4):
        host.record(f"killed-{number}")
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            time.sleep(chance.uniform(0.1, 1.5))
            node.end(signal.SIGKILL)
            node.start()

    with ThreadPoolExecutor() as pool:
        killing = pool.submit(kill)
        for number in range(4, 8):
            host.record(f"killed-{number}")
            _sync(host)
        stop.set()
        killing.result()
        host.proml("sync")
    outbox = host.proml("status", "--outbox")["outbox"]
    assert [entry["state"] for entry in outbox] == ["confirmed"] * 8
    assert heads(node, "killed-") == {f"killed-{number}": 1 for number in range(8)}


def _sync(host: Host) -> dict[str, Any]:
    """Syncs once, whether or not the node is there."""
    try:
        found: dict[str, Any] = host.proml("sync")
    except AssertionError as error:
        assert "cannot reach the node" in str(error) or "answered 5" in str(error) or "waits" in str(error)  # noqa: PT017
        return {}
    return found


def test_a_host_that_dies_between_giving_and_noting_gives_again_without_effect(node: RunningNode, host: Host) -> None:
    host.record("once")
    folder = Folder(host.folder)
    outbox, store = SqliteOutbox(folder.outbox_file), FolderStore(folder.store_folder)

    class Dying(HttpNode):
        def add(self, intents: Sequence[Intent], *, again: bool = False) -> Sequence[int]:
            super().add(intents, again=again)
            raise KeyboardInterrupt

    dying, living = (kind(node.url, node.token_file.read_text().strip()) for kind in (Dying, HttpNode))
    with pytest.raises(KeyboardInterrupt):
        hand_over(outbox, store, dying, SystemClock())
    assert outbox.entry(1).state == "pending"
    report = hand_over(outbox, store, living, SystemClock(), wait="final")
    assert [(entry.state, entry.final) for entry in report.entries] == [("confirmed", True)]
    for opened in (dying, living, outbox):
        opened.close()
    assert heads(node, "once") == {"once": 1}


def test_what_the_rules_refuse_is_told_to_the_host(node: RunningNode, host: Host) -> None:
    host.record("r", action="retire")
    answer = host.proml("sync", code=3)
    assert "retire" in answer["error"]["message"] or "retire" in str(answer["entries"])
    assert host.proml("status")["outbox"][0]["state"] == "refused"


def test_what_was_refused_there_is_dropped_from_the_host_and_holds_nothing_back(
    node: RunningNode, host: Host, new_host: Callable[[str], Host]
) -> None:
    host.record("d", action="retire")
    host.proml("sync", code=3)
    other = new_host("other")
    other.record("d")
    waits = {e["state"] for e in node.proml("status", "--outbox")["outbox"] if e["artefact"] == "d"}
    assert waits == {"refused"}
    host.proml("sync", "--drop", 1)
    assert host.proml("status")["outbox"] == []
    assert other.proml("sync")["entries"][0]["state"] == "confirmed"
    host.proml("sync", "--drop", 1)  # whoever got no answer asks again
    assert [e["state"] for e in node.proml("status", "--outbox")["outbox"] if e["artefact"] == "d"] == [
        "dropped", "confirmed",
    ]  # fmt: skip
    answer = other.proml("sync", "--drop", 1, code=6)
    assert "is confirmed: only what was refused" in answer["error"]["message"]


def test_what_was_refused_there_goes_again_from_the_host(
    node: RunningNode, host: Host, new_host: Callable[[str], Host]
) -> None:
    (host.folder / "again.csv").write_text("source")
    (host.folder / "again.bin").write_text("model")
    publish = ("--publish", "again=again.bin", "--kind", "model", "--action", "train", "--use", "again.csv")
    host.proml("run", *publish, "--no-observe", "--", "true")
    host.proml("sync", code=3)  # nobody knows the input yet
    host.proml("sync", "--rebase", 1, code=3)  # nor now: the node tried it once more
    other = new_host("other")
    other.record("again-source", "source")
    other.proml("sync")
    answer = host.proml("sync", "--rebase", 1)
    assert [entry["state"] for entry in answer["entries"]] == ["confirmed"]
    assert heads(node, "again") == {"again": 1, "again-source": 1}


def test_what_is_decided_at_the_node_cannot_be_decided_elsewhere(node: RunningNode, host: Host, tmp_path: Path) -> None:
    host.record("elsewhere", action="retire")
    host.proml("sync", code=3)
    for decision in ("--drop", "--rebase"):
        answer = proml(host.folder, "sync", decision, 1, PROML_NODE="http://127.0.0.1:1", code=5)
        assert "cannot reach the node" in answer["error"]["message"]
    assert node.end() == 0
    assert "cannot reach the node" in host.proml("sync", "--drop", 1, code=5)["error"]["message"]
    assert host.proml("status")["outbox"][0]["state"] == "refused"
    node.start()
    host.proml("sync", "--drop", 1)


def test_a_host_decides_only_about_what_hosts_handed_in_and_by_its_key(node: RunningNode) -> None:
    node.end()
    outbox = SqliteOutbox(Folder(node.folder).outbox_file)
    wanted = [GovernIntent(0, bytes(32), b"").intent(), RegisterIntent("refused", "source", bytes(32)).intent(),
              RegisterIntent("waits", "source", bytes(32)).intent()]  # fmt: skip
    numbers = outbox.add(wanted)
    outbox.update([replace(outbox.entry(number), state="refused") for number in numbers[:2]])
    outbox.close()
    node.start()

    def drop(number: int, key: str) -> int:
        return node.ask("POST", f"/v1/entries/{number}", json.dumps({"key": key, "decision": "drop"}).encode())[0]

    assert drop(numbers[0], wanted[0].key) == 409
    assert drop(numbers[1], wanted[0].key) == 409
    assert drop(numbers[2], wanted[2].key) == 409
    assert drop(9999, wanted[2].key) == 404
    assert drop(numbers[1], wanted[1].key) == 200
    states = {entry["number"]: entry["state"] for entry in node.proml("status", "--outbox")["outbox"]}
    assert [states[number] for number in numbers] == ["refused", "dropped", "pending"]
    outbox = SqliteOutbox(Folder(node.folder).outbox_file)
    outbox.update([replace(outbox.entry(number), state="dropped") for number in numbers])
    outbox.close()


def test_the_same_node_by_another_url_is_the_same_node(node: RunningNode, host: Host) -> None:
    host.record("moved")
    host.proml("sync", "--no-wait")
    answer = proml(host.folder, "sync", PROML_NODE=f"http://localhost:{node.port}")
    assert [entry["state"] for entry in answer["entries"]] == ["confirmed"]
    host.record("moved", action="retire")
    host.proml("sync", code=3)
    proml(host.folder, "sync", "--drop", 2, PROML_NODE=f"http://localhost:{node.port}")


def test_what_a_node_lost_is_given_to_it_again_and_is_on_the_chain_once(node: RunningNode, host: Host) -> None:
    host.record("lost")
    host.proml("sync", "--no-wait")
    node.until(lambda: heads(node, "lost") == {"lost": 1})
    assert node.end() == 0
    for path in (node.folder / ".proml").glob("outbox.sqlite*"):
        path.unlink()
    node.start()
    host.record("lost-not")
    answer = host.proml("sync", code=5)
    assert {entry["artefact"]: entry["state"] for entry in answer["entries"]} == {
        "lost": "sent",
        "lost-not": "confirmed",
    }
    assert "does not have it. `proml sync --rebase 1`" in answer["error"]["message"]
    assert [entry["state"] for entry in host.proml("sync", "--rebase", 1)["entries"]] == ["confirmed"]
    assert heads(node, "lost") == {"lost": 1, "lost-not": 1}


def send_from_itself_after_giving(host: Host, node: RunningNode, name: str, home: str) -> None:
    """Captures a run and gives it to the node; then the same folder sends by itself, on a chain of its own."""
    host.record(name)
    folder = Folder(host.folder)
    outbox, store = SqliteOutbox(folder.outbox_file), FolderStore(folder.store_folder)
    remote = HttpNode(node.url, node.token_file.read_text().strip())
    hand_over(outbox, store, remote, SystemClock(), wait=None)
    remote.close()
    outbox.update([replace(outbox.entry(1), state="sent", final=False)])
    outbox.close()
    folder.config_file.unlink()
    (folder.dot / "node-token").unlink()
    proml(host.folder, "init", PROML_HOME=home)


def test_what_was_given_to_a_node_that_is_gone_goes_from_here_when_that_is_decided(
    node: RunningNode, host: Host, tmp_path: Path
) -> None:
    home = str(tmp_path / "own-home")
    send_from_itself_after_giving(host, node, "gone", home)
    (host.folder / "gone2.csv").write_text("2")
    answer = proml(host.folder, "act", "gone", "collect", "gone2.csv", "--kind", "source", code=5, PROML_HOME=home)
    assert "`proml sync --rebase 1` sends it from here" in answer["error"]["message"]
    done = proml(host.folder, "sync", "--rebase", 1, PROML_HOME=home)
    assert [entry["state"] for entry in done["entries"]] == ["confirmed", "confirmed"]


def test_a_node_is_not_given_what_it_has_itself(node: RunningNode) -> None:
    assert node.end() == 0
    folder = Folder(node.folder)
    outbox, store = SqliteOutbox(folder.outbox_file), FolderStore(folder.store_folder)
    (number,) = outbox.add([RegisterIntent("its-own", "source", bytes(32)).intent()])  # waits for its record
    node.start()
    remote = HttpNode(node.url, node.token_file.read_text().strip())
    with pytest.raises(UsageError, match="of this very folder"):
        hand_over(outbox, store, remote, SystemClock())
    assert GIVEN not in outbox.entry(number).detail
    remote.close()
    outbox.update([replace(outbox.entry(number), state="dropped")])
    outbox.close()


def test_what_a_node_does_not_take_stops_nothing_else(node: RunningNode, host: Host) -> None:
    for name in ("takes-1", "takes-2", "takes-3"):
        host.record(name)

    class Picky(HttpNode):
        def add(self, intents: Sequence[Intent], *, again: bool = False) -> Sequence[int]:
            if any(intent.artefact == "takes-2" for intent in intents):
                raise InvalidRecord("it does not take this one")
            return super().add(intents, again=again)

    folder = Folder(host.folder)
    outbox, store = SqliteOutbox(folder.outbox_file), FolderStore(folder.store_folder)
    remote = Picky(node.url, node.token_file.read_text().strip())
    report = hand_over(outbox, store, remote, SystemClock())
    assert [entry.state for entry in report.entries] == ["confirmed", "refused", "confirmed"]
    assert "does not take this one" in report.entries[1].error
    remote.close()
    outbox.close()


def test_what_a_node_would_not_take_is_said_at_once(node: RunningNode, host: Host) -> None:
    workspace = host.folder / ".proml" / "workspace.json"
    workspace.write_bytes((node.folder / ".proml" / "workspace.json").read_bytes())
    node.proml("id", "export", "me", "-o", "me.json")
    with open_participant(host.folder) as participant, pytest.raises(UsageError, match="does not take endorse"):
        intents.endorse(participant.desk, Vote("m", "model", "approve", bytes(32)))
    assert host.proml("status", "--outbox")["outbox"] == []


def test_a_record_that_is_not_there_for_now_is_given_later(host: Host) -> None:
    host.record("absent")
    store = host.folder / ".proml" / "store"
    store.rename(host.folder / "elsewhere")
    answer = host.proml("sync", code=5)
    assert [entry["state"] for entry in answer["entries"]] == ["pending"]
    assert "absent" in answer["error"]["message"] or "does not have" in answer["error"]["message"]
    shutil.rmtree(store, ignore_errors=True)
    (host.folder / "elsewhere").rename(store)
    assert [entry["state"] for entry in host.proml("sync")["entries"]] == ["confirmed"]


def test_what_the_node_cannot_send_is_told_soon_and_in_no_numbers_of_others(
    node: RunningNode, host: Host, new_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.record("first", action="retire")
    host.proml("sync", code=3)
    other = new_host("other")
    other.record("first")
    begun = time.monotonic()
    answer = other.proml("sync", code=5)
    assert time.monotonic() - begun < 60
    assert "says of it, as its entry" in answer["error"]["message"]
    assert "--drop" not in answer["error"]["message"]
    host.proml("sync", "--drop", 1)
    other.proml("sync")


def test_a_job_without_a_folder_of_its_own_hands_over(node: RunningNode, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    (job / "j.csv").write_text("1")
    where = functools.partial(proml, job, PROML_NODE=node.url, PROML_NODE_TOKEN_FILE=str(node.token_file))
    publish = ("--publish", "of-a-job=j.csv", "--kind", "source", "--action", "collect", "--no-observe")
    where("run", *publish, "--", "true")
    assert [entry["state"] for entry in where("sync")["entries"]] == ["confirmed"]
    assert heads(node, "of-a-job") == {"of-a-job": 1}


def test_what_only_a_ledger_tells_is_not_asked_of_a_host(host: Host) -> None:
    assert "knows nothing of 'somebody'" in host.proml("status", "somebody", code=2)["error"]["message"]
    assert "nothing to rebuild" in host.proml("sync", "--rebuild", code=2)["error"]["message"]
    assert "has no entry" in host.proml("sync", "--drop", 10**20, code=2)["error"]["message"]


def test_an_address_of_ipv6_is_written_so_that_it_can_be_used() -> None:
    assert HttpNode("http://[::1]:8700/p", "token").where == "http://[::1]:8700/p"


def test_captured_while_the_node_is_away_and_sent_when_it_is_back(node: RunningNode, host: Host) -> None:
    assert node.end() == 0
    host.record("meanwhile")
    assert "cannot reach the node" in host.proml("sync", code=5)["error"]["message"]
    assert host.proml("status")["outbox"][0]["state"] == "pending"
    node.start()
    assert host.proml("sync")["entries"][0]["state"] == "confirmed"


def test_what_was_given_to_a_node_is_not_sent_from_here_as_well(node: RunningNode, host: Host, tmp_path: Path) -> None:
    home = str(tmp_path / "other-home")
    send_from_itself_after_giving(host, node, "given", home)
    proml(host.folder, "sync", PROML_HOME=home, code=5)
    assert proml(host.folder, "status", PROML_HOME=home)["artefacts"] == []


def test_it_ends_in_order_and_goes_on_where_it_was(node: RunningNode, host: Host) -> None:
    host.record("order-before")
    host.proml("sync")
    assert node.end(signal.SIGINT) == 0
    node.start()
    host.record("order-after")
    host.proml("sync")
    assert heads(node, "order-") == {"order-before": 1, "order-after": 1}


def test_the_members_own_folder_works_beside_its_node(node: RunningNode) -> None:
    (node.folder / "own.csv").write_text("1")
    node.proml("act", "own", "collect", "own.csv", "--kind", "source")
    node.until(lambda: node.ask("GET", "/v1/status/own")[0] == 200)
    assert node.ask("GET", "/v1/history/own")[1]["history"][0]["action"] == "collect"


def test_a_message_is_relayed(node: RunningNode) -> None:
    (node.folder / "signed.csv").write_text("1")
    node.proml("register", "signed", "--kind", "source")
    node.proml("act", "signed", "collect", "signed.csv", "--sign", "message.json")
    message = (node.folder / "message.json").read_bytes()
    status, answer = node.ask("POST", "/v1/messages", message)
    assert status == 200, answer["error"]["message"]
    assert node.ask("POST", "/v1/messages", message)[1] == answer
    node.until(lambda: node.ask("GET", f"/v1/entries/{answer['entry']}")[1]["state"] == "confirmed")
    assert heads(node, "signed") == {"signed": 1}
    for broken in (b"", b"{}", message.replace(b"source", b"dataset"), message.replace(b'"nonce": 0', b'"nonce": 7')):
        if broken != message:
            assert node.ask("POST", "/v1/messages", broken)[0] in (400, 409)


def test_a_message_that_is_handed_in_several_times_at_once_is_relayed_once(node: RunningNode) -> None:
    (node.folder / "at-once.csv").write_text("1")
    node.proml("register", "at-once", "--kind", "source")
    node.proml("act", "at-once", "collect", "at-once.csv", "--sign", "at-once.json")
    message = (node.folder / "at-once.json").read_bytes()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: node.ask("POST", "/v1/messages", message), range(8)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["entry"] for _, answer in answers}) == 1


@pytest.mark.parametrize("found", [b"\xff" * 40, b"short", None])
def test_a_token_file_that_cannot_be_used_is_said(node: RunningNode, found: bytes | None) -> None:
    assert node.end() == 0
    kept = node.token_file.read_bytes()
    node.token_file.unlink()
    if found is None:
        node.token_file.mkdir()
    else:
        node.token_file.write_bytes(found)
    answer = node.proml("node", "--listen", "127.0.0.1:0", code=2)
    assert "expected a token" in answer["error"]["message"]
    if found is None:
        node.token_file.rmdir()
    node.token_file.write_bytes(kept)
    node.token_file.chmod(0o600)


def test_a_folder_that_hands_over_is_no_node(host: Host) -> None:
    answer = proml(host.folder, "node", "--listen", "127.0.0.1:0", code=2)
    assert "hands over to another node" in answer["error"]["message"]


def test_an_address_that_is_taken_is_said(node: RunningNode) -> None:
    answer = node.proml("node", "--listen", f"127.0.0.1:{node.port}", code=2)
    assert "cannot listen" in answer["error"]["message"]


def test_a_certificate_that_is_none_is_said(node: RunningNode) -> None:
    answer = node.proml("node", "--listen", "127.0.0.1:0", "--tls-cert", "node.log", "--tls-key", "nothing", code=2)
    assert "expected a certificate" in answer["error"]["message"]
    answer = node.proml("node", "--listen", "127.0.0.1:0", "--tls-cert", "node.log", code=2)
    assert "found one of them" in answer["error"]["message"]


def test_a_host_needs_the_token(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    (tmp_path / "wrong").write_text("x" * 43)
    answer = proml(tmp_path / "stranger", "init", "--node", node.url, "--token-file", tmp_path / "wrong", code=2)
    assert "does not know this token" in answer["error"]["message"]
    assert node.token_file.stat().st_mode & 0o777 == 0o600


def test_a_host_imports_no_ledger_library(host: Host) -> None:
    participant = open_participant(host.folder)
    assert participant.node is not None
    participant.close()
