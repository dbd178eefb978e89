"""Checks the whole index against the whole chain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sql

from proml.core import events as ev
from proml.core.operation import ZERO
from proml.core.replay import HeadReplay
from proml.index import onchain, schema
from proml.index.views import short
from proml.ports import LogQuery
from proml.verify.chain import Chain
from proml.verify.report import ERROR, WARNING, Finding, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proml.core.operation import Lifecycle
    from proml.core.replay import ArtefactHead
    from proml.index.snapshot import Snapshot
    from proml.verify.verifying import Witnesses

_RANGE_BLOCKS = 2_000


def replay_workspace(witnesses: Witnesses) -> Report:
    """Reads every event of the workspace again, recomputes all heads, and compares with the contract and the index.

    The index should have been followed just before. Finding codes are those of :mod:`proml.verify.verifying`.

    Raises:
        VerificationError: The ledger is not the pinned one.
        UnreachableError: No answer from the ledger.
    """
    started = time.perf_counter()
    chain = Chain.now(witnesses.ledger, witnesses.model.workspace)
    lifecycles: dict[int, Lifecycle] = {}
    replaying = HeadReplay(chain.workspace.chain_id, chain.workspace.contract, lifecycles)
    counts = {"transitions": 0, "anchors": 0, "votes": 0}
    for event in _events(chain):
        if isinstance(event, ev.LifecycleAdded):
            lifecycles[event.lifecycle] = onchain.lifecycle(chain.ledger, chain.workspace.contract, event.lifecycle)
        replaying.apply(event)
        counts["transitions"] += isinstance(event, ev.Transitioned)
        counts["anchors"] += isinstance(event, ev.Anchored)
        counts["votes"] += isinstance(event, ev.Endorsed)
    replaying.finish()
    findings = [
        Finding(
            "chain-inconsistent",
            ERROR,
            f"the ledger's events do not fit together: {fault.what} of 0x{fault.subject.hex()}",
            fault.expected,
            fault.found,
            f"block {fault.at.block_number}, log {fault.at.log_index}",
        )
        for fault in replaying.findings
    ]
    with witnesses.model.look() as look:
        findings += _compare_heads(look, chain, replaying.artefacts)
        findings += _compare_anchors(look, chain, replaying.anchors)
        findings += _compare_counts(look, counts)
    if not chain.unchanged():
        message = f"the chain was reorganised while it was read: block {chain.block.number} is gone"
        findings.append(Finding("chain-moved", ERROR, message))
    facts = {"artefacts": len(replaying.artefacts), **counts, "block": chain.block.number}
    return Report(chain.workspace.name, tuple(findings), facts, (time.perf_counter() - started) * 1000)


def _events(chain: Chain) -> Iterator[ev.Event]:
    for first in range(chain.workspace.first_block, chain.block.number + 1, _RANGE_BLOCKS):
        last = min(first + _RANGE_BLOCKS - 1, chain.block.number)
        query = LogQuery(chain.workspace.contract, first_block=first, last_block=last)
        for log in chain.ledger.logs(query):
            event = ev.decode_event(log)
            if event is not None:
                yield event


def _compare_heads(look: Snapshot, chain: Chain, artefacts: dict[bytes, ArtefactHead]) -> Iterator[Finding]:
    indexed = look.latest()
    for artefact in artefacts.keys() | indexed.keys():
        label = look.name(artefact) or short(artefact)
        recomputed = artefacts[artefact].head if artefact in artefacts else ZERO
        state = chain.state(artefact)
        answered = state.head if state is not None else ZERO
        if recomputed != answered:
            message = f"the contract's head of {label} is not what its events make"
            yield Finding("chain-inconsistent", ERROR, message, _hex(recomputed), _hex(answered), label)
        found = indexed[artefact].head if artefact in indexed else ZERO
        if found != answered:
            message = f"the index's head of {label} is not the chain's"
            yield Finding("index-differs", ERROR, message, _hex(answered), _hex(found), label)


def _compare_anchors(look: Snapshot, chain: Chain, anchors: dict[str, bytes]) -> Iterator[Finding]:
    a = schema.anchors
    rows = look.all(sql.select(a.c.actor, a.c.head).order_by(a.c.block_number, a.c.log_index))
    indexed = {row.actor: row.head for row in rows}
    for actor in anchors.keys() | indexed.keys():
        (answered,) = onchain.view(
            chain.ledger, chain.workspace.contract, "anchorHeadOf", actor, block=chain.block.number
        )
        if anchors.get(actor, ZERO) != answered:
            message = f"the anchors of {actor} do not make the head that the contract holds: one was left out"
            yield Finding("chain-inconsistent", ERROR, message, _hex(answered), _hex(anchors.get(actor, ZERO)), actor)
        if indexed.get(actor, ZERO) != answered:
            message = f"the index's anchors of {actor} are not the chain's"
            yield Finding("index-differs", ERROR, message, _hex(answered), _hex(indexed.get(actor, ZERO)), actor)


def _compare_counts(look: Snapshot, counts: dict[str, int]) -> Iterator[Finding]:
    t = schema.transitions
    for name, query in (
        ("transitions", sql.select(sql.func.count()).select_from(t).where(t.c.seq > 0)),
        ("anchors", sql.select(sql.func.count()).select_from(schema.anchors)),
        ("votes", sql.select(sql.func.count()).select_from(schema.votes)),
    ):
        found = look.connection.execute(query).scalar()
        if found != counts[name]:
            message = f"the index does not have as many {name} as the chain"
            yield Finding("index-differs", ERROR, message, str(counts[name]), str(found))
    r = schema.records
    missing = sql.select(sql.func.count()).select_from(r).where(r.c.state.in_(("missing", "damaged")))
    count = look.connection.execute(missing).scalar()
    if count:
        yield Finding("record-missing", WARNING, f"{count} records that the chain names are not available")


def _hex(value: bytes) -> str:
    return "none" if value == ZERO else "0x" + value.hex()
