"""Runs of MLflow stores become runs of a working folder: all of them, once, and nothing else of the machine."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from proml.hashing import hash_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.frameworks.conftest import Recorded

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("mlflow")]

MAKE = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, pandas
from sklearn.linear_model import LogisticRegression
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("tumours")
frame = pandas.read_csv("train.csv")
mlflow.sklearn.autolog(log_datasets=True, registered_model_name="tumour-model")
with mlflow.start_run(run_name="first", tags={"ticket": "17"}) as run:
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step, timestamp=1_700_000_000_000 + step)
    mlflow.log_metric("odd", float("nan"))
    mlflow.log_input(mlflow.data.from_pandas(frame, source="train.csv", name="train"), context="training")
    mlflow.log_text("hello", "notes/a.txt")
    LogisticRegression(C=0.5).fit(frame[["a"]], frame["b"])
print(run.info.run_id)
"""
MORE = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("others")
with mlflow.start_run(run_name="second") as run:
    mlflow.log_param("depth", 3)
print(run.info.run_id)
mlflow.start_run(run_name="never ended")
sys.stdout.flush()
import os
os._exit(0)  # a process that is killed
"""


@dataclass(frozen=True)
class Stored:
    """An MLflow store."""

    root: Path
    path: Path
    uri: str
    run_id: str

    @property
    def artifacts(self) -> Path:
        (found,) = self.root.glob(f"mlruns/*/{self.run_id}/artifacts")
        return found

    @property
    def model(self) -> Path:
        (found,) = self.root.glob("mlruns/*/models/m-*/artifacts")
        return found


def make(kind: str, root: Path, script: Callable[..., str]) -> Stored:
    root.mkdir(exist_ok=True)
    (root / "train.csv").write_text("a,b\n1,0\n2,1\n3,0\n4,1\n")
    path, uri = root / "mlruns", str(root / "mlruns")
    if kind == "database":
        path, uri = root / "mlflow.db", f"sqlite:///{root}/mlflow.db"
    run_id = script(root, MAKE, uri, MLFLOW_ALLOW_FILE_STORE="true").splitlines()[-1]
    return Stored(root, path, uri, run_id)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory, script: Callable[..., str]) -> dict[str, Stored]:
    root = tmp_path_factory.mktemp("stores")
    return {kind: make(kind, root / kind, script) for kind in ("folder", "database")}


@pytest.fixture(params=["folder", "database"])
def stored(request: pytest.FixtureRequest, stores: dict[str, Stored], tmp_path: Path) -> Stored:
    """A copy of a store, somewhere else than it was made: what it says about its own place is no longer true."""
    made = stores[request.param]
    root = tmp_path / "moved"
    shutil.copytree(made.root, root)
    return Stored(root, root / made.path.name, made.uri, made.run_id)


@pytest.fixture
def folder(stores: dict[str, Stored], tmp_path: Path) -> Stored:
    root = tmp_path / "moved"
    shutil.copytree(stores["folder"].root, root)
    return Stored(root, root / "mlruns", "", stores["folder"].run_id)


def test_a_run_is_imported_with_all_that_it_has(here: Recorded, stored: Stored, proml: Any) -> None:
    found = proml("import", "--format", "mlflow", stored.path)
    (run,) = found["runs"]
    assert (run["id"], run["name"], run["uses"]) == (f"mlflow-{stored.run_id}", "first", 1)
    assert run["publishes"] == ["tumour-model"]
    (record,) = here.records
    assert record["artefact"] == {"name": "tumour-model", "kind": "model"}
    assert record["content"] == hash_path(stored.model).to_json()
    assert record["parameters"]["C"] == "0.5"
    assert record["metrics"]["loss"] == {"count": 5, "last": 0.2, "min": 0.2, "max": 1}
    assert record["metrics"]["odd"] == {"count": 1, "last": "NaN"}
    assert record["facts"]["tags"]["ticket"] == "17"
    assert "mlflow.user" not in str(record)
    stated = record["facts"]["imported"]
    assert (stated["format"], stated["experiment"], stated["status"]) == ("mlflow", "tumours", "FINISHED")
    assert stated["artifacts"]["content"] == f"sha256:{hash_path(stored.artifacts).digest.hex()}"
    (train,) = (dataset for dataset in stated["datasets"] if dataset["name"] == "train")
    content = f"sha256:{hash_path(stored.root / 'train.csv').digest.hex()}"
    assert train["content"] == content != train["mlflow_digest"]
    assert [used["content"] for used in record["uses"]] == [content]
    lines = next(here.run.glob("*-imported.jsonl")).read_text().splitlines()
    assert '{"m":"loss","v":0.25,"s":3,"t":1700000000003000000}' in lines
    assert [kind for _, kind, _ in here.intents] == ["transition"]


def test_importing_again_adds_what_is_new_and_nothing_else(
    here: Recorded, stores: dict[str, Stored], tmp_path: Path, proml: Any, script: Callable[..., str]
) -> None:
    root = tmp_path / "store"
    shutil.copytree(stores["database"].root, root)
    uri = f"sqlite:///{root}/mlflow.db"
    assert len(proml("import", "--format", "mlflow", uri)["runs"]) == 1
    before = here.intents, here.records
    again = proml("import", "--format", "mlflow", uri)
    assert (again["runs"], again["known"]) == ([], [f"mlflow-{stores['database'].run_id}"])
    assert (here.intents, here.records) == before
    second = script(root, MORE, uri)
    assert not proml("import", "--format", "mlflow", uri, "--experiment", "tumours")["runs"]
    assert proml("import", "--format", "mlflow", uri, "--dry-run")["runs"][0]["id"] == f"mlflow-{second}"
    assert len(here.runs) == 1
    new = proml("import", "--format", "mlflow", uri)
    assert [run["name"] for run in new["runs"]] == ["second"]
    assert "has not ended" in new["skipped"][0]["reason"]
    unfinished = proml("import", "--format", "mlflow", uri, "--unfinished")
    assert [run["name"] for run in unfinished["runs"]] == ["never ended"]
    assert [record["facts"].get("interrupted") for record in here.records].count(True) == 1
    assert [kind for _, kind, _ in here.intents] == ["transition", "anchor", "anchor"]


def test_a_store_is_not_changed_by_reading_it(here: Recorded, stored: Stored, proml: Any) -> None:
    before = hash_path(stored.root)
    proml("import", "--format", "mlflow", stored.path)
    assert hash_path(stored.root) == before


def test_content_outside_of_the_store_is_not_read(
    here: Recorded, folder: Stored, tmp_path_factory: pytest.TempPathFactory, proml: Any
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("1234")
    meta = next(folder.path.glob(f"*/{folder.run_id}/meta.yaml"))
    lines = meta.read_text().splitlines()
    for uri in (
        f"file://{secret.parent}",
        os.path.relpath(secret.parent, folder.root),
        f"{folder.path}/{os.path.relpath(secret.parent, folder.path)}",
    ):
        changed = [f"artifact_uri: {uri}" if line.startswith("artifact_uri") else line for line in lines]
        meta.write_text("\n".join(changed))
        (run,) = proml("import", "--format", "mlflow", folder.path, "--dry-run")["runs"]
        assert any(remark.startswith("artifacts:") and "outside" in remark for remark in run["remarks"]), uri
    proml("import", "--format", "mlflow", folder.path)
    assert "artifacts" not in here.record["facts"]["imported"]
    assert any("outside of" in remark for remark in here.record["facts"]["imported"]["unread"])


def test_a_link_among_artifacts_is_not_followed(here: Recorded, folder: Stored, proml: Any) -> None:
    (folder.artifacts / "passwd").symlink_to("/etc/passwd")
    (run,) = proml("import", "--format", "mlflow", folder.path)["runs"]
    assert any("symbolic link" in remark and "passwd" in remark for remark in run["remarks"])
    assert "artifacts" not in here.record["facts"]["imported"]


def test_a_run_whose_files_are_no_files_is_skipped_by_name(here: Recorded, folder: Stored, proml: Any) -> None:
    run = folder.artifacts.parent

    def skipped() -> str:
        found = proml("import", "--format", "mlflow", folder.path)
        assert found["runs"] == []
        reasons = [one["reason"] for one in found["skipped"] if one["what"] == f"run {folder.run_id}"]
        assert len(reasons) == 1, found
        return str(reasons[0])

    (run / "params" / "stolen").symlink_to("/etc/passwd")
    assert "stolen" in skipped()
    (run / "params" / "stolen").unlink()
    os.mkfifo(run / "tags" / "pipe")
    assert "pipe" in skipped()
    (run / "tags" / "pipe").unlink()
    with (run / "params" / "huge").open("wb") as file:
        file.truncate(1 << 33)
    assert "huge" in skipped()
    (run / "params" / "huge").unlink()
    (run / "meta.yaml").rename(run / "meta")
    assert "half written" in skipped()
    (run / "meta.yaml").write_text("run_id: [")
    assert not here.runs
    found = proml("import", "--format", "mlflow", folder.path)
    assert (found["runs"], here.runs) == ([], [])
    assert any(folder.run_id in one["what"] for one in found["skipped"])


def test_a_store_with_links_in_place_of_experiments_is_refused(here: Recorded, folder: Stored, proml: Any) -> None:
    (folder.path / "17").symlink_to("/etc")
    error = proml("import", "--format", "mlflow", folder.path, code=2)
    assert "symbolic link" in error["error"]["message"]
    assert not here.runs


def test_what_is_no_store_is_refused(here: Recorded, tmp_path: Path, proml: Any) -> None:
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE runs (x)")
    other.close()
    (tmp_path / "text.db").write_text("no database at all, just some text that is long enough" * 9)
    (tmp_path / "folder").mkdir()
    for path in ("other.db", "text.db", "folder", "missing.db", "https://127.0.0.1/", "sqlite:///missing.db"):
        proml("import", "--format", "mlflow", path, code=2)
    assert not here.runs


def test_a_model_is_published_under_another_name(here: Recorded, folder: Stored, proml: Any) -> None:
    (run,) = proml("import", "--format", "mlflow", folder.path, "--name", "tumour-model=study/tumours")["runs"]
    assert run["publishes"] == ["study/tumours"]


def test_a_name_that_is_none_here_is_a_remark(here: Recorded, folder: Stored, proml: Any) -> None:
    (run,) = proml("import", "--format", "mlflow", folder.path, "--name", "tumour-model=no name!")["runs"]
    assert run["publishes"] == []
    assert any("no name!" in remark for remark in run["remarks"])
    assert here.intents[0][1] == "anchor"
