"""Which of the things that were used no version on chain has: a refusal for want of an input names them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proml.core.digest import format_digest
from proml.core.intent import TransitionIntent
from proml.core.name import show
from proml.errors import ProMLError, RefusedError
from proml.ports import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proml.core.intent import TypedIntent, Use
    from proml.ports import Entry, Store

_NAMED = 3


def named(error: ProMLError, typed: TypedIntent, entry: Entry, store: Store) -> ProMLError:
    """Returns a refusal for want of inputs with the files that were used but are unknown; any other error as it is.

    Args:
        error: Why the contract refused.
        typed: What was wanted.
        entry: Its entry in the outbox.
        store: The local store; the record there tells the files' paths.
    """
    is_wanting = isinstance(error, RefusedError) and error.rule == "InputNeeded"
    if not (is_wanting and isinstance(typed, TransitionIntent) and typed.uses):
        return error
    assert isinstance(error, RefusedError)
    paths = _paths(store, typed.record)
    files = list(dict.fromkeys(_name(use.content, use.role, paths) for use in typed.uses if use.content))
    if not files:
        return error
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return RefusedError(
        f"{entry.intent.artefact} needs at least one input that is on chain; no version there has the content of "
        f"{', '.join(files[:_NAMED])}{more}.",
        rule=error.rule,
        arguments=error.arguments,
        hint="Publish the file as an artefact first (`proml register`, `proml act NAME ACTION PATH`), "
        f"then `proml sync --rebase {entry.number}`.",
    )


def left_out(uses: Sequence[Use], typed: TransitionIntent, entry: Entry, store: Store) -> dict[str, object]:
    """Returns what an entry is to remember of what was read and is no input: by path, if the record tells one."""
    if not uses and not entry.detail.get(LEFT_OUT):
        return {}
    paths = _paths(store, typed.record)
    return {LEFT_OUT: [_name(use.content, "input", paths) for use in uses if use.content]}


def _name(content: bytes, role: str, paths: Mapping[str, str]) -> str:
    digest = format_digest(content)
    role = "" if role == "input" else f" ({show(role)})"
    return f"{show(paths[digest])}{role}" if paths.get(digest) else f"{digest[:19]}…{role}"


def _paths(store: Store, record: bytes) -> dict[str, str]:
    try:
        uses: Sequence[Any] = json.loads(store.get(record)).get("uses") or []
    except (ProMLError, ValueError, AttributeError):
        return {}  # the refusal is what matters; it is told without paths
    return {str(use.get("content")): str(use.get("path") or "") for use in uses if isinstance(use, dict)}
