"""Brings the observer into the Python programs that a command consists of or starts, through their environment alone.

PYTHONPATH is what reaches every Python of every environment, also where ProML is not installed, and what child
processes inherit. Python leaves it out of account under ``-I`` and ``-E``, and does not look for the observer under
``-S``; these are told by the command line as far as it is seen.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOG_VARIABLE = "PROML_OBSERVE"
_HOOK = Path(__file__).parent / "hook"
_SEARCH_PATH = "PYTHONPATH"
_PYTHON = re.compile(r"python[\d.]*$")
_ENDS_OPTIONS = "cmXW"  # what follows these in the same word is no further option


def environment_with(log: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns a command's environment in which its Python programs report into a log.

    Args:
        log: Exists; they append to it.
        environment: The command's environment without that.
    """
    known = environment.get(_SEARCH_PATH, "")
    # An empty part would mean the current folder.
    return {**environment, LOG_VARIABLE: str(log), _SEARCH_PATH: os.pathsep.join(filter(None, [str(_HOOK), known]))}


def out_of_reach(argv: Sequence[str]) -> str:
    """Returns the option with which a command keeps the observer out of its Python; empty if there is none."""
    if not argv or not _PYTHON.search(Path(argv[0]).name):
        return ""
    for argument in argv[1:]:
        if not argument.startswith("-") or argument.startswith("--"):
            break
        letters = re.split(f"[{_ENDS_OPTIONS}]", argument[1:], maxsplit=1)[0]
        found = next((letter for letter in "IES" if letter in letters), "")
        if found:
            return f"-{found}"
        if letters != argument[1:]:
            break
    return ""
