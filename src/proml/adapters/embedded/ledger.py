"""The ledger port over a chain file and an EVM in this process."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from proml.adapters.clock import SystemClock
from proml.adapters.embedded.blocks import Call, Head
from proml.adapters.embedded.chain_file import ChainFile
from proml.adapters.embedded.reading import (
    find_block,
    find_code,
    find_head,
    find_input,
    find_logs,
    find_receipt,
    newest_block,
    newest_head,
    next_nonce,
)
from proml.adapters.embedded.storing import insert_block, insert_genesis
from proml.asking import one_by_one
from proml.core.words import address_bytes
from proml.errors import ConfigError, ProMLError, UsageError
from proml.ports import Block, Clock, Fees, Finality, Log, LogQuery, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.adapters.embedded.machine import Machine
    from proml.asking import Question

_NANOSECONDS = 1_000_000_000
# Random chain ids are larger than any public chain's and small enough for JavaScript and for wallets.
_RANDOM_CHAIN_IDS = range(2**40, 2**52)
_LARGEST_CHAIN_ID = 2**62


class EmbeddedLedger:
    """An Ethereum chain in one SQLite file; :meth:`create` and :meth:`open` return it.

    Threads, forked children and other processes may use the same file at once. Reads are answered by SQL; the EVM is
    loaded by the first :meth:`call`, :meth:`estimate_gas` or :meth:`send`.
    """

    def __init__(self, file: ChainFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._loaded_machine: Machine | None = None
        with file.reading() as connection:
            row = connection.execute("SELECT chain_id, genesis_hash FROM chain").fetchone()
        if row is None:
            raise ConfigError(f"expected a chain in {file.path}, found none", hint="Restore the file from a backup.")
        self._chain_id, self._genesis_hash = row

    @classmethod
    def create(
        cls, path: str | Path, *, chain_id: int | None = None, clock: Clock | None = None, busy_timeout_s: float = 30.0
    ) -> EmbeddedLedger:
        """Creates a chain with a genesis block of its own, and the folders above it if they are missing.

        Args:
            path: File to create.
            chain_id: The chain's id; a random one if None. The genesis hash is random in either case.
            clock: Where blocks take their time from; the system's if None.
            busy_timeout_s: How long to wait for another process that writes, in seconds.

        Raises:
            ConfigError: The file exists and is not empty.
            LocalStorageError: It cannot be written.
            UsageError: The chain id is out of range.
        """
        if chain_id is not None and not 0 < chain_id <= _LARGEST_CHAIN_ID:
            raise UsageError(f"expected a chain id from 1 to {_LARGEST_CHAIN_ID}, found {chain_id}")
        if chain_id is None:
            chain_id = _RANDOM_CHAIN_IDS.start + secrets.randbelow(len(_RANDOM_CHAIN_IDS))
        from proml.adapters.embedded.machine import genesis_block  # noqa: PLC0415  (half a second, see the module)

        clock = clock or SystemClock()
        head, header = genesis_block(clock.now_ns() // _NANOSECONDS, extra_data=secrets.token_bytes(32))
        file = ChainFile.create(Path(path), busy_timeout_s=busy_timeout_s)
        try:
            with file.writing_schema() as connection:
                insert_genesis(connection, chain_id, head, header)
            return cls(file, clock)
        except ProMLError:
            file.close()
            raise

    @classmethod
    def open(cls, path: str | Path, *, clock: Clock | None = None, busy_timeout_s: float = 30.0) -> EmbeddedLedger:
        """Opens a chain that :meth:`create` made.

        Raises:
            ConfigError: There is no such file, or it is not an embedded ledger.
            LocalStorageError: It may not be read and written.
        """
        file = ChainFile.open(Path(path), busy_timeout_s=busy_timeout_s)
        try:
            return cls(file, clock or SystemClock())
        except ProMLError:
            file.close()
            raise

    @property
    def path(self) -> Path:
        """The chain's file."""
        return self._file.path

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(self._chain_id)

    @property
    def genesis_hash(self) -> bytes:
        """Hash of block 0."""
        return bytes(self._genesis_hash)

    @property
    def finality(self) -> Finality:
        """Every block is final: no other chain can take its place."""
        return Finality("immediate")

    def newest(self) -> Block:
        """Returns the newest block."""
        with self._file.reading() as connection:
            block = newest_block(connection)
        if block is None:
            raise ConfigError(f"expected blocks in {self.path}, found none", hint="Restore the file from a backup.")
        return block

    def finalized(self) -> int:
        """Returns the number of the newest block, which is final."""
        return self.newest().number

    def block(self, number: int) -> Block | None:
        """Returns the block of that height, or None if there is none yet."""
        with self._file.reading() as connection:
            return find_block(connection, number)

    def code(self, address: str) -> bytes:
        """Returns the runtime code at an address; empty if there is none."""
        with self._file.reading() as connection:
            return find_code(connection, address_bytes(address))

    def call(
        self, to: str, data: bytes, sender: str | None = None, block: int | None = None, gas: int | None = None
    ) -> bytes:
        """Executes a call without a transaction.

        On the newest block the contract sees the number and time that a block mined now would have: blocks only come
        with transactions here, so a delay that has passed would otherwise never be seen to have passed.

        Raises:
            Reverted: The call was reverted.
            UsageError: There is no such block.
        """
        head = self._pending() if block is None else self._past(block)
        request = Call(bytes(20) if sender is None else address_bytes(sender), address_bytes(to), data)
        return self._machine().call(head, request, self._ancestors(head.number), gas)

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        """Returns gas that suffices for the transaction now; raises Reverted like :meth:`call`."""
        head = self._pending()
        request = Call(address_bytes(sender), b"" if to is None else address_bytes(to), data)
        return self._machine().estimate_gas(head, request, self._ancestors(head.number))

    def fees(self) -> Fees:
        """Returns no fees: gas costs nothing here."""
        return Fees(0, 0)

    def nonce(self, address: str) -> int:
        """Returns the account's next transaction nonce."""
        with self._file.reading() as connection:
            return next_nonce(connection, address_bytes(address))

    def send(self, raw_transaction: bytes) -> bytes:
        """Mines a signed transaction as a block of its own and returns its hash.

        A transaction that the contract reverts is in a block too, as on any chain: its receipt says so. Sending the
        same bytes again has no effect.

        Raises:
            ConflictError: The nonce is not the account's next; the message says which is.
            UsageError: The transaction is malformed, of another chain, or cannot be in a block.
            LocalStorageError: No room left; nothing was added.
        """
        machine = self._machine()
        transaction = machine.decode(raw_transaction)
        signed = transaction.signed
        with self._file.writing() as connection:
            if connection.execute("SELECT 1 FROM executed WHERE hash = ?", (signed.hash,)).fetchone() is None:
                parent = newest_head(connection)
                # Other chains demand that time grows with every block. Here it may stand still: at hundreds of blocks
                # a second, counting up would run ahead of the clock, and contracts measure delays by block times.
                timestamp = max(self._clock.now_ns() // _NANOSECONDS, parent.timestamp)
                mined = machine.mine(parent, timestamp, transaction, self._ancestors(parent.number + 1))
                insert_block(connection, parent, mined)
        return signed.hash

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Returns the receipt, or None if the transaction is in no block."""
        with self._file.reading() as connection:
            return find_receipt(connection, transaction_hash)

    def logs(self, query: LogQuery) -> Sequence[Log]:
        """Returns the matching logs in chain order."""
        with self._file.reading() as connection:
            return find_logs(connection, query)

    def transaction_input(self, transaction_hash: bytes) -> bytes | None:
        """Returns a transaction's call data, or None if it is in no block."""
        with self._file.reading() as connection:
            return find_input(connection, transaction_hash)

    def together(self, questions: Sequence[Question]) -> Sequence[object]:
        """Answers questions one by one: there is no way to save."""
        return one_by_one(self, questions)

    def close(self) -> None:
        """Releases the file; safe to call twice."""
        self._file.close()

    def _machine(self) -> Machine:
        if self._loaded_machine is None:
            from proml.adapters.embedded.machine import Machine  # noqa: PLC0415  (half a second, see the module)

            self._loaded_machine = Machine(self.chain_id, self._read_node)
        return self._loaded_machine

    def _read_node(self, key: bytes) -> bytes | None:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM node WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _pending(self) -> Head:
        """Returns the newest state with the number and time of the block that would come next."""
        with self._file.reading() as connection:
            newest = newest_head(connection)
        timestamp = max(self._clock.now_ns() // _NANOSECONDS, newest.timestamp)
        return Head(newest.number + 1, newest.hash, timestamp, newest.state_root)

    def _past(self, number: int) -> Head:
        with self._file.reading() as connection:
            head = find_head(connection, number)
        if head is None:
            raise UsageError(f"expected a block up to {self.newest().number}, found {number}")
        return head

    def _ancestors(self, before: int) -> Iterator[bytes]:
        """Yields the hashes of the blocks below a number, newest first, as far as the EVM's BLOCKHASH reaches."""
        for number in range(before - 1, max(before - 257, -1), -1):
            head = self._past(number)
            yield head.hash
