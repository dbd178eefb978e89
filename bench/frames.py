"""How fast is the content of data frames hashed? The same table as pandas, polars and Arrow have it.

``make test-frameworks`` sets up the environment that has them; without it the rows are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

LIBRARIES = ("arrow", "pandas", "polars")
NAMES = tuple(f"frames.{library}_gbs" for library in LIBRARIES)
ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-frameworks" / "bin" / "python"
ROWS = 4_000_000
# Numbers, whole numbers and short texts; the size is that of the table in Arrow's memory.
MEASURE = """
import json, statistics, sys, time
import numpy, pandas, polars, pyarrow
from proml import frames
rows = int(sys.argv[1])
chance = numpy.random.default_rng(0)
words = numpy.array([f"word-{number}" for number in range(1000)])
table = pyarrow.table({
    **{f"x{number}": chance.standard_normal(rows) for number in range(6)},
    "n": chance.integers(0, 1 << 40, rows),
    "word": pyarrow.array(words[chance.integers(0, 1000, rows)]),
})
made = {"arrow": table, "pandas": table.to_pandas(), "polars": polars.from_arrow(table)}
taken, digests = {name: [] for name in made}, set()
for turn in range(4):
    for name, frame in list(made.items())[:: 1 if turn % 2 else -1]:
        start = time.perf_counter()
        digests.add(frames.manifest(frame).digest)
        taken[name].append(time.perf_counter() - start)
assert len(digests) == 1, "the libraries' frames have other digests"
print(json.dumps({name: table.nbytes / 1e9 / statistics.median(each[1:]) for name, each in taken.items()}))
"""


def rows() -> list[dict[str, object]]:
    """Hashes the table as each library has it, in turn; ends the bench if the digests differ."""
    if not PYTHON.exists():
        print(f"left out: {', '.join(NAMES)}; `make .venv-frameworks/.made` sets up what they need")
        return []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [str(PYTHON), "-c", MEASURE, str(ROWS)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    speed = json.loads(done.stdout.splitlines()[-1])
    return [
        {
            "name": f"frames.{library}_gbs", "value": round(speed[library], 3), "unit": "GB/s", "target": None,
            "met": None, "peer": None, "peer_value": None,
        }
        for library in LIBRARIES
    ]  # fmt: skip
