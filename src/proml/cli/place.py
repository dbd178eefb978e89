"""``proml content place``: where content can be, as this working folder knows it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.group import Group, Lazy, command
from proml.errors import ConfigError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proml.cli.session import Session

_HERE = "proml.cli.place"
_FILE = click.Path(path_type=Path)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


@click.group(
    "place",
    cls=Group,
    lazy={
        "add": Lazy(f"{_HERE}:add", "Make a place known."),
        "list": Lazy(f"{_HERE}:list_", "The places that are known here."),
        "remove": Lazy(f"{_HERE}:remove", "Forget a place."),
    },
    examples="""
        proml content place add bucket s3://study/content --endpoint https://minio.lab.example
        proml content place add clinic https://node.clinic.example:8700 --token-file clinic.token --ca-file clinic.pem
        proml content place list
    """,
)
def place() -> None:
    """The places that are known here, in the order in which they are asked; kept in .proml/config.toml."""


@command(
    "add",
    examples="""
        proml content place add backup /mnt/backup
        proml content place add bucket s3://study/content --endpoint https://minio.lab.example
        proml content place add clinic https://node.clinic.example:8700 --token-file clinic.token --ca-file clinic.pem
    """,
)
@click.argument("name")
@click.argument("url", metavar="FOLDER|URL")
@click.option("--token-file", type=_FILE, help="Token that the node's owner gave you; it is copied.")
@click.option("--ca-file", type=_FILE, help="Certificate that the node's has to be, or be signed by; it is copied.")
@click.option("--endpoint", default="", metavar="URL", help="S3 service, if it is not Amazon's.")
@click.option("--gateway", default="", metavar="URL", help="Where to read ipfs://ROOT; it need not be trusted.")
@click.option("--replace", "replacing", is_flag=True, help="Replace a place of this name.")
def add(  # one option each
    session: Session, name: str, url: str, *, token_file: Path | None, ca_file: Path | None, endpoint: str,
    gateway: str, replacing: bool,
) -> None:  # fmt: skip
    """Make a place known: a folder, a store's URL, IPFS, or another participant's node (https://…).

    Keys of S3 services are not kept here: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use ~/.aws/credentials.
    """
    from proml.config import make_private_folder, write_atomically, write_config  # noqa: PLC0415 - keeps --help quick
    from proml.content_wiring import open_place  # noqa: PLC0415 - as above
    from proml.places import PlaceSettings, check_name  # noqa: PLC0415 - as above

    check_name(name, "the place")
    with session.participant() as participant:
        config, folder = participant.config, participant.folder
        if name in config.places and not replacing:
            raise UsageError(f"there is a place {name!r}.", hint="Replace it with --replace.")
        given = {option: file for option, file in (("token_file", token_file), ("ca_file", ca_file)) if file}
        read = {option: _read(file) for option, file in given.items()}
        where = url if _URL.match(url) else str(Path(url).absolute())
        settings = PlaceSettings(where, endpoint=endpoint, gateway=gateway)

        def use(files: Mapping[str, str]) -> None:
            participant.config = replace(config, places={**config.places, name: replace(settings, **files)})

        # Refuses settings that cannot be used, before anything of a place that is replaced is lost.
        use({option: str(file.absolute()) for option, file in given.items()})
        open_place(participant, name).contents.close()
        for option, data in read.items():
            make_private_folder(folder.places_folder)
            write_atomically(folder.dot / _copy(option, name), data)
        use({option: _copy(option, name) for option in given})
        write_config(folder, participant.config)
    session.answer({"place": name, "url": where}, [f"{output.colour(name, 'name')} is {output.printable(where)}"])


@command("list", examples="proml content place list")
def list_(session: Session) -> None:
    """The places that are known here, in the order in which they are asked."""
    from proml.adapters.store_fsspec import without_password  # noqa: PLC0415 - keeps --help quick

    with session.participant() as participant:
        rows = [(name, without_password(one.url)) for name, one in participant.config.places.items()]
    lines = output.table(("place", "is"), rows) if rows else ["No place is known."]
    session.answer({"places": [{"place": name, "url": url} for name, url in rows]}, lines)


@command("remove", examples="proml content place remove bucket")
@click.argument("name")
def remove(session: Session, name: str) -> None:
    """Forget a place, with its token. What is there stays there."""
    from proml.config import write_config  # noqa: PLC0415 - keeps --help quick

    with session.participant() as participant:
        config, folder = participant.config, participant.folder
        if name not in config.places:
            raise UnknownName(f"there is no place {name!r}.", hint="`proml content place list` shows them.")
        write_config(folder, replace(config, places={k: v for k, v in config.places.items() if k != name}))
        for suffix in ("token", "pem"):
            (folder.places_folder / f"{name}.{suffix}").unlink(missing_ok=True)
    session.answer({"removed": name}, [f"{output.colour(name, 'name')} is forgotten"])


def _copy(option: str, name: str) -> str:
    """Returns where a place's token or certificate is kept, below ``.proml/``."""
    return f"places/{name}.{'token' if option == 'token_file' else 'pem'}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
