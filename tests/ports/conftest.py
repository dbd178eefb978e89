"""Every ledger that the port suite runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubo import Kubo, running_kubo
from tests.minio import Minio, running_minio
from tests.ports.ledgers import Anvil, Person, running_anvil, wanted_anvil

from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.jsonrpc import JsonRpcLedger
from proml.ports import Finality, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

engine = pytest.mark.engine


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    with running_minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with running_kubo(tmp_path_factory.mktemp("kubo")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def anvil_program() -> Path:
    return wanted_anvil()


@pytest.fixture(scope="session")
def anvil(anvil_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with running_anvil(anvil_program, tmp_path_factory.mktemp("anvil")) as running:
        yield running


@pytest.fixture(
    params=["embedded", *(pytest.param(f"anvil by {way}", marks=engine) for way in ("http", "websocket", "ipc"))]
)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened: Ledger
    if request.param == "embedded":
        opened = EmbeddedLedger.create(tmp_path / "chain.sqlite")
    else:
        running: Anvil = request.getfixturevalue("anvil")
        urls = {"http": running.url, "websocket": running.url.replace("http", "ws"), "ipc": running.ipc}
        opened = JsonRpcLedger(urls[request.param.split()[-1]], finality=Finality("immediate"))
    yield opened
    opened.close()


@pytest.fixture
def person(ledger: Ledger) -> Person:
    return Person(ledger)


@pytest.fixture
def probe(person: Person) -> str:
    return person.deploy()
