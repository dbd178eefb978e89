"""Is this what was agreed? Checks files and artefacts against the chain.

The index is asked only where to look. What decides is read from the ledger, as of one block: the artefact's events,
from which all heads are recomputed, and the contract's own answer. The findings:

    code                 level    what it says
    content-unknown      error    no version in this workspace has this content; file-… findings name what differs
    content-superseded   error    the content is of an older version (or is not that of the version demanded)
    content-of-other     error    the content belongs to another artefact than the one demanded
    content-revoked      error    another artefact with the same content is revoked
    content-shared       note     other artefacts have the same content
    file-changed         error    a file's digest is not the agreed one
    file-missing         error    an agreed file is not there
    file-added           error    a file is there that was not agreed
    files-more           note     how many more files differ
    version-missing      error    the artefact has no content yet
    version-superseded   error    the version asked for by name is not the current one
    state-revoked        error    the artefact is in a revoked state
    state-differs        error    the artefact is not in the demanded state
    not-confirmed        error    too few blocks lie on top of the last transition, or it is not final
    chain-inconsistent   error    the ledger's events do not fit together, or not with what the contract answers
    chain-moved          error    the chain was reorganised while it was read
    index-differs        error    the local index says something else than the chain
    record-missing       warning  no store has a record that the chain names: 'record not available'
    record-damaged       error    a store's bytes do not have the record's digest
    record-invalid       error    the record on chain is not a valid record
    record-differs       error    the record is about another artefact, action or content than its transition
    digests-stated       note     who recorded the content took its digests from elsewhere, and did not compute them
    ancestor-revoked     error    something that this was made from, or approved on, is revoked
    ancestor-unchecked   warning  an ancestor in another workspace, or an unknown version, could not be checked
    evidence-elsewhere   error    what it was approved on evaluates something else
    votes-against        note     an organisation voted against a transition that was carried out
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from proml.core.digest import format_digest
from proml.core.operation import ZERO
from proml.errors import UnknownName
from proml.hashing import hash_path
from proml.index import artefacts, edges, schema
from proml.index.views import REVOKED, short
from proml.verify.ancestry import check_ancestry, check_evidence
from proml.verify.chain import Chain, ChainArtefact, head_from_index
from proml.verify.likeness import compare_files, manifest_of, most_like
from proml.verify.records import check_records
from proml.verify.report import ERROR, NOTE, WARNING, Finding, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.core.manifest import Manifest
    from proml.hashing import Progress
    from proml.index.queries import ReadModel
    from proml.index.snapshot import Snapshot
    from proml.index.views import VersionView
    from proml.ports import Ledger, Store

_LEVELS = (ERROR, WARNING, NOTE)


@dataclass(frozen=True, slots=True)
class Demand:
    """What is demanded of what is verified.

    Attributes:
        name: NAME or NAME@VERSION that the content must belong to; empty for any. Without a version, the current one.
        state: Name of the state that the artefact must be in; empty for any that is not revoked.
        confirmations: Blocks that must lie on top of the last transition.
        final: Whether the last transition must be final.
    """

    name: str = ""
    state: str = ""
    confirmations: int = 0
    final: bool = False


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What a verification asks: the index finds, the ledger proves, the store holds the records."""

    model: ReadModel
    ledger: Ledger
    store: Store | None


@dataclass(slots=True)
class _Case:
    """A verification under way."""

    witnesses: Witnesses
    look: Snapshot
    chain: Chain
    demand: Demand
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def find(self, code: str, level: str, message: str, **details: str) -> None:
        self.findings.append(Finding(code, level, message, **details))

    def report(self, subject: str, started: float) -> Report:
        if not self.chain.unchanged():
            number = self.chain.block.number
            self.find("chain-moved", ERROR, f"the chain was reorganised while it was read: block {number} is gone")
        ordered = sorted(self.findings, key=lambda finding: _LEVELS.index(finding.level))
        milliseconds = (time.perf_counter() - started) * 1000
        return Report(subject, tuple(ordered), self.facts, milliseconds)


