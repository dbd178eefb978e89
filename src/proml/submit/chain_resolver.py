"""The :class:`~proml.resolver.Resolver` that asks the ledger itself, so that it is never behind the chain.

Lifecycle definitions, which name states and actions, come from the stores by the digest that the chain holds.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from proml.asking import views
from proml.core.calls import decode_view, encode_view
from proml.core.canonical import parse_json
from proml.core.digest import format_digest
from proml.core.events import InputUsed, LifecycleAdded, Transitioned, decode_event, topic_filter
from proml.core.interface import ERRORS, selector
from proml.core.lifecycle import ANY_STATE_NUMBER as ANY_STATE
from proml.core.lifecycle_reading import from_document
from proml.core.name import artefact_id, show
from proml.core.operation import ZERO, ZERO_ADDRESS, Input, Lifecycle, Rule
from proml.core.refusal import PlainNames
from proml.errors import InvalidName, NotAvailable, ProMLError, UnknownName, UnreachableError
from proml.ports import LogQuery, Reverted
from proml.resolver import Actor, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proml.core.events import Event
    from proml.core.intent import Use
    from proml.core.lifecycle import Definition
    from proml.core.workspace_file import WorkspaceFile
    from proml.ports import Ledger, Store


class ChainResolver:
    """Answers about one workspace from its ledger.

    Args:
        ledger: The workspace's ledger.
        workspace: The workspace file.
        store: Where lifecycle definitions are found; those that ship with ProML are known anyway.
    """

    def __init__(self, ledger: Ledger, workspace: WorkspaceFile, store: Store) -> None:
        self._ledger = ledger
        self._workspace = workspace
        self._store = store
        self._lifecycles: dict[int, Lifecycle] = {}  # a lifecycle never changes, so it is read once
        self._digests: dict[int, bytes] = {}
        self._definitions: dict[int, Definition] = {}
        self._known: dict[bytes, str] = {}
        self._ids: dict[str, bytes] = {}
        self._foreseen: dict[bytes, bytes | ProMLError] = {}
        self._numbers: dict[str, int] = {}  # of lifecycles, by kind, in this round

    @property
    def names(self) -> ChainNames:
        """What things are called, as far as names went through this resolver."""
        return ChainNames(self, self._workspace, self._known)

    def artefact_id(self, name: str) -> bytes:
        """Returns the id that a name has in this workspace; raises InvalidName."""
        known = self._ids.get(name)
        if known is None:
            known = self._ids[name] = artefact_id(self._workspace.name_key, name)
            self._known[known] = name
        return known

    def foresee(self, names: Iterable[str]) -> None:
        """Begins a round: asks for the artefacts' standings together; the next :meth:`standing` of each takes its own.

        The number of a kind's lifecycle is looked up once in a round. A malformed name is told when it is asked for.
        """
        artefacts: dict[bytes, None] = {}
        for name in names:
            with contextlib.suppress(InvalidName):
                artefacts[self.artefact_id(name)] = None
        data = [encode_view("artefactOf", artefact) for artefact in artefacts]
        self._foreseen = dict(zip(artefacts, views(self._ledger, self._workspace.contract, data), strict=True))
        self._numbers.clear()

    def standing(self, artefact: bytes) -> Standing | None:
        """Returns where an artefact stands, or None if it is not registered."""
        found = self._foreseen.pop(artefact, None)
        try:
            if isinstance(found, bytes):
                return _standing(decode_view("artefactOf", found))
            if isinstance(found, ProMLError):
                raise found
            return _standing(self._view("artefactOf", artefact))
        except Reverted as error:
            if error.data[:4] == selector("UnknownArtefact", ERRORS["UnknownArtefact"]):
                return None
            raise

    def actor(self, account: str) -> Actor:
        """Returns whom an account acts for."""
        member, session_roles, _artefact, _expires = self._view("sessionOf", account)
        if member == ZERO_ADDRESS:
            return Actor(account, self._view("memberOf", account)[1])
        return Actor(member, session_roles & self._view("memberOf", member)[1])

    def anchor_head(self, member: str) -> bytes:
        """Returns the head of a member's anchor chain; zero before the first."""
        (head,) = self._view("anchorHeadOf", member)
        return bytes(head)

    def lifecycle_number(self, kind: str) -> int:
        """Returns the number of the newest lifecycle of a kind; raises UnknownName."""
        if kind not in self._numbers:
            self._numbers[kind] = self._find_lifecycle(kind)
        return self._numbers[kind]

    def _find_lifecycle(self, kind: str) -> int:
        (count,) = self._view("lifecycleCount")
        missing: NotAvailable | None = None
        kinds = set()
        for number in range(count, 0, -1):
            try:
                name = self.definition(number).name
            except NotAvailable as error:
                missing = error
                continue
            if name == kind:
                return number
            kinds.add(name)
        if missing is not None:
            raise missing
        raise UnknownName(
            f"The workspace has no lifecycle for the kind {show(kind)}.",
            hint=f"Its kinds are {', '.join(sorted(kinds)) or 'none yet'}; `proml lifecycle add` proposes another.",
        )

    def new_standing(self, lifecycle: int, owner: str) -> Standing:
        """Returns where an artefact of this lifecycle stands when it has just been registered."""
        return Standing(owner, lifecycle, self._lifecycle(lifecycle).initial, ZERO)

    def rule_for(self, action: str, standing: Standing, actor: Actor | None) -> tuple[int, Rule]:
        """Returns the number of the rule that an action means there, for this actor or a vote, and the rule."""
        definition = self.definition(standing.lifecycle)
        candidates = definition.rules_named(action)
        if not candidates:
            raise UnknownName(
                f"The lifecycle '{definition.name}' has no action {show(action)}.",
                hint=f"Its actions are {', '.join(definition.actions())}.",
            )
        rules = self._lifecycle(standing.lifecycle).rules
        if actor is None:
            voted_on = [n for n in candidates if rules[n].quorum and rules[n].from_state in (standing.state, ANY_STATE)]
            number = voted_on[0] if voted_on else None
        else:
            state = definition.state_name(standing.state)
            number = definition.rule_for(action, state, roles=actor.roles, is_owner=actor.member == standing.owner)
        number = candidates[0] if number is None else number
        return number, rules[number]

    def input_for(self, use: Use) -> Input | None:
        """Returns the version on chain that was used, or None if no name was given and no version has this content."""
        if not use.name:
            return None if use.content is None else self._input_by_content(use.content)
        artefact = self.artefact_id(use.name)
        standing = self.standing(artefact)
        if standing is None:
            raise UnknownName(
                f"No artefact named {show(use.name)} is registered in this workspace.",
                hint=f"Register it with `proml register {use.name} --kind KIND`.",
            )
        versions = self._versions(artefact)
        chosen = _choose(use, versions)
        is_current = chosen is None or chosen is versions[-1]
        return Input(ZERO_ADDRESS, artefact, standing.head if is_current or chosen is None else chosen.head)

    def is_usable(self, one: Input) -> bool:
        """Tells whether a version of this workspace is its artefact's current one, in a usable state."""
        (usable,) = self._view("usableAt", one.artefact, one.head)
        return bool(usable)

    def current_inputs(self, artefact: bytes) -> tuple[Input, ...]:
        """Returns the inputs of the artefact's current version, in order."""
        versions = self._versions(artefact)
        if not versions:
            return ()
        used = self._events(versions[-1].at.block_number, topic_filter(InputUsed, first=(artefact,)))
        return tuple(
            Input(event.workspace, event.input, event.input_head)
            for event in used
            if isinstance(event, InputUsed) and event.seq == versions[-1].seq
        )

    def definition(self, number: int) -> Definition:
        """Returns the definition of a lifecycle; raises NotAvailable if no store has it."""
        if number not in self._definitions:
            digest = self._definition_digest(number)
            what = f"lifecycle {number} ({format_digest(digest)})"
            try:
                self._definitions[number] = from_document(parse_json(self._store.get(digest), what), what)
            except UnreachableError as error:
                shipped = _shipped(digest)
                if shipped is None:
                    # That a store is away must not look as if the ledger were.
                    raise NotAvailable(f"{what} cannot be had now: {error.message}", hint=error.hint) from error
                self._definitions[number] = shipped
        return self._definitions[number]

    def _definition_digest(self, number: int) -> bytes:
        # One search for all of them: a call for each takes the embedded EVM 30 ms.
        if number not in self._digests:
            events = self._events(self._workspace.first_block, topic_filter(LifecycleAdded))
            self._digests = {event.lifecycle: event.definition for event in events if isinstance(event, LifecycleAdded)}
        return self._digests.get(number) or self._lifecycle(number).definition

    def _lifecycle(self, number: int) -> Lifecycle:
        if number not in self._lifecycles:
            (found,) = self._view("lifecycleOf", number)
            self._lifecycles[number] = cast("Lifecycle", found)
        return self._lifecycles[number]

    def _input_by_content(self, content: bytes) -> Input | None:
        found = self._events(self._workspace.first_block, topic_filter(Transitioned, second=(content,)))
        older: Input | None = None
        for event in reversed(found):
            assert isinstance(event, Transitioned)
            versions = self._versions(event.artefact)
            if versions[-1].content == content:
                standing = self.standing(event.artefact)
                if standing is not None:
                    return Input(ZERO_ADDRESS, event.artefact, standing.head)
            older = older or Input(ZERO_ADDRESS, event.artefact, event.head)
        return older

    def _versions(self, artefact: bytes) -> list[Transitioned]:
        events = self._events(self._workspace.first_block, topic_filter(Transitioned, first=(artefact,)))
        return [event for event in events if isinstance(event, Transitioned) and event.content != ZERO]

    def _events(self, first_block: int, topics: tuple[tuple[bytes, ...], ...]) -> list[Event]:
        logs = self._ledger.logs(LogQuery(self._workspace.contract, topics, first_block))
        return [event for event in map(decode_event, logs) if event is not None]

    def _view(self, view: str, *arguments: object) -> tuple[Any, ...]:
        return decode_view(view, self._ledger.call(self._workspace.contract, encode_view(view, *arguments)))


