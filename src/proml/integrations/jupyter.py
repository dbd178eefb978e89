"""Jupyter and IPython: cells as runs.

    %load_ext proml.integrations.jupyter

A cell whose first line is `%%proml NAME` is a run. `%proml_run NAME` starts a run that the following cells belong to,
until `%proml_run` starts another, `%proml_end` ends it, or the kernel stops. Each cell's source is an input of the run,
named by its content: the digest of a file with the same text. The text itself is not recorded.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from proml.capture.run import describe_exception, status_of
from proml.capture.starting import start_run
from proml.core.manifest import SINGLE_FILE, Manifest, Resource
from proml.integrations.session import careful, use_content

if TYPE_CHECKING:
    from proml.capture.run import Run

_CELL = re.compile(r"\s*%%proml\b(?P<name>[^\n]*)\n?(?P<source>.*)", re.DOTALL)


class Magics:
    """The commands of one shell.

    Cells run as they would without: `%%proml` is a comment by then, and what happens before and after it goes by the
    shell's events. So errors, `await` and what a cell shows are as ever.

    Args:
        shell: IPython's ``InteractiveShell``.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._run: Run | None = None
        self._run_of_cell: Run | None = None

    def register(self) -> None:
        """Makes the commands known to the shell."""
        self._shell.register_magic_function(self.start, "line", "proml_run")
        self._shell.register_magic_function(self.end, "line", "proml_end")
        self._shell.input_transformers_cleanup.append(_without_first_line)
        self._shell.events.register("pre_run_cell", self.before_cell)
        self._shell.events.register("post_run_cell", self.after_cell)

    def unregister(self) -> None:
        """Ends the run and takes the commands back."""
        self.end("")
        for name in ("proml_run", "proml_end"):
            self._shell.magics_manager.magics["line"].pop(name, None)
        self._shell.input_transformers_cleanup.remove(_without_first_line)
        self._shell.events.unregister("pre_run_cell", self.before_cell)
        self._shell.events.unregister("post_run_cell", self.after_cell)

    def start(self, line: str) -> None:
        """``%proml_run NAME``: the following cells are a run."""
        self.end("")
        self._run = start_run(line.strip() or "notebook")
        _say(self._run)

    def end(self, _line: str) -> None:
        """``%proml_end``: the run of ``%proml_run`` is over."""
        run, self._run = self._run, None
        if run is not None:
            run.close()

    @careful("record a cell")
    def before_cell(self, info: Any) -> None:
        """Records the source of a cell that is about to run; starts its run, if it shall have one."""
        match = _CELL.match(info.raw_cell)
        place = f"In[{self._shell.execution_count}]"
        if match:
            self._run_of_cell = start_run(match["name"].strip() or "cell")
            _say(self._run_of_cell)
            _use_source(self._run_of_cell, match["source"], place)
        elif self._run is not None and self._run.is_open:
            _use_source(self._run, info.raw_cell, place)

    @careful("record the end of a cell")
    def after_cell(self, result: Any) -> None:
        """Ends the run of a cell."""
        run, self._run_of_cell = self._run_of_cell, None
        if run is not None:
            error = result.error_before_exec or result.error_in_exec
            run._end(status_of(error) if error else 0, describe_exception(error) if error else None)  # noqa: SLF001 - as `with`


def load_ipython_extension(shell: Any) -> None:
    """Called by ``%load_ext proml.integrations.jupyter``."""
    shell.proml_magics = Magics(shell)
    shell.proml_magics.register()


def unload_ipython_extension(shell: Any) -> None:
    """Called by ``%unload_ext proml.integrations.jupyter``."""
    shell.proml_magics.unregister()
    del shell.proml_magics


def _without_first_line(lines: list[str]) -> list[str]:
    """Makes ``%%proml`` a comment, so that the numbers of lines stay right."""
    return ["#\n", *lines[1:]] if lines and _CELL.match(lines[0]) else lines


def _use_source(run: Run, source: str, what: str) -> None:
    data = source.encode("utf-8", "surrogateescape")
    resource = Resource(SINGLE_FILE, "sha256", hashlib.sha256(data).digest(), len(data))
    if run.folder is not None:
        use_content(run, Manifest.of([resource]), role="cell", what=what)


def _say(run: Run) -> None:
    if run.id:
        print(f"proml: run {run.id}")  # noqa: T201 - a notebook shows it under the cell
