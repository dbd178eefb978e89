"""The embedded ledger against a real client: the same transactions must make the same blocks."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from rlp.codec import decode as rlp_decode
from tests.ports.ledgers import Person, call_data, running_anvil, store

from proml.adapters.embedded import EmbeddedLedger
from proml.adapters.jsonrpc import JsonRpcLedger
from proml.core.digest import keccak256

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

# Places in the header's RLP list (EIP-1559); the others name the parent and the time, which differ.
_COMMITTED = {"stateRoot": 3, "transactionsRoot": 4, "receiptsRoot": 5, "logsBloom": 6, "gasUsed": 10}


def stored_header(path: Path, number: int) -> Any:
    connection = sqlite3.connect(path)
    (encoded, block_hash) = connection.execute("SELECT header, hash FROM block WHERE number = ?", (number,)).fetchone()
    connection.close()
    assert keccak256(encoded) == block_hash
    return rlp_decode(encoded)  # type: ignore[no-untyped-call]


def test_both_ledgers_build_the_same_blocks(anvil_program: Path, tmp_path: Path) -> None:
    embedded = EmbeddedLedger.create(tmp_path / "chain.sqlite")
    options = ("--chain-id", str(embedded.chain_id), "--disable-default-create2-deployer")
    with running_anvil(anvil_program, tmp_path, *options) as running:
        remote = JsonRpcLedger(running.url)
        person = Person(embedded)
        twin = Person(remote, person.signer)
        # Anvil leaves the block's empty beneficiary in the state, against EIP-161: make it one that is not empty.
        running.ask("anvil_setCoinbase", person.address)
        probe = person.deploy()
        assert twin.deploy() == probe
        for data in [
            store(1, 2),
            call_data("storeThrice(bytes32)", 3),
            call_data("storeThenRefuse(bytes32)", 4),
            call_data("create(bytes32)", 5),
            call_data("storeThroughCalls(bytes32,uint256)", 6, 7),
            # Last, because anvil keeps a leaf of value zero where the Yellow Paper has none, and all its later state
            # roots differ from any other client's; test_embedded proves ours.
            erase := call_data("erase(bytes32)", 1),
        ]:
            ours, theirs = person.transact(probe, data), twin.transact(probe, data)
            assert (ours.gas_used, ours.succeeded) == (theirs.gas_used, theirs.succeeded)
            assert [(log.topics, log.data) for log in ours.logs] == [(log.topics, log.data) for log in theirs.logs]
            block = running.ask("eth_getBlockByNumber", hex(theirs.block_number), False)  # noqa: FBT003  (as JSON-RPC has it)
            header = stored_header(tmp_path / "chain.sqlite", ours.block_number)
            for name, place in _COMMITTED.items():
                if (name, data) != ("stateRoot", erase):
                    assert int.from_bytes(header[place], "big") == int(block[name], 16), name
        remote.close()
    embedded.close()
