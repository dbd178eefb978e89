"""Machines that are none: network namespaces joined by a bridge, which can be parted and joined again.

Each has the address 10.77.0.N on a network without a way out; everything is removed at the end, also after a failure.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_numbers = itertools.count()


@dataclass(frozen=True)
class Fabric:
    """Namespaces ``PREFIX0`` to ``PREFIXn-1``, each with a cable to ``PREFIXhub``, where the bridges are."""

    prefix: str
    size: int

    @property
    def hub(self) -> str:
        return f"{self.prefix}hub"

    def namespace(self, machine: int) -> str:
        return f"{self.prefix}{machine}"

    def address(self, machine: int) -> str:
        return f"10.77.0.{machine + 1}"

    def enter(self, machine: int) -> list[str]:
        """Returns the words that run a command on a machine."""
        return ["ip", "netns", "exec", self.namespace(machine)]

    def part(self, *groups: Sequence[int]) -> None:
        """Lets only machines of one group reach each other."""
        for bridge, group in enumerate(groups):
            for machine in group:
                self._in_hub("ip", "link", "set", f"v{machine}", "master", f"br{bridge}")

    def join(self) -> None:
        """Lets all reach each other."""
        self.part(range(self.size))

    def up(self) -> None:
        _run("ip", "netns", "add", self.hub)
        self._in_hub("ip", "link", "set", "lo", "up")
        for machine in range(self.size):
            bridge, cable = f"br{machine}", f"v{machine}"
            self._in_hub("ip", "link", "add", bridge, "type", "bridge")
            self._in_hub("ip", "link", "set", bridge, "up")
            _run("ip", "netns", "add", self.namespace(machine))
            peer = ("peer", "name", "eth0", "netns", self.namespace(machine))
            self._in_hub("ip", "link", "add", cable, "type", "veth", *peer)
            self._in_hub("ip", "link", "set", cable, "master", "br0", "up")
            for words in (
                ("link", "set", "lo", "up"),
                ("addr", "add", f"{self.address(machine)}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
            ):
                _run(*self.enter(machine), "ip", *words)

    def down(self) -> None:
        there = namespaces()
        for name in [self.namespace(machine) for machine in range(self.size)] + [self.hub]:
            if name in there:
                _remove(name)

    def _in_hub(self, *words: str) -> None:
        _run("ip", "netns", "exec", self.hub, *words)


@contextlib.contextmanager
def machines(size: int) -> Iterator[Fabric]:
    """Yields that many machines that reach each other, named after this process."""
    _sweep()
    fabric = Fabric(f"pm{os.getpid()}n{next(_numbers)}x", size)
    try:
        fabric.up()
        yield fabric
    finally:
        fabric.down()


def namespaces() -> list[str]:
    """Returns the names of all namespaces there are."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line]


def _sweep() -> None:
    """Removes what a run that was killed had to leave behind."""
    for name in namespaces():
        found = re.match(r"pm(\d+)n\d+x", name)
        if found and not Path(f"/proc/{found[1]}").exists():
            _remove(name)


def _remove(name: str) -> None:
    """Removes a namespace, and ends what still runs in it."""
    inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split()
    for pid in inside:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _run("ip", "netns", "delete", name)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
