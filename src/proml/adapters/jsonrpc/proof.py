"""Proves what a client says of a block by the block's own hash: its members, its transactions, its receipts and logs.

Keccak-256 over the header's members is the hash; the header's roots are those of Merkle-Patricia tries over the
transactions and the receipts (Yellow Paper, sections 4.3 and 4.4; EIP-2718 for types). Whether the hash is one to
trust is for others to say: see :mod:`proml.verify.proving`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proml.adapters.local_signer import recover_address
from proml.core.clique import SEAL_BYTES, VANITY_BYTES
from proml.core.digest import keccak256
from proml.core.header import Header
from proml.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proml.adapters.jsonrpc.answers import Reader
    from proml.ports import Receipt

# The members in order, as JSON-RPC names them; ``q`` is a quantity, ``d`` data.
_HEADER = (
    ("parentHash", "d"), ("sha3Uncles", "d"), ("miner", "d"), ("stateRoot", "d"), ("transactionsRoot", "d"),
    ("receiptsRoot", "d"), ("logsBloom", "d"), ("difficulty", "q"), ("number", "q"), ("gasLimit", "q"),
    ("gasUsed", "q"), ("timestamp", "q"), ("extraData", "d"), ("mixHash", "d"), ("nonce", "d"),
)  # fmt: skip
# Later forks appended members: London, Shanghai, Cancun, Prague; between them those of Subnet-EVM.
_LATER = (
    ("baseFeePerGas", "q"), ("blockGasCost", "q"), ("withdrawalsRoot", "d"), ("blobGasUsed", "q"),
    ("excessBlobGas", "q"), ("parentBeaconBlockRoot", "d"), ("requestsHash", "d"), ("timestampMilliseconds", "q"),
    ("minDelayExcess", "q"),
)  # fmt: skip
_EXTRA = 12
_SIGNATURE = (("r", "q"), ("s", "q"))
_TO_INPUT = (("gas", "q"), ("to", "a"), ("value", "q"), ("input", "d"))
_DYNAMIC = (("maxPriorityFeePerGas", "q"), ("maxFeePerGas", "q"), *_TO_INPUT, ("accessList", "l"))
_TRANSACTIONS = {
    0: (("nonce", "q"), ("gasPrice", "q"), *_TO_INPUT, ("v", "q"), *_SIGNATURE),
    1: (("chainId", "q"), ("nonce", "q"), ("gasPrice", "q"), *_TO_INPUT, ("accessList", "l"), ("v", "q"), *_SIGNATURE),
    2: (("chainId", "q"), ("nonce", "q"), *_DYNAMIC, ("v", "q"), *_SIGNATURE),
    3: (
        ("chainId", "q"), ("nonce", "q"), *_DYNAMIC, ("maxFeePerBlobGas", "q"), ("blobVersionedHashes", "h"),
        ("v", "q"), *_SIGNATURE,
    ),
    4: (("chainId", "q"), ("nonce", "q"), *_DYNAMIC, ("authorizationList", "u"), ("v", "q"), *_SIGNATURE),
}  # fmt: skip


def header_of(value: Any, read: Reader) -> Header:
    """Returns a header from a client's block, with its hash computed anew.

    Raises:
        VerificationError: The members do not make the hash that the client gave.
    """
    block = read.object(value)
    members = [_member(block, name, kind, read) for name, kind in _HEADER]
    members += [_member(block, name, kind, read) for name, kind in _LATER if block.get(name) is not None]
    computed, claimed = keccak256(_rlp(members)), read.hash(block.get("hash"))
    number = read.quantity(block.get("number"))
    if computed != claimed:
        raise VerificationError(
            f"expected the members of block {number} to make its hash 0x{claimed.hex()}, found that they make "
            f"0x{computed.hex()}",
            hint="The node is not honest, or its blocks are of a kind that this version of ProML does not know.",
        )
    extra = read.data(block["extraData"])
    return Header(
        number=number,
        hash=computed,
        parent_hash=read.hash(block["parentHash"]),
        timestamp=read.quantity(block["timestamp"]),
        transactions_root=read.hash(block["transactionsRoot"]),
        receipts_root=read.hash(block["receiptsRoot"]),
        bloom=int.from_bytes(read.data(block["logsBloom"]), "big"),
        difficulty=read.quantity(block["difficulty"]),
        coinbase=read.address(block["miner"]),
        nonce=read.data(block["nonce"]),
        extra=extra,
        signer=_signer(members, extra),
    )


def prove_transactions(header: Header, values: Sequence[Any], read: Reader) -> list[bytes]:
    """Returns the hashes of a block's transactions, proved against its header.

    Raises:
        VerificationError: They do not make the root.
    """
    encoded = [_transaction(read.object(value), read) for value in values]
    _check_root(header, "transactions", header.transactions_root, encoded)
    return [keccak256(one) for one in encoded]


def prove_receipts(header: Header, values: Sequence[Any], hashes: Sequence[bytes], read: Reader) -> list[Receipt]:
    """Returns a block's receipts, proved against its header.

    Args:
        header: The block's.
        values: As the client gave them, in order.
        hashes: Of the block's transactions, proved.
        read: Reads the client's answer.

    Raises:
        VerificationError: They do not make the root, or say something of themselves that it does not cover.
    """
    _check_root(header, "receipts", header.receipts_root, [_receipt(read.object(value), read) for value in values])
    receipts = [read.receipt(value) for value in values]
    # Which transaction, block and place a receipt and its logs are of is not under the root: it follows from order.
    first = 0
    for index, (receipt, digest) in enumerate(zip(receipts, hashes, strict=True)):
        told = (receipt.transaction_hash, receipt.block_hash, receipt.block_number, receipt.transaction_index)
        places = [(log.block_number, log.transaction_index, log.log_index) for log in receipt.logs]
        due = [(header.number, index, first + at) for at in range(len(receipt.logs))]
        if told != (digest, header.hash, header.number, index) or places != due:
            raise VerificationError(
                f"expected receipt {index} of block {header.number} to be of transaction 0x{digest.hex()}, found that "
                f"it says 0x{receipt.transaction_hash.hex()} in block {receipt.block_number}",
                hint="The node is not honest: ask another one.",
            )
        first += len(receipt.logs)
    return receipts


def may_hold(header: Header, address: bytes) -> bool:
    """Tells whether a block's bloom filter has an address; without it, no log of the contract is in the block."""
    from eth_bloom.bloom import BloomFilter  # noqa: PLC0415 - only where something is proved

    return address in BloomFilter(header.bloom)


