"""What a verification found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be (``error``), cannot be told (``warning``), or is worth knowing (``note``).

    Attributes:
        code: One of the table in :mod:`proml.verify.verifying`.
        level: ``error``, ``warning`` or ``note``; a report with an error is not ok.
        where: File, artefact, transition or block concerned.
    """

    code: str
    level: str
    message: str
    expected: str = ""
    found: str = ""
    where: str = ""

    def to_json(self) -> dict[str, object]:
        """Returns the finding as JSON-compatible values."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification."""

    subject: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    milliseconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.level != "error" for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """Returns the report as JSON-compatible values."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """Returns the report as lines of plain text."""
        raise NotImplementedError

    def require(self) -> Report:
        """Returns itself if :attr:`ok`, or raises VerificationError with this report."""
        raise NotImplementedError
