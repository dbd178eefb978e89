"""What others rely on in a deployed workspace: events, errors, functions, and where what is stored.

``python -m tests.contracts.schema`` writes the golden files anew, with the version in ``contracts/package.json``, and
refuses to describe something else by a version that is taken. That is for a deliberate change: those who read the
chain, and those who prove storage, must learn of it by the version, which every published build carries too.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, cast

from proml.contract_build import load_contract
from proml.core.digest import keccak256

GOLDEN = Path(__file__).parent / "golden"
CONTRACTS = Path(__file__).parents[2] / "contracts"
NAMES = ("Workspace", "WorkspaceFactory")

# Only the layout is asked for, so nothing is compiled to byte code and it takes a second or two.
_ASK_FOR_LAYOUT = """
const fs = require("fs"), path = require("path"), solc = require("solc");
const sources = {};
for (const name of fs.readdirSync("src")) {
  if (name.endsWith(".sol")) sources[`src/${name}`] = { content: fs.readFileSync(path.join("src", name), "utf8") };
}
const settings = { evmVersion: "london", outputSelection: { "*": { "*": ["storageLayout"] } } };
const read = (name) => ({ contents: fs.readFileSync(path.join("node_modules", name), "utf8") });
const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", settings, sources }), { import: read }));
const failed = (output.errors || []).filter((e) => e.severity === "error");
if (failed.length) throw new Error(failed[0].formattedMessage);
const layout = (name) => [name, output.contracts[`src/${name}.sol`][name].storageLayout];
console.log(JSON.stringify(Object.fromEntries(["Workspace", "WorkspaceFactory"].map(layout))));
"""


def interface_schema() -> dict[str, Any]:
    """Returns the events, errors and functions of the committed build, each with the hash that names it on chain."""
    return {name: _interface(load_contract(name).abi) for name in NAMES}


def storage_schema() -> dict[str, Any]:
    """Returns the sources' storage: slot, offset in bytes and type of each variable and of each struct's members.

    Raises:
        OSError: Node.js is missing.
        RuntimeError: The compiler is missing, or the sources do not compile.
    """
    ran = subprocess.run(["node", "-e", _ASK_FOR_LAYOUT], cwd=CONTRACTS, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"expected the sources' storage layout; the compiler answers: {ran.stderr}")
    return {name: _storage(layout) for name, layout in json.loads(ran.stdout).items()}


def golden(kind: str) -> dict[str, Any]:
    """Returns a golden file: its ``version`` and its ``schema``."""
    return cast("dict[str, Any]", json.loads((GOLDEN / f"{kind}.json").read_text()))


def _interface(abi: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"events": {}, "errors": {}, "functions": {}}
    for entry in abi:
        if entry["type"] == "constructor":
            found["constructor"] = {_shape(entry["inputs"]): ""}
            continue
        signature = f"{entry['name']}{_shape(entry['inputs'], names=False)}"
        whole = "0x" + keccak256(signature.encode()).hex()
        named = f"{entry['name']}{_shape(entry['inputs'])}"
        if entry["type"] == "function":
            named += f" {entry['stateMutability']} returns {_shape(entry['outputs'])}"
        found[f"{entry['type']}s"][named] = whole if entry["type"] == "event" else whole[:10]
    return {kind: dict(sorted(entries.items())) for kind, entries in found.items()}


def _shape(parameters: list[dict[str, Any]], *, names: bool = True) -> str:
    return "(" + ",".join(_parameter(parameter, names=names) for parameter in parameters) + ")"


def _parameter(parameter: dict[str, Any], *, names: bool) -> str:
    spelled = str(parameter["type"])
    if spelled.startswith("tuple"):
        spelled = _shape(parameter["components"], names=names) + spelled.removeprefix("tuple")
    indexed = " indexed" if parameter.get("indexed") else ""
    return f"{spelled}{indexed} {parameter['name']}".rstrip() if names else spelled


def _storage(layout: dict[str, Any]) -> dict[str, Any]:
    types = layout["types"] or {}
    structs = {
        _without_numbers(name): [_variable(member) for member in one["members"]]
        for name, one in types.items()
        if "members" in one
    }
    return {"variables": [_variable(one) for one in layout["storage"]], "structs": dict(sorted(structs.items()))}


def _variable(one: dict[str, Any]) -> str:
    return f"slot {one['slot']} byte {one['offset']}: {_without_numbers(one['type'])} {one['label']}"


def _without_numbers(type_name: str) -> str:
    """Returns a type's name without the compiler's numbers of syntax nodes, which change with every edit."""
    return re.sub(r"\)\d+", ")", type_name)


def interface_version() -> int:
    """Returns the version that the contracts' package claims for its events, errors, functions and storage."""
    return int(json.loads((CONTRACTS / "package.json").read_text())["proml"]["interface"])


def write_golden(schemas: dict[str, dict[str, Any]], version: int) -> None:
    """Writes the golden files.

    Args:
        schemas: ``events`` and ``storage``.
        version: Of them.

    Raises:
        ValueError: They are not what this version, or a higher one, already stands for.
    """
    for kind, schema in schemas.items():
        before = golden(kind)
        if version < before["version"] or (version == before["version"] and schema != before["schema"]):
            raise ValueError(
                f"{kind}: version {before['version']} is frozen with another schema; expected a higher version, found "
                f'{version}. Raise "interface" in contracts/package.json.'
            )
    for kind, schema in schemas.items():
        document = {"version": version, "schema": schema}
        (GOLDEN / f"{kind}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_golden({"events": interface_schema(), "storage": storage_schema()}, interface_version())
