"""Sums up what a run's processes and machines used, in constant memory, and joins what several processes summed up.

A *summary* is all that a process has found out so far, so that the last one alone counts, also of a process that was
killed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proml.adapters.meters import host
from proml.adapters.meters.powercap import ROOT, Powercap
from proml.capture.values import label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from proml.adapters.meters.host import Host, MachineReading
    from proml.adapters.meters.nvidia import GpuReading, Gpus

PROCESS_FIELDS = ("rank", "seconds", "samples", "period_s", "processes", "cpu_s", "cpu_percent", "memory_bytes",
                  "peak_memory_bytes")  # fmt: skip
"""Of a process and what it started. ``processes`` is the most at once; 100 ``cpu_percent`` are one core."""
MACHINE_FIELDS = ("seconds", "cpu_percent", "memory_bytes", "energy_j", "energy_seconds", "gpus", "gpu_driver")
"""Of a machine. 100 ``cpu_percent`` are all cores; ``energy_j`` has ``cpu``, ``memory`` and ``gpu``."""
GPU_FIELDS = ("name", "utilisation_percent", "memory_bytes", "power_w")

_LEAST_S = 0.05  # processor time is counted in hundredths of a second: what is shorter says nothing of utilisation
LONGEST_S = 300.0


class Range:
    """Least, mean, greatest and last of values over time."""

    __slots__ = ("_last", "_max", "_min", "_sum", "_weight")

    def __init__(self) -> None:
        self._sum = self._weight = 0.0
        self._min = self._max = self._last = 0.0

    def add(self, value: float, weight: float = 1.0) -> None:
        """Adds a value that holds for ``weight``, in any unit of time."""
        self._min = min(self._min, value) if self._weight else value
        self._max = max(self._max, value) if self._weight else value
        self._last = value
        self._sum += value * weight
        self._weight += weight

    def to_json(self, digits: int | None = 1) -> dict[str, float] | None:
        """Returns the four numbers, rounded; None if there was no value."""
        if not self._weight:
            return None
        found = {"min": self._min, "mean": self._sum / self._weight, "max": self._max, "last": self._last}
        return {name: round(value, digits) if digits else round(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a process accounts for.

    Attributes:
        own: This process itself, not only what it starts.
        machine: The machine, too.
        rank: Its place in a distributed job.
        powercap: Where Linux tells the energy.
    """

    own: bool = True
    machine: bool = True
    rank: int | None = None
    powercap: Path = ROOT


class Account:
    """What a process, with all that it starts, uses from when this is made.

    Args:
        scope: What is accounted for.
        period_s: How often it is meant to be read; stated, no more.
    """

    def __init__(self, scope: Scope, period_s: float) -> None:
        self._scope = scope
        self._period_s = period_s
        self._began = self._last = time.monotonic()
        self._base_s = host.waited_cpu_s() + (host.own_cpu_s() if scope.own else 0.0)
        self._base_waited_bytes = host.largest_waited_bytes()
        self._cpu_s = self._last_cpu_s = 0.0
        self._cpu, self._memory = Range(), Range()
        self._processes = self._samples = self._peak_bytes = 0
        self._host: Host | None = None
        self._machine: _Machine | None = None

    def sample(self, *, full: bool = True) -> None:
        """Reads everything once.

        Args:
            full: Load what is needed for that; else only what is loaded, and what the standard library tells.
        """
        if full and self._host is None:
            self._host = host.Host()
            self._machine = _Machine(self._host, self._scope.powercap) if self._scope.machine else None
        now = time.monotonic()
        self._sample_processes(now)
        if self._machine is not None:
            self._machine.sample(now)
        self._samples += 1

    def summary(self) -> dict[str, Any]:
        """Returns what was found out so far."""
        process = {
            "rank": self._scope.rank,
            "seconds": round(time.monotonic() - self._began, 3),
            "samples": self._samples,
            "period_s": self._period_s,
            "processes": self._processes or None,
            "cpu_s": round(self._cpu_s, 2),
            "cpu_percent": self._cpu.to_json(),
            "memory_bytes": self._memory.to_json(None),
            "peak_memory_bytes": self._peak_bytes or None,
        }
        told: dict[str, Any] = {"process": _known(process)}
        if self._machine is not None:
            told |= {"machine": self._machine.summary(), "host": os.uname().nodename}
        return told

    def close(self) -> None:
        """Lets go of what was opened."""
        if self._machine is not None:
            self._machine.close()

    def _sample_processes(self, now: float) -> None:
        cpu_s = host.waited_cpu_s() + (host.own_cpu_s() if self._scope.own else 0.0)
        if self._host is not None:
            tree = self._host.tree(own=self._scope.own)
            cpu_s = tree.cpu_s
            if tree.processes:
                self._memory.add(tree.memory_bytes, now - self._last or 1e-9)
            self._processes = max(self._processes, tree.processes)
            self._peak_bytes = max(self._peak_bytes, tree.memory_bytes)
        # Processes whose end nobody waited for take their time with them.
        self._cpu_s = max(self._cpu_s, cpu_s - self._base_s)
        if now - self._last >= _LEAST_S or not self._samples:
            passed = max(now - self._last, 1e-3)
            self._cpu.add(100 * (self._cpu_s - self._last_cpu_s) / passed, passed)
            self._last, self._last_cpu_s = now, self._cpu_s
        peak, waited = host.own_peak_bytes(), host.largest_waited_bytes()
        if self._scope.own:
            self._peak_bytes = max(self._peak_bytes, peak)
        if waited > max(peak, self._base_waited_bytes):  # else it may be what this process had when it forked
            self._peak_bytes = max(self._peak_bytes, waited)


