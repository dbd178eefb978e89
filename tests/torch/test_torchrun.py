"""Real torchrun jobs: several processes, one logical run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded

ROOT = Path(__file__).parents[2]
BY_HAND = """
import torch, torch.distributed as dist
import proml
dist.init_process_group("gloo")
rank = dist.get_rank()
with proml.start_run("by hand") as run:
    total = torch.tensor([float(rank)])
    dist.all_reduce(total)
    run.log_metric(f"sum.{rank}", total, step=rank)
    if rank == 0:
        torch.save({"sum": total}, "model.pt")
    dist.barrier()
    run.publish("model", "model.pt", kind="model", action="train")
dist.destroy_process_group()
"""
WITH_LIGHTNING = """
from proml.integrations.lightning import Callback, Logger
from tests.torch.lightning_model import Line, data, trainer
trainer(
    logger=Logger(), callbacks=[Callback("model", action="train")], devices=2, strategy="ddp", max_epochs=1,
    enable_checkpointing=False,
).fit(Line(), data())
"""
WITH_A_TRAINER = """
from proml.integrations.transformers import Callback
from tests.torch.transformers_model import model, trainer
trainer(model(), Callback(publish="model", action="train"), ddp_backend="gloo").train()
"""


def torchrun(here: Recorded, script: str, processes: int) -> None:
    (here.root / "script.py").write_text(script, encoding="utf-8")
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "script.py"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=here.root,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "proml:" not in done.stderr


def test_ranks_are_one_run_and_publish_once(here: Recorded) -> None:
    torchrun(here, BY_HAND, 4)
    record = here.record
    assert record["run"]["ranks"] == [0, 1, 2, 3]
    assert record["run"]["world_size"] == 4
    for rank in range(4):
        assert record["metrics"][f"sum.{rank}"] == {"last": 6, "min": 6, "max": 6, "count": 1}
    ((_, kind, _),) = here.intents
    assert kind == "transition"


@pytest.mark.parametrize(
    ("script", "observations"), [(WITH_LIGHTNING, 2), (WITH_A_TRAINER, 4)], ids=["Lightning", "HF"]
)
def test_a_framework_under_torchrun_records_each_step_once(here: Recorded, script: str, observations: int) -> None:
    torchrun(here, script, 2)
    record = here.record
    assert record["run"]["ranks"] == [0, 1]
    assert record["metrics"]["loss"]["count"] == observations
    assert record["artefact"]["name"] == "model"
    assert len(here.intents) == 1
