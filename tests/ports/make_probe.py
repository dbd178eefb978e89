"""Compiles Probe.sol into probe.json with the npm compiler of contracts/: ``python tests/ports/make_probe.py``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
CONTRACTS = FOLDER.parents[1] / "contracts"


def main() -> None:
    settings = {
        "evmVersion": "london",
        "optimizer": {"enabled": True, "runs": 200},
        "metadata": {"bytecodeHash": "none"},
        "outputSelection": {"*": {"Probe": ["evm.bytecode.object", "evm.deployedBytecode.object"]}},
    }
    request = {
        "language": "Solidity",
        "sources": {"Probe.sol": {"content": (FOLDER / "Probe.sol").read_text(encoding="utf-8")}},
        "settings": settings,
    }
    script = (
        "const solc = require('solc'); let text = ''; process.stdin.on('data', d => text += d);"
        "process.stdin.on('end', () => console.log(solc.compile(text)))"
    )
    answer = subprocess.run(
        ["node", "-e", script], cwd=CONTRACTS, input=json.dumps(request), text=True, check=True, stdout=subprocess.PIPE
    )
    answered = json.loads(answer.stdout)
    if "contracts" not in answered:
        raise SystemExit(json.dumps(answered, indent=1))
    built = answered["contracts"]["Probe.sol"]["Probe"]["evm"]
    codes = {"creation": built["bytecode"]["object"], "runtime": built["deployedBytecode"]["object"]}
    (FOLDER / "probe.json").write_text(json.dumps(codes, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
