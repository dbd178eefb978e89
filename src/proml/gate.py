"""What a script calls that needs the ledger: verification before it loads a file, delivery when a run shall wait."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proml.errors import VerificationError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from proml.verify.report import Report

_WAITS: dict[str, Literal["included", "final"] | None] = {"sent": None, "confirmed": "included", "final": "final"}


def verify(
    path_or_name: str | os.PathLike[str],
    *,
    state: str = "",
    name: str = "",
    confirmations: int = 0,
    final: bool = False,
    folder: str | os.PathLike[str] | None = None,
) -> Report:
    """Checks that a file, folder or artefact is what was agreed.

    Args:
        path_or_name: A path, or the name of an artefact (``NAME[@VERSION]``) if there is no such path.
        state: State that the artefact must be in, for example ``released``; any that is not revoked if empty.
        name: Artefact (``NAME[@VERSION]``) that the content must belong to; any if empty.
        confirmations: Blocks that must lie on top of the last transition.
        final: Whether the last transition must be final.
        folder: Where the search for the working folder begins; the current folder by default.

    Returns:
        The report, which has no error.

    Raises:
        VerificationError: Something is not what was agreed; ``error.report`` says what was found.
        ProMLError: The check could not be made.
    """
    from proml.verify.verifying import Demand, verify_name, verify_path  # noqa: PLC0415 - import proml stays light
    from proml.wiring import open_participant  # noqa: PLC0415 - as above

    demand = Demand(name=name, state=state, confirmations=confirmations, final=final)
    participant = open_participant(folder)
    try:
        participant.follow()
        if isinstance(path_or_name, os.PathLike) or os.path.lexists(path_or_name):
            report = verify_path(participant.witnesses, os.fspath(path_or_name), demand)
        else:
            report = verify_name(participant.witnesses, path_or_name, demand)
    finally:
        participant.close()
    return report.require()


def verified(path: str | os.PathLike[str], *, state: str = "", name: str = "", final: bool = False) -> str:
    """Returns the path if its content is what was agreed, for use where a file is opened.

    Between check and use the file must not be writable by others: nothing can tell a change in that instant.

    Args:
        path: File or folder.
        state: State that its artefact must be in.
        name: Artefact (``NAME[@VERSION]``) that it must belong to; any if empty.
        final: Whether the last transition must be final.

    Raises:
        VerificationError: It is not what was agreed.
    """
    path = os.fspath(path)
    if not os.path.lexists(path):
        raise VerificationError(f"expected a file or folder to verify; there is no {path}.", hint="Check the path.")
    verify(path, state=state, name=name, final=final)
    return path


def deliver(run: Path, *, until: str) -> None:
    """Sends what a closed run called for, and waits.

    Args:
        run: The run's folder, ``.proml/runs/RUN_ID``.
        until: ``sent``, ``confirmed`` (in a block) or ``final``.

    Raises:
        ProMLError: It is not so far; what was not sent stays in the outbox, unless the rules refused it.
    """
    from proml.capture.closing import read_closed  # noqa: PLC0415 - only for runs that wait
    from proml.wiring import open_participant  # noqa: PLC0415 - as above

    keys = set(read_closed(run).intents)
    with open_participant(run.parents[2]) as participant:
        # In whatever state: a node in this folder, or another process, may have been quicker.
        numbers = participant.outbox.find(keys)
        report = participant.deliver(numbers, wait=_WAITS[until])
        for number in numbers:
            report.raise_for(number, _WAITS[until])
