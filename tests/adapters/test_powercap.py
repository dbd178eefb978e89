"""Energy counters, on a tree of files as the kernel has it in /sys/class/powercap (this machine need not have one)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from proml.adapters.meters.powercap import Powercap

if TYPE_CHECKING:
    from pathlib import Path

RANGE_UJ = 262_143_328_850


def zone(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    return path / "energy_uj"


def test_packages_and_their_memory_count_and_nothing_twice(tmp_path: Path) -> None:
    first, second = (
        zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000),
        zone(tmp_path, "intel-rapl:1", "package-1", 5),
    )
    memory = zone(tmp_path, "intel-rapl:0:2", "dram", 0)
    within = [
        zone(tmp_path, "intel-rapl:0:0", "core", 0),
        zone(tmp_path, "intel-rapl:0:1", "uncore", 0),
        zone(tmp_path, "intel-rapl:2", "psys", 0),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    (tmp_path / "intel-rapl").mkdir()
    counter = Powercap(tmp_path)
    assert counter.read() == {"cpu": 0, "memory": 0}
    first.write_text("4500000\n")
    second.write_text("2000005\n")
    memory.write_text("250000\n")
    for path in within:
        path.write_text("999000000\n")
    assert counter.read() == {"cpu": 5.5, "memory": 0.25}
    assert counter.read() == {"cpu": 5.5, "memory": 0.25}


def test_a_counter_that_goes_round_goes_on_counting(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    counter = Powercap(tmp_path)
    path.write_text("2000000\n")
    assert counter.read() == {"cpu": 3.0}
    path.write_text("3000000\n")
    assert counter.read() == {"cpu": 4.0}


def test_what_was_used_while_nobody_looked_for_long_is_not_guessed(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    counter = Powercap(tmp_path)
    path.write_text("1000000\n")
    counter.read()
    path.write_text("9000000\n")
    counter.skip()
    path.write_text("9500000\n")
    assert counter.read() == {"cpu": 1.5}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_counters_that_only_the_superuser_may_read_are_not_there(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0).chmod(0)
    assert Powercap(tmp_path).read() == {}


def test_a_machine_without_counters_tells_none(tmp_path: Path) -> None:
    assert Powercap(tmp_path / "missing").read() == {}
    zone(tmp_path, "intel-rapl:0", "package-0", 0).write_text("no number\n")
    assert Powercap(tmp_path).read() == {}