def _standing(fields: tuple[Any, ...]) -> Standing:
    owner, lifecycle, state, _flags, seq, _changed, head, _held = fields
    return Standing(owner, lifecycle, state, head, seq)


def _choose(use: Use, versions: list[Transitioned]) -> Transitioned | None:
    """Returns the version meant; None is the current one of an artefact that may have no content yet."""
    fitting = versions
    if use.version.startswith("0x"):
        fitting = [version for version in versions if f"0x{version.head.hex()}".startswith(use.version.lower())]
    elif use.version:
        number = int(use.version) if use.version.isdecimal() else 0
        fitting = versions[number - 1 : number] if number else []
    if not fitting and use.version:
        raise UnknownName(
            f"{use.name} has {len(versions)} versions; {use.name}@{use.version} is none of them.",
            hint=f"`proml log {use.name}` lists its versions.",
        )
    if use.content is None:
        return fitting[-1] if fitting else None
    same = [version for version in fitting if version.content == use.content]
    if not same:
        wanted = f"version {use.version}" if use.version else f"none of the {len(versions)} versions"
        raise UnknownName(
            f"What was used as {use.name} has the content {format_digest(use.content)}, "
            f"which {wanted} of {use.name} {'does not have' if use.version else 'has'}.",
            hint=f"Publish it as a version of {use.name} first, or use the version that members agreed on.",
        )
    return same[-1]


