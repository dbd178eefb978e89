"""The command line: parse, call, print. Loads no ledger library before a command needs one.

Exit codes: 0 done · 1 unexpected · 2 usage · 3 refused by the rules · 4 verification failed · 5 unreachable ·
6 conflict · 130 interrupted. They are those of :mod:`proml.errors`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The command's words; those of this process by default.

    Returns:
        The exit code.
    """
    from proml.cli.failure import guarded  # noqa: PLC0415 - importing proml.cli must stay free of click
    from proml.cli.root import root  # noqa: PLC0415 - as above

    return guarded(root, list(sys.argv[1:] if arguments is None else arguments))