def verify_path(
    witnesses: Witnesses,
    path: str | os.PathLike[str],
    demand: Demand | None = None,
    *,
    progress: Progress | None = None,
) -> Report:
    """Verifies that a file or folder is the current content of an artefact in the demanded state.

    Args:
        witnesses: Index, ledger and store; the index should have been followed just before.
        path: A file or folder.
        demand: What it must be.
        progress: Told how far hashing is.

    Returns:
        The report; :meth:`Report.require` raises if it has an error.

    Raises:
        ContentError: The path cannot be read.
        UnknownName: The demand names an artefact or version that does not exist.
        VerificationError: The ledger is not the pinned one.
        UnreachableError: No answer from the ledger.
    """
    started = time.perf_counter()
    shown = os.fspath(path)
    manifest = hash_path(path, progress=progress)
    chain = Chain.now(witnesses.ledger, witnesses.model.workspace)
    with witnesses.model.look() as look:
        case = _Case(witnesses, look, chain, demand or Demand())
        wanted = _wanted(case)
        holders = chain.artefacts_with(manifest.digest)
        if not holders and _has_blake3(look):
            manifest = hash_path(path, "blake3", progress=progress)
            holders = chain.artefacts_with(manifest.digest)
        case.facts.update(
            path=shown,
            content=format_digest(manifest.digest),
            files=len(manifest.resources),
            size_bytes=manifest.size_bytes,
        )
        _check_lookup(case, manifest.digest, holders)
        artefact = _choose(case, manifest.digest, holders, wanted)
        if artefact is None:
            _explain_unknown(case, manifest, shown, wanted)
        else:
            _check_artefact(case, artefact, manifest=manifest, wanted=wanted, shown=shown)
        return case.report(shown, started)


def verify_paths(
    witnesses: Witnesses, paths: Sequence[str | os.PathLike[str]], demand: Demand | None = None
) -> Sequence[Report]:
    """Verifies each path as :func:`verify_path` does; one report each, in order."""
    return [verify_path(witnesses, path, demand) for path in paths]


def verify_name(witnesses: Witnesses, reference: str, demand: Demand | None = None) -> Report:
    """Verifies an artefact without its content: history, heads, state, records, ancestors.

    Args:
        witnesses: Index, ledger and store; the index should have been followed just before.
        reference: NAME or NAME@VERSION; a version must be the current one.
        demand: What it must be; its ``name`` is not looked at.

    Raises:
        UnknownName: There is no such artefact or version.
        VerificationError: The ledger is not the pinned one.
        UnreachableError: No answer from the ledger.
    """
    started = time.perf_counter()
    chain = Chain.now(witnesses.ledger, witnesses.model.workspace)
    with witnesses.model.look() as look:
        case = _Case(witnesses, look, chain, demand or Demand())
        artefact, version = artefacts.find(look, reference)
        wanted = artefacts.version_named(look, artefact, version) if version is not None else None
        _check_artefact(case, artefact, manifest=None, wanted=wanted, shown=reference)
        return case.report(reference, started)


# -------------------------------------------------------------------------------------------- which artefact


def _wanted(case: _Case) -> VersionView | None:
    """Returns the version that the demand names: the current one without a number."""
    if not case.demand.name:
        return None
    artefact, version = artefacts.find(case.look, case.demand.name)
    if version is None and not artefacts.version_views(case.look, artefact):
        raise UnknownName(
            f"{case.demand.name} has no version yet, so nothing can be its content",
            hint=f"See 'proml log {case.demand.name}'.",
        )
    return artefacts.version_named(case.look, artefact, version)


def _has_blake3(look: Snapshot) -> bool:
    r = schema.resources.c
    return look.connection.execute(sql.select(r.digest).where(r.digest.like("blake3:%")).limit(1)).first() is not None


def _check_lookup(case: _Case, content: bytes, holders: Sequence[bytes]) -> None:
    indexed = {version.artefact for version in artefacts.versions_with(case.look, content)}
    if indexed != set(holders):
        case.find(
            "index-differs",
            ERROR,
            "the index and the ledger do not name the same artefacts for this content",
            expected=", ".join(sorted(map(short, holders))) or "none",
            found=", ".join(sorted(map(short, indexed))) or "none",
        )


def _choose(case: _Case, content: bytes, holders: Sequence[bytes], wanted: VersionView | None) -> bytes | None:
    """Returns the artefact that the content is taken for, and says what else has the same content."""
    if wanted is not None:
        if wanted.artefact not in holders and holders:
            names = ", ".join(version.label for version in artefacts.versions_with(case.look, content))
            message = f"this is not {wanted.label}, but {names or 'something else'}"
            agreed, there = format_digest(wanted.content), format_digest(content)
            case.find("content-of-other", ERROR, message, expected=agreed, found=there)
        return wanted.artefact if wanted.artefact in holders else None
    if not holders:
        return None
    found = artefacts.versions_with(case.look, content)
    chosen = next((version.artefact for version in found if version.artefact in holders), holders[0])
    others = [artefact for artefact in holders if artefact != chosen]
    for artefact in others:
        state = case.chain.state(artefact)
        label = case.look.name(artefact) or short(artefact)
        if state is not None and state.flags & REVOKED:
            case.find("content-revoked", ERROR, f"the same content is revoked as {label}", where=label)
    if others:
        names = ", ".join(case.look.name(artefact) or short(artefact) for artefact in others)
        case.find("content-shared", NOTE, f"other artefacts have or had the same content: {names}")
    return chosen


