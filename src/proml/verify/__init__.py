"""Recompute, compare, explain: is this what was agreed?

Light to import; :mod:`~proml.verify.report` says what was found, :mod:`~proml.verify.verifying` looks,
:mod:`~proml.verify.diff` tells two versions apart, :mod:`~proml.verify.replay` checks the index against the chain.
"""

from proml.verify.report import Finding, Report

__all__ = ["Finding", "Report"]
