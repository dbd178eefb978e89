"""What a run used of its machines, in a line; records are other people's, so nothing about them is assumed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from proml.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KILO = 1000


def resources(record: Mapping[str, object]) -> str:
    """Returns ``facts.resources`` of a record as people say it; empty if it has none."""
    facts = record.get("facts")
    told = facts.get("resources") if isinstance(facts, dict) else None
    return ", ".join(_parts(told)) if isinstance(told, dict) else ""


def _parts(told: Mapping[str, object]) -> Iterator[str]:
    processes, machines = _objects(told.get("processes")), _objects(told.get("machines"))
    if len(processes) > 1:
        yield f"{len(processes)} processes"
    seconds = max(_numbers(processes, "seconds"), default=None)
    if seconds is not None:
        yield output.duration(seconds) if seconds >= 1 else "less than 1 s"
    cpu_s = sum(_numbers(processes, "cpu_s"))
    if cpu_s >= 1:
        yield f"{output.duration(cpu_s)} of processor time"
    peaks = _numbers(processes, "peak_memory_bytes")
    if peaks:
        yield f"{output.size(int(max(peaks)))} of memory at most"
    gpus = [gpu for machine in machines for gpu in _objects(machine.get("gpus"))]
    busy = [value for gpu in gpus for value in _numbers([_object(gpu.get("utilisation_percent"))], "mean")]
    if busy:
        yield f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''} {sum(busy) / len(busy):.0f} % busy"
    energy_j = [value for machine in machines for value in _numbers([_object(machine.get("energy_j"))], None)]
    if energy_j:
        used = sum(energy_j)
        yield f"{used / _KILO:.1f} kJ by the machine" if used >= _KILO else f"{used:.0f} J by the machine"


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list | tuple) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _numbers(objects: list[Mapping[str, Any]], name: str | None) -> list[float]:
    """Returns the numbers of this name, or all; what is none is left out."""
    values = [value for one in objects for value in (one.values() if name is None else [one.get(name)])]
    return [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    ]
