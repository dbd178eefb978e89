"""Says which adapter serves which place of content, and opens it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.adapters.content_folder import FolderContents
from proml.adapters.content_shared import SharedContents
from proml.adapters.sharing_sqlite import SqliteSharing
from proml.adapters.store_fsspec import without_password
from proml.errors import ConfigError, MissingExtra, ProMLError, UnknownName
from proml.places import PlaceSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proml.contents import Chunks, Contents, ObjectName, OpenAt, Piece, Told
    from proml.wiring import Participant

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_NODE = ("http:", "https:")
_IPFS_DAEMON, _IPFS_ROOT = "ipfs+", "ipfs://"
_IPFS = ("ipfs+http:", "ipfs+https:", _IPFS_ROOT)
# s3fs tries again by itself; botocore's own attempts within each of those would keep a silent place for minutes.
_S3_PATIENCE = {"retries": {"mode": "standard", "total_max_attempts": 2}, "connect_timeout": 10, "read_timeout": 60}


@dataclass(frozen=True, slots=True)
class Place:
    """A place that is open.

    Attributes:
        name: Its name in the configuration, or the path or URL that was given.
        contents: What is there.
    """

    name: str
    contents: Contents


def open_places(participant: Participant, words: Sequence[str] = (), *, stores: bool = False) -> list[Place]:
    """Opens places.

    Args:
        participant: Whose configuration names them.
        words: Names in the configuration, paths or URLs; none are all of the configuration.
        stores: Without words, also open the stores of records, to read content that somebody put there.

    Raises:
        UnknownName: A word is none of them.
        ConfigError: The settings of a place that was named cannot be used.
        MissingExtra: The package that its kind needs is not installed.
    """
    if words:
        return _distinct([open_place(participant, word) for word in dict.fromkeys(words)])
    places = participant.config.places
    opened = [_open_if_possible(participant, name, settings) for name, settings in places.items()]
    if stores:
        known = {settings.url for settings in places.values()}
        # Records behind http(s) are files that a web server has; content behind http(s) is at a node.
        others = [url for url in participant.workspace.stores if url not in known and not url.startswith(_NODE)]
        opened += [_open_if_possible(participant, url, PlaceSettings(url)) for url in others]
    return _distinct(opened)


def _distinct(opened: Sequence[Place]) -> list[Place]:
    """Leaves out what is the same place under another name: it has one copy."""
    return list({place.contents.where: place for place in reversed(opened)}.values())[::-1]


def _open_if_possible(participant: Participant, name: str, settings: PlaceSettings) -> Place:
    """Opens a place of the configuration; one that cannot be opened says so when it is asked, as a silent one does."""
    try:
        return Place(name, _open(participant, settings))
    except (ConfigError, MissingExtra) as error:
        return Place(name, _Unusable(without_password(settings.url), error))


class _Unusable:
    """A place that cannot be opened."""

    def __init__(self, where: str, error: ProMLError) -> None:
        self.where = where
        self._error = error

    def size(self, name: ObjectName) -> int | None:  # noqa: ARG002 - the port's
        raise self._error

    def read(self, name: ObjectName, offset: int = 0, length: int | None = None) -> Chunks:  # noqa: ARG002 - the port's
        yield from ()  # as other places: it is told when the first byte is asked for
        raise self._error

    def put(self, piece: Piece, open_at: OpenAt, told: Told) -> None:  # noqa: ARG002 - the port's
        raise self._error

    def close(self) -> None:
        """Nothing is held."""


def open_place(participant: Participant, word: str) -> Place:
    """Opens one place, as :func:`open_places`."""
    places = participant.config.places
    if word in places:
        return Place(word, _open(participant, places[word]))
    if _URL.match(word):
        return Place(word, _open(participant, PlaceSettings(word)))
    if "/" in word or word.startswith("."):
        return Place(word, FolderContents(word))
    raise UnknownName(
        f"there is no place {word!r}; known: {', '.join(places) or 'none'}.",
        hint="Make it known with `proml content place add NAME URL`; write a folder as ./NAME.",
    )


def root_of(place: Place) -> str:
    """Returns what others need to read what is at a place: the root of an IPFS daemon's; empty if that is its URL."""
    from proml.adapters.content_ipfs import IpfsDaemon  # noqa: PLC0415 - opened when used

    return place.contents.root if isinstance(place.contents, IpfsDaemon) else ""


def open_sharing(participant: Participant) -> SqliteSharing:
    """Opens what this participant shares, and with whom."""
    return SqliteSharing(participant.folder.sharing_file)


def open_own(participant: Participant) -> list[Contents]:
    """Opens what is in this working folder already: shared from it, or placed here by others."""
    folder = participant.folder
    if not folder.sharing_file.exists():
        return []
    return [SharedContents(open_sharing(participant), FolderContents(folder.content_folder), str(folder.root))]


def _open(participant: Participant, settings: PlaceSettings) -> Contents:
    url, base = settings.url, participant.folder.dot
    if not _URL.match(url):
        return FolderContents(participant.folder.root / url)
    if url.startswith("file://"):
        return FolderContents(url.removeprefix("file://"))
    if url.startswith(_IPFS):
        return _open_ipfs(settings)
    if url.startswith(_NODE):
        from proml.adapters.content_node import NodeContents  # noqa: PLC0415 - opened when used

        ca_file = base / settings.ca_file if settings.ca_file else None
        return NodeContents(url, _read_token(base, settings), ca_file)
    from proml.adapters.content_fsspec import FsspecContents  # noqa: PLC0415 - needs an optional package

    options: dict[str, object] = {"config_kwargs": _S3_PATIENCE} if url.startswith(("s3:", "s3a:")) else {}
    return FsspecContents(url, {**options, "endpoint_url": settings.endpoint} if settings.endpoint else options)


def _open_ipfs(settings: PlaceSettings) -> Contents:
    from proml.adapters.content_ipfs import IpfsDaemon, IpfsGateway  # noqa: PLC0415 - opened when used

    if settings.url.startswith(_IPFS_DAEMON):
        return IpfsDaemon(settings.url.removeprefix(_IPFS_DAEMON))
    if not settings.gateway:
        raise ConfigError(
            f"expected a gateway to read {settings.url} from, found none.",
            hint="Name one: `proml content place add NAME ipfs://ROOT --gateway https://…`.",
        )
    return IpfsGateway(settings.url.removeprefix(_IPFS_ROOT), settings.gateway)


def _read_token(base: Path, settings: PlaceSettings) -> str:
    hint = "Ask the node's owner for one, and name it: `proml content place add NAME URL --token-file FILE`."
    if not settings.token_file:
        raise ConfigError(f"expected a token for the node {settings.url}, found none.", hint=hint)
    path = base / settings.token_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected the token of {settings.url} in {path}: {error}.", hint=hint) from error
