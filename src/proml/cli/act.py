"""``proml register`` and ``proml act``: new artefacts and transitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proml.cli import output
from proml.cli.completion import actions, artefacts, kinds
from proml.cli.group import command
from proml.cli.relay import sign, signing_options
from proml.errors import ContentError, InvalidRecord, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.cli.choosing import Choice
    from proml.cli.sending import Sent
    from proml.cli.session import Session
    from proml.core.manifest import Manifest
    from proml.submit.intents import Act
    from proml.wiring import Participant

_RECORD_LIMIT = 4 << 20
_NOT_YOURS = ("schema", "type", "created", "salt", "artefact", "action", "content", "uses", "vote")


@command(
    "register",
    examples="""
        proml register tumours --kind dataset
        proml register tumour-model --kind model --note "first attempt"
    """,
)
@click.argument("name")
@click.option("--kind", required=True, help="Its lifecycle; see `proml lifecycle list`.", shell_complete=kinds)
@click.option("--note", "notes", multiple=True, help="A remark in its record; may be repeated.")
@signing_options
def register(  # one option each
    session: Session, *, name: str, kind: str, notes: tuple[str, ...], message: Path | None, lifetime_s: int
) -> None:
    """Register a new artefact: a name in the workspace, owned by you."""
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.cli.sending import send  # noqa: PLC0415 - as above
    from proml.core.name import check_name  # noqa: PLC0415 - as above
    from proml.submit import intents  # noqa: PLC0415 - as above

    check_name(name)
    with session.participant() as participant:
        up_to_date(session, participant)
        _check_kind(participant, kind)
        check_free(participant, name)
        fields = {"notes": list(notes)} if notes else None
        if message is not None:
            sign(
                session,
                participant,
                lambda desk: intents.register(desk, name, kind, fields=fields),
                message,
                lifetime_s,
            )
            return
        queued = intents.register(participant.desk, name, kind, fields=fields)
        sent = send(session, participant, [queued.number])
        up_to_date(session, participant, must=True)
        artefact = participant.model.artefact(name)
        line = f"registered {output.colour(name, 'name')}  {kind}, {artefact.state}"
        session.answer({"artefact": artefact.to_json(), **sent.document}, [line, *sent.lines])


@command(
    "act",
    examples="""
        proml act tumours collect data/ --note "from the registry"
        proml act tumour-model train model.joblib --use tumours --record training.json
        proml act tumour-model approve --use evaluation=tumour-evaluation
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.argument("action", shell_complete=actions)
@click.argument("path", required=False)
@click.option(
    "--use", "uses", multiple=True, metavar="[ROLE=]ARTEFACT[@VERSION]", shell_complete=artefacts,
    help="An artefact, or the path of its content, that was used; may be repeated.",
)  # fmt: skip
@click.option("--record", "file", type=click.Path(path_type=Path), help="JSON: parameters, metrics, run, facts, notes.")
@click.option("--note", "notes", multiple=True, help="A remark in the record; may be repeated.")
@click.option("--reason", default="", help="Why, in words.")
@click.option("--kind", default="", help="Register it first, as this kind, if it does not exist.", shell_complete=kinds)
@click.option(
    "--manifest", "stated", type=click.Path(path_type=Path), metavar="FILE",
    help="Take digests from a sha256sum file or a Model Signing manifest, and do not read PATH.",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Read every file, also those that were read before.")
@signing_options
def act(  # one option each
    session: Session, *, name: str, action: str, path: str | None, uses: tuple[str, ...], file: Path | None,
    notes: tuple[str, ...], reason: str, kind: str, stated: Path | None, no_cache: bool, message: Path | None,
    lifetime_s: int,
) -> None:  # fmt: skip
    """Perform a transition of an artefact, with the content at PATH if it brings any.

    The transition is bound to the artefact as it is seen now: if it moves on before this is in a block, nothing happens
    and the command says so (exit code 6). What the rules refuse is said in words (exit code 3).
    """
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import

    fields = _fields(file, notes, reason)
    with session.participant() as participant:
        up_to_date(session, participant)
        dot = None if no_cache else participant.folder.dot
        request = _Request(session, participant, name, action, path, uses, fields, stated, dot)
        if message is not None and _queued_kind(participant, name) is not None:
            raise UsageError(
                f"{name} has entries in the outbox, and what is signed now would not fit what they make of it.",
                hint="Send them first: `proml sync`.",
            )
        if kind and _is_new(participant, name):
            _check_kind(participant, kind)
            check_free(participant, name)
            wanted, before = request.first(kind), ""
        else:
            wanted, before = request.next()
        _perform(session, participant, wanted, before, (message, lifetime_s) if message else None)


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for on the command line."""

    session: Session
    participant: Participant
    name: str
    action: str
    path: str | None
    uses: tuple[str, ...]
    fields: dict[str, Any]
    stated: Path | None
    dot: Path | None

    def first(self, kind: str) -> Act:
        """The first transition of an artefact that is registered in the same transaction."""
        from proml.cli import choosing  # noqa: PLC0415 - takes long to import
        from proml.submit.intents import Act  # noqa: PLC0415 - as above

        uses = choosing.parse_uses(self.session, self.participant, self.uses, dot=self.dot)
        return Act(
            name=self.name, kind=kind, action=self.action, content=self._content(), uses=uses, register=True,
            fields=self.fields,
        )  # fmt: skip

    def next(self) -> tuple[Act, str]:
        """A transition of an artefact that exists, and the state that it is in."""
        from proml.cli import choosing  # noqa: PLC0415 - takes long to import
        from proml.submit.intents import Act  # noqa: PLC0415 - as above

        queued = _queued_kind(self.participant, self.name)
        if queued is not None:
            # Earlier entries have to go first, and nobody knows their heads yet: bound when it is sent.
            self.session.say(f"{output.printable(self.name)} has entries in the outbox, which go first.")
            uses = choosing.parse_uses(self.session, self.participant, self.uses, dot=self.dot)
            return Act(self.name, queued, self.action, self._content(), uses, fields=self.fields), "?"
        choice = choosing.choose(self.participant, self.name, self.action)
        self._check_content(choice)
        uses = choosing.parse_uses(self.session, self.participant, self.uses, dot=self.dot)
        if not uses and choice.transition is not None and choice.transition.quorum:
            uses = self._from_votes(choice)
        wanted = Act(
            name=self.name, kind=choice.definition.name, action=self.action, content=self._content(), uses=uses,
            expected_head=choice.artefact.head, fields=self.fields,
        )  # fmt: skip
        return wanted, choice.artefact.state

    def _from_votes(self, choice: Choice) -> tuple[Any, ...]:
        from proml.cli import choosing  # noqa: PLC0415 - takes long to import

        ballots = choosing.open_ballots(self.participant, choice)
        if len(ballots) != 1:
            return ()
        uses = choosing.uses_of_ballot(self.participant, ballots[0])
        if uses:
            self.session.say(f"as voted on, using {', '.join(map(choosing.use_label, uses))}")
        return uses

    def _content(self) -> Manifest | None:
        """The content's manifest; notes among the record's facts which digests were not computed now."""
        from proml.cli.choosing import hash_content  # noqa: PLC0415 - takes long to import

        if self.stated is not None:
            from proml.stating import state_content  # noqa: PLC0415 - only with --manifest

            hashed = state_content(self.path, self.stated)
        elif self.path is not None:
            hashed = hash_content(self.session, self.path, dot=self.dot)
        else:
            return None
        facts = self.fields.setdefault("facts", {})
        if isinstance(facts, dict):
            facts |= hashed.mark()
        if not facts:
            del self.fields["facts"]
        return hashed.manifest

    def _check_content(self, choice: Choice) -> None:
        guards = choice.transition.guards if choice.transition is not None else ()
        brings = self.path is not None or self.stated is not None
        if "needs-content" in guards and not brings:
            raise UsageError(
                f"{self.action} needs new content.", hint=f"Name it: proml act {self.name} {self.action} PATH"
            )
        if "no-content" in guards and brings:
            raise UsageError(
                f"{self.action} brings no new content: it is about the content that {self.name} has.",
                hint=f"Leave {str(self.path or self.stated)!r} out.",
            )


def check_free(participant: Participant, name: str) -> None:
    """Raises UsageError if an artefact has this name, or one that people could take for it."""
    from proml.core.name import skeleton  # noqa: PLC0415 - takes long to import

    for artefact in participant.model.artefacts():
        if artefact.name == name:
            raise UsageError(
                f"{name} exists: a {artefact.kind}, {artefact.state}.", hint=f"`proml act {name} ACTION` changes it."
            )
        if artefact.name is not None and skeleton(artefact.name) == skeleton(name):
            raise UsageError(f"{name} looks like {artefact.name}, which exists.", hint="Choose another name.")


def _check_kind(participant: Participant, kind: str) -> None:
    known = [view.name for view in participant.model.lifecycles()]
    if known and kind not in known:
        raise UnknownName(
            f"this workspace has no kind {kind!r}; it has {', '.join(dict.fromkeys(known))}.",
            hint="`proml lifecycle list` describes them; `proml lifecycle add` proposes another.",
        )


def _is_new(participant: Participant, name: str) -> bool:
    try:
        participant.model.artefact(name)
    except UnknownName:
        return _queued_kind(participant, name) is None
    return False


def _queued_kind(participant: Participant, name: str) -> str | None:
    """The kind of an artefact that has entries waiting in the outbox; None if it has none."""
    for entry in participant.outbox.entries("pending", "sent"):
        if entry.intent.artefact == name and entry.intent.kind in ("register", "transition"):
            return str(entry.intent.body.get("kind") or "") or participant.model.artefact(name).kind
    return None


def _fields(file: Path | None, notes: tuple[str, ...], reason: str) -> dict[str, Any]:
    fields: dict[str, Any] = dict(_read_record(file)) if file is not None else {}
    if notes:
        fields["notes"] = [*fields.get("notes", ()), *notes]
    if reason:
        fields["reason"] = reason
    return fields


def _read_record(file: Path) -> Mapping[str, Any]:
    from proml.core.canonical import parse_json  # noqa: PLC0415 - only with --record

    try:
        with file.open("rb") as opened:
            data = opened.read(_RECORD_LIMIT + 1)
    except OSError as error:
        raise ContentError(f"{file} cannot be read: {error.strerror}.", hint="Check the path of --record.") from error
    if len(data) > _RECORD_LIMIT:
        raise InvalidRecord(f"{file} is larger than {_RECORD_LIMIT} bytes.", hint="Publish large facts as content.")
    value = parse_json(data, str(file))
    if not isinstance(value, dict):
        raise InvalidRecord(
            f"{file}: expected a JSON object, found {type(value).__name__}.", hint='For example {"parameters": {}}.'
        )
    taken = [key for key in _NOT_YOURS if key in value]
    if taken:
        raise InvalidRecord(
            f"{file}: {', '.join(taken)} {'is' if len(taken) == 1 else 'are'} set by ProML.",
            hint="A record file has parameters, metrics, run, observations, facts, notes, reason.",
        )
    return value


def _perform(
    session: Session, participant: Participant, wanted: Act, before: str, message: tuple[Path, int] | None
) -> None:
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.cli.sending import send  # noqa: PLC0415 - as above
    from proml.submit import intents  # noqa: PLC0415 - as above

    if message is not None:
        sign(session, participant, lambda desk: intents.act(desk, wanted), *message)
        return
    queued = intents.act(participant.desk, wanted)
    sent = send(session, participant, [queued.number])
    up_to_date(session, participant, must=True)
    artefact = participant.model.artefact(wanted.name)
    document = {
        "artefact": artefact.to_json(), "action": wanted.action, "state_before": before, "state_after": artefact.state,
        "content": f"sha256:{wanted.content.digest.hex()}" if wanted.content else None,
        "record": f"sha256:{queued.record.digest.hex()}" if queued.record else None, **sent.document,
    }  # fmt: skip
    session.answer(document, _lines(session, wanted, (before, artefact.state), artefact.version, sent))


def _lines(session: Session, wanted: Act, states: tuple[str, str], version: int, sent: Sent) -> Iterator[str]:
    from proml.cli.choosing import use_label  # noqa: PLC0415 - takes long to import

    name = output.colour(wanted.name, "name")
    new = f"  @{version}" if wanted.content else ""
    before, after = states
    yield f"{name}  {output.printable(before or 'new')} → {output.colour(after, 'good')}{new}"
    shown = str if session.verbose else output.short
    content = wanted.content
    if content is not None:
        files = len(content.resources)
        amount = f"{files} file{'s' * (files != 1)}, {output.size(content.size_bytes)}"
        yield from output.fields(
            [
                ("content", f"{shown(f'sha256:{content.digest.hex()}')}  {amount}"),
                ("digests", output.digests(wanted.fields)),
            ]
        )
    if wanted.uses:
        yield from output.fields([("used", ", ".join(map(use_label, wanted.uses)))])
    yield from sent.lines
