"""``proml lifecycle``: the state machines that artefacts obey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import kinds
from proml.cli.group import Group, Lazy, command
from proml.errors import ConfigError, InvalidLifecycle, LocalStorageError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proml.cli.session import Session
    from proml.core.lifecycle import Definition, Transition
    from proml.core.lifecycle_check import Finding

_HERE = "proml.cli.lifecycle"
_SIZE_LIMIT = 1 << 20


@click.group(
    "lifecycle",
    cls=Group,
    lazy={
        "list": Lazy(f"{_HERE}:list_all", "List the lifecycles of the workspace, or those that come with ProML."),
        "show": Lazy(f"{_HERE}:show", "Show states and transitions of a lifecycle."),
        "check": Lazy(f"{_HERE}:check", "Find mistakes in a lifecycle before it is added."),
        "draw": Lazy(f"{_HERE}:draw", "Draw a lifecycle for Mermaid or Graphviz."),
        "add": Lazy(f"{_HERE}:add", "Propose to add a lifecycle to the workspace."),
    },
    examples="""
        proml lifecycle list
        proml lifecycle show model
        proml lifecycle draw model --format mermaid
        proml lifecycle check my-lifecycle.toml
    """,
)
def lifecycle() -> None:
    """The state machines that artefacts obey: states, who may change them, and under which conditions."""


@command("list", examples="proml lifecycle list\nproml lifecycle list --shipped")
@click.option("--shipped", is_flag=True, help="Those that come with ProML, whatever the workspace has.")
def list_all(session: Session, *, shipped: bool) -> None:
    """List the lifecycles: kinds of artefact, their states and actions."""
    numbered = [(0, d) for d in _shipped().values()] if shipped else _of_workspace(session)
    document = {"lifecycles": [{"number": number or None, **d.document()} for number, d in numbered]}
    rows = [(d.name, str(d.version), d.summary) for _, d in numbered]
    session.answer(document, output.table(("kind", "version", ""), rows))


@command("show", examples="proml lifecycle show model\nproml lifecycle show my-lifecycle.toml")
@click.argument("which", metavar="KIND|FILE", shell_complete=kinds)
def show(session: Session, which: str) -> None:
    """Show a lifecycle in words: the workspace's of that kind, else the shipped one, or that of a TOML file."""
    found = _find(session, which)
    session.answer({**found.document(), "digest": f"sha256:{found.digest.hex()}"}, _words(found))


@command("check", examples="proml lifecycle check my-lifecycle.toml\nproml lifecycle check model")
@click.argument("which", metavar="KIND|FILE", shell_complete=kinds)
def check(session: Session, which: str) -> None:
    """Find unreachable states, dead ends, transitions that nobody can take and quorums that nobody can reach.

    In a working folder it is checked against the workspace's members, else by itself. Exits with 2 on an error.
    """
    from proml.core import lifecycle_check  # noqa: PLC0415 - keeps --help quick

    found = _find(session, which)
    organisations, known = _surroundings(session)
    findings = lifecycle_check.check(found, organisations=organisations, kinds=known)
    errors = [finding for finding in findings if finding.level == "error"]
    document = {"lifecycle": found.name, "ok": not errors, "findings": list(findings)}
    if not errors:
        session.answer(document, [*_findings(findings), f"{found.name}: {output.colour('no errors', 'good')}"])
        return
    session.facts.update(document)
    if not session.as_json:
        for line in _findings(findings):
            output.print_line(line)
    raise InvalidLifecycle(f"lifecycle {found.name} has {len(errors)} errors, the first: {errors[0].message}")


@command("draw", examples="proml lifecycle draw model\nproml lifecycle draw model --format dot | dot -Tsvg > model.svg")
@click.argument("which", metavar="KIND|FILE", shell_complete=kinds)
@click.option("--format", "form", type=click.Choice(["mermaid", "dot"]), default="mermaid", show_default=True)
def draw(session: Session, which: str, form: str) -> None:
    """Draw a lifecycle as text for Mermaid or Graphviz."""
    from proml.core.lifecycle_drawing import draw_dot, draw_mermaid  # noqa: PLC0415 - keeps --help quick

    text = (draw_dot if form == "dot" else draw_mermaid)(_find(session, which))
    session.answer({"format": form, "drawing": text}, text.splitlines())


