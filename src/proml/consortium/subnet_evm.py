"""avalanchego with Subnet-EVM: a chain of the participants' own whose blocks are final when anybody sees them.

The participants' clients are a network of their own, with no tie to Avalanche's. In it they found one chain, by
transactions that everybody computes from the plan (:mod:`.avalanche.founding`). Traps: without
``"use-standalone-database": false`` a chain whose clients are all killed loses accepted blocks; with the usual weights
and polls of 20 places, one client of four that is missing all but stops it; with as many places as validators, two
halves that were parted never agree again; an idle chain makes no blocks.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from proml.consortium.avalanche import founding, issuing
from proml.consortium.avalanche.encoding import cb58
from proml.consortium.engines import NOTE_PROCESS, Ask, allocations, need_addresses
from proml.core.finality import Finality
from proml.core.url import host_in_url
from proml.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.consortium.plan import Plan, Seat

_PLUGIN = cb58(founding.VM_ID)
# All that Subnet-EVM has of Ethereum's forks is in force from then on.
_FORKS_FROM = 1_607_144_400
# avalanchego hands on no transaction of more than 64 KiB, and the genesis is in one.
_MOST_GENESIS_BYTES = 60_000
_APIS = ["eth", "eth-filter", "net", "web3", "internal-eth", "internal-blockchain", "internal-transaction"]


class SubnetEvm:
    """An :class:`~proml.consortium.engines.Engine`."""

    name = "subnet-evm"
    variable = "PROML_AVALANCHEGO"
    program = "avalanchego"
    versions = "1.14.0 with Subnet-EVM 0.8.0-rc.0"
    image = "avaplatform/avalanchego:v1.14.0"
    in_image: Mapping[str, str] = {
        "PROML_AVALANCHEGO": "/avalanchego/build/avalanchego",
        "PROML_AVALANCHEGO_PLUGINS": "/network/plugins",
    }
    next_step = "when all of you have started theirs, one runs `proml consortium create-chain`."
    no_votes = (
        "with Subnet-EVM the validators stay those that the plan began with: ProML has no command that changes them."
    )
    instead = (
        "A newcomer needs no seat among them: its client follows the chain and sends to it. See "
        "docs/how-to/run-a-consortium.md for the rest."
    )
    when_standing = ""
    no_branches = "with Subnet-EVM every block is final at once: there is no other branch to go over to."

    def finality(self, plan: Plan) -> Finality:  # noqa: ARG002 - the port's signature
        """Returns ``immediate``: nobody is shown a block before it is accepted."""
        return Finality("immediate")

    def validator(self, seat: Seat) -> str:
        """Returns the name of its node, which is that of its certificate."""
        return founding.staking_of(seat).node

    def files(self, plan: Plan, seat: Seat) -> Mapping[str, str]:
        """Returns both genesis files, the founding transactions, the settings and the start script."""
        _check(plan)
        network = founding.network_genesis(plan)
        genesis = json.dumps(_genesis(plan, network), separators=(",", ":"))
        if len(genesis) > _MOST_GENESIS_BYTES:
            raise ConfigError(
                f"expected a genesis block of at most {_MOST_GENESIS_BYTES} bytes, found {len(genesis)}: it gives "
                f"coins to {sum(len(one.keys.accounts) for one in plan.founders)} accounts.",
                hint="Name fewer accounts in the public files; `proml consortium fund` gives others coins later.",
            )
        founded = founding.found(plan, genesis.encode())
        return {
            "genesis.json": genesis,
            "network-genesis.json": network,
            issuing.FILE: issuing.written(founded),
            f"configs/subnets/{cb58(founded.subnet)}.json": _pretty(_subnet_settings(plan)),
            f"configs/chains/{cb58(founded.chain)}/config.json": _pretty(_CHAIN_SETTINGS),
            "start.sh": _start_script(plan, seat, cb58(founded.subnet)),
        }

    def rpc_path(self, files: Mapping[str, str]) -> str:
        """Returns where avalanchego offers the chain."""
        return f"/ext/bc/{json.loads(files[issuing.FILE])['chain']}/rpc"

    def period_s(self, genesis: Mapping[str, Any]) -> int:  # noqa: ARG002 - the port's signature
        """Returns 0: an idle chain stands still."""
        return 0

    def accepts(self, version: str) -> bool:
        """Whether it is avalanchego 1.14.0 or 1.14.1, which speak the plug-in's protocol (44)."""
        return re.search(r"\bavalanchego/1\.14\.[01]\b", version) is not None

    def admin_socket(self) -> str:
        """Returns nothing: avalanchego has none, and listens on the loopback interface only."""
        return ""

    def ready(self, ask: Ask) -> None:
        """Asks for the node's name, which it says before the others, and the chain, are there."""
        ask("info.getNodeID", at=issuing.INFO)

    def peers(self, ask: Ask) -> int:
        """Asks ``info.peers``: the number that Subnet-EVM itself gives is made up."""
        return int(ask("info.peers", at=issuing.INFO)["numPeers"])

    def validators(self, ask: Ask) -> Sequence[str]:
        """Asks ``platform.getCurrentValidators`` for those of the subnet."""
        subnet = {"subnetID": issuing.read(ask.folder).subnet}
        found = ask("platform.getCurrentValidators", subnet, at=issuing.PLATFORM)
        return sorted(str(one["nodeID"]) for one in found["validators"])

    def vote(self, ask: Ask, address: str, *, admit: bool) -> None:  # noqa: ARG002 - as above
        """Refuses: see ``no_votes``."""
        raise UsageError(self.no_votes, hint=self.instead)

    def votes(self, ask: Ask) -> Mapping[str, bool]:  # noqa: ARG002 - as above
        """Returns none."""
        return {}

    def votes_needed(self, validators: int) -> int:
        """Returns how many founders can change the validators, by Avalanche's own tools."""
        return founding.majority(validators)

    def step_back(self, ask: Ask, number: int) -> None:  # noqa: ARG002 - as above
        """Refuses: see ``no_branches``."""
        raise UsageError(self.no_branches)

    def found(self, ask: Ask) -> Sequence[str]:
        """Hands in the founding transactions that are not there yet; returns what those do."""
        return issuing.issue(ask)


