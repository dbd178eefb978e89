# ruff: noqa: INP001, S603, S607, T201 - tools/ holds programs that developers run; this one starts others and prints
"""Mutates the contracts and runs their tests on every mutant, to find what no test would notice.

python -m tools.mutants                # the standard operators; continues a run that was stopped
python -m tools.mutants --all          # every operator of tools/mutations.py
python -m tools.mutants --list         # describe the mutants, run nothing
python -m tools.mutants --forge-only   # do not try survivors on the Python tests
python -m tools.mutants --laws         # only break the laws of contracts/laws.toml, each for the suite named there

Everything happens in copies under .cache/mutants. Exits with 1 if a mutant survives that contracts/mutants.toml does
not explain, or a suite does not notice that its law is broken. What a mutant costs in gas, its code's hash and size
kill none: those tests are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from hashlib import sha256
from pathlib import Path

from tools.laws import Suites, laws
from tools.laws import fingerprint as fingerprint_of_laws
from tools.mutations import MARK, SWITCH, SWITCH_TEXT, Mutant, Mutator

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "mutants"
SCRATCH = CACHE / "contracts"
RELEASE = CACHE / "release"  # where one mutant at a time is built as a release is
RESULTS = CACHE / "results.json"
NOTICED = CACHE / "laws.json"
EXPLAINED = ROOT / "contracts" / "mutants.toml"
# Interfaces have no code; the EIP-712 strings are constants that the tests' own encoder repeats.
LEFT_OUT = {"IWorkspace.sol", "IWorkspaceFactory.sol", "TypedData.sol"}
STANDARD = re.compile(
    r"guard dropped|part dropped|write dropped|mask dropped|constant|shift|number|event not|[<>]=? turned|\+\+|--|~"
)
NOT_TESTED = ("test_all_workspaces_have_the_committed_code", "test_the_code_fits")
# Compiling fast matters here, size does not.
_QUICKLY = """
code_size_limit = 1000000
dynamic_test_linking = true
[profile.default.optimizer_details]
peephole = false
inliner = false
jumpdestRemover = false
orderLiterals = false
deduplicate = false
cse = false
constantOptimizer = false
yul = true
[profile.default.optimizer_details.yulDetails]
stackAllocation = true
optimizerSteps = "dhfoDgvulfnTUtnIf:"

[fuzz]"""
# Forge asks the compiler the same thing before each run, which takes longer than the tests.
_REMEMBERING = """#!/usr/bin/env bash
set -euo pipefail
kept="$(dirname "$0")/cache/answers"
mkdir -p "$kept"
asked="$(mktemp)"
[ "$1" = --version ] || cat >"$asked"
key="$(sha256sum <"$asked" | cut -c1-64)"
if [ ! -f "$kept/$key" ]; then
    "$(dirname "$0")/solc-itself" "$@" <"$asked" >"$asked.answer"
    mv "$asked.answer" "$kept/$key"