def _signer(members: list[Any], extra: bytes) -> str:
    """Returns who sealed a header as EIP-225 has it: by a signature over all else, at the end of the extra data."""
    if len(extra) < VANITY_BYTES + SEAL_BYTES:
        return ""
    unsealed = [*members[:_EXTRA], extra[:-SEAL_BYTES], *members[_EXTRA + 1 :]]
    seal = extra[-SEAL_BYTES:]
    try:
        return recover_address(keccak256(_rlp(unsealed)), seal[:-1] + bytes([(seal[-1] + 27) % 256]))
    except VerificationError:
        return ""


def _check_root(header: Header, what: str, root: bytes, encoded: Sequence[bytes]) -> None:
    found = _trie_root(encoded)
    if found != root:
        raise VerificationError(
            f"expected the {what} of block {header.number} to make the root 0x{root.hex()} that its header has, found "
            f"{len(encoded)} of them, which make 0x{found.hex()}",
            hint="The node is not honest: ask another one.",
        )


def _trie_root(values: Iterable[bytes]) -> bytes:
    from trie.hexary import HexaryTrie  # noqa: PLC0415 - takes long to import, and only proofs need it

    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[_rlp(_quantity(index))] = value
    return bytes(trie.root_hash)


def _transaction(value: dict[str, Any], read: Reader) -> bytes:
    kind = read.quantity(value.get("type", "0x0"))
    if kind not in _TRANSACTIONS:
        read.fail("a transaction of a known type", kind)
    return _typed(kind, [_member(value, name, form, read) for name, form in _TRANSACTIONS[kind]])


def _receipt(value: dict[str, Any], read: Reader) -> bytes:
    logs = [
        [
            read.data(log.get("address")),
            [read.hash(topic) for topic in read.list(log.get("topics"))],
            read.data(log.get("data")),
        ]
        for log in map(read.object, read.list(value.get("logs")))
    ]
    members = [
        _member(value, "status", "q", read),
        _member(value, "cumulativeGasUsed", "q", read),
        _member(value, "logsBloom", "d", read),
        logs,
    ]
    return _typed(read.quantity(value.get("type", "0x0")), members)


def _typed(kind: int, members: list[Any]) -> bytes:
    return (bytes([kind]) if kind else b"") + _rlp(members)


def _member(value: dict[str, Any], name: str, kind: str, read: Reader) -> Any:
    """Returns a member as RLP takes it: bytes, or lists of them."""
    found = value.get(name)
    match kind:
        case "q":
            return _quantity(read.quantity(found))
        case "a":
            return b"" if found is None else read.data(found)
        case "h":
            return [read.hash(one) for one in read.list(found)]
        case "l":
            entries = map(read.object, read.list(found))
            return [
                [read.data(one.get("address")), [read.hash(k) for k in read.list(one.get("storageKeys"))]]
                for one in entries
            ]
        case "u":
            names = (("chainId", "q"), ("address", "d"), ("nonce", "q"), ("yParity", "q"), *_SIGNATURE)
            return [[_member(read.object(one), n, k, read) for n, k in names] for one in read.list(found)]
    return read.data(found)


def _quantity(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _rlp(value: Any) -> bytes:
    from rlp.codec import encode  # noqa: PLC0415 - takes long to import, and only proofs need it

    return bytes(encode(value))  # type: ignore[no-untyped-call]  # rlp has no types
