"""Two members of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import Person

if TYPE_CHECKING:
    import pytest


def two_people(factory: pytest.TempPathFactory) -> tuple[Person, Person]:
    """Makes the owner of a workspace, and somebody else who has its file."""
    made = []
    for name in ("owner", "other"):
        root = factory.mktemp(name)
        (root / "work").mkdir()
        made.append(Person(root / "home", root / "work"))
    owner, other = made
    other("id", "new", "other")
    other("id", "export", "other", "-o", "other.json")
    owner("id", "new", "owner")
    owner("workspace", "new", "--name", "study", "--member", "owner:all",
          "--member", f"other:auditor:{other.folder / 'other.json'}")  # fmt: skip
    owner("workspace", "file", "-o", "study.json")
    other("init", "--workspace", owner.folder / "study.json", "--identity", "other")
    return owner, other
