"""The contract's refusals in words.

The words of each error stand in :mod:`proml.core.refusal_words`. What an argument is called follows from its name and
type: an artefact by its name, a role by its name, a time as a date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from proml.core.abi import decode
from proml.core.interface import ERRORS, fields, selector
from proml.core.operation import ZERO, ZERO_ADDRESS
from proml.core.refusal_words import WORDS
from proml.errors import ConflictError, InvalidRecord, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable


class Names(Protocol):
    """What members call things; every method answers for unknown things too, with something short to show."""

    def artefact(self, artefact: bytes) -> str:
        """Returns an artefact's name."""
        ...

    def lifecycle(self, lifecycle: int) -> str:
        """Returns a lifecycle's kind, e.g. ``model``."""
        ...

    def state(self, artefact: bytes, state: int) -> str:
        """Returns what a state is called in the artefact's lifecycle."""
        ...

    def rule(self, artefact: bytes, rule: int) -> str:
        """Returns what a transition is called in the artefact's lifecycle, e.g. ``approve``."""
        ...

    def organisation(self, organisation: int) -> str:
        """Returns an organisation's name."""
        ...

    def account(self, account: str) -> str:
        """Returns what an account is called."""
        ...

    def roles(self, roles: int) -> list[str]:
        """Returns the names of the roles in a set of role bits."""
        ...


class PlainNames:
    """Names for when nothing is known: short hexadecimal and numbers."""

    def artefact(self, artefact: bytes) -> str:
        """Returns the id, shortened."""
        return f"artefact {_short(artefact)}"

    def lifecycle(self, lifecycle: int) -> str:
        """Returns the number."""
        return f"lifecycle {lifecycle}"

    def state(self, artefact: bytes, state: int) -> str:  # noqa: ARG002  # the port's parameter
        """Returns the number."""
        return str(state)

    def rule(self, artefact: bytes, rule: int) -> str:  # noqa: ARG002  # the port's parameter
        """Returns the number."""
        return f"number {rule}"

    def organisation(self, organisation: int) -> str:
        """Returns the number."""
        return f"organisation {organisation}"

    def account(self, account: str) -> str:
        """Returns the address."""
        return account

    def roles(self, roles: int) -> list[str]:
        """Returns the six fixed roles by name, free ones by number."""
        known = ("admin", "contributor", "reviewer", "verifier", "operator", "auditor")
        set_bits = [bit for bit in range(16) if roles >> bit & 1]
        return [known[bit] if bit < len(known) else f"role {bit}" for bit in set_bits]


_CONFLICTS = {"HeadMismatch", "AnchorMismatch", "NonceMismatch"}
_HEADER_RULE = 255
_ALL_ROLES = 0xFFFF
_REVERT, _PANIC = ("Error", "string message"), ("Panic", "uint256 code")


def explain(revert_data: bytes, names: Names | None = None, *, doing: str = "") -> RefusedError | ConflictError:
    """Returns the error that tells a person why the contract reverted.

    Args:
        revert_data: What the EVM returned: a selector and arguments, or nothing.
        names: What things are called; hexadecimal and numbers when absent.
        doing: What was tried, as a noun phrase such as ``approving tumour-model``; begins the message where it fits.

    Returns:
        ConflictError for what a fresh look and a second try can cure (the artefact, anchor chain or nonce moved on),
        RefusedError for everything else.
    """
    error = _by_selector().get(revert_data[:4])
    if error is None:
        return _explain_foreign(revert_data, doing)
    try:
        values = decode(fields(ERRORS[error]), revert_data[4:])
    except InvalidRecord:
        return _explain_foreign(revert_data, doing)
    arguments = {f.name: value for f, value in zip(fields(ERRORS[error]), values, strict=True)}
    message = _fill(error, arguments, names or PlainNames(), doing)
    hint = WORDS[error].hint
    if error in _CONFLICTS:
        return ConflictError(message, hint=hint)
    plain = {name: f"0x{v.hex()}" if isinstance(v, bytes) else v for name, v in arguments.items()}
    return RefusedError(message, rule=error, arguments=plain, hint=hint)


@cache
def _by_selector() -> dict[bytes, str]:
    return {selector(name, declaration): name for name, declaration in ERRORS.items()}


