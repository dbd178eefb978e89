"""An operation that one member signs and another sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Person, Study


def test_a_signed_transition_counts_as_its_signers_and_cannot_be_sent_twice(study: Study) -> None:
    developer, operator = study.developer, study.operator
    developer.write("a", "1")
    developer("act", "relayed", "collect", "a", "--kind", "source")
    developer.write("a", "2")
    message = developer.folder / "message.json"
    developer("act", "relayed", "collect", "a", "--sign", message)
    assert developer.json("status", "relayed")["artefacts"][0]["version"] == 1
    sent = operator.json("relay", message)
    assert sent["signer"] == developer.json("id", "show")["address"]
    newest = operator.json("log", "relayed")["history"][0]
    assert (newest["version"], newest["actor"]) == (2, sent["signer"])
    again = operator.json("relay", message, code=6)
    assert again["error"]["type"] == "ConflictError"


def test_a_message_for_another_workspace_is_not_sent(study: Study, alone: Person) -> None:
    study.developer("register", "elsewhere", "--kind", "source", "--sign", "elsewhere.json")
    answer = alone("relay", study.developer.folder / "elsewhere.json", code=2)
    assert "is for the workspace" in answer.err


def test_a_changed_message_is_refused(study: Study) -> None:
    study.developer("register", "original", "--kind", "source", "--sign", "m.json")
    path = study.developer.folder / "m.json"
    text = path.read_text()
    at = text.index('"call": "0x') + 11 + 8 + 128 + 5
    path.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    study.operator("relay", path, code=3)


def test_what_is_no_message_is_said(alone: Person) -> None:
    alone.write("no.json", "{}")
    assert "expected a signed message" in alone("relay", "no.json", code=2).err
    alone("relay", "missing.json", code=2)