def _explain_unknown(case: _Case, manifest: Manifest, shown: str, wanted: VersionView | None) -> None:
    """Says that no version has the content, and by which files it differs from the one that it resembles."""
    like = most_like(case.look, manifest, shown, wanted)
    if like is None:
        case.find(
            "content-unknown",
            ERROR,
            "no version of any artefact of this workspace has this content",
            found=format_digest(manifest.digest),
            where=shown,
        )
        return
    if not any(finding.code == "content-of-other" for finding in case.findings):
        verb = "is not" if wanted is not None else "looks like"
        tail = "" if wanted is not None else ", but is not it"
        case.find(
            "content-unknown",
            ERROR,
            f"this {verb} {like.label}{tail}",
            expected=format_digest(like.content),
            found=format_digest(manifest.digest),
            where=shown,
        )
    case.facts["looks_like"] = like.label
    body = case.look.body(like.record_digest)
    agreed = manifest_of(body.json, like.content, case.witnesses.store)
    if agreed is not None and agreed.algorithm != manifest.algorithm:
        manifest = hash_path(shown, agreed.algorithm)
    if agreed is not None:
        case.findings += compare_files(agreed, manifest, shown)
    else:
        message = f"which files differ cannot be told: the record of {like.label} is not available"
        case.find("record-missing", WARNING, message, where=format_digest(like.record_digest))


# ------------------------------------------------------------------------------------------------- the checks


def _check_artefact(
    case: _Case, artefact: bytes, *, manifest: Manifest | None, wanted: VersionView | None, shown: str
) -> None:
    found = case.chain.artefact(artefact)
    label = case.look.name(artefact) or short(artefact)
    if found is None:
        case.find("index-differs", ERROR, f"the index knows {label}, the chain does not", where=label)
        return
    _state_facts(case, artefact, found, label)
    _check_chain(case, found, label)
    _check_index(case, artefact, found, label)
    _check_version(case, found, label, manifest=manifest, wanted=wanted)
    _check_state(case, found, label)
    _check_confirmed(case, found, label)
    case.findings += check_records(case.look, case.witnesses.store, artefact)
    version = (artefact, len(found.versions))
    ancestry = check_ancestry(case.look, case.chain, version)
    case.facts["ancestors"] = len(ancestry.came_from) - 1
    case.findings += ancestry.findings
    case.findings += check_evidence(case.look, version)
    _note_votes(case, artefact, len(found.versions))
    ancestors = case.facts["ancestors"]
    case.facts["checked"] = (
        f"{len(found.transitions)} transitions, {ancestors} ancestors, at block {case.chain.block.number}"
    )
    case.facts["subject"] = shown


def _state_facts(case: _Case, artefact: bytes, found: ChainArtefact, label: str) -> None:
    look, state = case.look, found.state
    number = len(found.versions)
    organisation = look.organisation(state.owner)
    on_top = case.chain.block.number - found.changed_at_block
    final = found.changed_at_block <= case.chain.ledger.finalized()
    case.facts.update(
        artefact="0x" + artefact.hex(),
        name=look.name(artefact),
        version=number,
        label=f"{label}@{number}" if number else label,
        kind=look.machine(state.lifecycle).view.name if state.lifecycle in look.machines else "",
        state=look.state_name(state.lifecycle, state.state) if state.lifecycle in look.machines else str(state.state),
        owner=look.organisation_name(organisation),
        owner_account=state.owner,
        head="0x" + state.head.hex(),
        changed_in_block=found.changed_at_block,
        block=case.chain.block.number,
        confirmations=on_top,
        final=final,
        confirmed="final" if final else f"L@{on_top}",
    )
    if found.versions:
        case.facts.setdefault("content", format_digest(found.versions[-1].content))


def _check_chain(case: _Case, found: ChainArtefact, label: str) -> None:
    for fault in found.findings:
        where = f"block {fault.at.block_number}, log {fault.at.log_index}"
        message = f"the ledger's events of {label} do not fit together: {fault.what}"
        case.find("chain-inconsistent", ERROR, message, expected=fault.expected, found=fault.found, where=where)
    recomputed, state = found.recomputed, found.state
    if recomputed is None:
        case.find("chain-inconsistent", ERROR, f"the ledger has no registration of {label}", where=label)
        return
    for what, expected, answered in (
        ("head", "0x" + recomputed.head.hex(), "0x" + state.head.hex()),
        ("state", recomputed.state, state.state),
        ("sequence number", recomputed.seq, state.seq),
        ("owner", recomputed.owner, state.owner),
        ("lifecycle", recomputed.lifecycle, state.lifecycle),
    ):
        if expected != answered:
            message = f"the contract's {what} of {label} is not what its events make"
            case.find("chain-inconsistent", ERROR, message, expected=str(expected), found=str(answered), where=label)


