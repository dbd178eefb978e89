"""What capture does when something goes wrong in it: one warning, and the user's program goes on.

The warning goes to the logger ``proml`` (by default: to standard error), not to :mod:`warnings`, which a program may
turn into exceptions.
"""

from __future__ import annotations

import contextlib

from proml.errors import LocalStorageError, ProMLError


class Trouble:
    """Collects what went wrong in one run.

    Args:
        strict: Raise instead of warning.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.count = 0

    def report(self, doing: str, error: Exception) -> None:
        """Warns the first time; after that it only counts.

        Args:
            doing: What was being done, to be read after "could not".
            error: Why it could not.

        Raises:
            ProMLError: The run is strict.
        """
        self.count += 1
        if self.strict:
            raise in_words(doing, error) from error
        self._first(doing, error)

    def mention(self, doing: str, error: Exception) -> None:
        """Warns the first time, also if the run is strict: what could not be done is worth no more."""
        self.count += 1
        self._first(doing, error)

    def _first(self, doing: str, error: Exception) -> None:
        if self.count == 1:
            warn(f"{in_words(doing, error)}\nYour program goes on; this is the only warning of this run.")


def warn(message: str) -> None:
    """Logs a warning; never raises, whatever the program did to logging or standard error."""
    with contextlib.suppress(Exception):
        import logging  # noqa: PLC0415 - takes as long to import as all of capture, and is rarely needed

        logging.getLogger("proml").warning("proml: %s", message)


def in_words(doing: str, error: Exception) -> ProMLError:
    """Returns the failure as an error of :mod:`proml.errors`."""
    if isinstance(error, ProMLError):
        return error
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return LocalStorageError(
            f"could not {doing}: {error.strerror or error}{place}.", hint="Check free space and permissions."
        )
    return ProMLError(f"could not {doing}: {type(error).__name__}: {error}.", hint="Please report this as a bug.")
