"""An operation that one member signs and another sends."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Person, Study


@pytest.fixture(scope="module")
def trained(study: Study) -> Study:
    """A model that waits for endorsements, with an evaluation by the verifier."""
    developer, verifier = study.developer, study.verifier
    developer.write("a", "1")
    developer("act", "rows", "collect", "a", "--kind", "source")
    developer("act", "model", "train", "a", "--kind", "model", "--use", "rows")
    verifier.write("report.json", "{}")
    verifier("act", "report", "report", "report.json", "--kind", "evaluation", "--use", "model")
    return study


@pytest.fixture(autouse=True)
def as_it_was(trained: Study, tmp_path: Path) -> Iterator[None]:
    """Puts everybody's files back after each test: messages are numbered, and one that was not sent stops the next."""
    places = [
        person.folder.parent for person in (trained.developer, trained.verifier, trained.operator, trained.auditor)
    ]
    copies = [shutil.copytree(place, tmp_path / "before" / place.name) for place in places]
    yield
    for place, copy in zip(places, copies, strict=True):
        shutil.rmtree(place)
        shutil.copytree(copy, place)


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def outbox_of(person: Person) -> list[Any]:
    return list(person.json("status")["outbox"])


def test_a_vote_that_one_signs_and_another_sends_counts_for_the_signer_once(trained: Study) -> None:
    auditor, operator = trained.auditor, trained.operator
    message = auditor.folder / "vote.json"
    signed = auditor.json("endorse", "model", "approve", "--use", "report", "--reason", "as agreed", "--sign", message)
    assert (signed["summary"], signed["doubt"]) == ("endorse approve of model", None)
    assert operator.json("status", "model")["ballots"] == []
    assert outbox_of(auditor) == []

    sent = operator.json("relay", message)
    auditors = auditor.json("id", "show")["address"]
    assert (sent["signer"], sent["organisation"], sent["action"]) == (auditors, "auditor", "approve")
    assert sent["gas"] > 0
    assert sent["block"] > 0
    (ballot,) = trained.verifier.json("status", "model")["ballots"]
    assert [(vote["actor"], vote["record"]["reason"]) for vote in ballot["votes"]] == [(auditors, "as agreed")]

    for person in (operator, trained.developer):
        again = person.json("relay", message, code=6)
        assert again["error"]["type"] == "ConflictError"
        assert "was used already" in again["error"]["message"]
        assert sent["transaction"] in again["error"]["message"]
        assert outbox_of(person) == []
    (ballot,) = trained.verifier.json("status", "model")["ballots"]
    assert ballot["endorsed"] == 1


def test_a_signed_transition_of_a_new_artefact_registers_it_for_its_signer(study: Study) -> None:
    developer, operator = study.developer, study.operator
    developer.write("b", "1")
    said = developer("act", "relayed", "collect", "b", "--kind", "source", "--sign", "b.json").out
    assert "register relayed and perform collect on it" in said
    told = operator("relay", developer.folder / "b.json")
    assert "register relayed and perform collect on it" in told.err
    (artefact,) = operator.json("status", "relayed")["artefacts"]
    assert (artefact["owner"], artefact["version"]) == (developer.json("id", "show")["address"], 1)
    assert operator.json("log", "relayed")["history"][0]["record"]["action"] == "collect"


def test_messages_of_one_signer_go_in_order(study: Study) -> None:
    developer, operator = study.developer, study.operator
    developer("register", "first", "--kind", "source", "--sign", "first.json")
    said = developer("register", "second", "--kind", "source", "--sign", "second.json").out
    assert "after first.json" in said
    early = operator.json("relay", developer.folder / "second.json", code=6)
    assert "go first" in early["error"]["message"]
    assert outbox_of(operator) == []
    operator("relay", developer.folder / "first.json")
    operator("relay", developer.folder / "second.json")


def test_a_message_that_the_rules_refuse_is_refused_and_not_kept(trained: Study) -> None:
    developer, operator = trained.developer, trained.operator
    said = developer("endorse", "model", "approve", "--use", "report", "--sign", "own.json")
    assert "as things are, it would be refused" in said.out
    refused = operator.json("relay", developer.folder / "own.json", code=3)
    assert refused["error"]["rule"] in ("FourEyes", "RoleMissing")
    assert outbox_of(operator) == []


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"nonce": 77}, 4, "the file was changed"),
        ({"deadline": 2_000_000_000}, 4, "the file was changed"),
        ({"signature": "0x" + "11" * 65}, 4, "the file was changed"),
        ({"signature": "0x"}, 4, "the file was changed"),
        ({"name": "tampered-2"}, 2, "artefact"),
        ({"documents": {}}, 2, "commits to"),
        ({"chain_id": 1}, 2, "is for the workspace"),
    ],
)
def test_a_changed_message_is_refused(study: Study, fields: dict[str, Any], code: int, said: str) -> None:
    message = study.auditor.folder / "tampered.json"
    message.unlink(missing_ok=True)
    study.auditor("register", "tampered", "--kind", "source", "--sign", message, "--valid-for", "1m")
    change(message, **fields)
    answer = study.operator("relay", message, code=code)
    assert said in answer.err
    assert outbox_of(study.operator) == []


def test_a_message_that_is_too_late_is_refused(study: Study) -> None:
    message = study.verifier.folder / "late.json"
    study.verifier("register", "late", "--kind", "source", "--sign", message, "--valid-for", "1s")
    time.sleep(2.1)
    assert study.operator.json("relay", message, code=3)["error"]["rule"] == "DeadlinePassed"


def test_a_message_for_another_workspace_is_not_sent(study: Study, alone: Person) -> None:
    study.developer("register", "elsewhere", "--kind", "source", "--sign", "elsewhere.json")
    answer = alone("relay", study.developer.folder / "elsewhere.json", code=2)
    assert "is for the workspace" in answer.err


def test_a_file_that_exists_is_not_overwritten(alone: Person) -> None:
    alone.write("taken.json", "mine")
    answer = alone("register", "taken", "--kind", "source", "--sign", "taken.json", code=2)
    assert "not overwritten" in answer.err
    assert (alone.folder / "taken.json").read_text() == "mine"


def test_what_is_no_message_is_said(alone: Person) -> None:
    alone.write("no.json", "{}")
    assert "Expected a field 'schema'" in alone("relay", "no.json", code=2).err
    alone("relay", "missing.json", code=2)