def _check_index(case: _Case, artefact: bytes, found: ChainArtefact, label: str) -> None:
    """Compares the index's rows with the chain's events, one by one."""
    rows = case.look.rows_of(artefact)
    chain_heads = [found.registered.head] if found.registered is not None else []
    chain_heads += [event.head for event in found.transitions]
    contents = [ZERO, *(event.content for event in found.transitions)]
    records = [found.registered.record if found.registered else ZERO, *(e.record for e in found.transitions)]
    of_chain = list(zip(chain_heads, contents, records, strict=False))
    of_index = [(row.head, row.content or ZERO, row.record) for row in rows]
    recomputed = head_from_index(case.look, artefact)
    if of_chain == of_index and recomputed == found.state.head and case.look.owner(artefact) == found.state.owner:
        return
    at = next((n for n, (a, b) in enumerate(zip(of_chain, of_index, strict=False)) if a != b), None)
    if at is None and len(of_index) != len(of_chain):
        expected, there = f"{len(of_chain) - 1} transitions", f"{len(of_index) - 1} transitions"
    elif at is None and recomputed != found.state.head:
        expected, there = f"rows that make the head 0x{found.state.head.hex()}", f"rows that make 0x{recomputed.hex()}"
    elif at is None:
        expected, there = f"owner {found.state.owner}", f"owner {case.look.owner(artefact)}"
    else:
        expected, there = (f"transition {at} with head 0x{pair[at][0].hex()}" for pair in (of_chain, of_index))
    message = f"the index's history of {label} is not the chain's; 'proml sync --rebuild' makes it anew"
    case.find("index-differs", ERROR, message, expected=expected, found=there, where=label)


def _check_version(
    case: _Case, found: ChainArtefact, label: str, *, manifest: Manifest | None, wanted: VersionView | None
) -> None:
    current = len(found.versions)
    if current == 0:
        case.find("version-missing", ERROR, f"{label} has no content yet", where=label)
        return
    if manifest is None:
        if wanted is not None and wanted.number != current:
            message = f"{wanted.label} was superseded by {label}@{current}"
            case.find("version-superseded", ERROR, message, expected=f"{label}@{current}", found=wanted.label)
        return
    numbers = [number for number, event in enumerate(found.versions, 1) if event.content == manifest.digest]
    target = wanted.number if wanted is not None else current
    if target not in numbers:
        having = f"{label}@{numbers[-1]}" if numbers else "no version"
        case.find(
            "content-superseded",
            ERROR,
            f"this is {having}, not {label}@{target}",
            expected=format_digest(found.versions[target - 1].content),
            found=format_digest(manifest.digest),
            where=label,
        )
    elif target != current:
        message = f"{label}@{target} was superseded by {label}@{current}"
        case.find("content-superseded", ERROR, message, expected=f"{label}@{current}", found=f"{label}@{target}")


def _check_state(case: _Case, found: ChainArtefact, label: str) -> None:
    state = str(case.facts["state"])
    if found.state.flags & REVOKED and case.demand.state != state:
        case.find(
            "state-revoked", ERROR, f"{label} is revoked", expected=case.demand.state or "not revoked", found=state
        )
    elif case.demand.state and case.demand.state != state:
        case.find(
            "state-differs",
            ERROR,
            f"{label} is in state {state}, not {case.demand.state}",
            expected=case.demand.state,
            found=state,
            where=label,
        )


def _check_confirmed(case: _Case, found: ChainArtefact, label: str) -> None:
    on_top = case.chain.block.number - found.changed_at_block
    if on_top < case.demand.confirmations:
        message = f"too few blocks lie on top of the last transition of {label}"
        expected = f"{case.demand.confirmations} blocks"
        case.find("not-confirmed", ERROR, message, expected=expected, found=f"{on_top} blocks", where=label)
    if case.demand.final and not case.facts["final"]:
        message = f"the last transition of {label} is not final"
        case.find("not-confirmed", ERROR, message, expected="final", found=str(case.facts["confirmed"]), where=label)


def _note_votes(case: _Case, artefact: bytes, version: int) -> None:
    for step in artefacts.history_views(case.look, artefact):
        against = [vote.organisation_name for vote in step.votes if not vote.approve]
        if against and step.version == version:
            message = f"{', '.join(against)} voted against {step.action}, which was carried out"
            case.find(
                "votes-against",
                NOTE,
                message,
                where=f"transition {step.seq} of {edges.label(case.look, (artefact, version))}",
            )
