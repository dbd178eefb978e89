"""What a transition or vote is about: the artefact, the rule that an action means, what was used, and open ballots."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.cli import output
from proml.core.heads import inputs_commitment
from proml.core.intent import Use
from proml.core.lifecycle_reading import from_document
from proml.core.name import parse_reference
from proml.errors import ConflictError, NotAvailable, ProMLError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from proml.cli.session import Session
    from proml.core.lifecycle import Definition, Transition
    from proml.core.operation import Input
    from proml.hashing import Hashed
    from proml.index.views import ArtefactView, BallotView, InputView
    from proml.wiring import Participant

_LIST_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be done with an artefact.

    Attributes:
        artefact: As it is now.
        definition: Its lifecycle.
        action: Name of the transition.
        rule: Number of the transition from the present state; None if the action does not start in it.
    """

    artefact: ArtefactView
    definition: Definition
    action: str
    rule: int | None

    @property
    def transition(self) -> Transition | None:
        """The transition, if the action starts in the present state."""
        return None if self.rule is None else self.definition.transitions[self.rule]


def choose(participant: Participant, name: str, action: str) -> Choice:
    """Finds artefact and rule.

    Raises:
        UnknownName: There is no such artefact, or its kind has no such action; lists what is possible now.
        NotAvailable: No store has the lifecycle's definition.
    """
    artefact = participant.model.artefact(name)
    definition = definition_of(participant, artefact)
    if action not in definition.actions():
        now = possible_actions(participant, artefact)
        raise UnknownName(
            f"a {definition.name} has no action {action!r}; {artefact.label} is {artefact.state}.",
            hint=f"Possible now: {', '.join(now) or 'nothing'}. `proml lifecycle show {definition.name}` shows all.",
        )
    roles, is_owner = _standing(participant, artefact)
    rule = definition.rule_for(action, artefact.state, roles=roles, is_owner=is_owner)
    return Choice(artefact, definition, action, rule)


def definition_of(participant: Participant, artefact: ArtefactView) -> Definition:
    """Returns the definition of an artefact's lifecycle; raises NotAvailable."""
    for view in participant.model.lifecycles():
        if view.number == artefact.lifecycle and view.document is not None:
            return from_document(view.document)
    raise NotAvailable(
        f"the definition of {artefact.label}'s lifecycle is in no store that can be reached.",
        hint="Ask another member to publish it: `proml sync` there, with the same stores.",
    )


def possible_actions(participant: Participant, artefact: ArtefactView) -> list[str]:
    """Returns the actions that start in an artefact's state, whoever may take them; none without the definition."""
    try:
        return list(definition_of(participant, artefact).actions(artefact.state))
    except ProMLError:
        return []


def parse_uses(
    session: Session, participant: Participant, words: Sequence[str], *, dot: Path | None = None
) -> tuple[Use, ...]:
    """Returns what ``--use`` names, pinned to the versions that are seen now.

    The order in which they are named does not matter, so that votes and the transition that draws on them agree.

    Args:
        session: This invocation.
        participant: Whose working folder.
        words: ``[ROLE=]NAME[@VERSION]`` each, or the path of a file or folder that is a known artefact's content.
        dot: As for :func:`hash_content`.

    Raises:
        UnknownName: No artefact has this name, and no path with known content.
    """
    found = {
        (use.name, use.version, use.role): use
        for use in (_parse_use(session, participant, word, dot) for word in words)
    }
    return tuple(use for _, use in sorted(found.items()))


def hash_content(session: Session, path: str, *, dot: Path | None = None) -> Hashed:
    """Returns the content of a file or folder, with a progress bar while it is read.

    Args:
        session: This invocation.
        path: File or folder.
        dot: ``.proml/``, to take digests from its cache; None reads every file.
    """
    from proml.adapters.digest_cache import open_digest_cache, wrong_digest  # noqa: PLC0415 - only with a path
    from proml.hashing import hash_content as hash_files  # noqa: PLC0415 - as above

    cache = open_digest_cache(dot) if dot is not None else None
    with output.progress(f"reading {output.printable(path)}", quiet=session.as_json, in_bytes=True) as advance:
        hashed = hash_files(path, cache=cache, progress=advance)
    if hashed.wrong:
        output.print_line(output.printable(f"warning: {wrong_digest(hashed.wrong)}"), error=True)
    return hashed


