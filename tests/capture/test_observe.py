from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import proml
from proml.capture import observe
from proml.capture.journal import Journal, segments
from proml.capture.run_folder import Ending, seal
from proml.core import merkle
from proml.errors import ConfigError, UnknownName, VerificationError

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded


@given(counts=st.lists(st.integers(0, 20), min_size=1, max_size=3))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_observation_can_be_proved_under_the_root(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int]
) -> None:
    """Law: for each leaf of each size of tree, prove then verify passes, and for another leaf it fails."""
    folder = tmp_path_factory.mktemp("run")
    for number, count in enumerate(counts):
        journal = Journal(folder, "owner")
        for step in range(count):
            journal.observe(f"m{number}", step / 7, step)
        journal.write("note", {"text": "not a leaf"})
        journal.close()
    seal(folder, Ending(1))
    found = observe.observations(segments(folder))
    all_leaves = list(observe.leaves(segments(folder)))
    assert found.count == sum(counts) == len(all_leaves)
    assert found.root == merkle.root(all_leaves)
    for index, leaf in enumerate(all_leaves):
        proof = observe.prove(folder, index)
        assert proof.leaf == leaf
        assert list(proof.path) == merkle.inclusion_proof([merkle.leaf_hash(one) for one in all_leaves], index)
        observe.verify(proof, found.root)
        with pytest.raises(VerificationError):
            observe.verify(dataclasses.replace(proof, leaf=leaf.replace(b'"t":', b'"t":1')), found.root)


def test_a_proof_leads_to_the_root_in_the_record(here: Recorded) -> None:
    with proml.start_run() as run:
        for step in range(11):
            run.log_metric("loss", 1 / (step + 1), step)
    proof = observe.prove(here.run, 7)
    assert json.loads(proof.leaf)["s"] == 7
    observe.verify(proof, bytes.fromhex(here.record["observations"]["root"]))


def test_an_observation_changed_after_the_run_is_seen(here: Recorded) -> None:
    with proml.start_run() as run:
        for step in range(5):
            run.log_metric("loss", 0.5, step)
    (journal,) = here.run.glob("*.jsonl")
    journal.write_bytes(journal.read_bytes().replace(b"0.5", b"0.1"))
    with pytest.raises(VerificationError):
        observe.verify(observe.prove(here.run, 2), bytes.fromhex(here.record["observations"]["root"]))


def test_what_is_written_after_the_end_does_not_count(here: Recorded) -> None:
    with proml.start_run() as run:
        run.log_metric("loss", 1)
    (journal,) = here.run.glob("*.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"m":"loss","v":2,"s":null,"t":1}\n')
    assert observe.prove(here.run, 0).count == 1


def test_there_is_no_proof_for_what_was_not_observed(here: Recorded) -> None:
    with proml.start_run(), pytest.raises(ConfigError):
        observe.prove(here.run, 0)
    with pytest.raises(UnknownName):
        observe.prove(here.run, 0)


def test_memory_does_not_grow_with_the_observations(here: Recorded) -> None:
    """Ten times the observations, logged and closed, in the same memory but for 2 MiB of the allocator's."""
    code = (
        "import resource, sys, proml\n"
        "with proml.start_run() as run:\n"
        "    for step in range(int(sys.argv[1])): run.log_metric('loss', step / 7, step)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    few, many = (int(here.python(code, count).stdout) for count in ("20000", "200000"))
    assert many < few + 2048
