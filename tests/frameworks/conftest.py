"""Frameworks record into a working folder, which is the current one. Run by ``make test-frameworks``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.capture.conftest import PACKAGE, Recorded, _no_run_from_outside, here

from proml.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Recorded", "_no_run_from_outside", "here"]


def pytest_configure(config: pytest.Config) -> None:
    """Frameworks warn of one another, which is not for these tests to judge."""
    config.addinivalue_line("filterwarnings", "default")


@pytest.fixture(scope="session")
def script() -> Callable[..., str]:
    """Runs Python code in a process of its own, in a folder, and returns what it printed."""

    def run(folder: Path, code: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def proml() -> Callable[..., Any]:
    """Runs a command with --json here, checks its exit code, and returns its document."""

    def run(*words: object, code: int = 0) -> Any:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = main([*map(str, words), "--json"])
        assert found == code, out.getvalue() + err.getvalue()
        return json.loads(out.getvalue() or err.getvalue())

    return run
