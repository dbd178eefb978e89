from __future__ import annotations

import json
import math
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proml.capture.journal import Journal, facts, lines, segments, writers
from proml.capture.observe import leaves, observations
from proml.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path) -> list[dict[str, object]]:
    return [json.loads(leaf) for leaf in leaves(segments(folder))]


@given(
    name=st.text(max_size=50),
    value=st.one_of(
        st.floats(), st.integers(), st.booleans(), st.floats(width=32).map(np.float32), st.decimals(allow_nan=False)
    ),
    step=st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_number_is_observed_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any, step: Any
) -> None:
    """Law: every observation is one leaf, its value and step read back equal, and its name shows as what it is."""
    folder = tmp_path_factory.mktemp("run")
    journal = Journal(folder, "owner")
    journal.observe(name, value, step)
    journal.close()
    (line,) = written(folder)
    (metric,) = observations(segments(folder)).metrics.values()
    assert line["s"] == step
    assert metric.count == 1
    found = float(line["v"])  # type: ignore[arg-type]
    assert found == float(value) or (math.isnan(found) and math.isnan(value))
    assert str(line["m"]).isprintable() or not name.isprintable()


@pytest.mark.parametrize("value", ["abc", None, 1j, [1.0], object(), np.array([1.0, 2.0])])
def test_what_is_no_real_number_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Journal(tmp_path, "owner").observe("m", value)
    assert written(tmp_path) == []


def test_an_integer_of_any_length_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    for value in (2**53 + 1, -(10**5000)):
        journal.observe("m", value)
    assert written(tmp_path)[0]["v"] == 2**53 + 1
    assert observations(segments(tmp_path)).metrics["m"].to_json()["last"] == "-Infinity"


def test_killing_the_process_loses_nothing_that_returned(tmp_path: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        journal = Journal(tmp_path, "owner")
        for step in range(10_000_000):
            journal.observe("m", 0.5, step)
            if step % 100 == 0:
                os.write(write, step.to_bytes(4, "big"))
    seen = [int.from_bytes(os.read(read, 4), "big") for _ in range(20)]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    steps = [line["s"] for line in written(tmp_path)]
    assert steps == list(range(len(steps)))
    assert len(steps) > seen[-1]


def test_a_fork_writes_a_segment_of_its_own_while_the_parent_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    journal.observe("m", 0)
    child = os.fork()
    if not child:
        journal.observe("m", 1)
        os._exit(0)
    os.waitpid(child, 0)
    journal.observe("m", 2)
    assert [[json.loads(line).get("v") for line in lines(part)][1:] for part in segments(tmp_path)] == [[0, 2], [1]]
    assert [writer["role"] for writer in writers(segments(tmp_path))] == ["owner", "worker"]


def test_a_line_cut_short_at_any_byte_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    journal.observe("a", 1)
    journal.observe("b", 2)
    (part,) = segments(tmp_path)
    whole = part.path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(whole)):
        part.path.write_bytes(whole[:length])
        assert [line["m"] for line in written(tmp_path)] == ["a"]


def test_garbage_between_lines_is_skipped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    (part,) = segments(tmp_path)
    with part.path.open("ab") as file:
        file.write(b'{"f":"note"\n{"m":"a","v":{"m":"a","v":1,"s":1,"t":1}\n\xff\xfe\n[]\n{"f":1}\n')
    journal.observe("b", 2)
    assert [line["m"] for line in written(tmp_path)] == ["b"]
    assert [fact["f"] for fact in facts(segments(tmp_path)[0])] == ["process", 1]


def test_a_program_that_closes_its_descriptors_loses_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    journal.observe("m", 1)
    os.close(journal._descriptor)
    journal.observe("m", 2)
    assert [line["v"] for line in written(tmp_path)] == [1, 2]


def test_a_write_that_is_cut_short_does_not_damage_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "owner")
    monkeypatch.setattr("proml.capture.journal._write", lambda descriptor, line: os.write(descriptor, line[:5]))
    with pytest.raises(OSError, match="5 of"):
        journal.observe("a", 1)
    monkeypatch.setattr("proml.capture.journal._write", os.write)
    journal.observe("b", 2)
    assert [line["m"] for line in written(tmp_path)] == ["b"]


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    journal.close()
    with pytest.raises(UsageError, match="has ended"):
        journal.observe("m", 1)
    with pytest.raises(UsageError, match="has ended"):
        journal.write("note", {"text": "x"})


def test_many_names_do_not_use_memory_without_bound(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "owner")
    for number in range(10_000):
        journal.observe(f"m{number}", 1)
    assert len(journal._prefixes) <= 4096


def test_an_interval_writes_back_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    monkeypatch.setattr("proml.capture.journal.os.fsync", lambda descriptor: synced.set())
    journal = Journal(tmp_path, "owner", fsync_s=0.01)
    assert synced.wait(5)
    journal.close()
