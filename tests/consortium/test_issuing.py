"""Handing the founding transactions in: once each, whoever does it, and with a word for what goes wrong.

The real network is in tests/network/slow; here a platform chain is played that does what that one cannot be made to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from proml.consortium.avalanche import issuing
from proml.consortium.avalanche.founding import Founding, Transaction
from proml.errors import ConflictError, UnreachableError

if TYPE_CHECKING:
    from pathlib import Path

STEPS = ("create the subnet", "create the chain", "give the subnet to the founders")


@dataclass
class Platform:
    """A client that answers as avalanchego's platform chain does."""

    folder: Path
    statuses: dict[str, str] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    becomes: str = "Committed"
    refuses: bool = False
    is_away: bool = False

    def __call__(self, method: str, *parameters: Any, at: str = "") -> Any:
        if self.is_away:
            raise UnreachableError("no answer")
        if method == "eth_blockNumber":
            return "0x0"
        assert at == "/ext/bc/P"
        if method == "platform.getTxStatus":
            return {"status": self.statuses.get(parameters[0]["txID"], "Unknown")}
        assert method == "platform.issueTx"
        step = next(one for one in issuing.read(self.folder).steps if one.tx == parameters[0]["tx"])
        if self.refuses:
            raise UnreachableError("a refusal: failed to read consumed UTXO")
        self.statuses[step.id] = self.becomes
        self.issued.append(step.what)
        return {"txID": step.id}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    transactions = tuple(Transaction(what, bytes([n] * 32), bytes([n])) for n, what in enumerate(STEPS, 1))
    text = issuing.written(Founding(b"\1" * 32, b"\2" * 32, transactions))
    (tmp_path / issuing.FILE).write_text(text)
    monkeypatch.setattr(issuing, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(issuing, "_POLL_S", 0.01)
    return Platform(tmp_path)


def test_each_is_handed_in_once_in_order(platform: Platform) -> None:
    assert issuing.issue(platform) == list(STEPS)
    assert platform.issued == list(STEPS)
    assert issuing.issue(platform) == []
    assert platform.issued == list(STEPS)


def test_what_another_began_is_carried_on(platform: Platform) -> None:
    platform.statuses[issuing.read(platform.folder).steps[0].id] = "Committed"
    assert issuing.issue(platform) == list(STEPS[1:])


def test_one_that_another_hands_in_at_the_same_time_is_waited_for(platform: Platform) -> None:
    platform.refuses = True
    platform.statuses[issuing.read(platform.folder).steps[0].id] = "Processing"
    with pytest.raises(UnreachableError, match="does not decide on the transaction that is to create the subnet"):
        issuing.issue(platform)


def test_coins_that_are_gone_are_a_conflict(platform: Platform) -> None:
    platform.refuses = True
    with pytest.raises(ConflictError, match="consumed UTXO") as caught:
        issuing.issue(platform)
    assert "another genesis_time" in caught.value.hint


def test_one_that_is_dropped_is_a_conflict(platform: Platform) -> None:
    platform.becomes = "Dropped"
    with pytest.raises(ConflictError, match="dropped the transaction that is to create the subnet"):
        issuing.issue(platform)


def test_without_the_others_it_says_what_is_missing(platform: Platform) -> None:
    platform.is_away = True
    with pytest.raises(UnreachableError, match="does not answer, after") as caught:
        issuing.issue(platform)
    assert "two thirds" in caught.value.hint
