"""Refusals in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.contract_build import load_contract
from proml.core.abi import encode
from proml.core.interface import ERRORS, fields, selector
from proml.core.operation import ZERO_ADDRESS
from proml.core.refusal import PlainNames, explain
from proml.core.refusal_words import WORDS
from proml.errors import ConflictError, RefusedError

ANN = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
BOB = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
MODEL = b"m" * 32


class ClinicNames(PlainNames):
    """What the members of one workspace call things."""

    def artefact(self, artefact: bytes) -> str:
        return "tumour-model" if artefact == MODEL else super().artefact(artefact)

    def lifecycle(self, lifecycle: int) -> str:
        return {1: "model", 2: "evaluation"}[lifecycle]

    def state(self, artefact: bytes, state: int) -> str:
        assert artefact == MODEL
        return ("draft", "trained", "released")[state]

    def rule(self, artefact: bytes, rule: int) -> str:
        assert artefact == MODEL
        return ("train", "approve")[rule]

    def organisation(self, organisation: int) -> str:
        return {3: "St Mary's"}[organisation]

    def account(self, account: str) -> str:
        return {ANN: "Ann", BOB: "Bob"}[account]


def revert(error: str, *values: Any) -> bytes:
    return selector(error, ERRORS[error]) + encode(fields(ERRORS[error]), values)


SAID = [
    (
        revert("QuorumMissing", MODEL, 1, 2),
        "Approving tumour-model needs endorsements of 2 distinct organisations; 1 has endorsed.",
    ),
    (
        revert("QuorumMissing", MODEL, 0, 2),
        "Approving tumour-model needs endorsements of 2 distinct organisations; none has endorsed.",
    ),
    (
        revert("RoleMissing", ANN, 2, 4 | 8),
        "Approving tumour-model needs the role reviewer or verifier; Ann has contributor.",
    ),
    (revert("RoleMissing", ANN, 0, 4), "Approving tumour-model needs the role reviewer; Ann has no role."),
    (
        revert("FourEyes", MODEL, 3),
        "Approving tumour-model needs another organisation than the owner's (four eyes); St Mary's owns tumour-model.",
    ),
    (
        revert("WrongState", MODEL, 0, 1),
        "Approving tumour-model starts in state trained; tumour-model is in state draft.",
    ),
    (revert("Terminal", MODEL, 2), "tumour-model is in state released, which is final: it never changes again."),
    (revert("OwnerOnly", MODEL, ANN, BOB), "Only the owner of tumour-model, Ann, may do this; Bob is not."),
    (
        revert("EvidenceMissing", MODEL, 2),
        "Approving tumour-model needs as an input a usable evaluation that another organisation owns; none was given.",
    ),
    (revert("NoQuorum", MODEL, 0), "The transition train of tumour-model takes no votes."),
    (revert("SessionEnded", ANN, 0), "The session of Ann was revoked."),
    (revert("SessionEnded", ANN, 1_800_000_000), "The session of Ann ended at 2027-01-15 08:00:00 UTC."),
    (
        revert("TooEarly", MODEL, 1_800_000_000),
        "Approving tumour-model is possible from 2027-01-15 08:00:00 UTC on, not before.",
    ),
    (revert("LifecycleInvalid", 255), "The lifecycle is malformed in its states or header."),
    (revert("LifecycleInvalid", 2), "The lifecycle is malformed in transition number 2."),
    (revert("InputRevoked", ZERO_ADDRESS, MODEL), "The input tumour-model, of which the current version was made"),
    (revert("InputRevoked", BOB, MODEL), f"The input tumour-model of workspace {BOB}, of which the current version"),
    (
        revert("HeadMismatch", MODEL, b"\1" * 32, b"\2" * 32),
        "tumour-model has moved on: it was expected at version 0x0101",
    ),
    (
        revert("NonceMismatch", ANN, 4, 5),
        "The signed message of Ann has number 4; the next one must have number 5.",
    ),
]


@pytest.mark.parametrize(("data", "words"), SAID)
def test_a_refusal_says_which_rule_which_state_which_role_and_who(data: bytes, words: str) -> None:
    assert explain(data, ClinicNames(), doing="approving tumour-model").message.startswith(words)


def test_there_are_words_for_every_error_of_the_contract_and_no_other() -> None:
    assert WORDS.keys() == {entry["name"] for entry in load_contract("Workspace").abi if entry["type"] == "error"}


def arguments() -> st.SearchStrategy[tuple[str, list[Any]]]:
    def value_of(type_name: str) -> st.SearchStrategy[Any]:
        if type_name == "address":
            return st.sampled_from([ANN, BOB, ZERO_ADDRESS])
        if type_name == "bytes32":
            return st.binary(min_size=32, max_size=32)
        return st.integers(0, 2 ** int(type_name.removeprefix("uint")) - 1)

    return st.sampled_from(list(ERRORS)).flatmap(
        lambda error: st.tuples(st.just(error), st.tuples(*(value_of(f.type) for f in fields(ERRORS[error]))).map(list))
    )


@given(arguments())
def test_every_error_with_any_arguments_gets_a_whole_sentence_and_a_hint(case: tuple[str, list[Any]]) -> None:
    error, values = case
    said = explain(revert(error, *values))
    assert said.message.endswith(".")
    assert "{" not in said.message
    assert said.hint.endswith((".", "`."))


@pytest.mark.parametrize("error", ERRORS)
def test_only_what_a_fresh_look_cures_is_a_conflict(error: str) -> None:
    values = [{"a": ANN, "b": MODEL}.get(f.type[0], 1) for f in fields(ERRORS[error])]
    said = explain(revert(error, *values))
    if error in {"HeadMismatch", "AnchorMismatch", "NonceMismatch"}:
        assert isinstance(said, ConflictError)
    else:
        assert isinstance(said, RefusedError)
        assert said.rule == error


def test_the_arguments_are_kept_by_name_for_programs() -> None:
    said = explain(revert("QuorumMissing", MODEL, 1, 2))
    assert isinstance(said, RefusedError)
    assert said.arguments == {"artefact": f"0x{MODEL.hex()}", "endorsed": 1, "needed": 2}


def test_without_words_for_the_attempt_the_artefact_is_named() -> None:
    said = explain(revert("ContentNeeded", MODEL), ClinicNames())
    assert said.message == "This step of tumour-model needs new content; none was given."


def test_a_plain_revert_message_is_shown_without_control_characters() -> None:
    data = selector("Error", "string message") + encode(fields("bytes message"), [b"no\x1b[2J way"])
    assert explain(data, doing="sending").message == "Sending was refused with the message: no?[2J way"


def test_a_panic_is_told_as_a_defect_with_its_code() -> None:
    said = explain(selector("Panic", "uint256 code") + (17).to_bytes(32, "big"))
    assert "panic 0x11" in said.message
    assert "report" in said.hint


def test_no_data_is_told_as_too_little_gas_or_no_workspace() -> None:
    assert "gas did not suffice" in explain(b"", doing="sending").message


def test_foreign_data_is_told_as_such_and_shortened() -> None:
    said = explain(b"\xde\xad\xbe\xef" + bytes(1000))
    assert "0xdeadbeef" in said.message
    assert len(said.message) < 200


@given(st.binary(max_size=200), st.sampled_from([b"", *(selector(n, d) for n, d in ERRORS.items())]))
def test_any_data_gets_an_answer(data: bytes, begin: bytes) -> None:
    assert explain(begin + data).message
