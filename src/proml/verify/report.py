"""What a verification found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR, WARNING, NOTE = "error", "warning", "note"
_MARKS = {ERROR: "✗", WARNING: "!", NOTE: "·"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, or worth knowing.

    Attributes:
        code: One of the table in :mod:`proml.verify.verifying`.
        level: ``error`` (not what was agreed), ``warning`` (cannot be told) or ``note`` (worth knowing).
        message: A sentence.
        expected: What was agreed.
        found: What is there.
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
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """Returns the finding as lines of plain text."""
        found = [f"{_MARKS.get(self.level, '?')} {self.message} [{self.code}]"]
        facts = (("where", self.where), ("expected", self.expected), ("found", self.found))
        return found + [f"    {name:<9}{value}" for name, value in facts if value]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    Attributes:
        subject: What was verified: a path or a name.
        findings: Errors first.
        facts: What it turned out to be: artefact, version, state, owner, content, block and so on.
        milliseconds: How long it took.
    """

    subject: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    milliseconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.level != ERROR for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """Returns the report as JSON-compatible values."""
        return {
            "subject": self.subject,
            "ok": self.ok,
            "findings": [finding.to_json() for finding in self.findings],
            "facts": dict(self.facts),
            "milliseconds": round(self.milliseconds, 3),
        }

    def lines(self) -> list[str]:
        """Returns the report as lines of plain text: the verdict, what it is, and each finding."""
        label = self.facts.get("label")
        verdict = "verified" if self.ok else "NOT what was agreed"
        what = f": {label}, {self.facts.get('state')}" if label else ""
        lines = [f"{'✓' if self.ok else '✗'} {self.subject} is {verdict}{what}"]
        shown = ("kind", "owner", "confirmed", "content", "files", "checked", "proved")
        lines += [f"    {name:<11}{self.facts[name]}" for name in shown if self.facts.get(name)]
        for finding in self.findings:
            lines += ["  " + line for line in finding.lines()]
        return lines

    def require(self) -> Report:
        """Returns itself if :attr:`ok`.

        Raises:
            VerificationError: It is not; the error carries this report.
        """
        errors = [finding for finding in self.findings if finding.level == ERROR]
        if not errors:
            return self
        first = errors[0]
        sides = (("expected", first.expected), ("found", first.found))
        compared = ", ".join(f"{word} {value}" for word, value in sides if value)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise VerificationError(
            f"{self.subject}: {first.message}{compared and ': '}{compared}{more}",
            report=self,
            hint="Do not use it before this is explained; 'proml log NAME' shows the history.",
        )
