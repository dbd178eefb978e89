"""Threat rows 17 and 18: a participant's processes die at any instant, and nothing is lost and nothing doubled."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.redteam.capture_and_sync import ARTEFACTS, sync

from proml.core.events import Anchored, Registered, Transitioned, decode_event
from proml.core.intent import AnchorIntent, TransitionIntent, parse_intent
from proml.ports import LogQuery
from proml.submit.anchoring import verify_anchored
from proml.wiring import open_participant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proml.core.events import Event
    from proml.wiring import Participant

KILLS = 200
SHORTEST_S, LONGEST_S = 0.05, 0.6


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an embedded ledger and a workspace of one."""
    monkeypatch.setenv("PROML_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PROML_RUN", raising=False)
    made = tmp_path / "work"
    made.mkdir()
    subprocess.run([sys.executable, "-m", "proml", "-C", str(made), "init"], check=True, capture_output=True)
    return made


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-m", "tests.redteam.capture_and_sync", str(folder), str(tmp_path / "returned")]
    with (tmp_path / "stderr").open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def kill_many(server: subprocess.Popen[str], chance: random.Random) -> Counter[str]:
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    answers: Counter[str] = Counter()
    for _ in range(KILLS):
        server.stdin.write(f"{chance.uniform(SHORTEST_S, LONGEST_S)} {chance.randrange(2**32)}\n")
        server.stdin.flush()
        answers[server.stdout.readline().strip()] += 1
    return answers


def events(participant: Participant) -> list[Event]:
    logs = participant.ledger.logs(LogQuery(participant.workspace.contract))
    return [event for event in map(decode_event, logs) if event is not None]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_nothing_and_double_nothing(
    folder: Path, server: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("PROML_TEST_SEED") or secrets.randbelow(2**32))
    with capsys.disabled():
        print(f"\nkill loop: PROML_TEST_SEED={seed}")  # noqa: T201 - so that a failure can be repeated
    answers = kill_many(server, random.Random(seed))
    assert answers == {"killed": KILLS}, (tmp_path / "stderr").read_text(encoding="utf-8")

    with open_participant(folder) as participant:
        before = Counter(entry.state for entry in participant.outbox.entries())
    sync(folder)

    returned = (tmp_path / "returned").read_text(encoding="utf-8").split()
    # The loops really captured and really sent, not just the last sync.
    assert len(returned) == len(set(returned)) > KILLS // 20  # on a busy machine, most are killed early
    assert before["confirmed"] > KILLS // 40
    with open_participant(folder) as participant:
        entries = {entry.intent.key: entry for entry in participant.outbox.entries()}
        assert {entry.state for entry in entries.values()} == {"confirmed"}
        chain = events(participant)
        transitions = Counter(event.record for event in chain if isinstance(event, Transitioned))
        registered = Counter(event.artefact for event in chain if isinstance(event, Registered))
        anchored = Counter(event.root for event in chain if isinstance(event, Anchored))
        wanted: Counter[bytes] = Counter()
        for entry in entries.values():
            typed = parse_intent(entry.intent)
            if isinstance(typed, TransitionIntent):
                wanted[typed.record] += 1
            else:
                assert isinstance(typed, AnchorIntent)
                detail = entry.detail["anchor"]
                assert isinstance(detail, dict)
                assert verify_anchored(typed.root, typed.leaves, detail)
                assert anchored[bytes.fromhex(detail["root"][2:])] == 1
        # Every run that returned to its script has its intent, and the chain holds exactly what the outbox wanted.
        assert [run for run in returned if f"{run}/0" not in entries] == []
        assert transitions == wanted
        assert max(transitions.values()) == 1
        assert max(anchored.values()) == 1
        assert len(anchored) == len({str(e.detail["anchor"]["root"]) for e in entries.values() if "anchor" in e.detail})  # type: ignore[index]
        assert set(registered.values()) == {1}
        assert len(registered) == ARTEFACTS
        # Whatever a transaction or a registration record names can be had.
        assert all(participant.store.has(digest) for digest in transitions)
