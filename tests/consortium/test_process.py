"""A client's process where others have to do with it too; starting and stopping real clients is in tests/network."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NoReturn

import pytest

from proml.consortium import client, process
from proml.consortium.folder import write_folder
from proml.errors import ConfigError, ConflictError

if TYPE_CHECKING:
    from pathlib import Path

    from proml.consortium.folder import Network
    from proml.consortium.plan import Plan


@pytest.fixture
def network(plan: Plan, folder: Path) -> Network:
    return write_folder(plan, "lab", folder / "lab")


def test_two_commands_do_not_start_and_stop_a_client_at_once(network: Network) -> None:
    with process._alone(network):
        for command in (process.start, process.stop):
            with pytest.raises(ConflictError, match="another command"):
                command(network)
    assert process.stop(network) == 0


def test_a_restart_gives_way_to_a_stop_meanwhile(network: Network) -> None:
    with pytest.raises(ConflictError, match="meanwhile"):
        process.restart(network, 7)
    assert not process.is_cut_off(network)


@pytest.mark.parametrize("then", [process.stop, process.start])
def test_a_restart_that_was_cut_off_is_known_until_the_owner_stops_or_starts_it(
    network: Network, monkeypatch: pytest.MonkeyPatch, then: object
) -> None:
    def is_killed(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(process, "running", lambda _: 7)
        patch.setattr(process, "_end", is_killed)
        with pytest.raises(KeyboardInterrupt):
            process.restart(network, 7)
        assert not process.is_cut_off(network), "it runs"
    assert process.is_cut_off(network)
    monkeypatch.setattr(process, "_start", lambda _: 8)
    assert callable(then)
    then(network)
    assert not process.is_cut_off(network)


def test_a_client_that_ends_by_itself_when_it_is_ended_is_no_error(network: Network) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    process._end(network, ended.pid)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": {"clique": {"period": "often"}}}', "[" * 90_000])
def test_a_damaged_genesis_block_is_told_of(network: Network, text: str) -> None:
    (network.root / "genesis.json").write_text(text)
    with pytest.raises(ConfigError, match="expected a genesis block"):
        client.stands_after_s(network)
