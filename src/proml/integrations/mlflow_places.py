"""Where an MLflow store is, and whether its files are what a store consists of, before MLflow opens any of them."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from proml.errors import ContentError, ProMLError
from proml.integrations.importing import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TEXT_BYTES = 16 << 20
_METRIC_BYTES = 1 << 30
_RESERVED = frozenset(("tags", "datasets", "traces", "models"))
_KEPT = ("mlruns", "mlartifacts")


@dataclass(frozen=True, slots=True)
class Place:
    """A store on this machine.

    Attributes:
        path: The folder or the SQLite file.
        is_folder: Which of the two.
    """

    path: Path
    is_folder: bool

    @property
    def base(self) -> Path:
        """The folder that the store is in."""
        return self.path.parent

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders where a store keeps content if nothing else was said."""
        kept = tuple(self.base / name for name in _KEPT)
        return (self.path, *kept) if self.is_folder else kept

    def local(self, uri: str) -> Path:
        """Returns the path that a URI of the store means, also after the store was moved as a whole.

        Raises:
            ContentError: It is on another machine.
        """
        parts = urlsplit(uri)
        if parts.scheme == "mlflow-artifacts":
            return self.base / "mlartifacts" / unquote(parts.path).lstrip("/")
        if parts.scheme not in {"", "file"} or parts.netloc not in {"", "localhost"}:
            raise ContentError(f"{uri!a} is not on this machine, and no other one is asked.", hint="Download it first.")
        path = Path(unquote(parts.path) if parts.scheme else uri)
        if path.is_absolute() and not any(path.is_relative_to(root) for root in self.roots):
            names = {name: self.base / name for name in _KEPT} | ({self.path.name: self.path} if self.is_folder else {})
            for number in reversed(range(len(path.parts))):
                moved = names.get(path.parts[number], path).joinpath(*path.parts[number + 1 :])
                if path.parts[number] in names and moved.exists():
                    return moved
        return self.base / path


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found before MLflow is asked.

    Attributes:
        uri: Tracking URI for MLflow's client.
        runs: In a folder: ids of runs by experiment, without those to be left out; None for a database.
        skipped: What is left out.
    """

    uri: str
    runs: Mapping[str, Sequence[str]] | None
    skipped: Sequence[Skipped] = ()


def find(path: str) -> Place:
    """Returns the store that a path or a URL means.

    Raises:
        ContentError: There is none.
    """
    given = path.removeprefix("sqlite:///") if path.startswith("sqlite:") else path.removeprefix("file://")
    found = Path(given)
    if "://" in given or not found.exists():
        raise ContentError(
            f"expected an MLflow store: a mlruns folder, a SQLite file or sqlite:///FILE; there is none at {path!a}.",
            hint="Servers are not asked; name the files that the server keeps.",
        )
    return Place(found.resolve(), found.is_dir())


def survey(place: Place, scratch: Path) -> Survey:
    """Looks through a store without following links or reading what it says.

    Args:
        place: The store.
        scratch: An empty folder, for a copy of a database: MLflow changes what it opens.

    Raises:
        ContentError: It is no store, or parts that concern all runs are links, devices or far too large.
    """
    if not place.is_folder:
        return Survey(f"sqlite:///{_copied(place.path, scratch / 'mlflow.db')}", None)
    runs: dict[str, list[str]] = {}
    skipped: list[Skipped] = []
    for experiment in _folders(place.path):
        if experiment.name in {".trash", "models"}:
            _must_be_plain(experiment)
            continue
        _must_be_plain(experiment, deep=False)
        for inside in _folders(experiment):
            if inside.name in _RESERVED:
                _must_be_plain(inside)
                continue
            reason = _unfit(inside) or (
                "" if (inside / "meta.yaml").is_file() else "it has no meta.yaml: half written."
            )
            if reason:
                skipped.append(Skipped(f"run {inside.name}", reason))
            else:
                runs.setdefault(experiment.name, []).append(inside.name)
    if not any((folder / "meta.yaml").is_file() for folder in _folders(place.path)):
        raise ContentError(f"{place.path} is no mlruns folder: none of its folders is an experiment.")
    return Survey(place.path.as_uri(), runs, skipped)


@contextlib.contextmanager
def answered(doing: str) -> Iterator[None]:
    """Turns whatever MLflow raises into ContentError."""
    try:
        with quiet():
            yield
    except ProMLError:
        raise
    except Exception as error:
        raise ContentError(
            f"MLflow could not {doing}: {type(error).__name__}: {first_line(error)}.", hint="Check it with MLflow."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps MLflow and its database library from logging what is reported otherwise."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def first_line(error: Exception) -> str:
    """Returns an error's first line without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _copied(path: Path, copy: Path) -> Path:
    """Copies a database, as of one instant."""
    try:
        source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(copy)
        try:
            rows = source.execute("SELECT type, name FROM sqlite_master").fetchall()
            foreign = [name for kind, name in rows if kind == "view"]
            if foreign or not {("table", "runs"), ("table", "experiments"), ("table", "alembic_version")} <= set(rows):
                what = f"it has the view {foreign[0]!a}" if foreign else "it has no tables of runs"
                raise ContentError(f"{path} is no store of MLflow: {what}.", hint="Name the file that MLflow uses.")
            source.backup(target)
        finally:
            target.close()
            source.close()
    except sqlite3.Error as error:
        raise ContentError(f"{path} cannot be read as a SQLite file: {error}.", hint="Name the right file.") from error
    return copy


def _folders(path: Path) -> list[Path]:
    with os.scandir(path) as found:
        return sorted(Path(one.path) for one in found if one.is_dir(follow_symlinks=False) or one.is_symlink())


def _must_be_plain(path: Path, *, deep: bool = True) -> None:
    reason = _unfit(path, deep=deep)
    if reason:
        raise ContentError(f"{path} cannot be part of a store: {reason}", hint="Remove it, or do not trust this store.")


def _unfit(path: Path, *, deep: bool = True) -> str:
    """Returns why MLflow had better not read this folder; content in ``artifacts`` is not looked at."""
    if path.is_symlink():
        return f"{path.name!a} is a symbolic link."
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as found:
            for one in found:
                status = one.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    if deep and one.name != "artifacts":
                        waiting.append(Path(one.path))
                elif not stat.S_ISREG(status.st_mode):
                    if deep or one.name == "meta.yaml":
                        return f"{os.path.relpath(one.path, path)!a} is a link or no file."
                elif status.st_size > (_METRIC_BYTES if "metrics" in Path(one.path).parts else _TEXT_BYTES):
                    return f"{os.path.relpath(one.path, path)!a} has {status.st_size} bytes."
    return ""
