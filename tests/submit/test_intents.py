from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proml.adapters.clock import ManualClock
from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.adapters.store_folder import FolderStore
from proml.core.digest import format_digest, sha256
from proml.core.intent import EndorseIntent, TransitionIntent, Use, parse_intent
from proml.core.manifest import INLINE_RESOURCES, Manifest, Resource
from proml.core.record import parse_record
from proml.errors import InvalidName, InvalidRecord, UsageError
from proml.submit import intents
from proml.submit.intents import Act, Desk, Queued, Vote

if TYPE_CHECKING:
    from pathlib import Path

    from proml.core.record import Record


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(FolderStore(tmp_path / "store"), SqliteOutbox(tmp_path / "o.sqlite"), ManualClock(1_800_000_000))


def outbox(desk: Desk) -> SqliteOutbox:
    assert isinstance(desk.outbox, SqliteOutbox)
    return desk.outbox


def stored(desk: Desk, queued: Queued) -> Record:
    assert queued.record is not None
    record = parse_record(desk.store.get(queued.record.digest))
    assert outbox(desk).entry(queued.number).intent.body["record"] == format_digest(record.digest)
    return record


def test_a_registration_has_a_record_with_name_and_kind(desk: Desk) -> None:
    record = stored(desk, intents.register(desk, "tumour-model", "model", fields={"reason": "ordered"}))
    assert record.json["type"] == "registration"
    assert record.json["artefact"] == {"name": "tumour-model", "kind": "model"}
    assert record.json["reason"] == "ordered"


def test_the_same_request_made_twice_has_two_digests_nobody_can_guess(desk: Desk) -> None:
    first, second = intents.register(desk, "a", "model"), intents.register(desk, "a", "model")
    assert stored(desk, first).digest != stored(desk, second).digest


def test_an_act_records_what_was_used_and_made(desk: Desk) -> None:
    content = Manifest.of([Resource(".", "sha256", sha256(b"x"), 1)])
    use = Use("training data", "data", "2", sha256(b"y"))
    queued = intents.act(desk, Act("m", "model", "train", content, (use,), fields={"parameters": {"depth": 6}}))
    record = stored(desk, queued)
    assert record.json["content"] == content.to_json()
    assert record.json["parameters"] == {"depth": 6}
    assert record.json["uses"] == [
        {"role": "training data", "name": "data", "version": "2", "content": format_digest(sha256(b"y"))}
    ]
    typed = parse_intent(outbox(desk).entry(queued.number).intent)
    assert isinstance(typed, TransitionIntent)
    assert (typed.content, typed.uses, typed.expected_head) == (content.digest, (use,), None)


def test_a_manifest_too_large_for_a_record_is_stored_and_published_beside_it(desk: Desk) -> None:
    files = [Resource(f"f{n:05}", "sha256", sha256(b"x"), 1) for n in range(INLINE_RESOURCES + 1)]
    content = Manifest.of(files)
    queued = intents.act(desk, Act("m", "model", "train", content))
    assert desk.store.get(content.digest) == content.bytes
    assert outbox(desk).entry(queued.number).intent.body["documents"] == [format_digest(content.digest)]


@pytest.mark.parametrize("approve", [True, False])
def test_a_vote_has_a_record_and_is_for_exactly_what_was_seen(desk: Desk, *, approve: bool) -> None:
    vote = Vote("m", "model", "approve", sha256(b"head"), None, sha256(b"inputs"), reason="I looked")
    queued = (intents.endorse if approve else intents.reject)(desk, vote)
    record = stored(desk, queued)
    assert record.json["vote"] == ("approve" if approve else "reject")
    assert record.json["reason"] == "I looked"
    typed = parse_intent(outbox(desk).entry(queued.number).intent)
    assert isinstance(typed, EndorseIntent)
    assert (typed.expected_head, typed.inputs_commitment, typed.approve) == (
        sha256(b"head"),
        sha256(b"inputs"),
        approve,
    )


@pytest.mark.parametrize("name", ["", "white space", "\uff46\uff55", "a\nb", "../up"])
def test_a_name_that_breaks_the_rules_leaves_nothing_behind(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidName):
        intents.register(desk, name, "model")
    with pytest.raises(InvalidName):
        intents.act(desk, Act(name, "model", "train"))
    with pytest.raises(InvalidName):
        intents.endorse(desk, Vote(name, "model", "approve", bytes(32)))
    assert list(outbox(desk).entries()) == []


def test_a_malformed_field_of_the_record_leaves_nothing_behind(desk: Desk) -> None:
    with pytest.raises(InvalidRecord):
        intents.act(desk, Act("m", "model", "train", fields={"metrics": "many"}))
    assert list(outbox(desk).entries()) == []


def test_asking_for_the_same_anchor_by_key_again_has_no_effect(desk: Desk) -> None:
    numbers = {intents.anchor(desk, sha256(b"root"), 3, key="run/0").number for _ in range(2)}
    assert len(numbers) == 1


def test_what_is_no_address_cannot_be_revoked(desk: Desk) -> None:
    with pytest.raises(UsageError, match="address"):
        intents.revoke_session(desk, "0x1234")


def test_many_acts_are_asked_for_together_or_not_at_all(desk: Desk) -> None:
    content = Manifest.of([Resource(".", "sha256", bytes(32), 1)])
    wanted = [Act(f"together-{n}", "code", "submit", content) for n in range(12)]
    queued = intents.act_all(desk, wanted)
    assert [stored(desk, one).json["artefact"] for one in queued] == [
        {"name": request.name, "kind": "code"} for request in wanted
    ]
    with pytest.raises(InvalidName):
        intents.act_all(desk, [Act("fine", "code", "submit", content), Act("/", "code", "submit", content)])
    assert outbox(desk).count() == 12
