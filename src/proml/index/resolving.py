"""Looks up for submission what it needs before it can sign: :class:`proml.submit.resolver.Resolver` over the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proml.core import name
from proml.core.operation import ZERO, ZERO_ADDRESS, Input, Lifecycle
from proml.errors import UnknownName
from proml.index import artefacts
from proml.index.edges import inputs_of
from proml.submit.resolver import Standing

if TYPE_CHECKING:
    from proml.core.intent import Use
    from proml.index.queries import ReadModel
    from proml.index.views import VersionView

_INPUTS_HELD = 64


class IndexResolver:
    """Answers from the index, so as of the last follow: who submits follows first.

    Args:
        model: The read model.
    """

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    def artefact_id(self, name_: str) -> bytes:
        """Returns the id that a name has in this workspace, whether it is registered or not; raises InvalidName."""
        return name.artefact_id(self._model.workspace.name_key, name_)

    def standing(self, artefact: bytes) -> Standing | None:
        """Returns where an artefact stands, or None if it is not registered."""
        with self._model.look() as look:
            row = look.latest([artefact]).get(artefact)
            if row is None:
                return None
            keeps = any(rule.guards & _INPUTS_HELD for rule in look.machine(row.lifecycle).rules.rules)
            held = ZERO
            if keeps:
                brought = [r for r in look.rows_of(artefact) if r.content is not None]
                held = brought[-1].inputs_commitment if brought else ZERO
            return Standing(row.lifecycle, row.to_state, row.seq, row.head, held)

    def lifecycle_number(self, kind: str) -> int:
        """Returns the number of the newest lifecycle of a kind; raises UnknownName."""
        with self._model.look() as look:
            found = [number for number, machine in look.machines.items() if machine.view.name == kind]
            if not found:
                kinds = sorted({machine.view.name for machine in look.machines.values()})
                raise UnknownName(
                    f"no lifecycle of kind {kind!r} in workspace {self._model.workspace.name!r}; "
                    f"there are {', '.join(kinds)}",
                    hint="Add one with 'proml lifecycle add'.",
                )
            return max(found)

    def lifecycle(self, number: int) -> Lifecycle:
        """Returns a lifecycle as it stands on chain; raises UnknownName."""
        with self._model.look() as look:
            if number not in look.machines:
                raise UnknownName(f"no lifecycle has number {number}", hint="See 'proml lifecycle list'.")
            return look.machine(number).rules

    def rules(self, lifecycle: int, action: str) -> tuple[int, ...]:
        """Returns the numbers of the rules that an action's name stands for; raises UnknownName if there is none."""
        with self._model.look() as look:
            actions = look.machine(lifecycle).view.actions
        found = tuple(number for number, named in enumerate(actions) if named == action)
        if not found:
            raise UnknownName(
                f"the lifecycle has no action {action!r}; it has {', '.join(dict.fromkeys(actions))}",
                hint="See 'proml lifecycle show'.",
            )
        return found

    def input_for(self, use: Use) -> Input | None:
        """Returns the version on chain that was used, or None if no version has this content and no name was given.

        Raises:
            UnknownName: A name was given, and no such artefact or version exists, or none with this content.
        """
        with self._model.look() as look:
            if not use.name:
                found = artefacts.versions_with(look, use.content) if use.content is not None else []
                return _input(found[0]) if found else None
            reference = f"{use.name}@{use.version}" if use.version else use.name
            artefact, version = artefacts.find(look, reference)
            if version is not None or use.content is None:
                if version is None and not artefacts.version_views(look, artefact):
                    return Input(ZERO_ADDRESS, artefact, look.latest([artefact])[artefact].head)
                chosen = artefacts.version_named(look, artefact, version)
            else:
                chosen = _with_content(artefacts.version_views(look, artefact), use.content, use.name)
            if use.content is not None and chosen.content != use.content:
                raise _other_content(chosen.label, use.content)
            return _input(chosen)

    def current_inputs(self, artefact: bytes) -> tuple[Input, ...]:
        """Returns the inputs of the artefact's current version, in order; empty if there are none."""
        with self._model.look() as look:
            brought = [row for row in look.rows_of(artefact) if row.content is not None]
            if not brought:
                return ()
            at = brought[-1]
            edges = [edge for edge in inputs_of(look, {(artefact, at.version)}) if edge.seq == at.seq]
            return tuple(Input(edge.workspace or ZERO_ADDRESS, edge.input, edge.input_head) for edge in edges)


def _with_content(versions: list[VersionView], content: bytes, shown: str) -> VersionView:
    for version in reversed(versions):
        if version.content == content:
            return version
    raise _other_content(shown, content)


def _other_content(shown: str, content: bytes) -> UnknownName:
    return UnknownName(
        f"{shown} does not have the content sha256:{content.hex()} that was used",
        hint="The file was changed, or is another artefact's: see 'proml verify'.",
    )


def _input(version: VersionView) -> Input:
    head = version.last_head if version.current else version.head
    return Input(ZERO_ADDRESS, version.artefact, head)
