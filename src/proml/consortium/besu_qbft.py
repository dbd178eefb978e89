"""Hyperledger Besu with QBFT: blocks are final at once, and a third of the validators may fail. The production choice.

Written after Besu's documentation, with which it was compared again (docs/how-to/run-a-consortium.md says on which
pages). The program could not be had where ProML is tested, so **this engine's files were never run by the tests**; what
can be checked without it (the extra data's RLP, the files' form) is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proml.consortium.engines import NOTE_PROCESS, Ask, Usual, allocations, need_addresses, peers_of
from proml.consortium.keys import address_of
from proml.core.finality import Finality
from proml.core.words import address_bytes, parse_address
from proml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.consortium.plan import Plan, Seat

_EPOCH_BLOCKS = 30_000
# keccak256("Istanbul practical byzantine fault tolerance"), by which clients know such chains.
_MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
_VANITY_BYTES = 32


class BesuQbft(Usual):
    """An :class:`~proml.consortium.engines.Engine`."""

    name = "besu-qbft"
    variable = "PROML_BESU"
    program = "besu"
    versions = "24.1 or later; not tested with any"
    image = "hyperledger/besu:latest"
    in_image: Mapping[str, str] = {"PROML_BESU": "besu"}
    when_standing = "Two thirds of the validators or fewer may be up and reach each other."
    no_branches = "with Besu's QBFT every block is final at once: there is no other branch to go over to."

    def finality(self, plan: Plan) -> Finality:  # noqa: ARG002 - the port's signature
        """Returns ``immediate``: a block has the seals of two thirds before anybody sees it."""
        return Finality("immediate")

    def validator(self, seat: Seat) -> str:
        """Returns the address of its node key, with which Besu seals."""
        return address_of(seat.keys.node_key)

    def files(self, plan: Plan, seat: Seat) -> Mapping[str, str]:
        """Returns genesis, peers and the start script."""
        need_addresses(plan, "besu, as long as its support of them is for early access,")
        return {
            "genesis.json": json.dumps(self._genesis(plan), indent=2) + "\n",
            "static-nodes.json": json.dumps(peers_of(plan, seat), indent=2) + "\n",
            "start.sh": _start_script(plan, seat),
        }

    def period_s(self, genesis: Mapping[str, Any]) -> int:
        """Reads ``qbft.blockperiodseconds``."""
        return int(genesis["config"]["qbft"]["blockperiodseconds"])

    def accepts(self, version: str) -> bool:
        """Whether it is Besu."""
        return "besu/" in version

    def admin_socket(self) -> str:
        """Returns nothing: Besu's votes go over HTTP, which listens on the loopback interface only."""
        return ""

    def validators(self, ask: Ask) -> Sequence[str]:
        """Asks ``qbft_getValidatorsByBlockNumber``."""
        return [parse_address(address) for address in ask("qbft_getValidatorsByBlockNumber", "latest")]

    def vote(self, ask: Ask, address: str, *, admit: bool) -> None:
        """Asks ``qbft_proposeValidatorVote``."""
        ask("qbft_proposeValidatorVote", address, admit)

    def votes(self, ask: Ask) -> Mapping[str, bool]:
        """Asks ``qbft_getPendingVotes``."""
        return {parse_address(address): bool(admit) for address, admit in ask("qbft_getPendingVotes").items()}

    def votes_needed(self, validators: int) -> int:
        """Returns more than half of the validators."""
        return validators // 2 + 1

    def step_back(self, ask: Ask, number: int) -> None:  # noqa: ARG002 - the port's signature
        """Refuses: see ``no_branches``."""
        raise UsageError(self.no_branches)

    def _genesis(self, plan: Plan) -> dict[str, object]:
        return {
            "config": {
                "chainId": plan.chain_id,
                "berlinBlock": 0,
                "londonBlock": 0,
                "zeroBaseFee": True,
                "qbft": {
                    "blockperiodseconds": plan.period_s,
                    "epochlength": _EPOCH_BLOCKS,
                    "requesttimeoutseconds": 2 * plan.period_s,
                },
            },
            "nonce": "0x0",
            "timestamp": hex(plan.genesis_time),
            "extraData": "0x" + self._extra_data(plan).hex(),
            "gasLimit": hex(plan.gas_limit),
            "difficulty": "0x1",
            "mixHash": _MIX_HASH,
            "coinbase": "0x" + "00" * 20,
            "alloc": allocations(plan),
        }

    def _extra_data(self, plan: Plan) -> bytes:
        """Returns RLP([vanity, validators, no vote, round 0, no seals])."""
        from rlp.codec import encode  # noqa: PLC0415 - only when such a plan is written

        validators = sorted(address_bytes(self.validator(seat)) for seat in plan.founders)
        encoded: bytes = encode([bytes(_VANITY_BYTES), validators, [], b"", []])  # type: ignore[no-untyped-call]
        return encoded


def _start_script(plan: Plan, seat: Seat) -> str:
    options = [
        "--data-path=data --genesis-file=genesis.json",
        "--node-private-key-file=keys/node.key",
        f"--p2p-port={seat.p2p_port} --p2p-host={seat.host} --discovery-enabled=false",
        f"--static-nodes-file=static-nodes.json --max-peers={2 * len(plan.seats) + 10}",
        f"--rpc-http-enabled --rpc-http-host=127.0.0.1 --rpc-http-port={seat.rpc_port}",
        "--rpc-http-api=ETH,NET,WEB3,QBFT,ADMIN --host-allowlist=localhost,127.0.0.1",
        f"--min-gas-price=0 --target-gas-limit={plan.gas_limit} --data-storage-format=FOREST --sync-mode=FULL",
    ]
    lines = " \\\n  ".join(options)
    return f"""#!/bin/sh
# Runs the client of {seat.name} in the foreground; `proml consortium start` runs it in the background.
# Not tested: written after Besu's documentation.
set -eu
cd "$(dirname "$0")"
{NOTE_PROCESS}
exec "${{PROML_BESU:-besu}}" \\
  {lines} >>client.log 2>&1
"""
