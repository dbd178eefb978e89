"""The EVM of the embedded ledger: py-evm's London rules over the nodes of a chain file.

Importing this module takes half a second, so :mod:`.ledger` does it only when something is executed. py-evm's own
``Chain`` is not used: it checks consensus and each header again, which costs more than the transaction. What is kept
are the London state transition and the encoding of blocks, so every block is one that another client can recompute:
its header holds the true parent hash, state root, transactions root, receipts root, logs bloom and gas used.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from proml.adapters.embedded.quick_import import put_off_bls

put_off_bls()

# ruff: noqa: E402 - py-evm is imported after that

from eth.constants import BLANK_ROOT_HASH, ZERO_ADDRESS, ZERO_HASH32
from eth.db.account import AccountDB
from eth.db.backends.base import BaseAtomicDB
from eth.exceptions import PyEVMError, Revert, VMError
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.london import LondonVM
from eth.vm.forks.london.blocks import LondonBlockHeader
from eth.vm.forks.london.state import LondonState
from eth.vm.forks.london.transactions import LondonTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_keys.exceptions import BadSignature
from eth_typing import Address, BlockNumber, Hash32
from eth_utils.exceptions import ValidationError
from lru import LRU
from rlp.codec import encode as rlp_encode
from rlp.exceptions import RLPException
from trie.hexary import HexaryTrie

from proml.adapters.embedded.blocks import Call, Head, MinedBlock, RawLog, SignedTransaction
from proml.errors import ConflictError, UsageError
from proml.ports import Reverted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eth.abc import AtomicWriteBatchAPI, ComputationAPI, SignedTransactionAPI

# So large that no block uses half of it: the base fee of EIP-1559 then never leaves zero.
BLOCK_GAS_LIMIT = 2**44
# What one transaction or call may use, about as much as on public networks, so that nothing runs for hours by mistake.
TRANSACTION_GAS_LIMIT = 60_000_000

_CACHED_NODES = 50_000


@dataclass(frozen=True, slots=True)
class DecodedTransaction:
    """A signed transaction of this chain, in py-evm's form and in ours."""

    signed: SignedTransaction
    evm: SignedTransactionAPI