class _Machine:
    """The machine's part of an account."""

    def __init__(self, of_host: Host, powercap: Path) -> None:
        from proml.adapters.meters.nvidia import Gpus  # noqa: PLC0415 - only here

        self._host = of_host
        self._began = self._last = time.monotonic()
        self._before: MachineReading = of_host.machine()
        self._cpu, self._memory = Range(), Range()
        self._energy = Powercap(powercap)
        self._energy_j: dict[str, float] = {}
        self._energy_s = 0.0
        self._gpus: Gpus | None = Gpus.open()
        self._devices = [_Device(name) for name in self._gpus.names] if self._gpus else []

    def sample(self, now: float) -> None:
        passed = now - self._last
        reading = self._host.machine()
        total_s = reading.total_s - self._before.total_s
        if total_s >= _LEAST_S:
            self._cpu.add(100 * (reading.busy_s - self._before.busy_s) / total_s, passed)
            self._before = reading
        self._memory.add(reading.memory_bytes, passed or 1e-9)
        if passed > 2 * LONGEST_S:
            self._energy.skip()
        else:
            self._energy_j |= self._energy.read()
            self._energy_s += passed
        for device, seen in zip(self._devices, self._gpus.read() if self._gpus else (), strict=True):
            device.add(seen, passed)
        self._last = now

    def summary(self) -> dict[str, Any]:
        energy_j = dict(self._energy_j)
        told = [device.energy_j for device in self._devices if device.energy_j is not None]
        if told:
            energy_j["gpu"] = sum(told)
        return _known({
            "seconds": round(time.monotonic() - self._began, 3),
            "cpu_percent": self._cpu.to_json(),
            "memory_bytes": self._memory.to_json(None),
            "energy_j": {part: round(value, 1) for part, value in energy_j.items()} or None,
            "energy_seconds": round(self._energy_s, 3) if energy_j else None,
            "gpus": [device.summary() for device in self._devices] or None,
            "gpu_driver": label(self._gpus.driver) if self._gpus else None,
        })  # fmt: skip

    def close(self) -> None:
        if self._gpus is not None:
            gpus, self._gpus = self._gpus, None
            gpus.close()


class _Device:
    """A graphics processor's part."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._utilisation, self._memory, self._power = Range(), Range(), Range()
        self._first_j: float | None = None
        self.energy_j: float | None = None

    def add(self, seen: GpuReading, passed: float) -> None:
        weight = passed or 1e-9
        for value, values in (
            (seen.utilisation_percent, self._utilisation),
            (seen.memory_bytes, self._memory),
            (seen.power_w, self._power),
        ):
            if value is not None:
                values.add(value, weight)
        if seen.energy_j is not None:
            self._first_j = seen.energy_j if self._first_j is None else self._first_j
            self.energy_j = seen.energy_j - self._first_j
        elif seen.power_w is not None:
            self.energy_j = (self.energy_j or 0.0) + seen.power_w * passed

    def summary(self) -> dict[str, Any]:
        return _known({
            "name": label(self._name),
            "utilisation_percent": self._utilisation.to_json(),
            "memory_bytes": self._memory.to_json(None),
            "power_w": self._power.to_json(),
        })  # fmt: skip


def joined(summaries: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Returns a record's ``facts.resources``: each process, by rank, and each machine once.

    Args:
        summaries: The last of each process, in any order. Of a machine that several tell of, the one that watched it
            for longest counts.
    """
    processes: list[dict[str, Any]] = []
    machines: dict[str, dict[str, Any]] = {}
    for summary in summaries:
        processes.append(dict(summary["process"]))
        machine, name = summary.get("machine"), summary.get("host", "")
        if machine and machine["seconds"] > machines.get(name, {}).get("seconds", -1):
            machines[name] = machine
    processes.sort(key=lambda process: process.get("rank", 0))
    found = {"processes": processes, "machines": [machines[name] for name in sorted(machines)]}
    return {name: values for name, values in found.items() if values}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
