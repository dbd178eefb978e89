"""Identities: where passphrases come from, what is handed out, session keys."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from proml.adapters import keystore
from proml.adapters.keystore import read_keystore
from proml.adapters.local_signer import LocalSigner, recover_address
from proml.core.messages import domain_separator, session_consent_hash
from proml.core.operation import ZERO
from proml.errors import IdentityError, InvalidRecord, VerificationError
from proml.identity import Identities, SessionRequest, check_export

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
MEMBER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


class Person:
    """Answers questions for passphrases."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        return self.answers.pop(0)


def rounds(identities: Identities, name: str) -> int:
    n = read_keystore(identities.get(name).path)["crypto"]["kdfparams"]["n"]
    assert isinstance(n, int)
    return n


LIGHT, HEAVY = 4_096, 8_192


@pytest.fixture(autouse=True)
def quick_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the dear derivation (a second each; test_keystore checks it) cheap, and still unlike the light one."""
    monkeypatch.setattr(keystore, "_HEAVY", (HEAVY, 8, 1))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def unattended(home: Path) -> Identities:
    return Identities(home, environment={})


# ------------------------------------------------------------------------------------------------------- passphrases


def test_with_nobody_to_ask_a_passphrase_is_generated_and_kept(home: Path) -> None:
    made = unattended(home).new("ann")
    assert unattended(home).unlock("ann").address == made.address
    assert len((home / "passphrase").read_text().strip()) == 64
    assert stat.S_IMODE((home / "passphrase").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert rounds(unattended(home), "ann") == LIGHT


def test_the_kept_passphrase_serves_the_next_identity_too(home: Path) -> None:
    unattended(home).new("ann")
    kept = (home / "passphrase").read_text()
    unattended(home).new("bob")
    assert (home / "passphrase").read_text() == kept
    assert unattended(home).unlock("bob")


def test_a_kept_passphrase_that_a_person_wrote_gets_the_dear_derivation(home: Path) -> None:
    home.mkdir()
    (home / "passphrase").write_text("hunter2\n")
    unattended(home).new("ann")
    assert rounds(unattended(home), "ann") == HEAVY
    assert unattended(home).unlock("ann")


def test_a_person_is_asked_twice_and_gets_the_dear_derivation(home: Path) -> None:
    person = Person("secret", "secret", "secret")
    identities = Identities(home, environment={}, prompt=person)
    identities.new("ann")
    assert rounds(identities, "ann") == HEAVY
    assert not (home / "passphrase").exists()
    identities.unlock("ann")
    assert len(person.questions) == 3


def test_a_person_who_types_two_things_makes_no_key(home: Path) -> None:
    with pytest.raises(IdentityError, match="differ"):
        Identities(home, environment={}, prompt=Person("secret", "secrte")).new("ann")
    assert unattended(home).list() == []


def test_a_person_who_presses_enter_has_one_generated(home: Path) -> None:
    Identities(home, environment={}, prompt=Person("")).new("ann")
    assert unattended(home).unlock("ann")


def test_a_person_is_asked_when_the_kept_passphrase_does_not_fit(home: Path) -> None:
    unattended(home).new("ann", "secret")
    unattended(home).new("bob")
    assert Identities(home, environment={}, prompt=Person("secret")).unlock("ann")


def test_the_passphrase_file_is_used_before_anything_else(home: Path, tmp_path: Path) -> None:
    unattended(home).new("bob")
    (tmp_path / "pass").write_text("secret\r\nanother line\n")
    environment = {"PROML_PASSPHRASE_FILE": str(tmp_path / "pass")}
    Identities(home, environment).new("ann")
    assert unattended(home).unlock("ann", "secret")
    assert Identities(home, environment, prompt=Person()).unlock("ann")
    with pytest.raises(IdentityError, match="wrong passphrase"):
        unattended(home).unlock("ann")


def test_the_passphrase_file_may_be_the_kept_one(home: Path) -> None:
    environment = {"PROML_PASSPHRASE_FILE": str(home / "passphrase")}
    Identities(home, environment).new("ann")
    assert rounds(unattended(home), "ann") == LIGHT
    assert Identities(home, environment).unlock("ann")


def test_a_passphrase_file_that_is_not_there_is_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="no such file"):
        Identities(home, {"PROML_PASSPHRASE_FILE": str(tmp_path / "none")}).new("ann")


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000])
def test_an_empty_or_endless_passphrase_file_is_told(home: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pass").write_bytes(content)
    with pytest.raises(IdentityError, match="empty or endless"):
        Identities(home, {"PROML_PASSPHRASE_FILE": str(tmp_path / "pass")}).new("ann")


def test_a_locked_identity_with_nobody_to_ask_says_what_to_set(home: Path) -> None:
    unattended(home).new("ann", "secret")
    with pytest.raises(IdentityError, match="locked") as told:
        unattended(home).unlock("ann")
    assert "PROML_PASSPHRASE_FILE" in told.value.hint


def test_a_wrong_passphrase_is_told(home: Path) -> None:
    unattended(home).new("ann")
    with pytest.raises(IdentityError, match="wrong passphrase"):
        unattended(home).unlock("ann", "guess")


def test_two_processes_that_make_the_first_identities_agree_on_the_passphrase(home: Path) -> None:
    code = "import sys; from pathlib import Path; from proml.identity import Identities\n"
    code += "Identities(Path(sys.argv[1]), {}).new(sys.argv[2])"
    names = ["ann", "bob", "coy", "dan"]
    started = [subprocess.Popen([sys.executable, "-c", code, str(home), name]) for name in names]
    assert [process.wait() for process in started] == [0] * len(names)
    for name in names:
        assert unattended(home).unlock(name)


# ------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["", ".", "..", "../ann", "a/b", "-rf", "a b", "zoë", "a\n", "x" * 65, "a\0b"])
def test_a_name_that_could_become_a_path_or_an_option_is_refused(home: Path, name: str) -> None:
    for attempt in (unattended(home).new, unattended(home).get, unattended(home).unlock):
        with pytest.raises(IdentityError, match="expected letters"):
            attempt(name)


@pytest.mark.parametrize("again", ["ann", "Ann"])
def test_a_taken_name_is_refused_and_the_key_kept(home: Path, again: str) -> None:
    made = unattended(home).new("ann")
    with pytest.raises(IdentityError, match="already"):
        unattended(home).new(again)
    assert unattended(home).unlock("ann").address == made.address


def test_an_unknown_name_is_told_with_those_that_there_are(home: Path) -> None:
    unattended(home).new("ann")
    with pytest.raises(IdentityError, match="there are: ann"):
        unattended(home).get("bob")


def test_there_are_none_before_the_first(home: Path) -> None:
    assert unattended(home).list() == []
    assert not home.exists()


def test_a_broken_file_hides_no_other_and_says_so_itself(home: Path) -> None:
    unattended(home).new("ann")
    for name, content in {
        "bad": "{",
        "odd": '{"version":3,"address":"zz"}',
        "two": '{"version":3,"session":[]}',
    }.items():
        (home / "identities" / f"{name}.json").write_text(content)
    listed = {identity.name: identity for identity in unattended(home).list()}
    assert [name for name, identity in listed.items() if identity.broken] == ["bad", "odd", "two"]
    assert listed["ann"].address
    with pytest.raises(IdentityError, match="cannot be used"):
        unattended(home).get("bad")


# ------------------------------------------------------------------------------------------------------------ export


def test_an_exported_identity_passes_its_check(home: Path) -> None:
    made = unattended(home).new("ann")
    exported = json.loads(json.dumps(unattended(home).export("ann")))
    assert exported["kind"] == "proml/identity/v1"
    assert check_export(exported) == {"name": "ann", "address": made.address}


def test_an_export_holds_no_secret(home: Path) -> None:
    unattended(home).new("ann")
    key = unattended(home).unlock("ann").private_key
    assert key.hex() not in json.dumps(unattended(home).export("ann"))


@pytest.mark.parametrize(("entry", "value"), [("name", "bob"), ("address", MEMBER)])
def test_an_altered_export_is_found(home: Path, entry: str, value: str) -> None:
    unattended(home).new("ann")
    with pytest.raises(VerificationError, match="altered"):
        check_export(unattended(home).export("ann") | {entry: value})


def test_another_key_s_proof_is_found(home: Path) -> None:
    unattended(home).new("ann")
    unattended(home).new("bob")
    stolen = unattended(home).export("ann") | {"proof": unattended(home).export("bob")["proof"]}
    with pytest.raises(VerificationError):
        check_export(stolen)


@pytest.mark.parametrize(
    "change",
    [{"kind": "x"}, {"name": 7}, {"name": "<script>"}, {"address": "0x12"}, {"proof": "zz"}, {"proof": None}],
    ids=str,
)
def test_what_is_no_exported_identity_is_refused(home: Path, change: dict[str, object]) -> None:
    unattended(home).new("ann")
    with pytest.raises(InvalidRecord):
        check_export(unattended(home).export("ann") | change)


@pytest.mark.parametrize("document", [None, [], "x", {}])
def test_another_document_is_refused(document: object) -> None:
    with pytest.raises(InvalidRecord):
        check_export(document)


def test_a_proof_of_no_length_is_found(home: Path) -> None:
    unattended(home).new("ann")
    with pytest.raises(VerificationError):
        check_export(unattended(home).export("ann") | {"proof": "0x"})


# ---------------------------------------------------------------------------------------------------------- sessions

REQUEST = SessionRequest(MEMBER, roles=2, artefact=ZERO, expires=1_900_000_000, chain_id=1337, contract=CONTRACT)


def test_a_session_key_consents_to_exactly_what_was_asked(home: Path) -> None:
    grant = unattended(home).new_session("job", REQUEST)
    domain = domain_separator(REQUEST.chain_id, REQUEST.contract)
    consented = session_consent_hash(grant.session, member=MEMBER, domain=domain)
    assert recover_address(consented, grant.consent) == grant.session.key
    assert (grant.session.roles, grant.session.artefact, grant.session.expires) == (2, ZERO, 1_900_000_000)
    assert unattended(home).unlock("job").address == grant.session.key


def test_a_session_key_is_listed_with_its_member_and_end(home: Path) -> None:
    unattended(home).new("ann")
    unattended(home).new_session("job", REQUEST)
    listed = [(identity.name, identity.member, identity.expires) for identity in unattended(home).list()]
    assert listed == [("ann", "", 0), ("job", MEMBER, 1_900_000_000)]


def test_the_names_of_keys_do_not_reach_the_signer(home: Path) -> None:
    unattended(home).new("ann")
    assert isinstance(unattended(home).unlock("ann"), LocalSigner)
