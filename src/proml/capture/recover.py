"""Finishes runs whose process was killed, or which could not be closed because the disk was full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture import closing, run_folder
from proml.errors import ProMLError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of the runs that were not closed.

    Attributes:
        closed: Ids of the runs that were closed now.
        at_work: Folders of the runs that go on, or whose processes are on another machine.
        failed: Folders of the runs that cannot be closed, with the reason.
    """

    closed: tuple[str, ...] = ()
    at_work: tuple[Path, ...] = ()
    failed: tuple[tuple[Path, ProMLError], ...] = ()


def recover(folder: str | Path, *, include_unknown: bool = False) -> Recovery:
    """Closes every run of a working folder whose processes have all ended; harmless at any time and in many processes.

    Args:
        folder: The working folder, which has ``.proml/``.
        include_unknown: Also close runs with processes of another machine or container, of which nobody can tell from
            here whether they run. What they still write is not in the record then.
    """
    runs = Path(folder) / ".proml" / "runs"
    done, busy, failed = [], [], []
    for run in _unclosed(runs):
        try:
            if not run_folder.is_sealed(run) and closing.at_work(run, unknown=not include_unknown):
                busy.append(run)
                continue
            if closing.close_abandoned(run):
                done.append(run_folder.read_start(run).id)
        except ProMLError as error:
            failed.append((run, error))
        except (OSError, ValueError, KeyError, TypeError) as error:
            failed.append((run, closing.not_closed(run, error)))
    if runs.is_dir():
        run_folder.remove_abandoned(runs)
    return Recovery(tuple(done), tuple(busy), tuple(failed))


def _unclosed(runs: Path) -> Sequence[Path]:
    if not runs.is_dir():
        return []
    return sorted(
        path for path in runs.iterdir() if (path / run_folder.START).is_file() and not run_folder.is_closed(path)
    )
