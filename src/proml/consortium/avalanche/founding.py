"""The genesis of a network of the participants' own, and the transactions that found one Subnet-EVM chain in it.

The founding transactions are signed by a key that is no secret: it is computed from the plan, like everything here.
So everybody computes the same transactions, whose hashes name the subnet and the chain; whoever hands them in first,
nothing else can come of it. The last one gives the subnet, and what is left of the key's coins, to the founders: from
then on the key can do nothing, and a majority of the founders' control keys (their ``node.key``) can do all.

Each validator weighs the same, here and in the primary network, and :class:`Poll` says how many of them decide: more
than two thirds, so that fewer than a third may be missing or lie.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.adapters.local_signer import LocalSigner
from proml.consortium.avalanche.encoding import (
    ID_BYTES,
    SHORT_ID_BYTES,
    address,
    blob,
    key_id,
    sequence,
    sha256,
    text,
    uint16,
    uint32,
    uint64,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.consortium.avalanche.staking import Staking
    from proml.consortium.plan import Plan, Seat

TERM_S = 10 * 365 * 86_400
"""How long validators validate: Avalanche knows no validator without an end."""
# So that it is none of the identifiers that networks of Avalanche's own have.
_FIRST_NETWORK_ID = 2**31
_CODEC = uint16(0)
# The numbers of avalanchego's types, in the order of its registration (vms/platformvm/txs/codec.go).
_TRANSFER_INPUT, _TRANSFER_OUTPUT, _CREDENTIAL, _INPUT, _OWNERS = 5, 7, 9, 10, 11
_ADD_SUBNET_VALIDATOR, _CREATE_CHAIN, _CREATE_SUBNET, _TRANSFER_SUBNET = 13, 15, 16, 33
_CREATE_ASSET = 1
_NAVAX = 10**9
# Above what avalanchego asks for the largest of these transactions; what is paid is burnt, and worth nothing.
_FEE = _NAVAX // 100
_COINS = 1_000 * _NAVAX
_NOBODY = bytes(SHORT_ID_BYTES)
_PLATFORM_CHAIN = bytes(ID_BYTES)
WEIGHT = 2
"""Of each validator; see :class:`Poll`."""
_DELEGATION_FEE = 1_000_000  # of a million: nobody gains by delegating
_CONTRACT_CHAIN_ID = 43_112
VM_ID = b"subnetevm".ljust(ID_BYTES, b"\0")
"""By which avalanchego finds the plug-in."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One of the founding transactions.

    Attributes:
        what: What it does, for people.
        id: Its hash.
        data: Itself, signed.
    """

    what: str
    id: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Founding:
    """What founds the chain.

    Attributes:
        subnet: Id of the subnet.
        chain: Id of the chain.
        transactions: In order.
    """

    subnet: bytes
    chain: bytes
    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """How Snowman polls, by its own names: ``k`` places, drawn from the validators' weights without putting back.

    Each validator has two places, and all but one are drawn. So a poll asks everybody, :func:`quorum` validators make
    it count whoever is the one with a place less, and one validator fewer never does. The place that is left out is
    what lets two halves that prefer different blocks agree: with an even number of places they would wait for ever.

    Attributes:
        k: Places.
        preference: How many make a validator prefer a block.
        confidence: How many count, in twenty polls in a row, for it to be accepted.
    """

    k: int
    preference: int
    confidence: int


def poll_of(validators: int) -> Poll:
    """Returns how a network of so many validators polls."""
    return Poll(WEIGHT * validators - 1, validators, WEIGHT * quorum(validators) - 1)


def network_id(plan: Plan) -> int:
    """Returns the number of the participants' own network."""
    return _FIRST_NETWORK_ID + plan.chain_id


def quorum(validators: int) -> int:
    """Returns how many validators decide: more than two thirds."""
    return 2 * validators // 3 + 1


def majority(founders: int) -> int:
    """Returns how many founders can change the validators together."""
    return founders // 2 + 1


def staking_of(seat: Seat) -> Staking:
    """Returns a participant's staking keys, which :func:`~proml.consortium.plan.read_plan` has seen to be there."""
    assert seat.keys.staking is not None
    return seat.keys.staking


def network_genesis(plan: Plan) -> str:
    """Returns the genesis of the participants' own network, as ``--genesis-file`` takes it."""
    founder = address(key_id(_founding_key(plan).public_key))
    # The stake belongs to nobody, and cannot be taken out.
    stake = _allocation(address(_NOBODY), len(plan.founders) * WEIGHT)
    document = {
        "networkID": network_id(plan),
        "allocations": [_allocation(founder, _COINS), stake],
        "startTime": plan.genesis_time,
        "initialStakeDuration": TERM_S,
        "initialStakeDurationOffset": 0,
        "initialStakedFunds": [address(_NOBODY)],
        "initialStakers": [_staker(seat) for seat in plan.founders],
        "cChainGenesis": json.dumps(_contract_chain(plan)),
        "message": plan.name,
    }
    return json.dumps(document, indent=2) + "\n"