def _shipped(digest: bytes) -> Definition | None:
    from proml.lifecycles import load_shipped  # noqa: PLC0415 - parses all of them; seldom needed

    return next((one for one in load_shipped().values() if one.digest == digest), None)


class ChainNames(PlainNames):
    """Names for messages: what the resolver knows, numbers for the rest.

    Args:
        resolver: Knows the lifecycles.
        workspace: Names organisations and free roles.
        known: Names of artefacts by id.
    """

    def __init__(self, resolver: ChainResolver, workspace: WorkspaceFile, known: dict[bytes, str]) -> None:
        self._resolver = resolver
        self._workspace = workspace
        self._known = known

    def artefact(self, artefact: bytes) -> str:
        """Returns its name."""
        return self._known.get(artefact) or super().artefact(artefact)

    def lifecycle(self, lifecycle: int) -> str:
        """Returns its kind."""
        try:
            return self._resolver.definition(lifecycle).name
        except (ProMLError, Reverted):
            return super().lifecycle(lifecycle)

    def state(self, artefact: bytes, state: int) -> str:
        """Returns what the state is called in the artefact's lifecycle."""
        try:
            standing = self._resolver.standing(artefact)
            return self._resolver.definition(standing.lifecycle).state_name(state) if standing else str(state)
        except (ProMLError, Reverted):
            return super().state(artefact, state)

    def rule(self, artefact: bytes, rule: int) -> str:
        """Returns what the transition is called in the artefact's lifecycle."""
        try:
            standing = self._resolver.standing(artefact)
            return self._resolver.definition(standing.lifecycle).transitions[rule].name if standing else str(rule)
        except (ProMLError, Reverted, IndexError):
            return super().rule(artefact, rule)

    def organisation(self, organisation: int) -> str:
        """Returns its name."""
        return self._workspace.organisations.get(organisation) or super().organisation(organisation)

    def roles(self, roles: int) -> list[str]:
        """Returns the roles by name, free ones as the workspace calls them."""
        free = self._workspace.roles
        return [free.get(bit) or super(ChainNames, self).roles(1 << bit)[0] for bit in range(16) if roles >> bit & 1]
