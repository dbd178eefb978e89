"""The working folder and its configuration: where a participant's local files are, and what they are set to.

A working folder is a folder with ``.proml/`` in it, found upwards from where the command runs, as git finds ``.git``.
Environment variables that begin with ``PROML_`` override it, which is what a cluster job needs. This module opens no
ledger, keystore or database; it is light enough for :mod:`proml.capture`.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tempfile
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from proml.errors import ConfigError, LocalStorageError, UsageError
from proml.places import PlaceSettings, read_places, to_table

if TYPE_CHECKING:
    from collections.abc import Mapping

DOT_FOLDER = ".proml"
SAMPLE_S = 10.0
STUCK_S = 30.0
_SIZE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The table ``[run]``.

    Attributes:
        ignore: Patterns of files that are not recorded, see :mod:`proml.capture.observed.filtering`.
        sample_s: How many seconds lie between readings of what a run uses, see :mod:`proml.capture.sampling`; 0 for
            none.
    """

    ignore: tuple[str, ...] = ()
    sample_s: float = SAMPLE_S


@dataclass(frozen=True, slots=True)
class FeeSettings:
    """The table ``[fees]``.

    Attributes:
        max_gwei: The most that a transaction may offer per unit of gas; None for whatever the chain asks.
        stuck_s: After how many seconds in no block a transaction is replaced, if it offers too little.
    """

    max_gwei: float | None = None
    stuck_s: float = STUCK_S


