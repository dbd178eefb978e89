"""Commands and servers as processes that can be killed, and what tests wait for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def command(home: Path, folder: Path, *words: object, **environment: str) -> subprocess.Popen[str]:
    """Starts a command of somebody's with that home for identities and that working folder."""
    chosen = {"PROML_HOME": str(home), "PATH": os.environ["PATH"], "HOME": str(home), **environment}
    whole = [sys.executable, "-m", "proml", *map(str, words)]
    return subprocess.Popen(whole, cwd=folder, env=chosen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(holds: Callable[[], bool], longest_s: float = 60) -> None:
    """Waits until something holds."""
    ends = time.monotonic() + longest_s
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.001)


def sizes(folder: Path, pattern: str) -> list[int]:
    """Returns how much there is of each file; one that is moved away meanwhile is left out."""
    found = []
    for path in list(folder.rglob(pattern)):
        with contextlib.suppress(FileNotFoundError):
            found.append(path.stat().st_size)
    return found


class Server:
    """A server's process, with its log.

    Args:
        log: Where it writes to; begun anew at each start.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def launch(
        self, words: list[object], environment: dict[str, str], is_ready: Callable[[], bool], longest_s: float
    ) -> None:
        """Starts it, and waits until it is ready."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(list(map(str, words)), env=environment, stdout=log, stderr=log)
        ends = time.monotonic() + longest_s
        while not is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kills it; one that does not run is left alone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
