# ruff: noqa: INP001, S603, S607 - tools/ holds programs that developers run; this one starts others
"""Breaks one law of the contracts after the other and sees that the suite named in contracts/laws.toml notices.

A suite that is only ever seen to pass may be blind: here the short run of the invariants and each proof must fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.mutations import Mutant

ROOT = Path(__file__).parents[1]
LIST = ROOT / "contracts" / "laws.toml"
CACHE = ROOT / ".cache" / "mutants" / "laws"
_COPIED = ("fuzz.mjs", "prove.mjs", "forge.mjs", "package.json")


@dataclass(frozen=True)
class Law:
    """A law, how to break it, and who must notice.

    Attributes:
        suite: ``invariants`` or ``symbolic``.
        law: What holds, in words; of a proof, the name of its check.
        file: Name of the source to change.
        operator: Kind of the change.
        text: Words of what is changed or of what it is changed into, with single spaces.
    """

    suite: str
    law: str
    file: str
    operator: str
    text: str

    def mutant(self, mutants: Iterable[Mutant]) -> Mutant:
        """Returns the one mutant that breaks this law.

        Raises:
            RuntimeError: If there is none, or several.
        """
        alike = [m for m in mutants if (m.file, m.operator) == (self.file, self.operator)]
        found = [m for m in alike if self.text in " ".join(f"{m.before} {m.after}".split())]
        if len(found) != 1:
            raise RuntimeError(
                f"{LIST.name}: expected one mutant '{self.operator}' of '{self.text}' in {self.file}, found "
                f"{len(found)}; see `python -m tools.mutants --all --list`"
            )
        return found[0]


def laws() -> list[Law]:
    """Returns the committed list."""
    return [Law(**one) for one in tomllib.loads(LIST.read_text(encoding="utf-8"))["law"]]


class Suites:
    """The invariants and the proofs, on the byte code of a mutant, in a copy of the contracts' folder.

    Args:
        config: Forge's configuration.
        compiler: Folder of the compiler that remembers its answers.
    """

    def __init__(self, config: str, compiler: Path) -> None:
        self.folder = CACHE / "contracts"
        self.build = CACHE / "src" / "proml" / "contracts" / "Workspace.json"
        self.build.parent.mkdir(parents=True, exist_ok=True)
        for name in ("src", "test"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(ROOT / "contracts" / name, self.folder / name)
        for name in _COPIED:
            shutil.copy2(ROOT / "contracts" / name, self.folder / name)
        for name in ("solc-itself", "solc-wrapper"):
            shutil.copy2(compiler / name, self.folder / name)
        if not (self.folder / "node_modules").exists():
            (self.folder / "node_modules").symlink_to(ROOT / "contracts" / "node_modules")
        (self.folder / "foundry.toml").write_text(config, encoding="utf-8")

    def notice(self, law: Law, code: str) -> str:
        """Runs the law's suite on this creation code; returns what it noticed, or nothing."""
        self.build.write_text(json.dumps({"bytecode": code}), encoding="utf-8")
        if law.suite == "invariants":
            said = self._node("fuzz.mjs")
            found = re.search(r"\[FAIL: ([^\n]*)\]", said)
            passed = "no invariant broken" in said
        else:
            said = self._node("prove.mjs", law.law.removeprefix("check_"))
            found = re.search(rf"^{law.law}: (refuted)", said, re.MULTILINE)
            passed = f"{law.law}: holds" in said
        if not found and not passed:
            raise RuntimeError(f"{law.suite} neither hold nor fail without '{law.text}':\n{said[-3000:]}")
        return found[1] if found else ""

    def _node(self, *words: str) -> str:
        halmos = ROOT / ".venv-contracts" / "bin" / "halmos"
        # Any failure will do: no time is spent on a shorter sequence of calls.
        settings = {"HALMOS": str(halmos), "FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0"}
        ran = subprocess.run(
            ["nice", "-n", "10", "node", *words],
            cwd=self.folder, env={**settings, **os.environ}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ran.stdout + ran.stderr


def fingerprint() -> str:
    """Changes with all that the results depend on."""
    folder = ROOT / "contracts"
    files = [*sorted(folder.glob("src/*.sol")), *sorted(folder.glob("test/**/*.sol"))]
    files += [LIST, folder / "foundry.toml", folder / "fuzz.mjs", folder / "prove.mjs"]
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
