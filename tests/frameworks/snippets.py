"""Runs the Python of docs/how-to/frameworks.md."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "frameworks.md"


def snippet(section: str) -> str:
    """Returns the first block of Python in a section."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(section)}$(?P<body>.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {section}"
    code = re.search(r"^```python\n(?P<code>.*?)^```$", found["body"], re.MULTILINE | re.DOTALL)
    assert code, f"no Python in section {section}"
    return code["code"]
