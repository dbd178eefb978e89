"""A workspace that was built once and is copied for each test; and the signals as tests expect them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.worlds import copy_world, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds import World


with contextlib.suppress(ModuleNotFoundError):  # the environments of frameworks do without
    from hypothesis import HealthCheck, settings

    # How long an example takes depends on what else the machine does: speed belongs in bench/.
    settings.register_profile("proml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("proml")

# Under nohup, or in the background of a shell, these are ignored, and so they are in whatever the tests start. A
# handler that does nothing keeps the tests as they are; what they start has the signals as a terminal gives them.
for _number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


@pytest.fixture(scope="session")
def new_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("new"))
    world.close()
    return world


@pytest.fixture(scope="session")
def told_world(new_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = copy_world(new_world, tmp_path_factory.mktemp("told"))
    world.whole_story()
    world.close()
    return world


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Files and folders that were waited for on disk since the test began."""
    synced: set[Path] = set()
    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    return synced


@pytest.fixture
def empty(new_world: World, tmp_path: Path) -> Iterator[World]:
    """A workspace without artefacts."""
    (tmp_path / "empty").mkdir()
    world = copy_world(new_world, tmp_path / "empty")
    yield world
    world.close()


@pytest.fixture
def world(told_world: World, tmp_path: Path) -> Iterator[World]:
    """A workspace with the dataset `d`, the model `m`, released on the evaluation `e`."""
    world = copy_world(told_world, tmp_path)
    yield world
    world.close()
