"""The whole story of several organisations in several folders, by the command line on a real embedded ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Person, Study


@pytest.fixture(scope="module")
def evaluated(study: Study) -> Study:
    """A dataset checked by a second organisation, a model trained on it, and its evaluation by the verifier."""
    developer, verifier = study.developer, study.verifier
    developer.write("data/train.csv", "size,label\n1,0\n")
    developer.write("model.bin", "weights")
    developer("register", "tumours", "--kind", "dataset")
    developer("act", "tumours", "collect", "data")
    developer.write("data/labels.csv", "0\n1\n")
    developer("act", "tumours", "label", "data")
    verifier("act", "tumours", "check-labels", "--reason", "20 of 20 agree")
    developer("act", "tumours", "publish")
    developer("act", "model", "train", "model.bin", "--kind", "model", "--use", "training data=tumours")
    verifier.write("report.json", '{"sensitivity": 0.97}')
    verifier("act", "report", "report", "report.json", "--kind", "evaluation", "--use", "model", "--use", "tumours")
    return study


def test_a_dataset_becomes_usable_only_after_another_organisation_checked_it(study: Study) -> None:
    developer = study.developer
    developer.write("raw.csv", "1")
    developer("act", "scans", "collect", "raw.csv", "--kind", "dataset")
    developer("act", "scans", "label", "raw.csv")
    own = developer.json("act", "scans", "check-labels", code=3)
    assert own["error"]["rule"] in ("FourEyes", "RoleMissing")
    assert study.verifier.json("act", "scans", "check-labels")["state_after"] == "checked"
    assert developer.json("act", "scans", "publish")["state_after"] == "published"


def test_a_model_is_released_after_two_other_organisations_endorsed_its_evaluation(evaluated: Study) -> None:
    developer, verifier, operator, auditor = (
        evaluated.developer, evaluated.verifier, evaluated.operator, evaluated.auditor
    )  # fmt: skip
    refused = developer.json("endorse", "model", "approve", "--use", "report", code=3)
    assert refused["error"]["rule"] in ("FourEyes", "RoleMissing")
    first = verifier.json("endorse", "model", "approve", "--use", "report", "--reason", "as agreed")
    assert (first["ballot"]["endorsed"], first["ballot"]["needed"]) == (1, 2)
    early = operator.json("act", "model", "approve", code=3)
    assert early["error"]["rule"] == "QuorumMissing"
    second = auditor.json("endorse", "model", "approve")
    assert second["uses"][0]["name"] == "report"
    assert second["ballot"]["reached"] is True
    status = developer("status", "model").out
    assert "2 endorsed" in status
    assert "as agreed" in status
    done = operator.json("act", "model", "approve")
    assert (done["state_before"], done["state_after"]) == ("trained", "approved")
    assert developer.json("act", "model", "release")["state_after"] == "released"
    log = developer("log", "model").out
    assert log.index("release") < log.index("approve") < log.index("train")


def test_every_member_sees_the_same_history(evaluated: Study) -> None:
    heads = {
        person.json("log", "tumours")["history"][0]["head"]
        for person in (evaluated.developer, evaluated.verifier, evaluated.operator, evaluated.auditor)
    }
    assert len(heads) == 1


def test_lineage_goes_both_ways(evaluated: Study) -> None:
    up = evaluated.auditor.json("lineage", "model")
    assert "tumours@2" in {node["label"] for node in up["nodes"]}
    down = evaluated.auditor.json("lineage", "tumours", "--down")
    assert {"model@1", "report@1"} <= {node["label"] for node in down["nodes"]}
    assert evaluated.auditor("lineage", "model", "--format", "mermaid").out.startswith(("graph", "flowchart"))


def test_a_rejection_is_recorded_and_shown(study: Study) -> None:
    developer, verifier = study.developer, study.verifier
    developer.write("weak.bin", "weak")
    developer("act", "sample", "collect", "weak.bin", "--kind", "source")
    developer("act", "weak", "train", "weak.bin", "--kind", "model", "--use", "sample")
    verifier.write("weak.json", "{}")
    verifier("act", "weak-report", "report", "weak.json", "--kind", "evaluation", "--use", "weak")
    answer = verifier.json("reject", "weak", "approve", "--use", "weak-report", "--reason", "too few cases")
    assert (answer["ballot"]["endorsed"], answer["ballot"]["rejected"]) == (0, 1)
    assert "too few cases" in study.auditor("status", "weak").out


def test_a_vote_does_not_outlive_a_change_of_content(study: Study) -> None:
    developer, verifier, auditor, operator = study.developer, study.verifier, study.auditor, study.operator
    developer.write("v1.bin", "one")
    developer("act", "moving-data", "collect", "v1.bin", "--kind", "source")
    developer("act", "moving", "train", "v1.bin", "--kind", "model", "--use", "moving-data")
    verifier.write("moving.json", "{}")
    verifier("act", "moving-report", "report", "moving.json", "--kind", "evaluation", "--use", "moving")
    verifier("endorse", "moving", "approve", "--use", "moving-report")
    auditor("endorse", "moving", "approve")
    developer.write("v2.bin", "two")
    developer("act", "moving", "train", "v2.bin", "--use", "moving-data")
    refused = operator.json("act", "moving", "approve", "--use", "moving-report", code=3)
    assert refused["error"]["rule"] == "QuorumMissing"


def test_diff_names_what_changed_between_versions(study: Study) -> None:
    developer = study.developer
    developer.write("grid/a.txt", "1")
    developer.write("params.json", '{"parameters": {"depth": 3}}')
    developer("act", "grid", "collect", "grid", "--kind", "source", "--record", "params.json")
    developer.write("grid/a.txt", "2")
    developer.write("params.json", '{"parameters": {"depth": 6}}')
    developer("act", "grid", "collect", "grid", "--record", "params.json")
    changed = developer.json("diff", "grid@1", "grid@2")
    assert [change["what"] for change in changed["content"]] == ["a.txt"]
    assert [(c["what"], c["before"], c["after"]) for c in changed["parameters"]] == [("depth", 3, 6)]


def test_verify_is_a_gate(evaluated: Study) -> None:
    developer = evaluated.developer
    developer("verify", "data", "--as", "tumours")
    wrong_state = developer.json("verify", "model.bin", "--state", "revoked", code=4)
    assert wrong_state["ok"] is False
    assert wrong_state["error"]["type"] == "VerificationError"
    developer.write("data/train.csv", "size,label\n1,1\n")
    changed = developer("verify", "data", "--as", "tumours", code=4)
    assert "train.csv" in changed.out
    developer.write("data/train.csv", "size,label\n1,0\n")
    developer("verify", "tumours")


def test_a_run_is_recorded_and_sent_by_sync(alone: Person) -> None:
    alone.write("in.csv", "1")
    alone("act", "rows", "collect", "in.csv", "--kind", "source")
    copy = ("cp", "in.csv", "out.txt")
    ran = alone("run", "--use", "rows", "--publish", "summary=out.txt", "--kind", "source", "--", *copy)
    assert "summary" in ran.err
    sent = alone.json("sync")
    assert {entry["state"] for entry in sent["entries"]} == {"confirmed"}
    assert alone.json("status", "summary")["artefacts"][0]["version"] == 1


def test_the_exit_code_of_a_run_is_the_programs(alone: Person) -> None:
    alone("run", "--", "sh", "-c", "exit 7", code=7)
    alone("run", "--", "no-such-program", code=127)


def test_a_workspace_of_one_says_what_it_cannot_do(newcomer: Callable[[str], Person]) -> None:
    person = newcomer("single")
    said = person("init").out
    assert "model: approve" in said
    assert "dataset: check-labels" in said
    person.write("m", "1")
    person("act", "d", "collect", "m", "--kind", "source")
    person("act", "m", "train", "m", "--kind", "model", "--use", "d")
    assert person.json("endorse", "m", "approve", "--use", "d", code=3)["error"]["rule"] == "FourEyes"
