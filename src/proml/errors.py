"""Every exception that ProML raises, and the exit code each one has on the command line.

    ProMLError                       1  unexpected: a bug in ProML
    ├── UsageError                   2  the request, its input or a local file cannot be used as it is
    │   ├── InvalidName                 a name breaks the rules for names
    │   ├── InvalidLifecycle            a lifecycle definition is malformed
    │   ├── InvalidRecord               a record, manifest or workspace file is malformed
    │   ├── UnknownName                 no such artefact, action, kind, role, identity or version
    │   ├── ContentError                a file or folder cannot be read, is of an unsupported type, or changed meanwhile
    │   ├── ConfigError                 no working folder, or a broken configuration, identity or local database
    │   ├── IdentityError               wrong passphrase, missing or broken keystore
    │   ├── LocalStorageError           disk full, read-only or not permitted
    │   └── MissingExtra                an optional dependency is not installed
    ├── RefusedError                 3  the contract's rules refuse the operation
    ├── VerificationError            4  something is not what was agreed
    ├── UnreachableError             5  ledger, node or store cannot be reached; captured data is safe in the outbox
    │   └── NotAvailable                a store answers, but does not have the requested bytes
    └── ConflictError                6  the artefact moved on since it was read

Each message says what was expected, what was found, where, and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class ProMLError(Exception):
    """Base of all errors; raised itself only for what should not happen.

    Args:
        message: What was expected, what was found, and where, in one or more sentences.
        hint: What to do next, as an imperative sentence; shown on a line of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(ProMLError):
    """The request, its input or a local file cannot be used as it is."""

    exit_code = 2


class InvalidName(UsageError):
    """A name breaks the rules for names."""


class InvalidLifecycle(UsageError):
    """A lifecycle definition is malformed."""


class InvalidRecord(UsageError):
    """A record, manifest or workspace file is malformed."""


class UnknownName(UsageError):
    """No artefact, action, kind, role, identity or version has this name."""


class ContentError(UsageError):
    """A file or folder cannot be read, is of an unsupported type, or changed while it was read."""


class ConfigError(UsageError):
    """There is no working folder, or its configuration or a local database is broken."""


class IdentityError(UsageError):
    """The passphrase is wrong, or a keystore is missing or broken."""


class LocalStorageError(UsageError):
    """The disk is full or read-only, or permission is missing."""


class MissingExtra(UsageError):
    """An optional dependency is not installed."""


class RefusedError(ProMLError):
    """The contract's rules refuse the operation.

    Args:
        message: The rule in words: which rule, which state, which role is missing.
        rule: Name of the contract's custom error, for example ``FourEyes``.
        arguments: The custom error's arguments by name.
        hint: What to do next.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, rule: str = "", arguments: dict[str, object] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.arguments = arguments or {}


class VerificationError(ProMLError):
    """Something is not what was agreed.

    Args:
        message: What was expected, what was found, and where.
        report: The report of the verification, if one was made (``proml.verify.Report``).
        hint: What to do next.
    """

    exit_code = 4

    def __init__(self, message: str, *, report: object = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.report = report


class UnreachableError(ProMLError):
    """The ledger, node or store cannot be reached; what was captured is safe in the outbox."""

    exit_code = 5


class NotAvailable(UnreachableError):
    """A store answers, but does not have the requested bytes."""


class ConflictError(ProMLError):
    """The artefact moved on since it was read."""

    exit_code = 6