def _explain_foreign(revert_data: bytes, doing: str) -> RefusedError:
    """Explains what is no error of a workspace: a plain message, a panic, no data, or something else."""
    begin = _capitalise(doing or "this operation")
    try:
        if revert_data[:4] == selector(*_REVERT):
            (text,) = decode(fields(_REVERT[1]), revert_data[4:])
            shown = "".join(c if c.isprintable() else "?" for c in text[:300])
            return RefusedError(f"{begin} was refused with the message: {shown}", rule="Error")
        if revert_data[:4] == selector(*_PANIC):
            (code,) = decode(fields(_PANIC[1]), revert_data[4:])
            return RefusedError(
                f"{begin} failed inside the contract (Solidity panic 0x{code:02x}).",
                rule="Panic",
                hint="This is not a rule but a defect, or an overflow by absurd values. Please report it.",
            )
    except InvalidRecord:
        pass
    if not revert_data:
        return RefusedError(
            f"{begin} failed and the contract gave no reason: the gas did not suffice, or the contract at this address "
            "is not a workspace of this version.",
            hint="Check the workspace file with `proml workspace show`; then try again.",
        )
    return RefusedError(
        f"{begin} was refused with data that no workspace of this version returns: 0x{revert_data[:36].hex()}"
        f"{'…' if len(revert_data) > 36 else ''}.",  # noqa: PLR2004  # a selector and one word
        hint="Is this the contract of the workspace file, and is ProML up to date?",
    )


def _fill(error: str, arguments: dict[str, Any], names: Names, doing: str) -> str:
    artefact: bytes = arguments.get("artefact", ZERO)
    shown = {name: _show(error, name, value, artefact, names) for name, value in arguments.items()}
    if not doing:
        doing = f"this step of {shown['artefact']}" if artefact != ZERO else "this step"
    return _capitalise(WORDS[error].message.format_map({**shown, "doing": doing}), shown.get("artefact", ""))


def _show(error: str, name: str, value: Any, artefact: bytes, names: Names) -> str:
    """Returns an error's argument in words."""
    if (error, name) == ("LifecycleInvalid", "rule"):
        return "its states or header" if value == _HEADER_RULE else f"transition number {value}"
    if error == "UnknownRule" and name == "rule":
        return str(value)
    if error == "SessionEnded" and name == "expires":
        return f"ended at {_time(value)}" if value else "was revoked"
    by_name: dict[str, Callable[[Any], str]] = {
        "artefact": names.artefact,
        "scope": names.artefact,
        "input": names.artefact,
        "workspace": lambda address: "" if address == ZERO_ADDRESS else f" of workspace {address}",
        "organisation": names.organisation,
        "lifecycle": names.lifecycle,
        "evidence": names.lifecycle,
        "state": lambda state: names.state(artefact, state),
        "from": lambda state: names.state(artefact, state),
        "rule": lambda rule: names.rule(artefact, rule),
        "roles": lambda roles: _roles(names, roles, "and"),
        "has": lambda roles: _roles(names, roles, "and"),
        "needed": lambda value: str(value) if error == "QuorumMissing" else _roles(names, value, "or"),
        "endorsed": lambda count: {0: "none has", 1: "1 has"}.get(count, f"{count} have"),
        "expires": _time,
        "earliest": _time,
        "deadline": _time,
    }
    if name in by_name:
        return by_name[name](value)
    if isinstance(value, str):
        return names.account(value)
    return _short(value) if isinstance(value, bytes) else str(value)


def _roles(names: Names, roles: int, joiner: str) -> str:
    if roles == _ALL_ROLES:
        return "of a member, any"
    found = names.roles(roles)
    if not found:
        return "no role"
    return f" {joiner} ".join(filter(None, (", ".join(found[:-1]), found[-1])))


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {seconds} of Unix time"


def _short(value: bytes) -> str:
    """Returns a hash's first digits."""
    return "none" if value == ZERO else f"0x{value[:6].hex()}…"


def _capitalise(sentence: str, but: str = "") -> str:
    """Returns a sentence with a capital first letter, unless it begins with a name."""
    if but and sentence.startswith(but):
        return sentence
    return sentence[:1].upper() + sentence[1:]
