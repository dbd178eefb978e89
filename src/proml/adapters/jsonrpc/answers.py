"""Reads what a node answered, and takes nothing for granted: anything but the expected type is an error in words."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from proml.core.words import checksum_address
from proml.errors import UnreachableError
from proml.ports import Block, Log, Receipt

_HASH_BYTES = 32
_ADDRESS_BYTES = 20
_MOST_TOPICS = 4
# What databases have room for.
_MOST_NUMBER, _MOST_INDEX = 2**63 - 1, 2**31 - 1
# EVM words have 256 bits; no quantity of the protocol is larger.
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)


class Reader:
    """Reads the answer to one method.

    Args:
        method: Whose answer it is.
        where: Who answered, without secrets.
    """

    def __init__(self, method: str, where: str) -> None:
        self._method = method
        self._where = where

    def fail(self, expected: str, found: object) -> NoReturn:
        """Raises the error that names what was expected and what was found."""
        raise UnreachableError(
            f"expected {expected} in the answer of {self._where} to {self._method}, found {found!r:.200}",
            hint="The node is faulty or is not an Ethereum node. Use another one.",
        )

    def object(self, value: Any) -> dict[str, Any]:
        """Returns a JSON object."""
        return value if isinstance(value, dict) else self.fail("an object", value)

    def list(self, value: Any) -> list[Any]:
        """Returns a JSON array."""
        return value if isinstance(value, list) else self.fail("an array", value)

    def quantity(self, value: Any) -> int:
        """Returns a number, which JSON-RPC writes as hexadecimal text."""
        if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
            self.fail("a hexadecimal number", value)
        return int(value, 16)

    def position(self, value: Any, most: int = _MOST_NUMBER) -> int:
        """Returns a block's number, a time in seconds, or a place in a block."""
        number = self.quantity(value)
        return number if number <= most else self.fail(f"a number up to {most}", value)

    def data(self, value: Any, size_bytes: int | None = None) -> bytes:
        """Returns bytes, of a given size if one is given."""
        if not isinstance(value, str) or not value.startswith("0x"):
            self.fail("hexadecimal bytes", value)
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            self.fail("hexadecimal bytes", value)
        if len(value) != 2 + 2 * len(data):  # fromhex skips blanks
            self.fail("hexadecimal bytes", value)
        if size_bytes is not None and len(data) != size_bytes:
            self.fail(f"{size_bytes} bytes", value)
        return data

    def hash(self, value: Any) -> bytes:
        """Returns 32 bytes."""
        return self.data(value, _HASH_BYTES)

    def address(self, value: Any) -> str:
        """Returns an address in EIP-55 spelling."""
        return checksum_address(self.data(value, _ADDRESS_BYTES))

    def block(self, value: Any) -> Block:
        """Returns a block."""
        block = self.object(value)
        return Block(
            number=self.position(block.get("number")),
            hash=self.hash(block.get("hash")),
            parent_hash=self.hash(block.get("parentHash")),
            timestamp=self.position(block.get("timestamp")),
        )

    def log(self, value: Any) -> Log:
        """Returns a log of a block."""
        log = self.object(value)
        topics = self.list(log.get("topics"))
        if len(topics) > _MOST_TOPICS:
            self.fail(f"at most {_MOST_TOPICS} topics", topics)
        return Log(
            address=self.address(log.get("address")),
            topics=tuple(self.hash(topic) for topic in topics),
            data=self.data(log.get("data")),
            block_number=self.position(log.get("blockNumber")),
            block_hash=self.hash(log.get("blockHash")),
            transaction_hash=self.hash(log.get("transactionHash")),
            transaction_index=self.position(log.get("transactionIndex"), _MOST_INDEX),
            log_index=self.position(log.get("logIndex"), _MOST_INDEX),
        )

    def receipt(self, value: Any) -> Receipt:
        """Returns a receipt, whose logs must be of its own transaction and block."""
        receipt = self.object(value)
        succeeded = self.quantity(receipt.get("status")) == 1
        created = receipt.get("contractAddress")
        result = Receipt(
            transaction_hash=self.hash(receipt.get("transactionHash")),
            block_number=self.position(receipt.get("blockNumber")),
            block_hash=self.hash(receipt.get("blockHash")),
            transaction_index=self.position(receipt.get("transactionIndex"), _MOST_INDEX),
            succeeded=succeeded,
            gas_used=self.quantity(receipt.get("gasUsed")),
            # Clients name an address for failed creations too, where there is no contract.
            contract=self.address(created) if succeeded and created is not None else None,
            logs=tuple(self.log(log) for log in self.list(receipt.get("logs"))),
        )
        for log in result.logs:
            if (log.transaction_hash, log.block_hash) != (result.transaction_hash, result.block_hash):
                self.fail("logs of the receipt's own transaction", log)
        return result
