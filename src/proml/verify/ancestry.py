"""What a version rests on: no ancestor revoked, and evidence that is about this very version.

The index finds the ancestors. Each one's head is then recomputed from the index's rows and compared with the
contract's, so an edge or a state that somebody altered in the index does not go unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.index import edges
from proml.index.views import REVOKED, short
from proml.verify.chain import head_from_index
from proml.verify.report import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from proml.index.edges import Edge, Version
    from proml.index.snapshot import Snapshot
    from proml.verify.chain import Chain


@dataclass(slots=True)
class Ancestry:
    """What was found: every ancestor version, and how it was reached."""

    came_from: dict[Version, Version | None]
    findings: list[Finding] = field(default_factory=list)

    @property
    def artefacts(self) -> set[bytes]:
        """All artefacts among them, the version's own included."""
        return {artefact for artefact, _ in self.came_from}

    def path(self, version: Version) -> list[Version]:
        """Returns the way from the version asked about to an ancestor."""
        way = [version]
        while (nearer := self.came_from[way[-1]]) is not None:
            way.append(nearer)
        return way[::-1]


def check_ancestry(look: Snapshot, chain: Chain, version: Version) -> Ancestry:
    """Walks all ancestors of a version and checks each against the chain."""
    ancestry = Ancestry({version: None})
    level = {version}
    while level:
        following: set[Version] = set()
        for edge in edges.inputs_of(look, level):
            user = edge.user if edge.user in level else next(v for v in level if v[0] == edge.artefact)
            if edge.workspace:
                _check_foreign(look, chain, edge, ancestry, user)
            elif edge.used not in ancestry.came_from:
                ancestry.came_from[edge.used] = user
                following.add(edge.used)
                if edge.input_version is None:
                    ancestry.findings.append(_unknown_head(look, edge))
        level = following
    revoked = edges.revoked_now(look)
    for artefact in ancestry.artefacts - {version[0]}:
        _check_ancestor(look, chain, artefact, ancestry)
    for ancestor in ancestry.came_from:
        if ancestor in revoked.versions and ancestor[0] not in revoked.artefacts and ancestor != version:
            ancestry.findings.append(_revoked(look, ancestor, ancestry, "a revoked state when it was superseded"))
    return ancestry


def _check_ancestor(look: Snapshot, chain: Chain, artefact: bytes, ancestry: Ancestry) -> None:
    state = chain.state(artefact)
    version = next(one for one in ancestry.came_from if one[0] == artefact)
    if state is None:
        ancestry.findings.append(
            Finding(
                "ancestor-unchecked",
                WARNING,
                f"the ancestor {edges.label(look, version)} is not registered in this workspace",
                where=" ← ".join(edges.label(look, one) for one in ancestry.path(version)),
            )
        )
        return
    indexed = head_from_index(look, artefact)
    if indexed != state.head:
        message = f"the index's history of the ancestor {edges.label(look, version)} is not the chain's"
        ancestry.findings.append(
            Finding(
                "index-differs",
                ERROR,
                message,
                "0x" + state.head.hex(),
                "0x" + indexed.hex(),
                f"artefact {short(artefact)}",
            )
        )
    if state.flags & REVOKED:
        name = look.state_name(state.lifecycle, state.state)
        ancestry.findings.append(_revoked(look, version, ancestry, name))


def _revoked(look: Snapshot, version: Version, ancestry: Ancestry, state: str) -> Finding:
    return Finding(
        "ancestor-revoked",
        ERROR,
        f"an ancestor was revoked: {edges.label(look, version)}",
        "no revoked ancestor",
        state,
        " ← ".join(edges.label(look, one) for one in ancestry.path(version)),
    )


def _check_foreign(look: Snapshot, chain: Chain, edge: Edge, ancestry: Ancestry, user: Version) -> None:
    answer = chain.revoked_elsewhere(edge.workspace, edge.input)
    label = f"{short(edge.input)} in workspace {edge.workspace}"
    where = " ← ".join([*(edges.label(look, one) for one in ancestry.path(user)), label])
    if answer is None:
        message = f"the ancestor {label} cannot be checked: no workspace answers there"
        ancestry.findings.append(Finding("ancestor-unchecked", WARNING, message, where=where))
    elif answer:
        message = f"an ancestor was revoked: {label}"
        ancestry.findings.append(Finding("ancestor-revoked", ERROR, message, "no revoked ancestor", "revoked", where))


def _unknown_head(look: Snapshot, edge: Edge) -> Finding:
    shown = look.name(edge.input) or short(edge.input)
    return Finding(
        "ancestor-unchecked",
        WARNING,
        f"the version of {shown} that was used is not known: no transition of it has this head",
        found="0x" + edge.input_head.hex(),
        where=edges.label(look, edge.user),
    )


def check_evidence(look: Snapshot, version: Version) -> list[Finding]:
    """Checks that the evidence a version was approved on is about this version.

    The contract demands an input of the evidence's lifecycle, owned by another organisation; it does not look into what
    that input evaluated.
    """
    findings = []
    rows = {row.seq: row for row in look.rows_of(version[0]) if row.version == version[1]}
    uses = [edge for edge in edges.inputs_of(look, {version}) if not edge.workspace and edge.seq in rows]
    latest = look.latest({edge.input for edge in uses})
    for seq, row in rows.items():
        rules = look.machine(row.lifecycle).rules.rules
        wanted = rules[row.rule].evidence if 0 <= row.rule < len(rules) else 0
        evidence = [e for e in uses if e.seq == seq and e.input in latest and latest[e.input].lifecycle == wanted]
        if not wanted or not evidence:
            continue
        about = edges.inputs_of(look, {edge.used for edge in evidence})
        if not any(edge.used == version and not edge.workspace for edge in about):
            findings.append(
                Finding(
                    "evidence-elsewhere",
                    ERROR,
                    f"the evidence for {look.action_name(row.lifecycle, row.rule)} is not about this version",
                    f"an evaluation of {edges.label(look, version)}",
                    f"{', '.join(edges.label(look, e.used) for e in evidence)} about "
                    f"{', '.join(edges.label(look, e.used) for e in about) or 'nothing'}",
                    f"transition {seq} of {look.name(version[0]) or short(version[0])}",
                )
            )
    return findings
