"""The table ``[places]`` of a working folder's configuration: where content can be, each under a short name."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from proml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PlaceSettings:
    """One place.

    Attributes:
        url: A folder, a store's URL, ``https://…`` of a participant's node, ``ipfs+http://…`` of an IPFS daemon, or
            ``ipfs://ROOT``.
        token_file: File with the token of a node, relative to ``.proml/``.
        ca_file: Certificate that the node's has to be, or be signed by (PEM), relative to ``.proml/``; empty for those
            that the system trusts.
        endpoint: URL of an S3 service other than Amazon's.
        gateway: URL of an IPFS gateway to read from.
    """

    url: str
    token_file: str = ""
    ca_file: str = ""
    endpoint: str = ""
    gateway: str = ""


def read_places(table: object, where: str) -> Mapping[str, PlaceSettings]:
    """Returns the places by name, in the order of the file.

    Args:
        table: What TOML made of ``[places]``.
        where: File and line, for messages.

    Raises:
        ConfigError: Malformed.
    """
    known = [field.name for field in fields(PlaceSettings)]
    places: dict[str, PlaceSettings] = {}
    for name, place in (table if isinstance(table, dict) else {"": table}).items():
        check_name(str(name), where)
        values = place if isinstance(place, dict) and not place.keys() - set(known) else {}
        if not values.get("url") or not all(isinstance(value, str) for value in values.values()):
            raise ConfigError(
                f"{where}: expected a table places.{name} with url, and perhaps {', '.join(known[1:])}, all strings; "
                f"found {str(place)[:80]!a}.",
                hint='Write [places.NAME] and below it url = "…", or use `proml content place add NAME URL`.',
            )
        places[str(name)] = PlaceSettings(**values)
    return places


def check_name(name: str, where: str) -> None:
    """Raises ConfigError unless a place may have this name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: expected a place's name of small letters, digits and hyphens, found {name!r:.80}.",
            hint="Names cannot be mistaken for paths or URLs.",
        )


def to_table(places: Mapping[str, PlaceSettings]) -> dict[str, dict[str, str]]:
    """Returns what :func:`read_places` reads."""
    return {name: {key: value for key, value in asdict(place).items() if value} for name, place in places.items()}