fi
rm "$asked"
cat "$kept/$key"
"""
_CHECK_TYPES = """
const fs = require("fs"), solc = require("solc"), sources = {};
for (const n of fs.readdirSync("src")) sources[`src/${n}`] = { content: fs.readFileSync(`src/${n}`, "utf8") };
const settings = { evmVersion: "london", outputSelection: { "*": { "*": ["abi"] } } };
const read = (n) => ({ contents: fs.readFileSync(`node_modules/${n}`, "utf8") });
const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", settings, sources }), { import: read }));
const found = (output.errors || []).filter((e) => e.severity === "error");
console.log(JSON.stringify(found.map((e) => [e.sourceLocation.file, e.sourceLocation.start, e.formattedMessage])));
"""


def instrument(skipped: set[str], only: str | None = None) -> Mutator:
    """Writes the sources with their mutants into the scratch copy, or with ``only`` one for good into the release."""
    into = SCRATCH / "src" if only is None else RELEASE / "contracts" / "src"
    mutator = Mutator(set(skipped), only=only)
    for path in sorted((ROOT / "contracts" / "src").glob("*.sol")):
        text = path.read_text(encoding="utf-8")
        new = text if path.name in LEFT_OUT else mutator.instrument(path.name, text)
        (into / path.name).write_text(new, encoding="utf-8")
    switch = SWITCH_TEXT if only is None else SWITCH_TEXT.replace(f"0x{MARK}", "1")
    (into / SWITCH).write_text(switch, encoding="utf-8")
    return mutator


def prepare(*, everything: bool) -> Mutator:
    """Makes the scratch copy, without the mutants that the compiler refuses."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for name in ("src", "test"):
        shutil.rmtree(SCRATCH / name, ignore_errors=True)
        shutil.copytree(ROOT / "contracts" / name, SCRATCH / name)
    for path in (SCRATCH / "test").glob("*Gas*.sol"):
        path.unlink()
    for name in ("package.json", "build.mjs"):
        shutil.copy2(ROOT / "contracts" / name, SCRATCH / name)
    shutil.copy2(ROOT / "contracts" / "solc-wrapper", SCRATCH / "solc-itself")
    (SCRATCH / "solc-wrapper").write_text(_REMEMBERING, encoding="utf-8")
    (SCRATCH / "solc-wrapper").chmod(0o755)
    if not (SCRATCH / "node_modules").exists():
        (SCRATCH / "node_modules").symlink_to(ROOT / "contracts" / "node_modules")
    (SCRATCH / "foundry.toml").write_text(config(), encoding="utf-8")
    mutator = instrument(set())
    wanted = {law.mutant(mutator.mutants).key for law in laws()}
    skipped = set() if everything else {m.key for m in mutator.mutants if not STANDARD.match(m.operator)} - wanted
    while True:
        mutator = instrument(skipped)
        refused = _refused(mutator)
        if not refused:
            return mutator
        skipped |= refused


def config() -> str:
    """Forge's configuration for many mutants: quick to compile, whatever the size of the code."""
    text = (ROOT / "contracts" / "foundry.toml").read_text(encoding="utf-8")
    return text.replace("isolate = true", "isolate = false").replace("\n[fuzz]", _QUICKLY, 1)


def _refused(mutator: Mutator) -> set[str]:
    """The keys of the mutants at which the compiler finds errors of type."""
    ran = subprocess.run(["node", "-e", _CHECK_TYPES], cwd=SCRATCH, capture_output=True, text=True, check=True)
    keys = set()
    for file, start, message in json.loads(ran.stdout):
        # Places are in bytes.
        before = (SCRATCH / file).read_bytes()[: start + 1].decode("utf-8", "ignore")
        numbers = re.findall(r"MUTANT == (\d+)", before)
        if not numbers:
            raise RuntimeError(f"the instrumented sources do not compile: {message}")
        keys.add(mutator.mutants[int(numbers[-1]) - 1].key)
    return keys


