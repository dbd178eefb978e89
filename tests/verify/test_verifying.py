"""The deploy gate: each thing that can be wrong is found, named, and told where."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sql
from tests.worlds import Relaying, World, copy_world, single, tree

from proml.core.events import Transitioned, topic_of
from proml.core.operation import Registration
from proml.errors import ContentError, UnknownName, VerificationError
from proml.index import schema
from proml.index.schema import writing
from proml.verify import verifying
from proml.verify.verifying import Demand, Witnesses, verify_name, verify_path, verify_paths

if TYPE_CHECKING:
    from pathlib import Path

    from proml.verify.report import Report

RELEASED = Demand(state="released")


@pytest.fixture
def model_file(world: World, tmp_path: Path) -> Path:
    world.follow()
    path = tmp_path / "m.joblib"
    path.write_text("weights")
    return path


def witnesses(world: World, **changes: Any) -> Witnesses:
    return Witnesses(**{"model": world.model, "ledger": world.ledger, "store": world.store, **changes})


def codes(report: Report, *levels: str) -> list[str]:
    return [finding.code for finding in report.findings if not levels or finding.level in levels]


def found(report: Report, code: str) -> Any:
    return next(finding for finding in report.findings if finding.code == code)


def test_a_released_model_passes(world: World, model_file: Path) -> None:
    report = verify_path(witnesses(world), model_file, RELEASED)
    assert (report.ok, report.findings) == (True, ())
    assert report.require() is report
    assert report.facts["label"] == "m@1"
    assert (report.facts["ancestors"], report.facts["final"]) == (2, True)
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


def test_one_changed_bit_is_refused_and_the_file_named(world: World, model_file: Path) -> None:
    model_file.write_text("weightr")
    report = verify_path(witnesses(world), model_file, RELEASED)
    assert codes(report) == ["content-unknown", "file-changed"]
    assert "m@1" in found(report, "content-unknown").message
    changed = found(report, "file-changed")
    assert changed.where == str(model_file)
    assert changed.expected.startswith("sha256:9a129038")
    with pytest.raises(VerificationError, match=r"m\.joblib") as error:
        report.require()
    assert error.value.report is report


def test_changed_missing_and_added_files_of_a_folder_are_named(world: World, tmp_path: Path) -> None:
    world.register("data", "scans", "dataset")
    world.act("data", "scans", "collect", tree(a="1", b="2", c="3", d="4"))
    world.follow()
    folder = tmp_path / "delivery"
    folder.mkdir()
    for name, text in {"a": "1", "b": "2", "c": "changed", "x": "new"}.items():
        (folder / name).write_text(text)
    report = verify_path(witnesses(world), folder)
    by_code = {finding.code: finding.where for finding in report.findings}
    assert by_code["file-changed"] == f"{folder}/c"
    assert by_code["file-missing"] == f"{folder}/d"
    assert by_code["file-added"] == f"{folder}/x"
    assert "scans@1" in found(report, "content-unknown").message


def test_more_than_twenty_differing_files_are_counted(world: World, tmp_path: Path) -> None:
    world.register("data", "scans", "dataset")
    world.act("data", "scans", "collect", tree(**{f"f{n}": "agreed" for n in range(60)}))
    world.follow()
    folder = tmp_path / "delivery"
    folder.mkdir()
    for n in range(60):
        (folder / f"f{n}").write_text("agreed" if n < 20 else "changed")
    report = verify_path(witnesses(world), folder)
    assert codes(report).count("file-changed") == 20
    assert "20 more" in found(report, "files-more").message


def test_content_that_resembles_nothing_is_unknown(world: World, tmp_path: Path) -> None:
    world.follow()
    path = tmp_path / "zzzzzzzz"
    path.write_text("never seen")
    assert codes(verify_path(witnesses(world), path)) == ["content-unknown"]


def test_content_of_an_older_version_is_superseded(world: World, tmp_path: Path) -> None:
    world.follow()
    path = tmp_path / "raw.csv"
    path.write_text("raw d")
    report = verify_path(witnesses(world), path)
    assert codes(report) == ["content-superseded"]
    assert "d@1" in found(report, "content-superseded").message
    assert codes(verify_path(witnesses(world), path, Demand(name="d@1"))) == ["content-superseded"]


def test_another_artefact_than_the_one_demanded_is_refused(world: World, model_file: Path) -> None:
    report = verify_path(witnesses(world), model_file, Demand(name="d"))
    assert "content-of-other" in codes(report, "error")
    assert "m@1" in found(report, "content-of-other").message


def test_a_name_that_does_not_exist_is_the_users_mistake(world: World, model_file: Path) -> None:
    with pytest.raises(UnknownName):
        verify_path(witnesses(world), model_file, Demand(name="nobody"))
    with pytest.raises(UnknownName):
        verify_name(witnesses(world), "nobody")


def test_a_model_that_is_not_released_yet_is_refused(world: World, tmp_path: Path) -> None:
    world.trained("n", "d", text="young")
    world.follow()
    path = tmp_path / "n"
    path.write_text("young")
    report = verify_path(witnesses(world), path, RELEASED)
    assert codes(report) == ["state-differs"]
    assert (found(report, "state-differs").expected, found(report, "state-differs").found) == ("released", "trained")
    assert verify_path(witnesses(world), path).ok


def test_a_revoked_model_is_refused_whatever_was_demanded(world: World, model_file: Path) -> None:
    world.act("auditor", "m", "revoke")
    world.follow()
    assert codes(verify_path(witnesses(world), model_file)) == ["state-revoked"]
    assert codes(verify_path(witnesses(world), model_file, RELEASED)) == ["state-revoked"]


def test_a_dataset_revoked_after_the_release_refuses_the_model(world: World, model_file: Path) -> None:
    world.act("data", "d", "revoke")
    world.follow()
    report = verify_path(witnesses(world), model_file, RELEASED)
    assert codes(report) == ["ancestor-revoked"]
    assert found(report, "ancestor-revoked").where == "m@1 ← d@2"


def test_a_revoked_evaluation_refuses_the_model_approved_on_it(world: World, model_file: Path) -> None:
    world.act("auditor", "e", "revoke")
    world.follow()
    assert codes(verify_path(witnesses(world), model_file)) == ["ancestor-revoked"]


def test_a_revocation_is_found_though_the_index_was_not_followed(world: World, model_file: Path) -> None:
    world.act("data", "d", "revoke")
    report = verify_path(witnesses(world), model_file, RELEASED)
    assert {"ancestor-revoked", "index-differs"} <= set(codes(report, "error"))


def test_evidence_about_another_model_is_revealed(world: World, tmp_path: Path) -> None:
    world.trained("bad", "d", text="bad weights")
    world.released("bad", "d", "e")  # the contract asks for an evaluation, and `e` is one: of `m`
    world.follow()
    path = tmp_path / "bad"
    path.write_text("bad weights")
    report = verify_path(witnesses(world), path, RELEASED)
    assert codes(report) == ["evidence-elsewhere"]
    assert "m@1" in found(report, "evidence-elsewhere").found


def test_the_same_content_revoked_under_another_name_is_refused(world: World, model_file: Path) -> None:
    world.trained("laundered", "d", text="weights")
    world.act("auditor", "m", "revoke")
    world.follow()
    report = verify_path(witnesses(world), model_file)
    assert codes(report, "error") == ["content-revoked"]
    assert "content-shared" in codes(report)


def test_confirmations_and_finality_are_demanded_of_the_last_transition(world: World, model_file: Path) -> None:
    assert codes(verify_path(witnesses(world), model_file, Demand(confirmations=1))) == ["not-confirmed"]
    world.register("data", "later", "dataset")
    world.follow()
    assert verify_path(witnesses(world), model_file, Demand(confirmations=1, final=True)).ok
    ledger = Relaying(world.ledger)
    ledger.finalized = lambda: 0  # type: ignore[method-assign]
    report = verify_path(witnesses(world, ledger=ledger), model_file, Demand(final=True))
    assert codes(report) == ["not-confirmed"]


def test_a_version_without_content_has_nothing_to_verify(world: World) -> None:
    world.register("data", "new", "dataset")
    world.follow()
    assert codes(verify_name(witnesses(world), "new")) == ["version-missing"]


def test_a_superseded_version_asked_for_by_name_is_refused(world: World) -> None:
    world.follow()
    assert verify_name(witnesses(world), "d@2").ok
    assert verify_name(witnesses(world), "m", RELEASED).ok
    assert codes(verify_name(witnesses(world), "d@1")) == ["version-superseded"]


# ------------------------------------------------------------------------------------------------ lying witnesses


def test_a_node_that_hides_a_revocation_contradicts_its_contract(world: World, model_file: Path) -> None:
    world.act("developer", "m", "revoke")
    ledger = Relaying(world.ledger)
    newest = world.ledger.newest().number
    ledger.drop = lambda log: log.block_number == newest
    world.follow(ledger=ledger)  # the index cannot see it either
    report = verify_path(witnesses(world, ledger=ledger), model_file, RELEASED)
    assert "chain-inconsistent" in codes(report, "error")


def test_a_node_that_hides_an_ancestors_revocation_contradicts_its_contract(world: World, model_file: Path) -> None:
    world.act("data", "d", "revoke")
    ledger = Relaying(world.ledger)
    newest = world.ledger.newest().number
    ledger.drop = lambda log: log.block_number == newest
    world.follow(ledger=ledger)
    report = verify_path(witnesses(world, ledger=ledger), model_file, RELEASED)
    assert {"ancestor-revoked", "index-differs"} <= set(codes(report, "error"))


def test_a_node_with_a_forged_event_is_found_out(world: World, model_file: Path) -> None:
    ledger = Relaying(world.ledger)
    topic = topic_of(Transitioned)

    def forge(log: Any) -> Any:
        if log.topics[0] == topic and log.topics[1] == world.artefact("m"):
            return dataclasses.replace(log, data=log.data[:-64] + bytes(32) + log.data[-32:])
        return log

    ledger.change = forge
    assert "chain-inconsistent" in codes(verify_path(witnesses(world, ledger=ledger), model_file), "error")


def test_another_chain_is_refused_at_once(world: World, model_file: Path) -> None:
    file = dataclasses.replace(world.file, genesis_hash=bytes(32))
    model = type(world.model)(world.engine, file)
    with pytest.raises(VerificationError, match="genesis"):
        verify_path(witnesses(world, model=model), model_file)


def test_a_reorganisation_while_it_is_verified_is_reported(world: World, tmp_path: Path) -> None:
    world.ledger.close()
    (tmp_path / "b").mkdir()
    other = copy_world(world, tmp_path / "b")
    world.ledger = type(other.ledger).open(tmp_path / "chain.sqlite")  # type: ignore[attr-defined]
    world.register("data", "here", "dataset")
    other.register("data", "there", "dataset")
    world.follow()
    path = tmp_path / "m"
    path.write_text("weights")
    ledger = Relaying(world.ledger)
    ledger.before_logs.append(lambda relaying: setattr(relaying, "real", other.ledger))
    assert "chain-moved" in codes(verify_path(witnesses(world, ledger=ledger), path), "error")
    other.close()


@pytest.mark.parametrize(
    "tampering",
    [
        sql.delete(schema.transitions).where(schema.transitions.c.seq == 3),
        sql.update(schema.transitions).where(schema.transitions.c.seq == 1).values(record=bytes(32)),
        sql.update(schema.inputs).values(input_head=bytes(32)),
        sql.delete(schema.inputs),
        sql.update(schema.registrations).values(owner="0x" + "11" * 20),
        sql.update(schema.transitions).values(content=None),
    ],
)
def test_a_tampered_index_is_found_out(world: World, model_file: Path, tampering: Any) -> None:
    with writing(world.engine) as connection:
        assert connection.execute(tampering).rowcount
    report = verify_path(witnesses(world), model_file, Demand(name="m@1") if "content" not in str(tampering) else None)
    assert "index-differs" in codes(report, "error")


# ------------------------------------------------------------------------------------------------------ records


def test_a_record_that_no_store_has_is_told_but_no_failure(world: World, model_file: Path) -> None:
    world.send("developer", world.transition("m", "retire", publish=False))
    world.follow()
    report = verify_path(witnesses(world), model_file)
    assert report.ok
    assert codes(report, "warning") == ["record-missing"]


def test_a_record_altered_in_the_store_is_found(world: World, model_file: Path) -> None:
    digest = world.model.version("m").record_digest
    for path in (world.folder / "store").rglob("*"):
        if path.is_file() and path.name in digest.hex():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes().replace(b"train", b"trial"))
    assert codes(verify_path(witnesses(world), model_file), "error") == ["record-damaged"]


def test_a_record_about_other_content_is_found(world: World, tmp_path: Path) -> None:
    world.register("data", "x", "dataset")
    change = world.transition("x", "collect", single("what the record says"))
    world.send("data", dataclasses.replace(change, content=single("what it is").digest))
    world.follow()
    path = tmp_path / "x"
    path.write_text("what it is")
    report = verify_path(witnesses(world), path)
    assert codes(report, "error") == ["record-differs"]
    assert "content" in found(report, "record-differs").message


def test_another_artefacts_record_is_found(world: World) -> None:
    world.register("data", "x", "dataset")
    stolen = world.transition("d", "revise", single("y")).record
    world.send("data", dataclasses.replace(world.transition("x", "collect", single("y")), record=stolen))
    world.follow()
    messages = [finding.message for finding in verify_name(witnesses(world), "x").findings]
    assert any("another artefact" in message for message in messages)
    assert any("another action" in message for message in messages)


def test_bytes_that_are_no_record_are_found(world: World) -> None:
    nonsense = world.store.put(b"not a record")
    world.send("data", Registration(world.artefact("x"), 2, nonsense))
    world.act("data", "x", "collect", single("x"))
    world.follow()
    assert codes(verify_name(witnesses(world), "x"), "error") == ["record-invalid"]


@pytest.mark.slow
def test_a_manifest_too_large_for_a_record_is_read_from_the_store(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(5001):
        (folder / f"f{n}").write_text("")
    world.register("data", "many", "dataset")
    manifest = tree(**{f"f{n}": "" for n in range(5001)})
    world.act("data", "many", "collect", manifest)
    world.follow()
    assert verify_path(witnesses(world), folder).ok
    (folder / "f7").write_text("changed")
    report = verify_path(witnesses(world), folder, Demand(name="many"))
    assert found(report, "file-changed").where == f"{folder}/f7"


def test_content_hashed_with_blake3_is_found_too(world: World, tmp_path: Path) -> None:
    from proml.hashing import hash_path  # noqa: PLC0415

    path = tmp_path / "big.bin"
    path.write_text("fast")
    world.register("data", "big", "dataset")
    world.act("data", "big", "collect", hash_path(path, "blake3"))
    world.follow()
    assert verify_path(witnesses(world), path).ok
    path.write_text("slow")
    assert "file-changed" in codes(verify_path(witnesses(world), path, Demand(name="big")))


# ---------------------------------------------------------------------------------------------------- bad input


def test_what_cannot_be_read_is_an_error_of_content(world: World, tmp_path: Path) -> None:
    world.follow()
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    for path in (tmp_path / "missing", fifo):
        with pytest.raises(ContentError):
            verify_path(witnesses(world), path)


def test_each_path_has_a_report_of_its_own(world: World, model_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("?")
    assert [report.ok for report in verify_paths(witnesses(world), [model_file, other])] == [True, False]


def test_an_organisation_that_voted_against_is_noted(world: World, tmp_path: Path) -> None:
    world.trained("n", "d", text="contested")
    world.evaluated("n-eval", "n")
    change = world.transition("n", "approve", uses=("n-eval",), held=world.held(("d", world.head("d"))), kind="model")
    world.vote("verifier", change, approve=False)
    world.vote("client", change)
    world.vote("auditor", change)
    world.send("client", change)
    world.follow()
    report = verify_name(witnesses(world), "n")
    assert report.ok
    assert "verifier voted against approve" in found(report, "votes-against").message


def test_every_finding_code_is_in_the_table() -> None:
    import re  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    sources = [source.read_text() for source in Path(verifying.__file__).parent.glob("*.py")]
    row = re.compile(r"^    ([a-z]+[0-9]?-[a-z]+) +(?:error|warning|note) ", re.MULTILINE)
    table = {code for source in sources for code in row.findall(source)}
    used: set[str] = set()
    for source in sources:
        used |= set(re.findall(r'(?:Finding\(|find\()\s*"([a-z0-9]+-[a-z]+)"', source))
        used |= set(re.findall(r'\("(file-[a-z]+)", differing', source))
    assert used <= table
    assert not [code for code in sorted(table) if not any(f'"{code}"' in source for source in sources)]


def test_lines_for_people_name_every_finding(world: World, model_file: Path) -> None:
    model_file.write_text("weightr")
    report = verify_path(witnesses(world), model_file)
    text = "\n".join(report.lines())
    assert "NOT what was agreed" in text
    assert all(finding.code in text for finding in report.findings)
