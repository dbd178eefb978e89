"""The commands that the documents show are run, in order, and print what the documents say they print.

A block starting with three back-ticks and ``console`` holds commands (lines that start with ``$ ``) and what they
print. In the expected output ``…`` stands for anything within a line, and a line that is only ``…`` for any number of
lines. A document's blocks share one empty folder and one empty HOME.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command line of a document and what should follow it."""

    line: int
    text: str
    expected: str


def commands_of(document: Path) -> list[Command]:
    text = document.read_text(encoding="utf-8")
    found: list[Command] = []
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        for offset, line in enumerate(block.group(1).splitlines()):
            if line.startswith("$ "):
                found.append(Command(first + offset, line[2:], ""))
            elif found and line.startswith("> "):
                found[-1] = Command(found[-1].line, f"{found[-1].text}\n{line[2:]}", "")
            else:
                assert found, f"{document.name}:{first + offset}: output before the first command"
                found[-1] = Command(found[-1].line, found[-1].text, f"{found[-1].expected}{line}\n")
    return found


def pattern_of(expected: str) -> re.Pattern[str]:
    lines = expected.rstrip("\n").split("\n") if expected else []
    parts = (
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*?") + r"\s*?\n" for line in lines
    )
    return re.compile("".join(parts))


@pytest.mark.slow
@pytest.mark.parametrize(
    "document", [document for document in DOCUMENTS if commands_of(document)], ids=lambda path: path.stem
)
def test_commands_print_what_the_document_says(document: Path, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
    }
    for command in commands_of(document):
        if command.text.startswith("make "):
            continue  # continuous integration runs these two on a clean clone
        run = subprocess.run(
            ["bash", "-c", command.text],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        printed = run.stdout + run.stderr
        assert pattern_of(command.expected).fullmatch(
            printed if printed.endswith("\n") or not printed else printed + "\n"
        ), f"{document.name}:{command.line}: $ {command.text}\nexpected:\n{command.expected}\nprinted:\n{printed}"


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [
        ROOT / name
        for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "contracts/README.md")
    ]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*pages, *DOCUMENTS]
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_the_shell_that_runs_the_commands_is_there() -> None:
    assert shutil.which("bash")