def found(plan: Plan, chain_genesis: bytes) -> Founding:
    """Returns the transactions that found the chain.

    Args:
        plan: The network.
        chain_genesis: The chain's genesis, as Subnet-EVM takes it.
    """
    purse = _Purse(plan)
    mine = _owners(1, [purse.owner])
    founders = _owners(majority(len(plan.founders)), [key_id(seat.keys.node_key) for seat in plan.founders])
    create = purse.spend("create the subnet", _CREATE_SUBNET, uint32(_OWNERS) + mine)
    subnet = create.id
    end = uint64(plan.genesis_time + TERM_S)
    validators = [
        purse.spend(
            f"let {seat.name} validate it",
            _ADD_SUBNET_VALIDATOR,
            _node(seat) + uint64(0) + end + uint64(WEIGHT) + subnet + _AUTHORITY,
            authorised=True,
        )
        for seat in plan.founders
    ]
    chain = purse.spend(
        "create the chain",
        _CREATE_CHAIN,
        subnet + text("proml") + VM_ID + sequence([]) + blob(chain_genesis) + _AUTHORITY,
        authorised=True,
    )
    purse.change = founders
    handed = purse.spend(
        "give the subnet to the founders",
        _TRANSFER_SUBNET,
        subnet + _AUTHORITY + uint32(_OWNERS) + founders,
        authorised=True,
    )
    return Founding(subnet, chain.id, (create, *validators, chain, handed))


class _Purse:
    """The founding key's coins: each transaction spends what the one before left."""

    def __init__(self, plan: Plan) -> None:
        self._network = network_id(plan)
        self._signer = _founding_key(plan)
        self.owner = key_id(self._signer.public_key)
        self.change = _owners(1, [self.owner])
        self._asset = _asset_id(self._network)
        self._source, self._amount = bytes(ID_BYTES) + uint32(0), _COINS

    def spend(self, what: str, kind: int, body: bytes, *, authorised: bool = False) -> Transaction:
        """Returns the next transaction; the purse then holds what is left."""
        left = self._amount - _FEE
        coins = self._source + self._asset + uint32(_TRANSFER_INPUT) + uint64(self._amount) + sequence([uint32(0)])
        change = self._asset + uint32(_TRANSFER_OUTPUT) + uint64(left) + self.change
        common = uint32(self._network) + _PLATFORM_CHAIN + sequence([change]) + sequence([coins]) + blob(b"")
        unsigned = _CODEC + uint32(kind) + common + body
        signature = self._signer.sign_hash(sha256(unsigned))
        credential = uint32(_CREDENTIAL) + sequence([signature[:-1] + bytes([signature[-1] - 27])])
        data = unsigned + sequence([credential] * (2 if authorised else 1))
        self._source, self._amount = sha256(data) + uint32(0), left
        return Transaction(what, sha256(data), data)


def _owners(threshold: int, keys: Sequence[bytes]) -> bytes:
    return uint64(0) + uint32(threshold) + sequence(sorted(keys))


# The first, and only, key of the subnet's owner signs.
_AUTHORITY = uint32(_INPUT) + sequence([uint32(0)])


def _node(seat: Seat) -> bytes:
    from proml.consortium.avalanche.encoding import short_id  # noqa: PLC0415 - only here

    return short_id(staking_of(seat).certificate)


def _founding_key(plan: Plan) -> LocalSigner:
    """Returns the key that founds, which everybody can compute: it is a means, no secret."""
    parts = ["proml/consortium-founding/v1", plan.name, str(plan.chain_id), str(plan.genesis_time), *_names(plan)]
    return LocalSigner(hashlib.sha256("\n".join(parts).encode()).digest())


def _names(plan: Plan) -> Iterator[str]:
    for seat in plan.founders:
        yield from (seat.name, seat.keys.node_key.hex(), *staking_of(seat).described())


def _asset_id(network: int) -> bytes:
    """Returns the id of the network's coin: of the X-chain's transaction that makes it, for nobody."""
    made = uint32(network) + bytes(ID_BYTES) + sequence([]) + sequence([]) + blob(b"")
    asset = text("Avalanche") + text("AVAX") + bytes([9]) + sequence([])
    return sha256(_CODEC + uint32(_CREATE_ASSET) + made + asset + sequence([]))


def _allocation(owner: str, amount: int) -> dict[str, object]:
    return {
        "ethAddr": "0x" + "00" * 20,
        "avaxAddr": owner,
        "initialAmount": 0,
        "unlockSchedule": [{"amount": amount, "locktime": 0}],
    }


def _staker(seat: Seat) -> dict[str, object]:
    staking = staking_of(seat)
    return {
        "nodeID": staking.node,
        "rewardAddress": address(key_id(seat.keys.node_key)),
        "delegationFee": _DELEGATION_FEE,
        "signer": {
            "publicKey": f"0x{staking.bls_key.hex()}",
            "proofOfPossession": f"0x{staking.bls_proof.hex()}",
        },
    }


def _contract_chain(plan: Plan) -> dict[str, object]:
    """Returns the genesis of the primary network's own EVM chain, which nothing uses: nobody has coins there."""
    return {
        "config": {"chainId": _CONTRACT_CHAIN_ID},
        "nonce": "0x0",
        "timestamp": hex(plan.genesis_time),
        "extraData": "0x00",
        "gasLimit": hex(100_000_000),
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": "0x" + "00" * 20,
        "alloc": {},
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": "0x" + "00" * 32,
    }
