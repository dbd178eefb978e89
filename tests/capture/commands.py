"""Runs commands through capture, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.capture.conftest import Recorded


def wrapped(*command: str, **options: object) -> list[str]:
    """Returns a command line that runs a command through capture."""
    code = "import sys; from proml.capture.run_command import run_command\n"
    code += f"sys.exit(run_command({list(command)!r}, **{options!r}))"
    return [sys.executable, "-c", code]


def run(here: Recorded, *command: str, given: str | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        wrapped(*command, **options),
        cwd=here.root,
        capture_output=True,
        text=True,
        input=given,
        check=False,
        timeout=60,
    )
