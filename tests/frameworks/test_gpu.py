"""Graphics processors through NVIDIA's real Python library, with a stand-in for the driver below it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.frameworks.conftest import Recorded

RUN = """
import proml, time
with proml.start_run("train"):
    time.sleep(1.6)
"""
FAILING = """
import pynvml, time, proml
def lost(handle): raise RuntimeError("the device fell off the bus")
pynvml.nvmlDeviceGetUtilizationRates = lost
with proml.start_run("train"):
    time.sleep(1.6)
print("went on")
"""


@pytest.fixture
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make the stand-in with")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("nvml.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", source], check=True)
    return str(folder)


def test_what_the_devices_did_is_in_the_record(here: Recorded, script: Callable[..., str], driver: str) -> None:
    script(here.root, RUN, LD_LIBRARY_PATH=driver, PROML_SAMPLE_S="0.5")
    (machine,) = here.record["facts"]["resources"]["machines"]
    first, second = machine["gpus"]
    assert machine["gpu_driver"] == "580.65.06"
    steady = {"min": 90, "mean": 90, "max": 90, "last": 90}
    assert (first["name"], first["utilisation_percent"]) == ("NVIDIA H100", steady)
    assert first["memory_bytes"]["max"] == 30_000_000_000
    assert first["power_w"]["mean"] == 350
    assert second.keys() == {"name", "utilisation_percent", "memory_bytes"}, "it tells neither power nor energy"
    assert second["name"] == "NVIDIA K80"
    joules = machine["energy_j"]["gpu"]
    assert joules > 0
    assert joules % 14 == 0, "the counter of one device: 7 J more for each question, of which each reading asks two"
    assert machine["energy_seconds"] > 0


def test_a_device_that_is_lost_is_one_warning(here: Recorded, driver: str) -> None:
    environment = {"LD_LIBRARY_PATH": driver, "PROML_SAMPLE_S": "0.5"}
    done = here.python(FAILING, env=environment)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert done.stderr.count("proml: ") == 1
    assert "fell off the bus" in done.stderr
    assert here.record["run"]["exit_status"] == 0


def test_a_machine_without_a_driver_has_no_such_devices(here: Recorded, script: Callable[..., str]) -> None:
    script(here.root, RUN, PROML_SAMPLE_S="0.5")
    assert "gpus" not in json.dumps(here.record["facts"]["resources"])
