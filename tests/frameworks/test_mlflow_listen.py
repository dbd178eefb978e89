"""What MLflow records while ProML listens lands in ProML, and importing it later adds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.capture.conftest import PACKAGE

from proml.hashing import hash_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.frameworks.conftest import Recorded

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("mlflow")]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "mlflow.md"
BEGIN = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, pandas, proml
from proml.integrations.mlflow import listen
mlflow.set_tracking_uri(sys.argv[1])
"""
TRAIN = """
from sklearn.linear_model import LogisticRegression
frame = pandas.read_csv("train.csv")
mlflow.sklearn.autolog(registered_model_name="tumour-model")
with mlflow.start_run(run_name="before"):
    mlflow.log_metric("before", 1)
with proml.start_run("train") as run, listen():
    source = mlflow.data.from_pandas(frame, source="train.csv", name="train")
    with mlflow.start_run(run_name="inside"):
        mlflow.log_input(source, context="training")
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        LogisticRegression(C=0.5).fit(frame[["a"]], frame["b"])
mlflow.start_run(run_name="after")
mlflow.end_run()
print(run.id)
"""
MANY = """
with proml.start_run("train") as run, listen():
    with mlflow.start_run(run_name="outer"):
        for depth in (1, 2):
            with mlflow.start_run(run_name=f"inner {depth}", nested=True):
                mlflow.log_param("depth", depth)
    try:
        with mlflow.start_run(run_name="failed"):
            mlflow.log_metric("loss", 9)
            raise ValueError("no convergence")
    except ValueError:
        pass
    mlflow.start_run(run_name="goes on")
print(run.id)
"""
ALONE = """
with listen():
    with mlflow.start_run() as made:
        mlflow.log_metric("a", 1)
print(mlflow.get_run(made.info.run_id).data.tags.get("proml.run_id"))
"""
BROKEN = """
with proml.start_run("train", strict=len(sys.argv) > 2) as run:
    try:
        with listen():
            with mlflow.start_run(): pass
            mlflow.set_tracking_uri("sqlite:////dev/null/mlflow.db")
            if len(sys.argv) > 3: raise KeyError("the script's own")
    except Exception as error:
        print(type(error).__name__)
print("went on")
"""


@pytest.fixture(params=["database", "folder"])
def store(request: pytest.FixtureRequest, here: Recorded) -> tuple[str, str]:
    """Where MLflow keeps runs: what it is told, and the path to import."""
    (here.root / "train.csv").write_text("a,b\n1,0\n2,1\n3,0\n4,1\n")
    if request.param == "folder":
        return str(here.root / "mlruns"), str(here.root / "mlruns")
    return "sqlite:///mlflow.db", str(here.root / "mlflow.db")


def test_an_autologged_run_lands_in_proml_with_all_that_it_has(
    here: Recorded, script: Callable[..., str], proml: Any, store: tuple[str, str]
) -> None:
    run_id = script(here.root, BEGIN + TRAIN, store[0], MLFLOW_ALLOW_FILE_STORE="true").splitlines()[-1]
    (own,) = (record for record in here.records if record["run"]["id"] == run_id)
    (taken,) = (record for record in here.records if record["run"]["id"] != run_id)
    assert own["run"]["name"] == "train"
    assert (taken["run"]["name"], taken["run"]["id"][:7]) == ("inside", "mlflow-")
    assert taken["facts"]["parent_run"] == run_id
    assert taken["facts"]["tags"]["proml.run_id"] == run_id
    assert taken["facts"]["tags"]["proml.run_name"] == "train"
    assert taken["parameters"]["C"] == "0.5"
    assert taken["metrics"]["loss"] == {"count": 3, "last": 1 / 3, "min": 1 / 3, "max": 1}
    assert taken["metrics"]["training_accuracy_score"]["count"] == 1
    content = f"sha256:{hash_path(here.root / 'train.csv').digest.hex()}"
    assert [used["content"] for used in taken["uses"]] == [content]
    (model,) = here.root.glob("mlruns/*/models/m-*/artifacts")
    assert taken["artefact"] == {"name": "tumour-model", "kind": "model"}
    assert taken["content"] == hash_path(model).to_json()
    assert [kind for _, kind, _ in here.intents] == ["transition", "anchor"]
    later = proml("import", "--format", "mlflow", store[1])
    assert later["known"] == [taken["run"]["id"]]
    assert sorted(run["name"] for run in later["runs"]) == ["after", "before"]


def test_nested_and_failed_runs_are_taken_over_and_those_that_go_on_are_left(
    here: Recorded, script: Callable[..., str], store: tuple[str, str]
) -> None:
    run_id = script(here.root, BEGIN + MANY, store[0], MLFLOW_ALLOW_FILE_STORE="true").splitlines()[-1]
    taken = {record["run"]["name"]: record for record in here.records if record["run"]["id"] != run_id}
    assert taken.keys() == {"outer", "inner 1", "inner 2", "failed"}
    assert {record["facts"]["parent_run"] for record in taken.values()} == {run_id}
    assert taken["inner 2"]["parameters"] == {"depth": "2"}
    outer = taken["outer"]["run"]["id"].removeprefix("mlflow-")
    assert taken["inner 1"]["facts"]["tags"]["mlflow.parentRunId"] == outer
    assert taken["failed"]["facts"]["imported"]["status"] == "FAILED"


def test_the_snippet_of_the_documentation_records(here: Recorded, script: Callable[..., str]) -> None:
    code = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    script(here.root, "import warnings; warnings.simplefilter('ignore')\n" + code)
    own, taken = sorted(here.records, key=lambda record: "artefact" in record)
    assert taken["facts"]["parent_run"] == own["run"]["id"]
    assert taken["artefact"]["name"] == "tumour-model"


def test_without_a_run_of_proml_nothing_is_tagged_or_taken_over(here: Recorded, script: Callable[..., str]) -> None:
    assert script(here.root, BEGIN + ALONE, "sqlite:///mlflow.db").splitlines()[-1] == "None"
    assert script(here.root, BEGIN + ALONE, "sqlite:///mlflow.db", PROML_RUN="x", PROML_DISABLED="1").endswith("None")
    assert here.runs == []


def test_a_program_that_a_run_starts_has_its_runs_tagged(here: Recorded, script: Callable[..., str]) -> None:
    code = BEGIN + ALONE.replace("with listen():", "if True:")
    around = (
        "import proml, subprocess, sys\n"
        "with proml.start_run('around') as run:\n"
        "    subprocess.run([sys.executable, '-c', sys.argv[1], 'sqlite:///mlflow.db'], check=True)\n"
        "print(run.id)\n"
    )
    tag, run_id = script(here.root, around, code).splitlines()[-2:]
    assert tag == run_id


@pytest.mark.parametrize(
    ("more", "said"), [((), []), (("strict",), ["ContentError"]), (("strict", "fails"), ["KeyError"])]
)
def test_a_failure_while_listening_is_a_warning_unless_the_run_is_strict(
    here: Recorded, more: tuple[str, ...], said: list[str]
) -> None:
    command = [sys.executable, "-c", BEGIN + BROKEN, "sqlite:///mlflow.db", *more]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(
        command, cwd=here.root, env=environment, capture_output=True, text=True, timeout=800, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, [*said, "went", "on"]), done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("proml: ")]
    assert len(warnings) == (0 if more else 1)
    assert all("could not list the runs" in line for line in warnings)
