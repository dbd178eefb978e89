"""go-ethereum 1.13 with Clique (EIP-225): validators in turn seal blocks; made for tests and small, closed networks.

Its line ended with 1.13: later ones cannot seal. Traps: without ``--gcmode archive`` a network whose clients are all
killed goes back in time; with forks from Shanghai on it refuses its second block; with a genesis time of 0 every
validator seals a first block of its own.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any

from proml.consortium.engines import NOTE_PROCESS, Ask, Usual, allocations, peers_of
from proml.core.finality import Finality, clique_depth
from proml.core.words import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.consortium.plan import Plan, Seat

# Every fork up to the last before the merge; the contracts are compiled for London.
_FORKS = (
    "homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul", "muirGlacier",
    "berlin", "london", "arrowGlacier", "grayGlacier",
)  # fmt: skip
_EPOCH_BLOCKS = 30_000
_VANITY_BYTES, _SEAL_BYTES = 32, 65


class GethClique(Usual):
    """An :class:`~proml.consortium.engines.Engine`."""

    name = "geth-clique"
    variable = "PROML_GETH"
    program = "geth"
    versions = "1.13.x; 1.13.15 is tested"
    image = "ethereum/client-go:v1.13.15"
    when_standing = (
        "Half of the validators or fewer may be up and reach each other; or all do, and hold two branches of equal "
        "weight, which `proml consortium step-back` ends, or `watch` by itself: see `Two branches of equal weight` in "
        "docs/how-to/run-a-consortium.md."
    )
    in_image: Mapping[str, str] = {"PROML_GETH": "geth"}

    def finality(self, plan: Plan) -> Finality:
        """Returns as many blocks on top as a majority of the founders seals."""
        return Finality("depth", clique_depth(len(plan.founders)))

    def validator(self, seat: Seat) -> str:
        """Returns the address of its validator key."""
        return seat.keys.validator

    def files(self, plan: Plan, seat: Seat) -> Mapping[str, str]:
        """Returns genesis, peers and the start script."""
        return {
            "genesis.json": json.dumps(_genesis(plan), indent=2) + "\n",
            "client.toml": f"[Node.P2P]\nStaticNodes = {json.dumps(peers_of(plan, seat), indent=2)}\n",
            "start.sh": _start_script(plan, seat),
        }

    def period_s(self, genesis: Mapping[str, Any]) -> int:
        """Reads ``clique.period``."""
        return int(genesis["config"]["clique"]["period"])

    def accepts(self, version: str) -> bool:
        """Whether it is geth 1.13."""
        return re.search(r"\b1\.13\.\d+", version) is not None

    def admin_socket(self) -> str:
        """Returns geth's IPC socket: votes are not offered over HTTP."""
        return "data/geth.ipc"

    def validators(self, ask: Ask) -> Sequence[str]:
        """Asks ``clique_getSigners``."""
        return [parse_address(address) for address in ask("clique_getSigners")]

    def vote(self, ask: Ask, address: str, *, admit: bool) -> None:
        """Asks ``clique_propose``; the vote is cast in blocks that this client seals."""
        ask("clique_propose", address, admit)

    def votes(self, ask: Ask) -> Mapping[str, bool]:
        """Asks ``clique_proposals``, without those that came true."""
        now = set(self.validators(ask))
        proposals = {parse_address(address): bool(admit) for address, admit in ask("clique_proposals").items()}
        return {address: admit for address, admit in proposals.items() if (address in now) != admit}

    def votes_needed(self, validators: int) -> int:
        """Returns a majority of the validators."""
        return validators // 2 + 1

    def step_back(self, ask: Ask, number: int) -> None:
        """Asks ``debug_setHead``."""
        ask("debug_setHead", hex(number))


def _genesis(plan: Plan) -> dict[str, object]:
    signers = sorted(seat.keys.validator[2:].lower() for seat in plan.founders)
    return {
        "config": {
            "chainId": plan.chain_id,
            **{f"{fork}Block": 0 for fork in _FORKS},
            "clique": {"period": plan.period_s, "epoch": _EPOCH_BLOCKS},
        },
        "nonce": "0x0",
        "timestamp": hex(plan.genesis_time),
        "extraData": "0x" + "00" * _VANITY_BYTES + "".join(signers) + "00" * _SEAL_BYTES,
        "gasLimit": hex(plan.gas_limit),
        "difficulty": "0x1",
        "baseFeePerGas": "0x7",
        "coinbase": "0x" + "00" * 20,
        "alloc": allocations(plan),
    }


def _start_script(plan: Plan, seat: Seat) -> str:
    options = [
        "--config client.toml",
        "--datadir data",
        "--ipcpath ./data/geth.ipc",  # relative: a socket's path has at most 107 bytes
        f"--networkid {plan.chain_id}",
        f"--port {seat.p2p_port} --nodiscover --nat none --maxpeers {2 * len(plan.seats) + 10}",
        *([f"--netrestrict {restriction}"] if (restriction := _netrestrict(plan)) else []),
        "--nodekey keys/node.key",
        "--syncmode full --gcmode archive --cache 128",
        f"--http --http.addr 127.0.0.1 --http.port {seat.rpc_port} --http.api eth,net,web3 --http.vhosts localhost",
        "--authrpc.addr 127.0.0.1 --authrpc.port 0",
        f"--mine --miner.etherbase {seat.keys.validator} --miner.gasprice 1 --miner.gaslimit {plan.gas_limit}",
        # The key owns nothing and signs blocks only; HTTP is for this machine, and has no methods for keys.
        f"--keystore keys/validator --unlock {seat.keys.validator} --password keys/passphrase --allow-insecure-unlock",
        "--txpool.pricelimit 1 --txpool.accountslots 4096 --txpool.globalslots 20000",
        "--txpool.accountqueue 4096 --txpool.globalqueue 20000 --txpool.lifetime 24h0m0s",
        "--log.file client.log --log.rotate --log.maxsize 50 --log.maxbackups 3 --verbosity 3",
    ]
    lines = " \\\n  ".join(options)
    return f"""#!/bin/sh
# Runs the client of {seat.name} in the foreground; `proml consortium start` runs it in the background.
set -eu
cd "$(dirname "$0")"
{NOTE_PROCESS}
GETH=${{PROML_GETH:-geth}}
[ -d data/geth/chaindata ] || "$GETH" --datadir data --verbosity 2 init genesis.json
exec "$GETH" \\
  {lines}
"""


def _netrestrict(plan: Plan) -> str:
    """Returns the networks that peers may come from: the participants' addresses, if all are named by address."""
    try:
        addresses = {ipaddress.ip_address(seat.host) for seat in plan.seats}
    except ValueError:
        return ""
    return ",".join(f"{address}/{address.max_prefixlen}" for address in sorted(addresses, key=str))