def open_ballots(participant: Participant, choice: Choice) -> list[BallotView]:
    """Returns the ballots on this action at the artefact's present head."""
    return [
        ballot for ballot in participant.model.votes(choice.artefact.id)
        if ballot.rule == choice.rule and ballot.expected_head == choice.artefact.head
    ]  # fmt: skip


def uses_of_ballot(participant: Participant, ballot: BallotView) -> tuple[Use, ...]:
    """Returns what the voters named as used, after checking that it is what the ballot commits to.

    Raises:
        ConflictError: It has moved on since.
        NotAvailable: No vote's record names inputs that the ballot commits to.
    """
    if not any(ballot.inputs_commitment):
        return ()
    for vote in ballot.votes:
        uses = _uses_of_record(vote.record or {})
        if uses and inputs_commitment(resolve(participant, uses)) == ballot.inputs_commitment:
            return uses
    if any(_uses_of_record(vote.record or {}) for vote in ballot.votes):
        raise ConflictError(
            f"what the votes on {ballot.action} are about has moved on since they were cast.",
            hint="Endorse it anew with the present versions (`proml endorse NAME ACTION --use …`).",
        )
    raise NotAvailable(
        f"the votes on {ballot.action} commit to inputs, and no record that can be had names them.",
        hint="Name them with --use, as the voters did.",
    )


def resolve(participant: Participant, uses: Sequence[Use]) -> tuple[Input, ...]:
    """Returns the inputs on chain that are meant; raises UnknownName."""
    found: dict[Input, None] = {}  # as in proml.submit.bind: the same version used in two roles is one input
    for use in uses:
        resolved = participant.resolver.input_for(use)
        if resolved is None:
            raise UnknownName(
                f"no version on chain has the content of {use.name or use.role}.",
                hint="Publish it as an artefact first.",
            )
        found[resolved] = None
    return tuple(found)


def use_label(use: Use | InputView) -> str:
    """Returns ``NAME@VERSION (role)`` for people."""
    version = f"@{use.version}" if use.version else ""
    role = f" ({use.role})" if use.role and use.role != "input" else ""
    return f"{use.name}{version}{role}"


def _standing(participant: Participant, artefact: ArtefactView) -> tuple[int | None, bool | None]:
    """Who acts here: role bits, and whether it owns the artefact; unknown without an identity."""
    try:
        identity = participant.identity
    except ProMLError:
        return None, None
    account = identity.member or identity.address
    roles = next((member.roles for member in participant.model.members() if member.account == account), 0)
    return roles, artefact.owner == account


def _parse_use(session: Session, participant: Participant, word: str, dot: Path | None) -> Use:
    role, equals, reference = word.rpartition("=")
    if equals and not role:
        raise UsageError(f"--use {word!r} has an empty role.", hint="Write NAME, NAME@VERSION or ROLE=NAME.")
    role = role or "input"
    try:
        return _named_use(participant, role, reference)
    except ProMLError as error:
        if not isinstance(error, UsageError) or not os.path.lexists(reference):
            raise
    content = hash_content(session, reference, dot=dot).manifest.digest
    versions = participant.model.by_content(content)
    if not versions:
        raise UnknownName(
            f"{reference!r} is a file or folder whose content is no artefact's.",
            hint="Record it first: `proml register NAME --kind KIND`, `proml act NAME ACTION PATH`.",
        )
    return Use(role, versions[0].name or "", str(versions[0].number), content)


def _named_use(participant: Participant, role: str, reference: str) -> Use:
    name, version = parse_reference(reference)
    artefact = participant.model.artefact(name)
    if version is None and not artefact.version:
        return Use(role, name)
    found = participant.model.version(reference)
    return Use(role, name, str(found.number), found.content)


def _uses_of_record(record: Mapping[str, object]) -> tuple[Use, ...]:
    listed = record.get("uses")
    return tuple(
        Use(str(use.get("role") or "input"), str(use.get("name") or ""), str(use.get("version") or ""))
        for use in (listed if isinstance(listed, list | tuple) else ())
        if isinstance(use, dict)
    )
