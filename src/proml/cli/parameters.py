"""Kinds of values that options take: times, roles, members."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proml.core.finality import Finality

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MEMBER = "ORG:ROLE+ROLE[:FILE_OR_ADDRESS]"


class Duration(click.ParamType[int]):
    """A time such as ``90s``, ``30m``, ``12h``, ``7d`` or ``2w``; in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Returns seconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,6})([smhdw])", str(value), re.ASCII)
        if found is None:
            self.fail(f"expected a time such as 90s, 30m, 12h, 7d or 2w; found {value!r}.", param, ctx)
        return int(found[1]) * _UNITS_S[found[2]]


class Size(click.ParamType[int]):
    """A length such as ``500M``, ``100G`` or ``2T``, in powers of 1,000; in bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Returns bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,14})([kMGT]?)B?", str(value), re.ASCII)
        if found is None:
            self.fail(f"expected a size such as 500M, 100G or 2T; found {value!r}.", param, ctx)
        return int(found[1]) * _UNITS_BYTES[found[2]]


class FinalityType(click.ParamType["Finality"]):
    """``immediate``, ``finalized`` or ``depth:K``."""

    name = "rule"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Finality:
        """Returns the rule."""
        from proml.core.finality import Finality, parse_finality  # noqa: PLC0415 - keeps --help quick
        from proml.errors import UsageError  # noqa: PLC0415 - as above

        if isinstance(value, Finality):
            return value
        try:
            return parse_finality(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Member(NamedTuple):
    """A member as it is named on the command line; ``who`` is empty for oneself."""

    organisation: str
    roles: tuple[str, ...]
    who: str


class MemberType(click.ParamType[Member]):
    """``ORG:ROLE+ROLE:FILE_OR_ADDRESS``."""

    name = "member"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Member:
        """Returns the parts; roles are checked where the names of the free ones are known."""
        if isinstance(value, Member):
            return value
        organisation, _, rest = str(value).partition(":")
        roles, _, who = rest.partition(":")
        names = tuple(role for role in roles.split("+") if role)
        if not organisation.strip() or not names:
            self.fail(f"expected {_MEMBER}, such as clinic:admin+contributor:clinic.json; found {value!r}.", param, ctx)
        return Member(organisation.strip(), names, who)


def role_bits(names: tuple[str, ...], free: Mapping[int, str]) -> int:
    """Returns the bits of roles; ``all`` is every role that has a name.

    Args:
        names: Names of roles; several may stand in one, joined by ``+``.
        free: Names that the workspace gives to free roles, by bit number.

    Raises:
        UnknownName: A role has no such name.
    """
    from proml.core.lifecycle import ROLE_BITS  # noqa: PLC0415 - keeps --help quick
    from proml.errors import UnknownName  # noqa: PLC0415 - as above

    known = {**ROLE_BITS, **{name: 1 << bit for bit, name in free.items()}}
    bits = 0
    for name in (part for names_ in names for part in names_.split("+")):
        if name == "all":
            bits |= named_roles(free)
        elif name in known:
            bits |= known[name]
        else:
            shown = [role for role in known if not role.startswith("role-")]
            raise UnknownName(
                f"there is no role {name!r}; expected one of {', '.join(shown)}, or all.",
                hint="Several are joined by +, such as contributor+reviewer.",
            )
    return bits


def named_roles(free: Mapping[int, str]) -> int:
    """Returns the bits of all roles that have a name."""
    from proml.core.lifecycle import ROLE_BITS  # noqa: PLC0415 - keeps --help quick

    return sum(bit for name, bit in ROLE_BITS.items() if not name.startswith("role-")) | sum(1 << bit for bit in free)


def role_names(bits: int, free: Mapping[int, str]) -> list[str]:
    """Returns the names of role bits, those that the workspace gave to free roles included."""
    from proml.core import lifecycle  # noqa: PLC0415 - keeps --help quick

    renamed = {f"role-{bit}": name for bit, name in free.items()}
    return [renamed.get(name, name) for name in lifecycle.role_names(bits)]