@command("add", examples="proml lifecycle add my-lifecycle.toml")
@click.argument("file", metavar="FILE|KIND")
def add(session: Session, file: str) -> None:
    """Propose to add a lifecycle to the workspace; needs an admin, and approval by its quorum of organisations.

    The same as `proml workspace propose add-lifecycle FILE`. A lifecycle can never be changed: a new version is added
    beside the old one, and is that of artefacts registered from then on.
    """
    from proml.cli.governing import propose_lifecycle  # noqa: PLC0415 - takes long to import

    propose_lifecycle(session, file)


def read_definition(which: str) -> Definition | None:
    """Returns the lifecycle that a TOML file defines, or a shipped one by its kind; None if it is neither.

    Raises:
        InvalidLifecycle: The file is malformed.
    """
    from proml.core.lifecycle_reading import parse_lifecycle  # noqa: PLC0415 - keeps --help quick

    path = Path(which)
    if path.suffix != ".toml" and not path.is_file():
        return _shipped().get(which)
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_LIMIT + 1)
        if len(data) > _SIZE_LIMIT:
            raise InvalidLifecycle(f"{which} is larger than {_SIZE_LIMIT} bytes.", hint="Name a lifecycle's TOML file.")
        return parse_lifecycle(data.decode(), which)
    except UnicodeDecodeError as error:
        raise InvalidLifecycle(f"{which} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise LocalStorageError(
            f"{which} cannot be read: {error.strerror}.", hint="Name a TOML file, or a kind of `proml lifecycle list`."
        ) from error


def _find(session: Session, which: str) -> Definition:
    if Path(which).suffix != ".toml":
        for _, definition in reversed(_of_workspace(session)):
            if definition.name == which:
                return definition
    found = read_definition(which)
    if found is None:
        raise UnknownName(
            f"there is no lifecycle {which!r} in this workspace, none is shipped, and it is no file.",
            hint="`proml lifecycle list` and `proml lifecycle list --shipped` show the kinds.",
        )
    return found


def _of_workspace(session: Session) -> list[tuple[int, Definition]]:
    """The workspace's lifecycles whose definition is at hand; outside a working folder the shipped ones."""
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.core.lifecycle_reading import from_document  # noqa: PLC0415 - keeps --help quick
    from proml.wiring import open_participant  # noqa: PLC0415 - takes long to import

    try:
        participant = open_participant(session.start)
    except ConfigError:
        if session.start is not None:
            raise
        return [(0, definition) for definition in _shipped().values()]
    with participant:
        up_to_date(session, participant)
        views = participant.model.lifecycles()
    return [(view.number, from_document(view.document)) for view in views if view.document is not None]


def _surroundings(session: Session) -> tuple[dict[int, int] | None, list[str] | None]:
    """The workspace's role bits by organisation, and its kinds; nothing outside a working folder."""
    from proml.cli.follow import up_to_date  # noqa: PLC0415 - takes long to import
    from proml.wiring import open_participant  # noqa: PLC0415 - takes long to import

    try:
        participant = open_participant(session.start)
    except ConfigError:
        return None, None
    with participant:
        up_to_date(session, participant)
        organisations: dict[int, int] = {}
        for member in participant.model.members():
            organisations[member.organisation] = organisations.get(member.organisation, 0) | member.roles
        return organisations, [view.name for view in participant.model.lifecycles()]


def _shipped() -> Mapping[str, Definition]:
    from proml.lifecycles import load_shipped  # noqa: PLC0415 - keeps --help quick

    return load_shipped()


def _words(definition: Definition) -> Iterator[str]:
    summary = output.printable(definition.summary)
    yield f"{output.colour(definition.name, 'name')} version {definition.version}  {summary}"
    yield f"registered by {' or '.join(definition.register)}, in state {definition.initial}"
    yield ""
    rows = [(state.name, ", ".join(state.flags), state.summary) for state in definition.states]
    yield from output.table(("state", "flags", ""), rows)
    yield ""
    yield from output.table(
        ("action", "from → to", "by", "conditions"),
        [(t.name, f"{t.from_state} → {t.to_state}", " ".join(t.roles), _conditions(t)) for t in definition.transitions],
    )


def _conditions(transition: Transition) -> str:
    parts = list(transition.guards)
    if transition.quorum:
        parts.append(f"{transition.quorum} organisations ({'/'.join(transition.vote_roles)})")
    if transition.evidence:
        parts.append(f"evidence {transition.evidence}")
    if transition.min_delay_s:
        parts.append(f"after {transition.min_delay_s} s")
    return ", ".join(parts)


def _findings(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        mark = output.colour(finding.level, "bad" if finding.level == "error" else "warn")
        yield f"{mark}  {output.printable(finding.where)}: {output.printable(finding.message)}"
