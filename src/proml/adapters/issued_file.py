"""The messages that were handed out, in a file that is only appended to: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any, cast

from proml.core.canonical import parse_json
from proml.errors import InvalidRecord, LocalStorageError
from proml.ports import IssuedMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TYPES = {"contract": str, "signer": str, "nonce": int, "deadline": int, "name": str}


class IssuedFile:
    """The IssuedMessages port over a file.

    A line that a crash cut off, or that somebody damaged, is passed over: its number may then be given out again, and
    the chain accepts one of the two messages.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, message: IssuedMessage) -> None:
        """Appends a message durably.

        Raises:
            LocalStorageError: The disk is full or read-only, or permission is missing.
        """
        # The first line feed ends a line that a crash may have cut off.
        line = "\n" + json.dumps(dataclasses.asdict(message)) + "\n"
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._trouble("written", error) from error

    def all(self) -> Sequence[IssuedMessage]:
        """Returns all, oldest first.

        Raises:
            LocalStorageError: The file cannot be read.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._trouble("read", error) from error
        return tuple(_parsed(lines))

    def _trouble(self, verb: str, error: OSError) -> LocalStorageError:
        return LocalStorageError(
            f"{self._path} cannot be {verb}: {error.strerror}", hint="Free space, or correct its permissions."
        )


def _parsed(lines: Sequence[bytes]) -> Iterator[IssuedMessage]:
    for line in lines:
        try:
            value = parse_json(line, "a line")
        except InvalidRecord:
            continue
        if isinstance(value, dict) and {name: type(one) for name, one in value.items()} == _TYPES:
            yield IssuedMessage(**cast("dict[str, Any]", value))
