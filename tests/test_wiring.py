"""A participant's parts open when they are used, and not before."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from proml.config import Config, Folder, write_config
from proml.errors import ConfigError, IdentityError, UnreachableError
from proml.identity import Identities
from proml.wiring import Participant, open_ledger, open_participant

if TYPE_CHECKING:
    from pathlib import Path

    from proml.ports import Ledger


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    monkeypatch.setenv("PROML_HOME", str(path))
    monkeypatch.delenv("PROML_IDENTITY", raising=False)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "work")
    made.root.mkdir()
    write_config(made, Config())
    return made


def test_opening_a_participant_imports_neither_evm_nor_sql(folder: Folder) -> None:
    code = (
        "import sys, json\nfrom proml.wiring import open_participant\n"
        f"with open_participant({str(folder.root)!r}) as p:\n    list(p.outbox.entries())\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert [name for name in loaded if name.split(".")[0] in ("eth", "sqlalchemy", "coincurve", "click")] == []


def test_closing_twice_is_safe(folder: Folder) -> None:
    participant = open_participant(folder.root)
    list(participant.outbox.entries())
    participant.close()
    participant.close()


@pytest.mark.parametrize("url", ["", "carrier-pigeon:7", "ftp://x", "chain.sqlite"])
def test_a_ledger_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_ledger(url)


def test_a_witness_does_not_vouch_for_itself() -> None:
    with pytest.raises(ConfigError, match="vouch for itself") as caught:
        open_ledger("http://user:secret@127.0.0.1:9", witness="http://user:secret@127.0.0.1:9/")
    assert "secret" not in str(caught.value)
    with open_witnessed(["http://127.0.0.1:9", "http://127.0.0.1:8"], "http://127.0.0.1:9") as ledger:
        with pytest.raises(UnreachableError) as away:
            ledger.newest()
        assert "127.0.0.1:8" in str(away.value)
        assert "127.0.0.1:9" not in str(away.value)


def open_witnessed(urls: list[str], witness: str) -> contextlib.closing[Ledger]:
    return contextlib.closing(open_ledger(urls, witness=witness))


def test_no_ledger_at_all_is_said() -> None:
    with pytest.raises(ConfigError, match="names no ledger"):
        open_ledger([])


def test_an_embedded_ledger_is_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_ledger("embedded:x.sqlite", base=tmp_path)
    open_ledger("embedded:x.sqlite", base=tmp_path, create=True).close()
    open_ledger("embedded:x.sqlite", base=tmp_path).close()


def test_the_only_identity_is_chosen_by_itself(folder: Folder, home: Path) -> None:
    Identities(home).new("ann")
    assert Participant(folder, Config()).identity.name == "ann"


def test_among_several_identities_one_must_be_chosen(
    folder: Folder, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ann", "bob", "eve"):
        Identities(home).new(name)
    with pytest.raises(IdentityError, match="no identity is chosen"):
        _ = Participant(folder, Config()).identity
    assert Participant(folder, Config(identity="ann")).identity.name == "ann"
    monkeypatch.setenv("PROML_IDENTITY", "bob")
    assert Participant(folder, Config(identity="ann")).identity.name == "bob"
    assert Participant(folder, Config(identity="ann"), identity="eve").identity.name == "eve"
