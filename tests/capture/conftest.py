"""A working folder in which runs are recorded, and what was recorded there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2] / "src"
OUTSIDE = ("PROML_RUN", "PROML_DISABLED", "PROML_FOLDER", "RANK", "WORLD_SIZE", "MASTER_PORT")


@dataclass(frozen=True)
class Recorded:
    """A folder, and what capture left in it."""

    root: Path

    @property
    def runs(self) -> list[Path]:
        runs = self.root / ".proml" / "runs"
        return sorted(path for path in runs.iterdir() if not path.name.startswith(".")) if runs.exists() else []

    @property
    def run(self) -> Path:
        (only,) = self.runs
        return only

    @property
    def records(self) -> list[dict[str, Any]]:
        files = (self.root / ".proml" / "store").glob("sha256/*/[!.]*")  # a killed put leaves a hidden file
        return sorted((json.loads(path.read_bytes()) for path in files), key=lambda record: str(record["created"]))

    @property
    def record(self) -> dict[str, Any]:
        (only,) = self.records
        return only

    @property
    def intents(self) -> list[tuple[str, str, dict[str, Any]]]:
        path = self.root / ".proml" / "outbox.sqlite"
        if not path.exists():
            return []
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT key, kind, body FROM entry ORDER BY number").fetchall()
        connection.close()
        return [(key, kind, json.loads(body)) for key, kind, body in rows]

    def python(self, code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a script of this code here."""
        script = self.root / "script.py"
        script.write_text(code, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )


@pytest.fixture(autouse=True)
def _no_run_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A working folder, which is the current folder."""
    (tmp_path / ".proml").mkdir(mode=0o700)
    (tmp_path / ".proml" / "config.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Recorded(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A folder that is no working folder, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    return Recorded(tmp_path)
