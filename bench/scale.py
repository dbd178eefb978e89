"""What limits 10, 100 and 1,000 organisations, and a thousand million observations a day? A calculation, by engine.

Nothing is measured here: ``bench/constants.json`` holds what the other benches measured, and :data:`ENGINES` what each
engine promises. The tables stand in ``docs/explanation/scale.md``; a test compares them with :func:`tables`.

    python -m bench.scale             # prints the tables
    python -m bench.scale --update    # takes the constants from bench/out/, and writes the tables anew
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.network.observing import PROCESSES

CONSTANTS = Path(__file__).with_name("constants.json")
SUMMARY = Path(__file__).parent / "out" / "summary.json"
COSTS = Path(__file__).parent / "out" / "cost.md"
DOCUMENT = Path(__file__).parents[1] / "docs" / "explanation" / "scale.md"
MEASURED = (
    "gas.transition",
    "gas.transition_batch50",
    "gas.anchor",
    "network.growth_chain_bytes",
    "network.growth_index_bytes",
    "network.growth_node_cpu_us",
    "network.growth_client_cpu_us",
    "network.growth_newcomer_client_s",
    "network.growth_newcomer_index_s",
    "observations.disk_bytes_each",
    "network.observations_per_s",
)
ORGANISATIONS = (10, 100, 1_000)
TRANSITIONS_A_DAY = 200
"""Of one organisation: fifty people with four datasets, models, evaluations and decisions each."""
OBSERVATIONS_A_DAY = 10**9
OBSERVATIONS_OF_A_RUN = 100_000
NEWCOMER_TRANSITIONS = 100_000
"""How many a newcomer had to take over when that was measured."""
_DAY_S, _YEAR_DAYS, _GIB = 86_400, 365, 2**30


@dataclass(frozen=True)
class Engine:
    """What an engine does.

    Attributes:
        gas_s: Gas a second that its blocks hold.
        ours: How much of that one undertaking may count on.
        final_s: Seconds until a block is final: at least, and for each validator.
        most_validators: How many validators it is run with; others follow without sealing. 0 is any number.
    """

    name: str
    period_s: float
    gas_s: float
    ours: float
    final_s: tuple[float, float]
    most_validators: int

    def wait_s(self, organisations: int) -> float:
        """Returns how long a transaction waits until it is final: for its block to begin, to be sealed, to be final."""
        validators = min(organisations, self.most_validators or organisations)
        least, each = self.final_s
        return 1.5 * self.period_s + least + each * validators


ENGINES = (
    Engine("Clique, 1 s", 1, 60e6, 0.5, (1.0, 0.5), 0),
    Engine("Clique, 12 s", 12, 5e6, 0.5, (12.0, 6.0), 0),
    Engine("QBFT, 2 s", 2, 30e6, 0.5, (0.0, 0.0), 30),
    Engine("Subnet-EVM, 1 s", 1, 15e6, 0.5, (0.0, 0.0), 0),
    Engine("Ethereum", 12, 5e6, 0.01, (768.0, 0.0), 0),
    Engine("OP-stack layer 2", 2, 30e6, 0.05, (768.0, 0.0), 0),
)


def read_constants() -> dict[str, float]:
    """Returns what was measured, by the names of the rows."""
    values: dict[str, float] = json.loads(CONSTANTS.read_text(encoding="utf-8"))
    return values


def tables(constants: dict[str, float]) -> dict[str, str]:
    """Returns the document's tables in Markdown, by name."""
    return {
        "engines": _engines(constants),
        "participant": _participant(constants),
        "observations": _observations(constants),
    }


def _engines(constants: dict[str, float]) -> str:
    lines = _head("engine", "transitions/s, single / in batches", *(f"{n:,}: used, final after" for n in ORGANISATIONS))
    single, batched = constants["gas.transition"], constants["gas.transition_batch50"]
    for engine in ENGINES:
        rate_s = engine.gas_s * engine.ours
        cells = [
            f"{_percent(count * TRANSITIONS_A_DAY / _DAY_S * single / rate_s)}, {_duration(engine.wait_s(count))}"
            for count in ORGANISATIONS
        ]
        lines.append(
            f"| {engine.name} | {_number(rate_s / single)} / {_number(rate_s / batched)} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def _participant(constants: dict[str, float]) -> str:
    lines = _head(
        "organisations",
        "transitions a day",
        "chain a year",
        "index a year",
        "processor of the client",
        "processor of the node",
        "a newcomer after a year",
    )
    newcomer = constants["network.growth_newcomer_client_s"] + constants["network.growth_newcomer_index_s"]
    for count in ORGANISATIONS:
        day = count * TRANSITIONS_A_DAY
        year = day * _YEAR_DAYS
        cells = [
            f"{count:,}",
            f"{day:,}",
            f"{year * constants['network.growth_chain_bytes'] / _GIB:,.1f} GiB",
            f"{year * constants['network.growth_index_bytes'] / _GIB:,.1f} GiB",
            _percent(day * constants["network.growth_client_cpu_us"] / 1e6 / _DAY_S),
            _percent(day * constants["network.growth_node_cpu_us"] / 1e6 / _DAY_S),
            _duration(newcomer * year / NEWCOMER_TRANSITIONS),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _observations(constants: dict[str, float]) -> str:
    runs = OBSERVATIONS_A_DAY // OBSERVATIONS_OF_A_RUN
    seconds = OBSERVATIONS_A_DAY / (constants["network.observations_per_s"] / PROCESSES)
    lines = _head(
        "organisations",
        "of one: a second",
        "journals a day",
        "one processor",
        "anchors a day, of all",
        "of a Clique chain, 1 s",
        "of Ethereum",
    )
    for count in ORGANISATIONS:
        gas_s = runs * constants["gas.anchor"] / _DAY_S
        cells = [
            f"{count:,}",
            f"{OBSERVATIONS_A_DAY / count / _DAY_S:,.0f}",
            f"{OBSERVATIONS_A_DAY / count * constants['observations.disk_bytes_each'] / _GIB:,.2f} GiB",
            _percent(seconds / count / _DAY_S),
            f"{runs:,}",
            _percent(gas_s / ENGINES[0].gas_s),
            _percent(gas_s / 5e6),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _head(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|---|" + "--:|" * (len(columns) - 1)]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:,.0f} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"


def in_document(name: str, text: str) -> str:
    """Returns the table of that name in the document's text."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert found is not None, f"{DOCUMENT} has no table {name}"
    return found[1]


def update() -> None:
    """Takes the constants from what was measured, and writes the document's tables."""
    rows = {row["name"]: row["value"] for row in json.loads(SUMMARY.read_text(encoding="utf-8"))}
    known = read_constants() if CONSTANTS.exists() else {}
    constants = {name: rows.get(name, known.get(name)) for name in MEASURED}
    CONSTANTS.write_text(json.dumps(constants, indent=1) + "\n", encoding="utf-8")
    text = DOCUMENT.read_text(encoding="utf-8")
    made = tables(read_constants())
    if COSTS.exists():
        made["costs"] = COSTS.read_text(encoding="utf-8").strip()
    for name, table in made.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        text = before + mark + table + rest[rest.index("\n<!-- end -->") :]
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    for table in tables(read_constants()).values():
        print(table, end="\n\n")
