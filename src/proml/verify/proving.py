"""Proves an end point's answers from the genesis block on, which the workspace file pins: it is believed nothing.

Each header's hash is computed from its members and has to follow on the one before; under Clique each has to be sealed
by a validator whose turn it may be (EIP-225). A block whose bloom filter has the contract's address has its
transactions and receipts proved against its roots. What the end point answers to ``eth_getLogs``, and what the outbox
takes for confirmed, has to be what was proved. The findings:

    code               level    what it says
    block-forged       error    a header's members do not make its hash, or it does not follow on the one before
    block-unsealed     error    a block is not sealed by a validator who may seal it
    receipts-forged    error    a block's transactions or receipts do not make its roots
    logs-left-out      error    the end point keeps a log of the contract to itself
    logs-made-up       error    the end point tells of a log that no block has
    logs-changed       error    the end point tells a log differently from its block
    entry-unfounded    error    the outbox takes an entry for confirmed whose transaction is not in that block
    seals-unchecked    warning  this engine's headers carry no seals that can be checked here
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.core.clique import Clique, NotSealed
from proml.errors import VerificationError
from proml.ports import LogQuery
from proml.verify.report import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Entry, Evidence, Header, Ledger, Log, Receipt

    Progress = Callable[[int, int], None]

_MOST_FINDINGS = 20


@dataclass(slots=True)
class Proof:
    """What was proved, and what does not fit it.

    Attributes:
        blocks: How many headers follow on each other from the genesis block.
        opened: How many blocks had their receipts proved.
        sealed: How many blocks each validator sealed; empty where there are no seals to check.
        logs: The contract's logs, in order.
        receipts: Receipts of the blocks that were opened, by transaction.
        unopened: Numbers of blocks whose receipts could not be proved, so that what is in them is not known.
    """

    findings: list[Finding] = field(default_factory=list)
    blocks: int = 0
    opened: int = 0
    sealed: Counter[str] = field(default_factory=Counter)
    logs: list[Log] = field(default_factory=list)
    receipts: dict[bytes, Receipt] = field(default_factory=dict)
    unopened: set[int] = field(default_factory=set)

    def add(self, code: str, message: str, *, expected: str = "", found: str = "", where: str = "") -> None:
        """Adds an error."""
        self.findings.append(Finding(code, ERROR, message, expected, found, where))


def prove(
    evidence: Evidence,
    ledger: Ledger,
    workspace: WorkspaceFile,
    entries: Sequence[Entry],
    progress: Progress | None = None,
) -> Proof:
    """Proves the contract's whole history, and compares what the ledger and the outbox say with it.

    Args:
        evidence: Of the end point in question.
        ledger: The same end point, for what it answers otherwise.
        workspace: Pins the genesis block and the contract.
        entries: Of the outbox; those confirmed are checked.
        progress: Called with (blocks done, blocks to do).

    Raises:
        UnreachableError: No answer.
    """
    proof = Proof()
    newest = ledger.newest().number
    confirmed = {e.number: e for e in entries if e.state == "confirmed" and e.block_number <= newest}
    wanted = {entry.block_number for entry in confirmed.values()}
    try:
        for header in _walk(proof, evidence, workspace, newest):
            if progress is not None:
                progress(proof.blocks, newest + 1)
            is_ours = header.number >= workspace.first_block and evidence.may_hold(header, workspace.contract)
            if is_ours or header.number in wanted:
                _open(proof, evidence, workspace, header)
    except VerificationError as error:
        proof.add("block-forged", error.message, where=evidence.where)
    if proof.blocks > newest:  # otherwise it is not known what the rest should be
        _compare_logs(proof, ledger.logs(LogQuery(workspace.contract, (), workspace.first_block, newest)))
    for entry in confirmed.values():
        if entry.block_number < proof.blocks and entry.block_number not in proof.unopened:
            _check_entry(proof, entry)
    return proof


def _walk(proof: Proof, evidence: Evidence, workspace: WorkspaceFile, newest: int) -> Iterator[Header]:
    """Yields headers as long as each follows on the one before and is sealed as it must be."""
    clique: Clique | None = None
    before = workspace.genesis_hash
    for header in evidence.headers(0, newest):
        link = header.hash if header.number == 0 else header.parent_hash
        if link != before:
            what = "the genesis block is not the pinned one" if header.number == 0 else "it follows on another block"
            message = f"block {header.number} is not one of this chain: {what}"
            proof.add("block-forged", message, expected=_hex(before), found=_hex(link), where=evidence.where)
            return
        if header.number == 0:
            clique = Clique.from_genesis(header)
        elif clique is not None:
            try:
                clique.apply(header)
            except NotSealed as error:
                message = f"block {header.number} is not one that the validators made: {error}"
                proof.add("block-unsealed", message, found=_hex(header.hash), where=evidence.where)
                return
            proof.sealed[header.signer] += 1
        before = header.hash
        proof.blocks += 1
        yield header
    if clique is None:
        message = (
            "the blocks of this engine carry no seals that can be checked here: that they are the network's is this "
            "end point's word; compare it with another participant's (--with)"
        )
        proof.findings.append(Finding("seals-unchecked", WARNING, message, where=evidence.where))


def _open(proof: Proof, evidence: Evidence, workspace: WorkspaceFile, header: Header) -> None:
    try:
        receipts = evidence.receipts(header)
    except VerificationError as error:
        proof.unopened.add(header.number)
        proof.add("receipts-forged", error.message, where=f"block {header.number} of {evidence.where}")
        return
    proof.opened += 1
    for receipt in receipts:
        proof.receipts[receipt.transaction_hash] = receipt
        proof.logs += [log for log in receipt.logs if log.address == workspace.contract]


def _compare_logs(proof: Proof, told: Sequence[Log]) -> None:
    there = {(log.block_number, log.log_index): log for log in proof.logs}
    said = {(log.block_number, log.log_index): log for log in told}
    for place in sorted(there.keys() | said.keys()):
        if place[0] in proof.unopened or there.get(place) == said.get(place):
            continue
        if len(proof.findings) >= _MOST_FINDINGS:
            return
        where = f"block {place[0]}, log {place[1]}"
        if place not in said:
            message = "the end point keeps a log of the contract to itself"
            proof.add("logs-left-out", message, expected=_shown(there[place]), found="nothing", where=where)
        elif place not in there:
            message = "the end point tells of a log of the contract that the block does not have"
            proof.add("logs-made-up", message, expected="nothing", found=_shown(said[place]), where=where)
        else:
            message = "the end point tells a log of the contract differently from its block"
            expected, found = _shown(there[place]), _shown(said[place])
            proof.add("logs-changed", message, expected=expected, found=found, where=where)


def _check_entry(proof: Proof, entry: Entry) -> None:
    receipt = proof.receipts.get(entry.transaction_hash)
    block = (receipt.block_number, receipt.block_hash) if receipt is not None and receipt.succeeded else None
    if block == (entry.block_number, entry.block_hash):
        return
    what = entry.intent.artefact or entry.intent.kind
    proof.add(
        "entry-unfounded",
        f"entry {entry.number} of the outbox ({what}) is taken for confirmed, and block {entry.block_number} does not "
        f"have its transaction; `proml sync --rebase {entry.number}` sends it again, unless the chain has it",
        expected=_hex(entry.transaction_hash),
        found="nothing" if block is None else f"it in block {block[0]}",
        where=f"block {entry.block_number} {_hex(entry.block_hash)}",
    )


def _shown(log: Log) -> str:
    topics = " ".join(_hex(topic) for topic in log.topics)
    return f"{topics} with {len(log.data)} bytes of data, transaction {_hex(log.transaction_hash)}"


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