class Machine:
    """Executes transactions and calls on a chain.

    Args:
        chain_id: The chain's id; transactions signed for another are refused.
        read_node: Returns a stored trie node or contract code by its hash, or None.
    """

    def __init__(self, chain_id: int, read_node: Callable[[bytes], bytes | None]) -> None:
        self._chain_id = chain_id
        self._read_node = read_node
        # Nodes are named by their content, so what is cached stays true whatever other processes write.
        self._cache: LRU[bytes, bytes] = LRU(_CACHED_NODES)

    def decode(self, raw: bytes) -> DecodedTransaction:
        """Decodes a signed transaction and recovers its sender.

        Raises:
            UsageError: It is malformed, of another chain, asks for too much gas, or its signature is invalid.
        """
        try:
            decoded = LondonTransactionBuilder.decode(raw)
            decoded.validate()
            sender = decoded.sender
        except (RLPException, ValidationError, PyEVMError, BadSignature, ValueError, TypeError, IndexError) as error:
            raise UsageError(
                f"expected a signed London transaction, found {len(raw)} bytes that are not: {error}"
            ) from error
        if decoded.chain_id != self._chain_id:
            raise UsageError(
                f"expected a transaction of chain {self._chain_id}, found one of chain {decoded.chain_id}",
                hint="Sign it for this chain.",
            )
        if decoded.gas > TRANSACTION_GAS_LIMIT:
            raise UsageError(
                f"expected at most {TRANSACTION_GAS_LIMIT} gas in one transaction, found {decoded.gas}",
                hint="Split the work into several transactions.",
            )
        return DecodedTransaction(SignedTransaction(raw, decoded.hash, sender, decoded.nonce, decoded.data), decoded)

    def mine(
        self, parent: Head, timestamp: int, transaction: DecodedTransaction, ancestors: Iterable[bytes]
    ) -> MinedBlock:
        """Executes a transaction as the only one of the block after ``parent``.

        Args:
            parent: The newest block.
            timestamp: The new block's time, in Unix seconds; not before the parent's.
            transaction: What :meth:`decode` returned.
            ancestors: Hashes of the blocks before the new one, newest first.

        Raises:
            ConflictError: The nonce is not the account's next.
            UsageError: The transaction cannot be in a block: too little gas, or too little balance.
        """
        nodes = _Nodes(self._read_node, self._cache)
        state = _state(nodes, parent.state_root, self._context(parent.number + 1, timestamp, ancestors))
        signed, evm = transaction.signed, transaction.evm
        expected_nonce = state.get_nonce(Address(signed.sender))
        if signed.nonce != expected_nonce:
            raise ConflictError(
                f"expected nonce {expected_nonce} from account 0x{signed.sender.hex()}, found {signed.nonce}",
                hint="Sign the transaction again with the expected nonce.",
            )
        if evm.gas < evm.intrinsic_gas:
            raise UsageError(f"expected at least {evm.intrinsic_gas} gas, found {evm.gas}")
        computation = _apply(state, evm)
        base = LondonBlockHeader(
            parent_hash=Hash32(parent.hash),
            block_number=BlockNumber(parent.number + 1),
            timestamp=timestamp,
            gas_limit=BLOCK_GAS_LIMIT,
            difficulty=0,
        )
        receipt = LondonVM.make_receipt(base, evm, computation, state)
        state.persist()
        header = base.copy(
            state_root=state.state_root,
            transaction_root=_trie_root(signed.raw),
            receipt_root=_trie_root(receipt.encode()),
            bloom=receipt.bloom,
            gas_used=receipt.gas_used,
        )
        for key, value in nodes.written.items():
            self._cache[key] = value
        accounts = cast("_Accounts", state._account_db)  # noqa: SLF001  (py-evm names no other way to its account database)
        succeeded = not computation.is_error
        return MinedBlock(
            head=Head(header.block_number, header.hash, timestamp, header.state_root),
            header=rlp_encode(header),  # type: ignore[no-untyped-call]
            transaction=signed,
            succeeded=succeeded,
            gas_used=receipt.gas_used,
            contract=computation.msg.storage_address if succeeded and computation.msg.is_create else None,
            logs=tuple(
                RawLog(log.address, tuple(topic.to_bytes(32, "big") for topic in log.topics), log.data)
                for log in receipt.logs
            ),
            nodes=nodes.written,
            code_hashes=accounts.changed_code_hashes(),
        )

    def call(self, on: Head, call: Call, ancestors: Iterable[bytes], gas: int | None = None) -> bytes:
        """Executes a call on the state after a block and returns its output.

        Args:
            on: State to start from, and number and time that the contract sees.
            call: Who calls what.
            ancestors: Hashes of the blocks before, newest first.
            gas: What is granted; None is as much as a transaction may have.

        Raises:
            Reverted: The call was reverted, or ran into an exception of the EVM.
            UsageError: That gas does not carry the data.
        """
        computation, _ = self._simulate(on, call, TRANSACTION_GAS_LIMIT if gas is None else gas, ancestors)
        return computation.output

    def estimate_gas(self, on: Head, call: Call, ancestors: Iterable[bytes]) -> int:
        """Returns gas that suffices for the transaction; raises Reverted like :meth:`call`."""
        ancestors = tuple(ancestors)
        computation, gas = self._simulate(on, call, TRANSACTION_GAS_LIMIT, ancestors)
        # A contract keeps back a part of its gas when it calls another (EIP-150), so what was used need not suffice.
        while computation.children and gas < TRANSACTION_GAS_LIMIT:
            try:
                self._simulate(on, call, gas, ancestors)
            except Reverted:
                gas = min(gas + gas // 32 + 1, TRANSACTION_GAS_LIMIT)
            else:
                break
        return gas

    def _simulate(self, on: Head, call: Call, gas: int, ancestors: Iterable[bytes]) -> tuple[ComputationAPI, int]:
        """Executes without storing; returns the computation and the gas it used before refunds."""
        state = _state(
            _Nodes(self._read_node, self._cache), on.state_root, self._context(on.number, on.timestamp, ancestors)
        )
        unsigned = LondonTransactionBuilder.new_unsigned_dynamic_fee_transaction(
            chain_id=self._chain_id,
            nonce=state.get_nonce(Address(call.sender)),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=Address(call.to),
            value=0,
            data=call.data,
            access_list=(),
        )
        if gas < unsigned.intrinsic_gas:
            raise UsageError(f"expected data that {gas} gas can carry, found {len(call.data)} bytes")
        computation = _apply(state, cast("SignedTransactionAPI", SpoofTransaction(unsigned, from_=call.sender)))
        if computation.is_error:
            raise Reverted(computation.output if isinstance(computation.error, Revert) else b"")
        return computation, gas - computation.get_gas_remaining()

    def _context(self, number: int, timestamp: int, ancestors: Iterable[bytes]) -> ExecutionContext:
        return ExecutionContext(
            coinbase=ZERO_ADDRESS,
            timestamp=timestamp,
            block_number=BlockNumber(number),
            difficulty=0,
            mix_hash=ZERO_HASH32,
            gas_limit=BLOCK_GAS_LIMIT,
            prev_hashes=map(Hash32, ancestors),
            chain_id=self._chain_id,
            base_fee_per_gas=0,
        )


def genesis_block(timestamp: int, extra_data: bytes) -> tuple[Head, bytes]:
    """Returns the first block of a chain with no accounts: its head and its header's RLP encoding."""
    header = LondonBlockHeader(
        block_number=BlockNumber(0),
        timestamp=timestamp,
        gas_limit=BLOCK_GAS_LIMIT,
        difficulty=0,
        extra_data=extra_data,
        state_root=BLANK_ROOT_HASH,
    )
    return Head(0, header.hash, timestamp, BLANK_ROOT_HASH), rlp_encode(header)  # type: ignore[no-untyped-call]


class _Nodes(BaseAtomicDB):
    """Trie nodes and codes by hash: reads from file and cache, gathers what is written for the block's transaction."""

    def __init__(self, read: Callable[[bytes], bytes | None], cache: LRU[bytes, bytes]) -> None:
        self._read = read
        self._cache = cache
        self.written: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self.written.get(key) or self._cache.get(key)
        if value is None:
            value = self._read(key)
            if value is None:
                raise KeyError(key)
            self._cache[key] = value
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.written[key] = value

    def __delitem__(self, key: bytes) -> None:
        # Old nodes stay: they are the state of earlier blocks, and other tries may share them.
        self.written.pop(key, None)

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    @contextlib.contextmanager
    def atomic_batch(self) -> Iterator[AtomicWriteBatchAPI]:
        # The SQLite transaction of the whole block is what makes it atomic.
        yield cast("AtomicWriteBatchAPI", self)


class _Accounts(AccountDB):
    """Accounts that remember whose code changed, so that code is found without walking the state trie."""

    def __init__(self, *arguments: Any) -> None:
        self._code_changed: set[bytes] = set()
        super().__init__(*arguments)

    def set_code(self, address: Any, code: bytes) -> None:
        self._code_changed.add(address)
        super().set_code(address, code)

    def delete_account(self, address: Any) -> None:
        self._code_changed.add(address)
        super().delete_account(address)

    def changed_code_hashes(self) -> dict[bytes, bytes | None]:
        hashes = {address: self.get_code_hash(Address(address)) for address in self._code_changed}
        return {address: None if code_hash == _EMPTY_CODE_HASH else code_hash for address, code_hash in hashes.items()}


class _State(LondonState):
    account_db_class = _Accounts


_EMPTY_CODE_HASH = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


def _state(nodes: _Nodes, state_root: bytes, context: ExecutionContext) -> _State:
    return _State(nodes, context, Hash32(state_root))


def _apply(state: _State, transaction: SignedTransactionAPI) -> ComputationAPI:
    """Applies a transaction to the state; what the EVM itself refuses is in the computation's ``error``."""
    try:
        return state.apply_transaction(transaction)
    except (ValidationError, VMError) as error:
        raise UsageError(f"expected a transaction that a block can hold, found one it cannot: {error}") from error


def _trie_root(only_item: bytes) -> bytes:
    """Returns the root of the index trie of a block's only transaction or receipt."""
    trie = HexaryTrie({})
    trie[rlp_encode(0)] = only_item  # type: ignore[no-untyped-call]
    return bytes(trie.root_hash)
