"""Compares what two end points of one chain say.

The findings:

code                level    what it says
end-point-differs   error    two end points tell different things of what should be the same chain: one is not honest
end-point-behind    warning  an end point does not know blocks that another has had for a while
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core.digest import keccak256
from proml.index import onchain
from proml.ports import LogQuery
from proml.verify.report import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Block, Ledger

_BEHIND_BLOCKS, _BEHIND_S = 10, 30


def compare(
    ours: Ledger, theirs: Ledger, workspace: WorkspaceFile, artefacts: Collection[bytes], names: tuple[str, str]
) -> list[Finding]:
    """Compares chain, blocks, logs and artefacts as of the newest block that is final for both.

    Args:
        ours: The ledger in use.
        theirs: Another end point of the same chain.
        workspace: Pins what must be the same anyway.
        artefacts: Ids of the artefacts to ask the contract about.
        names: What the two are called, ours first.

    Raises:
        UnreachableError: One of them does not answer.
    """
    return list(_compare(ours, theirs, workspace, artefacts, names))


def _compare(
    ours: Ledger, theirs: Ledger, workspace: WorkspaceFile, artefacts: Collection[bytes], names: tuple[str, str]
) -> Iterator[Finding]:
    where = " and ".join(names)

    def differs(what: str, expected: object, found: object) -> Finding:
        message = f"{names[0]} and {names[1]} differ in {what}; one of them is not honest, or of another chain"
        return Finding("end-point-differs", ERROR, message, str(expected), str(found), where)

    for what, one, other in (
        ("the chain id", ours.chain_id, theirs.chain_id),
        ("the genesis block", _hex(ours.genesis_hash), _hex(theirs.genesis_hash)),
        ("the contract's code", *(_hex(keccak256(ledger.code(workspace.contract))) for ledger in (ours, theirs))),
    ):
        if one != other:
            yield differs(what, one, other)
            return
    newest = (ours.newest(), theirs.newest())
    yield from _behind(newest, names)
    common = min(block.number for block in newest)
    final = [number for number in (ours.finalized(), theirs.finalized()) if number >= 0]
    height = min([common, *final])
    blocks = (ours.block(height), theirs.block(height))
    if blocks[0] != blocks[1]:
        yield differs(f"block {height}", *(_hex(block.hash) if block else "none" for block in blocks))
        return
    query = LogQuery(workspace.contract, (), workspace.first_block, height)
    logs = set(ours.logs(query)), set(theirs.logs(query))
    for log in sorted(logs[0] ^ logs[1], key=lambda log: (log.block_number, log.log_index))[:10]:
        what = f"log {log.log_index} of block {log.block_number}"
        yield differs(what, *("there" if log in these else "not there" for these in logs))
    for artefact in artefacts:
        states = [onchain.artefact_state(ledger, workspace.contract, artefact, height) for ledger in (ours, theirs)]
        if states[0] != states[1]:
            heads = [_hex(state.head) if state else "none" for state in states]
            yield differs(f"the contract's answer about artefact {_hex(artefact)} as of block {height}", *heads)


def _behind(newest: tuple[Block, Block], names: tuple[str, str]) -> Iterator[Finding]:
    late, early = sorted(newest, key=lambda block: block.number)
    if early.number - late.number > _BEHIND_BLOCKS and early.timestamp - late.timestamp > _BEHIND_S:
        who = names[newest.index(late)]
        yield Finding(
            "end-point-behind", WARNING, f"{who} is behind", f"block {early.number}", f"block {late.number}", who
        )


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
