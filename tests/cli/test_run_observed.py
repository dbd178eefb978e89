"""What `proml run` observed, on the ledger: known files become inputs, unknown ones never stand in the way."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Person

SCRIPT = """
known = open("observed-known.csv").read()
open("observed-unknown.csv").read()
open("observed-result.csv", "w").write(known.upper())
"""


def test_the_history_calls_a_run_without_a_name_by_its_program(alone: Person) -> None:
    alone.write("named.csv", "1")
    alone("run", "--publish", "named=named.csv", "--kind", "source", "--action", "collect", "--", "/bin/true")
    alone("sync")
    assert re.search(r"run +true  \d{8}T", alone("log", "named").out)


def test_a_known_file_becomes_an_input_and_an_unknown_one_stays_a_fact_of_the_record(alone: Person) -> None:
    alone.write("observed-known.csv", "known")
    alone.write("observed-unknown.csv", "unknown")
    alone.write("observed.py", SCRIPT)
    alone("act", "observed-known", "collect", "observed-known.csv", "--kind", "source")
    alone("sync")
    publish = ("--publish", "observed-result=observed-result.csv", "--kind", "source", "--action", "collect")
    alone("run", *publish, "--", sys.executable, "observed.py")
    alone("sync")
    document = alone.json("log", "observed-result")
    assert "observed-known" in str(document)
    assert "observed-unknown" not in str(alone.json("lineage", "observed-result"))


def test_a_known_file_that_is_not_usable_is_told_and_stops_nothing(alone: Person) -> None:
    for name, kind in (("usable", "source"), ("unusable", "dataset")):
        alone.write(f"observed-{name}.txt", name)
        alone("act", f"observed-{name}", "collect", f"observed-{name}.txt", "--kind", kind)
    alone("sync")
    alone.write("observed-train.py", "open('observed-model.bin', 'w').write(open('observed-unusable.txt').read())")
    arguments = ("--use", "observed-usable.txt", "--publish", "observed-model=observed-model.bin", "--kind", "model")
    alone("run", *arguments, "--action", "train", "--", sys.executable, "observed-train.py")
    answer = alone("sync")
    assert "read 'observed-unusable.txt', which is not usable as an input" in answer.out
    assert "observed-usable" in str(alone.json("lineage", "observed-model"))
    assert "observed-unusable" not in str(alone.json("lineage", "observed-model"))
