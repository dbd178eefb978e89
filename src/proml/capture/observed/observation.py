"""Observes one command: what is set up before it starts, and what is made of it when it has ended."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture.observed import describing, injecting, reading, watching
from proml.capture.observed.filtering import Filter
from proml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOG = "observed.log"
SUMMARY = ("processes", "unobserved", "left_out", "is_cut")
"""Fields of the summary, beside the lists of files."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a command is to be observed.

    Attributes:
        python: Let Python programs report.
        watch: Folders whose files are compared before and after.
        ignore: Patterns of files to leave out, as in :mod:`proml.capture.observed.filtering`.
    """

    python: bool = True
    watch: Sequence[str] = ()
    ignore: Sequence[str] = ()


class Observation:
    """Made before a command starts.

    Args:
        folder: The run's folder.
        wanted: How to observe.

    Raises:
        UsageError: What is to be watched is no folder.
        OSError: The log cannot be made.
    """

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._root = folder.parents[2]
        self._wanted = wanted
        self._log = folder / LOG
        self._watched = [_folder(one) for one in wanted.watch]
        self._before = watching.look(self._watched, self._filter().keeps)
        self._reports = wanted.python and not self._is_observed_already(folder)
        if self._reports:
            self._log.touch(mode=0o600)

    def environment(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the environment that the command gets."""
        return injecting.environment_with(self._log, environment) if self._reports else environment

    def finish(self, argv: Sequence[str], known: describing.Known) -> Iterator[tuple[str, dict[str, object]]]:
        """Yields what was observed, as facts for the run's journal.

        Args:
            argv: The command.
            known: What was declared.

        Raises:
            OSError: The log cannot be read.
        """
        seen = reading.read_log(self._log) if self._reports else reading.Seen()
        chosen = self._filter(seen.prefixes)
        after = watching.look(self._watched, chosen.keeps)
        made = describing.describe(
            seen, watching.changed(self._before, after), chosen, known, describing.Limits()
        )  # fmt: skip
        yield from made.facts()
        option = injecting.out_of_reach(argv) if self._reports else ""
        if option:
            seen.unobserved[option] = seen.unobserved.get(option, 0) + 1
        summary: dict[str, object] = {"unobserved": seen.unobserved, "left_out": made.left_out}
        summary |= {"is_cut": seen.is_cut or self._before.is_cut or after.is_cut}
        processes: dict[str, object] = {"processes": seen.processes} if self._reports else {}
        yield "observed", processes | {key: summary[key] for key in SUMMARY if summary.get(key)}

    def _filter(self, prefixes: set[str] | None = None) -> Filter:
        return Filter(self._root, prefixes or (), self._wanted.ignore)

    @staticmethod
    def _is_observed_already(folder: Path) -> bool:
        """Tells whether this is within a command of the same run that is observed: everything is reported there."""
        log = os.environ.get(injecting.LOG_VARIABLE, "")
        return bool(log) and Path(log).parent == folder


def _folder(given: str) -> str:
    path = Path(given).absolute()
    if path.exists() and not path.is_dir():
        raise UsageError(f"expected a folder to watch; {given!a} is a file.", hint="Watch the folder that it is in.")
    return os.path.normpath(path)
