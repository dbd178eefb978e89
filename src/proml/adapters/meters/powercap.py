"""Energy of processors and their memory, where Linux tells it: RAPL, in ``/sys/class/powercap``.

Each zone counts microjoules up to a range and begins again (kernel documentation, ``power/powercap``). Packages of
Intel and AMD are zones ``intel-rapl:N`` named ``package-N``; what their ``core`` and ``uncore`` zones count is within
the package's, what ``dram`` counts is not; ``psys`` counts all of it again. Since 2020 only the superuser may read the
counters unless the machine's owner allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/class/powercap")
_MICRO = 1_000_000


@dataclass(slots=True)
class _Zone:
    counter: Path
    part: str
    range_uj: int
    last_uj: int


class Powercap:
    """Counts what this machine uses from when it is made.

    Args:
        root: Where the zones are.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._zones = [zone for path in sorted(root.glob("intel-rapl:*")) for zone in [_open(path)] if zone is not None]
        self._used_uj = dict.fromkeys((zone.part for zone in self._zones), 0)

    def read(self) -> dict[str, float]:
        """Returns the joules used by ``cpu`` and ``memory``, as far as this machine tells them.

        To be called more often than a counter can go round: at 300 W the usual range of 262 kJ lasts for 14 minutes.

        Raises:
            OSError: A counter can no longer be read.
        """
        for zone in self._zones:
            now_uj = int(zone.counter.read_text(encoding="ascii"))
            self._used_uj[zone.part] += now_uj - zone.last_uj + (zone.range_uj if now_uj < zone.last_uj else 0)
            zone.last_uj = now_uj
        return {part: used / _MICRO for part, used in self._used_uj.items()}

    def skip(self) -> None:
        """Forgets what was used since the last reading: too long ago to tell how often a counter went round."""
        before = dict(self._used_uj)
        self.read()
        self._used_uj = before


def _open(path: Path) -> _Zone | None:
    try:
        name = (path / "name").read_text(encoding="ascii").strip()
        part = "memory" if name == "dram" else "cpu" if name.startswith("package-") else ""
        if not part:
            return None
        counter = path / "energy_uj"
        range_uj = int((path / "max_energy_range_uj").read_text(encoding="ascii"))
        return _Zone(counter, part, range_uj, int(counter.read_text(encoding="ascii")))
    except (OSError, ValueError):  # not allowed, or not told
        return None