@dataclass(frozen=True, slots=True)
class Config:
    """What ``.proml/config.toml`` says.

    Attributes:
        identity: Name of the identity in PROML_HOME that signs here; empty if none was chosen.
        workspace: Workspace file, relative to ``.proml/``.
        ledger: URL of the ledger, instead of those of the workspace file; empty to use those.
        witness: URL of a second end point that has to say the same as the ledger; empty for none.
        node: URL of a node that sends for this folder; empty to send from here.
        run: How `proml run` observes commands.
        fees: What gas may cost.
        places: Where content can be, by name.
    """

    identity: str = ""
    workspace: str = "workspace.json"
    ledger: str = ""
    witness: str = ""
    node: str = ""
    run: RunSettings = RunSettings()
    fees: FeeSettings = FeeSettings()
    places: Mapping[str, PlaceSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folder:
    """A working folder and where its parts are; the parts need not exist.

    Attributes:
        root: The folder that holds ``.proml/``, absolute.
    """

    root: Path

    @property
    def dot(self) -> Path:
        """``.proml/``."""
        return self.root / DOT_FOLDER

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.dot / "config.toml"

    @property
    def chain_file(self) -> Path:
        """The embedded ledger of a workspace of one."""
        return self.dot / "chain.sqlite"

    @property
    def outbox_file(self) -> Path:
        """The outbox."""
        return self.dot / "outbox.sqlite"

    @property
    def index_file(self) -> Path:
        """The read model."""
        return self.dot / "index.sqlite"

    @property
    def store_folder(self) -> Path:
        """The local, content-addressed store."""
        return self.dot / "store"

    @property
    def messages_file(self) -> Path:
        """The numbers of messages that were signed here for others to send."""
        return self.dot / "messages.jsonl"

    @property
    def node_token_file(self) -> Path:
        """The token of the node: of the one that runs here, or of the one that sends for this folder."""
        return self.dot / "node-token"

    @property
    def places_folder(self) -> Path:
        """Tokens and certificates of other participants' nodes."""
        return self.dot / "places"

    @property
    def sharing_file(self) -> Path:
        """What this participant shares, and with whom."""
        return self.dot / "sharing.sqlite"

    @property
    def content_folder(self) -> Path:
        """Content that other participants placed here."""
        return self.dot / "content"

    @property
    def shards_folder(self) -> Path:
        """Lists of shards of contents that were at hand once."""
        return self.dot / "shards"

    @property
    def runs_folder(self) -> Path:
        """The journals of captured runs."""
        return self.dot / "runs"

    def workspace_file(self, config: Config) -> Path:
        """Where the workspace file is (it holds the name key, a secret)."""
        return self.dot / config.workspace


def home() -> Path:
    """Returns where identities are kept: PROML_HOME, by default ``~/.proml``."""
    chosen = os.environ.get("PROML_HOME")
    try:
        return Path(chosen).expanduser().absolute() if chosen else Path.home() / DOT_FOLDER
    except RuntimeError as error:
        raise ConfigError(
            f"the home folder cannot be found: {error}", hint="Set PROML_HOME to a folder for your identities."
        ) from error


def is_set(variable: str) -> bool:
    """Tells whether an environment variable switches something on: anything but empty, 0, false, no, off."""
    return os.environ.get(variable, "").lower() not in {"", "0", "false", "no", "off"}


def find_folder(start: str | os.PathLike[str] | None = None) -> Folder:
    """Finds the working folder.

    Args:
        start: Folder to begin at; by default PROML_FOLDER, else the current folder.

    Returns:
        The nearest folder upwards that has ``.proml/config.toml``. A bare ``~/.proml`` (identities only) is none. Where
        PROML_NODE says who sends, one in which something was captured is enough.

    Raises:
        ConfigError: There is none.
    """
    where = Path(start or os.environ.get("PROML_FOLDER") or ".").absolute()
    if not where.is_dir():
        raise ConfigError(f"{where} is not a folder.", hint="Name an existing folder.")
    for candidate in (where, *where.parents):
        folder = Folder(candidate)
        with contextlib.suppress(OSError):
            if folder.config_file.is_file() or (os.environ.get("PROML_NODE") and folder.runs_folder.is_dir()):
                return folder
    raise ConfigError(
        f"no working folder: neither {where} nor a folder above it has {DOT_FOLDER}/config.toml.",
        hint="Make one with `proml init`, or name it with `proml -C FOLDER …`.",
    )


def read_config(folder: Folder) -> Config:
    """Reads a working folder's configuration.

    Raises:
        ConfigError: The file is not TOML, or has an unknown key or a value of the wrong type; says file and line.
    """
    path = folder.config_file
    if os.environ.get("PROML_NODE") and not path.exists():
        return Config()  # of a job without a folder of its own
    text = _read_text(path)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {error}.", hint="Correct or delete that line.") from error
    run = _read_run(values.pop("run", {}), path, text)
    places = read_places(values.pop("places", {}), f"{path}, line {_line_of('places', text)}")
    fees = _read_fees(values.pop("fees", {}), path, text)
    known = {field.name: field.default for field in fields(Config)}
    for key, value in values.items():
        where = f"{path}, line {_line_of(key, text)}"
        if key not in known:
            raise ConfigError(
                f"{where}: unknown setting {key!r}; expected one of {', '.join(known)}.",
                hint="Correct or delete that line.",
            )
        if not isinstance(value, str):
            raise ConfigError(
                f"{where}: {key} must be a string in quotes; found {type(value).__name__} {value!r}.",
                hint=f'Write for example {key} = "{known[key] or "…"}".',
            )
    config = Config(**values, run=run, fees=fees, places=places)
    if not config.workspace or "\0" in config.workspace:
        raise ConfigError(
            f"{path}, line {_line_of('workspace', text)}: workspace must name a file; found {config.workspace!r}.",
            hint='Write workspace = "workspace.json".',
        )
    return config


def _read_run(table: object, path: Path, text: str) -> RunSettings:
    is_known = isinstance(table, dict) and not table.keys() - {"ignore", "sample_s"}
    given: dict[str, object] = table if isinstance(table, dict) and is_known else {"ignore": None}
    ignore, sample_s = given.get("ignore", []), given.get("sample_s", SAMPLE_S)
    if not isinstance(ignore, list) or not all(isinstance(pattern, str) and pattern for pattern in ignore):
        raise ConfigError(
            f"{path}, line {_line_of('run', text)}: expected a table run with a list of patterns ignore, and sample_s; "
            f"found {str(table)[:80]!a}.",
            hint='Write [run] and below it, for example: ignore = ["*.log", "scratch/"].',
        )
    if isinstance(sample_s, bool) or not isinstance(sample_s, int | float) or not 0 <= sample_s < math.inf:
        raise ConfigError(
            f"{path}, line {_line_of('sample_s', text)}: expected a number of seconds; found {str(sample_s)[:80]!a}.",
            hint="Write sample_s = 10, for example, or 0 to sample nothing.",
        )
    return RunSettings(tuple(ignore), float(sample_s))


def _read_fees(table: object, path: Path, text: str) -> FeeSettings:
    given: dict[str, object] = table if isinstance(table, dict) else {"": table}
    for name, value in given.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
        if name not in ("max_gwei", "stuck_s") or not is_number:
            raise ConfigError(
                f"{path}, line {_line_of(name or 'fees', text)}: expected a table fees with numbers max_gwei and "
                f"stuck_s; found {str(table)[:80]!a}.",
                hint="Write [fees] and below it, for example: max_gwei = 30.",
            )
    return FeeSettings(**{name: float(str(value)) for name, value in given.items()})


def write_config(folder: Folder, config: Config) -> None:
    """Writes a working folder's configuration, making ``.proml/`` if needed; whole or not at all.

    Raises:
        LocalStorageError: The folder cannot be written.
    """
    import tomli_w  # noqa: PLC0415 - reading, which every command does, needs only the standard library

    make_private_folder(folder.dot)
    head = "# Settings of this working folder; see `proml init --help`.\n"
    write_atomically(folder.config_file, (head + tomli_w.dumps(_without_empty(config))).encode())
    ignore = folder.dot / ".gitignore"
    if not ignore.exists():
        write_atomically(ignore, b"# Holds secrets and local state; nothing here belongs into version control.\n*\n")


def make_private_folder(path: Path) -> None:
    """Makes a folder that only its owner can read (mode 0700), with the folders above it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_error(path, error) from error


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600, replace: bool = True) -> None:
    """Replaces a file by new bytes so that, at any instant, it has the old or the new ones, durably.

    Args:
        path: File to write; its folder exists.
        data: New bytes.
        mode: Permissions; by default only the owner reads it.
        replace: If false, a file that exists stays as it is.

    Raises:
        LocalStorageError: The disk is full or read-only, or permission is missing.
        UsageError: The file exists and is not to be replaced.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if replace:
            Path(temporary).replace(path)
        else:
            _give_new_name(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        if isinstance(error, FileExistsError):
            raise UsageError(f"{path} exists and is not overwritten.", hint="Choose another name.") from error
        raise _storage_error(path, error) from error


def _give_new_name(temporary: str, path: Path) -> None:
    """Gives a file its name unless the name is taken; raises FileExistsError then."""
    try:
        os.link(temporary, path)  # fails where a rename would overwrite
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: reserve the name, then rename over the reservation.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        Path(temporary).replace(path)
    else:
        Path(temporary).unlink()


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_LIMIT + 1)
        if len(data) > _SIZE_LIMIT:
            raise ConfigError(f"{path} is larger than {_SIZE_LIMIT} bytes.", hint="Write it anew with `proml init`.")
        return data.decode()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Make one with `proml init`, or check its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}.",
            hint="Save it as UTF-8, or write it anew.",
        ) from error


def _without_empty(config: Config) -> dict[str, object]:
    values: dict[str, object] = {key: value for key, value in asdict(config).items() if value}
    values["places"] = to_table(config.places)
    default = asdict(RunSettings())
    values["run"] = {key: value for key, value in asdict(config.run).items() if value != default[key]}
    values["fees"] = {key: value for key, value in asdict(config.fees).items() if value not in (None, STUCK_S)}
    return {key: value for key, value in values.items() if value}


def _line_of(key: str, text: str) -> int:
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}\b""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _storage_error(path: Path, error: OSError) -> LocalStorageError:
    return LocalStorageError(
        f"{path} cannot be written: {error.strerror or error}.", hint="Check free space and permissions."
    )