def forge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs forge in the scratch copy."""
    program = next((ROOT / "contracts" / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge"))
    command = ["nice", "-n", "10", str(program), *arguments, "--offline"]
    return subprocess.run(command, cwd=SCRATCH, capture_output=True, text=True, check=False)


class Bench:
    """The compiled mutants; one is chosen by its number."""

    def __init__(self) -> None:
        built = forge("build")
        if built.returncode:
            raise RuntimeError(f"the instrumented sources do not compile:\n{built.stdout[-3000:]}{built.stderr}")
        names = ("Workspace", "WorkspaceFactory")
        self.paths = [SCRATCH / "out" / f"{name}.sol" / f"{name}.json" for name in names]
        self.texts = []
        for path in self.paths:
            kept = path.with_suffix(".marked")
            if MARK in (text := path.read_text(encoding="utf-8")):
                kept.write_text(text, encoding="utf-8")
            self.texts.append(kept.read_text(encoding="utf-8"))

    def code(self, number: int) -> str:
        """The creation code of the workspace with a mutant."""
        built = json.loads(self.texts[0])["bytecode"]["object"]
        return str(built).replace(MARK, f"{number:064x}")

    def run(self, number: int) -> str:
        """Tests a mutant (0: none) and returns the test that killed it, or nothing."""
        for path, text in zip(self.paths, self.texts, strict=True):
            path.write_text(text.replace(MARK, f"{number:064x}"), encoding="utf-8")
        ran = forge("test", "--fail-fast", "--no-match-test", "|".join(NOT_TESTED), "--no-match-contract", "Gas")
        failed = re.search(r"\[FAIL[^\n]*\] (\w+)\(", ran.stdout)
        if ran.returncode == 0:
            return ""
        if failed is None:
            said = f"{ran.stdout[-2000:]}{ran.stderr}"
            raise RuntimeError(f"forge ended with {ran.returncode} and names no failing test:\n{said}")
        return failed[1]


def python_tests(mutant: Mutant, skipped: set[str]) -> str:
    """Builds one mutant as a release is built, tries it on the Python tests, and returns what killed it, or nothing."""
    shutil.rmtree(RELEASE, ignore_errors=True)
    (RELEASE / "contracts" / "src").mkdir(parents=True)
    for name in ("package.json", "build.mjs"):
        shutil.copy2(ROOT / "contracts" / name, RELEASE / "contracts" / name)
    (RELEASE / "contracts" / "node_modules").symlink_to(ROOT / "contracts" / "node_modules")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, RELEASE / name)
    shutil.copy2(ROOT / "pyproject.toml", RELEASE / "pyproject.toml")
    instrument(skipped, only=mutant.key)
    built = subprocess.run(["node", "contracts/build.mjs"], cwd=RELEASE, capture_output=True, text=True, check=False)
    if built.returncode:
        raise RuntimeError(f"expected mutant {mutant.key} to be built:\n{built.stdout}{built.stderr[-3000:]}")
    tests = [f"tests/contracts/{name}" for name in ("test_every_error.py", "test_model.py")]
    command = ["nice", "-n", "10", sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    where = {**os.environ, "PYTHONPATH": str(RELEASE / "src")}
    ran = subprocess.run(command, cwd=RELEASE, env=where, capture_output=True, text=True, check=False)
    failed = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", ran.stdout, re.MULTILINE)
    if ran.returncode and failed is None:
        said = f"{ran.stdout[-3000:]}{ran.stderr}"
        raise RuntimeError(f"pytest ended with {ran.returncode} and names no failing test:\n{said}")
    return "" if failed is None else f"pytest: {failed[1]}"


def fingerprint(*, tests: bool) -> str:
    """Changes with the sources, whatever their comments say, and with the tests if so told."""
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "contracts" / "src").glob("*.sol"))]
    code = [" ".join(re.sub(r"//[^\n]*", "", text).split()).encode() for text in sources]
    return sha256(b"".join([*code, *(path.read_bytes() for path in _tests() if tests)])).hexdigest()


def _tests() -> list[Path]:
    return [*sorted((ROOT / "contracts" / "test").glob("*.sol")), *sorted((ROOT / "tests" / "contracts").glob("*.py"))]


def known_results() -> dict[str, str]:
    """What the last runs found of these sources: kills by tests that still exist, and survivals of the same tests."""
    state = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if state.get("sources") != fingerprint(tests=False):
        return {}
    names = set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in _tests())))
    same = state["all"] == fingerprint(tests=True)
    killed: dict[str, str] = state["killed"]
    return {key: killer for key, killer in killed.items() if (killer.split()[-1] in names if killer else same)}


def explained() -> dict[str, str]:
    """The reasons in the committed file, by the mutants' keys."""
    if not EXPLAINED.exists():
        return {}
    return {one["key"]: one["why"] for one in tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get("mutant", [])}


