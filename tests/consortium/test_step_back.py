"""What is not done to a client; what is done, and what comes of it, is tried on real clients in tests/network."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import pytest

from proml.consortium import client
from proml.consortium.client import ClientStatus
from proml.consortium.folder import write_folder
from proml.errors import ConfigError, ConflictError, ProMLError, UnreachableError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from proml.consortium.plan import Plan

STANDS = ClientStatus(pid=1, block_number=72, standing_s=30, peers=3, validators={"0x1": "lab", "0x2": "clinic"})


def test_the_only_validator_is_not_voted_out(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = write_folder(plan, "lab", folder / "lab")
    alone = dataclasses.replace(STANDS, is_validator=True, validators={network.validators["lab"]: "lab"})
    monkeypatch.setattr(client, "status", lambda _: alone)
    with pytest.raises(UsageError, match="the only validator"):
        client.vote(network, "lab", admit=False)


def test_nothing_is_stopped_that_could_not_be_started_again(
    plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = write_folder(plan, "lab", folder / "lab")
    monkeypatch.setattr(client, "status", lambda _: STANDS)
    monkeypatch.setattr(client, "running", lambda _: STANDS.pid)
    monkeypatch.setenv("PROML_GETH", str(folder / "nothing"))
    ended: list[int] = []
    monkeypatch.setattr(client, "_end", lambda _network, pid: ended.append(pid))
    with pytest.raises(ConfigError, match="cannot be run"):
        client.step_back(network)
    assert not ended


def test_where_blocks_are_final_at_once_there_is_nothing_to_leave(plan: Plan, folder: Path) -> None:
    network = write_folder(dataclasses.replace(plan, engine="besu-qbft"), "lab", folder / "lab")
    for engine in ("besu-qbft", "subnet-evm"):
        with pytest.raises(UsageError, match="final at once"):
            client.step_back(dataclasses.replace(network, engine=engine))


def test_a_client_that_does_not_run_is_not_sent_back(plan: Plan, folder: Path) -> None:
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        client.step_back(write_folder(plan, "lab", folder / "lab"))
    assert "consortium start" in caught.value.hint


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (dataclasses.replace(STANDS, standing_s=0, block_time=int(time.time())), (ConflictError, "does not stand")),
        (dataclasses.replace(STANDS, peers=0), (UnreachableError, "reaches no other")),
    ],
)
def test_a_client_that_has_blocks_or_nobody_to_take_them_from_is_left_alone(
    plan: Plan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: ClientStatus,
    refused: tuple[type[ProMLError], str],
) -> None:
    network = write_folder(plan, "lab", folder / "lab")
    monkeypatch.setattr(client, "status", lambda _: found)
    error, said = refused
    with pytest.raises(error, match=said):
        client.step_back(network)
