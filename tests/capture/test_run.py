from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proml
from proml.capture.recover import recover
from proml.core.record import validate_record

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded


def write(path: str | Path, content: str = "x") -> str:
    Path(path).write_text(content, encoding="utf-8")
    return str(path)


def test_a_published_run_leaves_one_valid_record_and_one_transition(here: Recorded) -> None:
    with proml.start_run("train", tags={"team": "a"}) as run:
        used = run.use(write("train.csv"), role="training data", uri="https://x.org/d", licence="CC0-1.0")
        run.log_params({"depth": 6, "path": here.root})
        run.log_metric("loss", 0.5, step=0)
        run.log_metric("loss", 0.25, step=1)
        run.note("looks fine")
        content = run.publish("tumour-model", write("model.joblib"), kind="model", action="train")
    record = here.record
    validate_record(record)
    assert record["type"] == "transition"
    assert record["artefact"] == {"name": "tumour-model", "kind": "model"}
    assert record["parameters"] == {"depth": 6, "path": str(here.root)}
    assert record["metrics"]["loss"] == {"last": 0.25, "min": 0.25, "max": 0.5, "count": 2}
    assert record["observations"]["count"] == 2
    assert record["notes"] == ["looks fine"]
    assert record["facts"]["tags"] == {"team": "a"}
    assert record["facts"].keys() == {"tags", "resources"}
    assert record["uses"][0] == {
        "role": "training data",
        "path": "train.csv",
        "content": used.content,
        "size_bytes": 1,
        "uri": "https://x.org/d",
        "licence": "CC0-1.0",
    }
    assert record["run"]["exit_status"] == 0
    assert record["run"]["environment"]["packages"]["pytest"]
    ((key, kind, body),) = here.intents
    assert (key, kind) == (f"{run.id}/0", "transition")
    assert (body["content"], body["action"], body["register"]) == (content, "train", True)
    assert body["uses"][0]["content"] == used.content


def test_a_run_that_publishes_nothing_is_anchored_by_its_record(here: Recorded) -> None:
    with proml.start_run() as run:
        run.log_metric("loss", 1)
    assert here.record["type"] == "run"
    ((key, kind, body),) = here.intents
    assert (key, kind, body["leaves"]) == (f"{run.id}/0", "anchor", 1)
    assert body["record"] == json.loads((here.run / "closed.json").read_text())["records"][0]


def test_each_publication_has_its_own_record_with_the_inputs_before_it(here: Recorded) -> None:
    with proml.start_run() as run:
        raw = run.use(write("raw.csv", "raw"))
        clean = run.publish("clean", write("clean.csv", "clean"))
        run.use("clean.csv")
        run.publish("model", write("model.pkl", "model"), action="train")
    by_name = {record["artefact"]["name"]: record for record in here.records}
    assert [use["content"] for use in by_name["clean"]["uses"]] == [raw.content]
    assert [use["content"] for use in by_name["model"]["uses"]] == [raw.content, clean]
    assert by_name["clean"]["salt"] != by_name["model"]["salt"]
    assert [key for key, _, _ in here.intents] == [f"{run.id}/0", f"{run.id}/1"]


def test_the_same_publication_twice_is_one_transition(here: Recorded) -> None:
    with proml.start_run() as run:
        run.publish("data", write("data.csv"))
        run.publish("data", "data.csv")
    assert len(here.intents) == 1


def test_kind_and_action_are_found_where_they_are_left_open(here: Recorded) -> None:
    with proml.start_run() as run:
        run.publish("data", write("data.csv"))
        run.publish("model", write("model.safetensors"))
        run.publish("evaluation", write("report.json"), kind="evaluation")
    said = {body["name"]: (body["kind"], body["action"]) for _, _, body in here.intents}
    assert said == {"data": ("dataset", "collect"), "model": ("model", "train"), "evaluation": ("evaluation", "report")}


def test_an_input_may_be_an_artefact_by_name(here: Recorded) -> None:
    with proml.start_run() as run:
        assert run.use("tumours@2").name == "tumours"
    assert here.record["uses"] == [{"role": "input", "path": "tumours@2", "name": "tumours", "version": "2"}]