def test_all(mutator: Mutator, *, forge_only: bool) -> dict[str, str]:
    """Tests every mutant and returns what killed it, or nothing, by key; keeps what is known on disk."""
    results = known_results()
    of = {"sources": fingerprint(tests=False), "all": fingerprint(tests=True)}

    def keep(mutant: Mutant, killer: str) -> None:
        results[mutant.key] = killer
        RESULTS.write_text(json.dumps({**of, "killed": results}, indent=1))
        print(f"{mutant.number:4} {mutant.file}:{mutant.line} {mutant.operator}: {killer or 'SURVIVED'}", flush=True)

    bench = Bench()
    if killer := bench.run(0):
        raise RuntimeError(f"expected the tests to pass without a mutant; {killer} fails.")
    for mutant in mutator.mutants:
        if mutant.key not in results:
            keep(mutant, bench.run(mutant.number))
    known = explained()
    for mutant in mutator.mutants:
        if not results[mutant.key] and not forge_only and mutant.key not in known:
            keep(mutant, python_tests(mutant, mutator.skipped))
    return {mutant.key: results[mutant.key] for mutant in mutator.mutants}


def break_laws(mutator: Mutator) -> int:
    """Has each law's suite notice that the law is broken; prints what it said, and returns how many did not."""
    state = json.loads(NOTICED.read_text()) if NOTICED.exists() else {}
    noticed: dict[str, str] = state["noticed"] if state.get("of") == fingerprint_of_laws() else {}
    bench, suites, missed = Bench(), Suites(config(), SCRATCH), 0
    for law in laws():
        mutant = law.mutant(mutator.mutants)
        key = f"{law.suite} {law.law} {mutant.key}"
        if key not in noticed:
            noticed[key] = suites.notice(law, bench.code(mutant.number))
            NOTICED.write_text(json.dumps({"of": fingerprint_of_laws(), "noticed": noticed}, indent=1))
        missed += not noticed[key]
        print(f"{law.suite}: {law.law}\n      {_change(mutant)}\n      {noticed[key] or 'NOT NOTICED'}", flush=True)
    print(f"{len(laws())} times a law was broken: {missed} not noticed by the suite that should")
    return missed


def _change(mutant: Mutant) -> str:
    return f"{mutant.file}:{mutant.line}  {mutant.operator}: {' '.join(mutant.before.split())[:160]}"


def report(mutator: Mutator, results: dict[str, str]) -> int:
    """Prints the table and the counts; returns the exit code."""
    known = explained()
    for mutant in mutator.mutants:
        killer = results[mutant.key] or f"SURVIVES: {known.get(mutant.key, 'not explained')}"
        change = " ".join(f"{mutant.before} → {mutant.after or 'nothing'}".split())
        print(f"{mutant.key} {mutant.file}:{mutant.line}  {mutant.operator}\n      {change[:200]}\n      {killer}")
    by = Counter(_who(killer) for killer in results.values())
    unexplained = [key for key, killer in results.items() if not killer and key not in known]
    print(f"\n{len(results)} mutants: {by['forge']} killed by forge, {by['Python tests']} by the Python tests, "
          f"{by['survived']} survived, of which {len(unexplained)} are not explained in {EXPLAINED.name}")  # fmt: skip
    for key in unexplained:
        print(f"not explained: {key}")
    return 1 if unexplained else 0


def _who(killer: str) -> str:
    if not killer:
        return "survived"
    return "Python tests" if killer.startswith("pytest") else "forge"


def main(words: list[str]) -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="mutants")
    for option in ("--all", "--list", "--forge-only", "--laws"):
        parser.add_argument(option, action="store_true")
    chosen = parser.parse_args(words)
    mutator = prepare(everything=chosen.all)
    if chosen.list:
        for mutant in mutator.mutants:
            print(mutant.key, f"{mutant.file}:{mutant.line}", mutant.operator, "|", " ".join(mutant.after.split()))
        print(len(mutator.mutants), "mutants")
        return 0
    if chosen.laws:
        return min(1, break_laws(mutator))
    print(f"{len(mutator.mutants)} mutants", flush=True)
    survived = report(mutator, test_all(mutator, forge_only=chosen.forge_only))
    return max(survived, min(1, break_laws(mutator)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
