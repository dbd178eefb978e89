"""The documents are true: commands print what they show, links lead somewhere, nothing that a user can set is missing.

A block starting with three back-ticks and ``console`` holds commands (lines that start with ``$ ``, continued by lines
that start with ``> ``) and what they print. In the expected output ``…`` stands for anything within a line, and a line
that is only ``…`` for any number of lines. A document's commands share one folder and one HOME, empty at first, and,
like the commands typed into one shell, its current folder, functions and exported variables. What a page needs but does
not show is in a comment that starts with ``<!-- before``: its lines are run too, and have to succeed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from tools import documents

import proml
from proml.config import Config, Folder
from proml.core.lifecycle import FLAG_BITS, GUARD_BITS, ROLE_BITS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GUIDES = [path for path in DOCUMENTS if path.parent.name in {"tutorial", "how-to"}]
BLOCK = re.compile(r"^```console\n(?P<shown>.*?)^```$|^<!-- before\n(?P<hidden>.*?)^-->$", re.MULTILINE | re.DOTALL)
# Runs in the state that the last command left, and leaves its own behind, whichever way it ends.
SHELL = """. {state}
trap '{{ declare -f; export -p; printf "cd %q\\n" "$PWD"; }} > {state}' EXIT
{command}
"""


@dataclass(frozen=True)
class Command:
    """A command line of a document and what should follow it; None if that is not shown."""

    line: int
    text: str
    expected: str | None


def commands_of(document: Path) -> list[Command]:
    text = document.read_text(encoding="utf-8")
    found: list[Command] = []
    for block in BLOCK.finditer(text):
        group = "shown" if block["shown"] is not None else "hidden"
        first = text.count("\n", 0, block.start(group)) + 1
        if group == "hidden":
            found.append(Command(first, f"set -e\n{block['hidden']}", None))
            continue
        assert block["shown"].startswith("$ "), f"{document.name}:{first}: output before the first command"
        for offset, line in enumerate(block["shown"].splitlines()):
            if line.startswith("$ "):
                found.append(Command(first + offset, line[2:], ""))
                continue
            last = found.pop()
            if line.startswith("> ") or line == ">":
                found.append(Command(last.line, f"{last.text}\n{line[2:]}", ""))
            else:
                found.append(Command(last.line, last.text, f"{last.expected}{line}\n"))
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
    home, folder, state = tmp_path / "home", tmp_path / "work", tmp_path / "state"
    home.mkdir()
    folder.mkdir()
    state.touch()
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
            ["bash", "-c", SHELL.format(state=state, command=command.text)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        printed = run.stdout if run.stdout.endswith("\n") or not run.stdout else run.stdout + "\n"
        where = f"{document.name}:{command.line}: $ {command.text}"
        if command.expected is None:
            assert run.returncode == 0, f"{where}\nprinted:\n{printed}"
        else:
            assert pattern_of(command.expected).fullmatch(printed), (
                f"{where}\nexpected:\n{command.expected}\nprinted:\n{printed}"
            )


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [
        ROOT / name
        for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "contracts/README.md")
    ]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in dict.fromkeys([*pages, *DOCUMENTS])
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_every_page_is_on_the_map() -> None:
    docs = ROOT / "docs"
    mapped = {
        (docs / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (docs / "README.md").read_text(encoding="utf-8"))
        if "://" not in target
    }
    pages = {path for path in DOCUMENTS if docs in path.parents and path.name != "README.md"}
    assert not {path.name for path in pages - mapped if path.parent.name != "decisions"}


def test_generated_pages_are_what_the_code_says() -> None:
    # In a process of its own: what tests before this one left in click and the environment shows in help texts.
    checked = subprocess.run(
        [sys.executable, "-m", "tools.documents", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_command_is_used_in_a_guide() -> None:
    """The reference has every command by construction; a person also has to see when to use it."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in GUIDES)
    groups = {path.rpartition(" ")[0] for path, _ in documents.commands()}
    unused = [path for path, _ in documents.commands() if path not in groups and not re.search(rf"{path}\b", text)]
    assert not unused


def test_every_environment_variable_that_the_code_reads_is_documented() -> None:
    page = (ROOT / "docs/reference/environment-variables.md").read_text(encoding="utf-8")
    named = {
        name
        for path in (ROOT / "src/proml").rglob("*.py")
        for name in re.findall(r"\bPROML_[A-Z0-9_]+\b", path.read_text(encoding="utf-8"))
    }
    assert named
    assert not {name for name in named if f"`{name}`" not in page}


def test_every_public_name_of_the_package_is_documented() -> None:
    page = (ROOT / "docs/reference/python-api.md").read_text(encoding="utf-8")
    assert not [name for name in proml.__all__ if not re.search(rf"\b(?:proml\.)?{name}\b", page)]


def test_every_setting_of_a_working_folder_is_documented() -> None:
    page = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    assert not [field.name for field in fields(Config) if f"`{field.name}`" not in page]


def test_every_file_of_a_working_folder_is_documented() -> None:
    page = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    folder = Folder(Path("/study"))
    parts = {name: getattr(folder, name) for name, kind in vars(Folder).items() if isinstance(kind, property)}
    assert parts
    assert not [name for name, path in parts.items() if f"`{path.name}" not in page]


def test_every_role_flag_and_guard_is_documented() -> None:
    page = (ROOT / "docs/how-to/write-a-lifecycle.md").read_text(encoding="utf-8")
    names = [*FLAG_BITS, *GUARD_BITS, *(role for role in ROLE_BITS if not role.startswith("role-"))]
    assert not [name for name in names if f"`{name}`" not in page]


def test_every_finding_of_a_verification_is_documented() -> None:
    page = (ROOT / "docs/how-to/gate-a-deployment.md").read_text(encoding="utf-8")
    found = {
        code
        for path in (ROOT / "src/proml/verify").glob("*.py")
        for code in re.findall(
            r'"((?:content|file|version|state|chain|index|record|ancestor|evidence|not|votes)-[a-z]+)"',
            path.read_text(encoding="utf-8"),
        )
    }
    assert found
    assert not {code for code in found if f"`{code}`" not in page}


def test_the_shell_that_runs_the_commands_is_there() -> None:
    assert shutil.which("bash")
