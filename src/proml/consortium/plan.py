"""The plan of a consortium: one TOML file with the organisations, and the public files that it names.

Nothing secret is in either. Whoever has the same plan and the same public files gets the same genesis block.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from proml.consortium.keys import PublicKeys, read_public
from proml.consortium.names import ENGINES, WITH_STAKING
from proml.core import shape
from proml.errors import ConfigError, InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_PARTICIPANTS = 100
_SIZE_LIMIT = 1 << 20
# A workspace's creation takes some 6 M gas; a plan below that could hold none.
_LEAST_GAS_LIMIT, _MOST_GAS_LIMIT = 15_000_000, 1_000_000_000
_DEFAULT_GAS_LIMIT = 60_000_000
_HOST = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[?[0-9a-fA-F:]+\]?"
_PORT = shape.integer(1, 65_535)


@dataclass(frozen=True, slots=True)
class Seat:
    """One participant's place in the network.

    Attributes:
        name: What its folder and its public file are called.
        organisation: Its name for people.
        host: Host name or IP address at which the others' clients reach it.
        p2p_port: TCP port of the clients' own protocol at that host.
        rpc_port: TCP port of JSON-RPC, on its machine's loopback interface only.
        founder: Whether it seals blocks from the beginning; one that comes later is voted in.
        keys: The public halves of its keys.
    """

    name: str
    organisation: str
    host: str
    p2p_port: int
    rpc_port: int
    founder: bool
    keys: PublicKeys


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network.

    Attributes:
        name: Display name.
        engine: Which client with which consensus: one of ``ENGINES``.
        chain_id: EIP-155 chain id, which no other chain that the participants use may have.
        period_s: Seconds between blocks.
        gas_limit: Of a block.
        genesis_time: Unix time, in seconds, of the genesis block.
        seats: The participants, in the order of their names.
    """

    name: str
    engine: str
    chain_id: int
    period_s: int
    gas_limit: int
    genesis_time: int
    seats: tuple[Seat, ...]

    @property
    def founders(self) -> tuple[Seat, ...]:
        """Those who seal blocks from the beginning."""
        return tuple(seat for seat in self.seats if seat.founder)

    def seat(self, name: str) -> Seat:
        """Returns a participant; raises ConfigError for one that the plan does not have."""
        found = next((seat for seat in self.seats if seat.name == name), None)
        if found is None:
            names = ", ".join(seat.name for seat in self.seats)
            raise ConfigError(f"the plan has no participant {name!r}; it has {names}.", hint="Correct the name.")
        return found


def read_plan(path: Path, public_files: Path | None = None) -> Plan:
    """Reads a plan and the public files of its participants.

    Args:
        path: The TOML file.
        public_files: Folder of the files ``NAME.public.json``; the plan's own by default.

    Raises:
        ConfigError: It is not TOML, a value is not what was expected, or the public file of somebody is missing,
            broken, or not made by who holds the keys.
    """
    values = _parse(path)
    folder = public_files or path.absolute().parent
    missing = [name for name in sorted(values["participants"]) if not public_path(folder, name).exists()]
    if missing:
        raise ConfigError(
            f"expected the public file of each participant in {folder}, found none of {', '.join(missing)}.",
            hint=f"Each makes it with `proml consortium keys NAME` and sends it: {missing[0]}.public.json.",
        )
    seats = tuple(
        _seat(name, fields, read_public(public_path(folder, name), name))
        for name, fields in sorted(values["participants"].items())
    )
    plan = Plan(
        name=values["name"],
        engine=values["engine"],
        chain_id=values["chain_id"],
        period_s=values["period_s"],
        gas_limit=values.get("gas_limit", _DEFAULT_GAS_LIMIT),
        genesis_time=_unix(values["genesis_time"]),
        seats=seats,
    )
    _check_whole(plan, path)
    return plan


def participants_of(path: Path) -> tuple[str, ...]:
    """Returns the names of a plan's participants, whether or not their public files are there."""
    return tuple(sorted(_parse(path)["participants"]))


def public_path(folder: Path, name: str) -> Path:
    """Returns where a participant's public file is: in a folder, or in the participant's own folder within it."""
    file = f"{name}.public.json"
    within = folder / name / file
    return within if within.exists() and not (folder / file).exists() else folder / file