def _check(plan: Plan) -> None:
    need_addresses(plan, "avalanchego")
    if plan.genesis_time < _FORKS_FROM:
        raise ConfigError(
            "expected a genesis_time after 2020-12-05T05:00:00Z, from which on Avalanche's rules are in force.",
            hint="Choose about now.",
        )


def _genesis(plan: Plan, network: str) -> dict[str, object]:
    fees = {
        "gasLimit": plan.gas_limit,
        "targetBlockRate": plan.period_s,
        # A base fee that stays at its least: more than blocks can hold in the ten seconds that it looks back on.
        "targetGas": 20 * plan.gas_limit,
        "minBaseFee": 1,
        "baseFeeChangeDenominator": 48,
        "minBlockGasCost": 0,
        "maxBlockGasCost": 0,
        "blockGasCostStep": 0,
    }
    return {
        "config": {"chainId": plan.chain_id, "feeConfig": fees},
        "nonce": "0x0",
        "timestamp": hex(plan.genesis_time),
        # Who has the same genesis block has the same network around it.
        "extraData": f"0x{hashlib.sha256(network.encode()).hexdigest()}",
        "gasLimit": hex(plan.gas_limit),
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": "0x" + "00" * 20,
        "alloc": {address[2:]: account for address, account in allocations(plan).items()},
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": "0x" + "00" * 32,
    }


def _subnet_settings(plan: Plan) -> dict[str, object]:
    poll = founding.poll_of(len(plan.founders))
    return {
        "consensusParameters": {
            "k": poll.k,
            "alphaPreference": poll.preference,
            "alphaConfidence": poll.confidence,
        },
        "proposerMinBlockDelay": plan.period_s * 10**9,
    }


_CHAIN_SETTINGS: dict[str, object] = {
    "eth-apis": _APIS,
    "pruning-enabled": False,
    "use-standalone-database": False,
    "tx-pool-price-limit": 1,
    "tx-pool-account-slots": 4096,
    "tx-pool-global-slots": 20_000,
    "tx-pool-account-queue": 4096,
    "tx-pool-global-queue": 20_000,
}


def _start_script(plan: Plan, seat: Seat, subnet: str) -> str:
    founders, poll = plan.founders, founding.poll_of(len(plan.founders))
    options = [
        f"--network-id={founding.network_id(plan)} --genesis-file=network-genesis.json",
        '--data-dir="$PWD/data" --chain-config-dir=configs/chains --subnet-config-dir=configs/subnets',
        f'--plugin-dir="$PLUGINS" --track-subnets={subnet} --fd-limit="$FILES"',
        f"--http-host=127.0.0.1 --http-port={seat.rpc_port}",
        f"--staking-port={seat.p2p_port} --public-ip={seat.host}",
        "--staking-tls-cert-file=keys/staker.crt --staking-tls-key-file=keys/staker.key",
        "--staking-signer-key-file=keys/signer.key",
        f"--bootstrap-ips={','.join(_where(one) for one in founders)}",
        f"--bootstrap-ids={','.join(founding.staking_of(one).node for one in founders)}",
        f"--snow-sample-size={poll.k} --snow-preference-quorum-size={poll.preference}",
        f"--snow-confidence-quorum-size={poll.confidence}",
        f"--min-validator-stake={founding.WEIGHT} --max-validator-stake={founding.WEIGHT}",
        f"--max-stake-duration={founding.TERM_S}s --stake-minting-period={founding.TERM_S}s",
        "--log-level=info --log-display-level=warn",
    ]
    lines = " \\\n  ".join(options)
    return f"""#!/bin/sh
# Runs the client of {seat.name} in the foreground; `proml consortium start` runs it in the background.
set -eu
cd "$(dirname "$0")"
{NOTE_PROCESS}
AVALANCHEGO=$(command -v "${{PROML_AVALANCHEGO:-avalanchego}}") || {{ echo "found no avalanchego" >&2; exit 2; }}
PLUGINS=${{PROML_AVALANCHEGO_PLUGINS:-$(dirname "$AVALANCHEGO")/plugins}}
[ -x "$PLUGINS/{_PLUGIN}" ] || {{ echo "expected Subnet-EVM as $PLUGINS/{_PLUGIN}, found none" >&2; exit 2; }}
FILES=$(ulimit -H -n)
[ "$FILES" != unlimited ] && [ "$FILES" -lt 32768 ] || FILES=32768
exec "$AVALANCHEGO" \\
  {lines} >>client.log 2>&1
"""


def _where(seat: Seat) -> str:
    return f"{host_in_url(seat.host)}:{seat.p2p_port}"


def _pretty(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"
