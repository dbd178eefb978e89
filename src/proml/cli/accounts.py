"""Accounts as the command line names them: an address, or a file of `proml id export`."""

from __future__ import annotations

from pathlib import Path

from proml.errors import InvalidRecord, UsageError

_SIZE_LIMIT = 1 << 20


def account_of(who: str, whose: str = "its owner") -> str:
    """Returns the address that a text names.

    Args:
        who: An address, or the path of a file that `proml id export` made.
        whose: Who has to provide it, for messages.

    Raises:
        UsageError: It is neither, or the file cannot be read.
        InvalidRecord: The file is not one of `proml id export`, or its proof does not hold.
    """
    from proml.core.canonical import parse_json  # noqa: PLC0415 - only here
    from proml.core.words import parse_address  # noqa: PLC0415 - as above
    from proml.identity import check_export  # noqa: PLC0415 - takes long to import

    if who.startswith("0x"):
        return parse_address(who)
    path = Path(who)
    try:
        with path.open("rb") as opened:
            data = opened.read(_SIZE_LIMIT)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            hint=f"Name the file that {whose} made with `proml id export`, or an address.",
        ) from error
    try:
        return check_export(parse_json(data, str(path)))["address"]
    except InvalidRecord as error:
        raise InvalidRecord(f"{path}: {error.message}", hint="Ask for a file made with `proml id export`.") from error