def _parse(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()[: _SIZE_LIMIT + 1]
        if len(data) > _SIZE_LIMIT:
            raise ConfigError(f"{path} is larger than {_SIZE_LIMIT} bytes.", hint="Name the plan of a consortium.")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.",
            hint="`proml consortium new --trial 4` writes a first one; see docs/how-to/run-a-consortium.md.",
        ) from error
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {error}.", hint="Correct that line.") from error
    try:
        _SHAPE(values, path.name)
    except InvalidRecord as error:
        raise ConfigError(error.message, hint=error.hint or "Correct the plan; everybody needs the same.") from error
    return values


def _seat(name: str, fields: Mapping[str, Any], keys: PublicKeys) -> Seat:
    return Seat(
        name=name,
        organisation=fields.get("organisation", name),
        host=fields["host"].strip("[]"),
        p2p_port=fields.get("p2p_port", 30_303),
        rpc_port=fields.get("rpc_port", 8_545),
        founder=fields.get("founder", True),
        keys=keys,
    )


def _check_whole(plan: Plan, path: Path) -> None:
    if not plan.founders:
        raise ConfigError(f"{path.name} has no founder: nobody would seal blocks.", hint="Remove founder = false.")
    without = [seat.name for seat in plan.seats if seat.keys.staking is None]
    if plan.engine in WITH_STAKING and without:
        raise ConfigError(
            f"{path.name} is for {plan.engine}, but the public file of {', '.join(without)} has no keys for it.",
            hint=f"Make keys for it, in a new folder: proml consortium keys {without[0]} --engine {plan.engine}",
        )
    for seat in plan.seats:
        if seat.p2p_port == seat.rpc_port:
            raise ConfigError(
                f"{seat.name} has port {seat.rpc_port} for both p2p_port and rpc_port in {path.name}.",
                hint="A client listens at two.",
            )
    own: tuple[tuple[str, list[object]], ...] = (
        ("validator key", [seat.keys.validator for seat in plan.seats]),
        ("node key", [seat.keys.node_key for seat in plan.seats]),
        *((f"{key} of avalanchego", found) for key, found in _staking(plan).items()),
        ("host and p2p_port", [(seat.host, seat.p2p_port) for seat in plan.seats]),
    )
    for what, taken in own:
        for seat, value in zip(plan.seats, taken, strict=True):
            first = plan.seats[taken.index(value)]
            if first is not seat:
                raise ConfigError(
                    f"{first.name} and {seat.name} have the same {what} in {path.name}.",
                    hint="Each participant has its own.",
                )


def _staking(plan: Plan) -> dict[str, list[object]]:
    """Returns everybody's keys of avalanchego by kind; none if the engine needs none."""
    found = [seat.keys.staking for seat in plan.seats if seat.keys.staking is not None]
    if plan.engine not in WITH_STAKING:
        return {}
    return {"certificate": [one.certificate for one in found], "BLS key": [one.bls_key for one in found]}


def _time(value: object, path: str) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None or value.timestamp() < 0:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        shape.refuse(path, f"a time with its zone, such as {now}", value if isinstance(value, str) else repr(value))


def _unix(value: datetime) -> int:
    return int(value.timestamp())


_PARTICIPANT = shape.structure(
    {"host": shape.pattern(_HOST, "a host name or an IP address")},
    {"organisation": shape.label, "p2p_port": _PORT, "rpc_port": _PORT, "founder": shape.boolean},
)


def _participants(value: object, path: str) -> None:
    shape.mapping(shape.identifier, _PARTICIPANT)(value, path)
    if not 1 <= len(cast("dict[str, object]", value)) <= MOST_PARTICIPANTS:
        shape.refuse(path, f"1 to {MOST_PARTICIPANTS} participants", value)


_SHAPE = shape.structure(
    {
        "name": shape.label,
        "engine": shape.one_of(*ENGINES),
        "chain_id": shape.integer(1, 2**31 - 1),
        "period_s": shape.integer(1, 3_600),
        "genesis_time": _time,
        "participants": _participants,
    },
    {"gas_limit": shape.integer(_LEAST_GAS_LIMIT, _MOST_GAS_LIMIT)},
)


def plan_text(plan: Mapping[str, object], participants: Mapping[str, Mapping[str, object]]) -> str:
    """Returns a plan as TOML, for people to read and change.

    Args:
        plan: The fields of the whole; ``genesis_time`` is a datetime.
        participants: The fields of each participant by name.
    """
    lines = [f"{key} = {_toml(value)}" for key, value in plan.items()]
    for name, fields in participants.items():
        lines += ["", f"[participants.{name}]", *(f"{key} = {_toml(value)}" for key, value in fields.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, int):
        return str(value)
    return '"' + re.sub(r'(["\\])', r"\\\1", str(value)) + '"'
