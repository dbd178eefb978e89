"""Graphics processors of NVIDIA by its own library, NVML, through nvidia-ml-py (the extra ``gpu``).

Read are the names, the driver's version, and what the devices do now; never serial numbers or unique ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MILLI = 1000.0


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What a device does now; None is what it does not tell.

    Attributes:
        energy_j: What it used since the driver was loaded.
    """

    utilisation_percent: float | None
    memory_bytes: int | None
    power_w: float | None
    energy_j: float | None


class Gpus:
    """The devices of this machine. Made by :meth:`open`."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handles = [library.nvmlDeviceGetHandleByIndex(one) for one in range(library.nvmlDeviceGetCount())]
        self.names = [_text(library.nvmlDeviceGetName(handle)) for handle in self._handles]
        self.driver = _text(library.nvmlSystemGetDriverVersion())

    @classmethod
    def open(cls) -> Gpus | None:
        """Returns the devices; None if there are none, or what reads them is not installed."""
        try:
            import pynvml  # noqa: PLC0415 - an extra
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        try:
            found = cls(pynvml)
        except BaseException:
            pynvml.nvmlShutdown()
            raise
        if not found.names:
            found.close()
            return None
        return found

    def read(self) -> list[GpuReading]:
        """Returns what each device does now."""
        return [self._one(handle) for handle in self._handles]

    def close(self) -> None:
        """Lets go of the library; what else in this process uses it is not disturbed."""
        self._library.nvmlShutdown()

    def _one(self, handle: Any) -> GpuReading:
        library = self._library
        used = self._asked(lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu)
        memory = self._asked(lambda: library.nvmlDeviceGetMemoryInfo(handle).used)
        power = self._asked(lambda: library.nvmlDeviceGetPowerUsage(handle))
        energy = self._asked(lambda: library.nvmlDeviceGetTotalEnergyConsumption(handle))
        return GpuReading(
            None if used is None else float(used),
            None if memory is None else int(memory),
            None if power is None else power / _MILLI,
            None if energy is None else energy / _MILLI,
        )

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except self._library.NVMLError:  # not every device tells everything
            return None


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