def test_what_use_returns_can_be_opened(here: Recorded) -> None:
    with proml.start_run() as run:
        assert Path(run.use(write("a.txt", "hello"))).read_text(encoding="utf-8") == "hello"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad --password hunter2 token=abc"), 1),
        (SystemExit(3), 3),
        (SystemExit(None), 0),
        (SystemExit("text"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_exception_is_recorded_and_goes_on_unchanged(here: Recorded, error: BaseException, status: int) -> None:
    def script() -> None:
        with proml.start_run() as run:
            run.publish("data", write("data.csv"))
            raise error

    with pytest.raises(type(error)) as caught:
        script()
    assert caught.value is error
    assert here.record["run"]["exit_status"] == status
    assert "abc" not in json.dumps(here.record["run"].get("exception", ""))
    assert len(here.intents) == 1


def test_a_run_inside_a_run_names_its_parent(here: Recorded) -> None:
    with proml.start_run("outer") as outer:
        with proml.start_run("inner") as inner:
            assert proml.run is inner
        assert proml.run is outer
        assert os.environ["PROML_RUN"].endswith(outer.id)
    assert proml.run is None
    assert "PROML_RUN" not in os.environ
    parents = {record["run"]["name"]: record.get("facts", {}).get("parent_run") for record in here.records}
    assert parents == {"inner": outer.id, "outer": None}


def test_tasks_and_threads_speak_to_their_own_run(here: Recorded) -> None:
    async def task(name: str) -> None:
        with proml.start_run(name):
            await asyncio.sleep(0.01)
            proml.log_metric(name, 1)
            await asyncio.sleep(0.01)

    async def both() -> None:
        await asyncio.gather(task("a"), task("b"))

    asyncio.run(both())
    with proml.start_run("c"):
        thread = threading.Thread(target=proml.log_metric, args=("c", 1))
        thread.start()
        thread.join()
    assert {record["run"]["name"]: list(record["metrics"]) for record in here.records} == {
        "a": ["a"],
        "b": ["b"],
        "c": ["c"],
    }


def observe(run: proml.Run, name: str) -> None:
    for step in range(500):
        run.log_metric(name, step, step)


def test_threads_lose_and_mix_no_observation(here: Recorded) -> None:
    with proml.start_run() as run:
        threads = [threading.Thread(target=observe, args=(run, f"m{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {name: metric["count"] for name, metric in here.record["metrics"].items()} == {
        f"m{n}": 500 for n in range(8)
    }


def test_a_disabled_run_leaves_nothing_and_passes_paths_through(
    here: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROML_DISABLED", "1")
    with proml.start_run(strict=True) as run:
        assert run.use("missing.csv").path == "missing.csv"
        run.log_metric("loss", 1.0)
        assert run.publish("x", "missing") == ""
    assert here.runs == []


def test_a_program_that_a_run_starts_joins_it(here: Recorded) -> None:
    with proml.start_run("parent"):
        child = here.python(
            "import proml\n"
            "with proml.start_run('child') as run:\n"
            "    run.log_param('inner', 1)\n"
            "    open('d.csv','w').write('d'); run.publish('d', 'd.csv')\n"
        )
        assert (child.returncode, child.stderr) == (0, "")
    assert here.record["run"]["name"] == "parent"
    assert here.record["parameters"] == {"inner": 1}
    assert len(here.intents) == 1


def test_functions_without_start_run_join_the_run_that_the_environment_names(here: Recorded) -> None:
    with proml.start_run():
        assert here.python("import proml\nproml.log_metric('loss', 3)\n").stderr == ""
    assert here.record["metrics"]["loss"]["last"] == 3


def test_ranks_make_one_run_that_the_last_of_them_closes(here: Recorded) -> None:
    code = """
import os, subprocess, sys
import proml
if len(sys.argv) < 2:
    job = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}
    for n in range(3):  # one after the other: the first has left before the last comes
        subprocess.run([sys.executable, __file__, "rank"], env={**os.environ, **job, "RANK": str(n)}, check=True)
    sys.exit()
with proml.start_run("job") as run:
    rank = int(os.environ["RANK"])
    run.log_metric("loss", rank)
    open("model.pt" , "a").close()
    run.publish("model", "model.pt")
"""
    done = here.python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert here.run.name.startswith("torchrun-")
    assert here.record["metrics"]["loss"]["count"] == 3
    assert here.record["run"]["ranks"] == [0, 1, 2]
    assert here.record["run"]["world_size"] == 3
    assert len(here.intents) == 1


def test_a_job_of_which_one_rank_records_is_closed_by_the_next_recovery(
    here: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "4"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    with proml.start_run() as run:
        run.log_metric("loss", 1)
    assert here.intents == []
    assert len(recover(here.root).closed) == 1
    assert here.record["run"]["exit_status"] == 0


def test_an_id_used_again_is_a_run_of_its_own(here: Recorded) -> None:
    for _ in range(2):
        done = here.python("import proml\nwith proml.start_run(): pass\n", env={"PROML_RUN": "job-7"})
        assert done.stderr == ""
    assert [run.name for run in here.runs] == ["job-7", "job-7.2"]
    assert len({key for key, _, _ in here.intents}) == 2


def test_large_and_odd_values_still_make_a_valid_record(here: Recorded) -> None:
    with proml.start_run("a\nb\u202e", tags={"t": float("nan")}) as run:
        run.log_params({f"p{n}": "x" * 20_000 for n in range(500)})
        run.log_params({"\ud800": b"\x00", "big": 2**70, "set": {3, 1}, "self": run, "deep": [[[[[[[[[[1]]]]]]]]]]})
        for _ in range(400):
            run.note("n" * 9_000)
        run.log_metric("m\0\n", 10**400)
        run.log_metric("m2", float("-inf"))
    validate_record(here.record)
    assert here.record["facts"]["left_out"]["parameters"] > 0
    assert here.record["metrics"]["m2"]["last"] == "-Infinity"
