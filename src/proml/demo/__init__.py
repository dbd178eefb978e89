"""``proml demo``: five organisations that do not trust each other make a model together, and insiders try to cheat.

    proml demo                      # in ./proml-demo
    proml demo --into somewhere

Everything is real: data, training, contract, chain, files, attacks. The code is an example to read and copy from:
``cast`` and ``story`` hold the commands, ``attacks`` what insiders try, ``stage`` runs and shows commands,
``scripts`` is what each organisation would have anyway, with the few lines that capture provenance.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import click

from proml.demo.attacks import ATTACKS
from proml.demo.stage import Stage, Surprise
from proml.demo.story import CHAPTERS, gather
from proml.demo.summary import show_summary
from proml.errors import ProMLError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_MARK = "made-by-proml-demo"


def perform(folder: Path) -> None:
    """Tells the whole story in a folder; an earlier demonstration there is replaced.

    Args:
        folder: Everything is written below it, and nothing elsewhere.

    Raises:
        UsageError: The folder holds something else than an earlier demonstration.
        ProMLError: A step did not go as it should, or an attack was not stopped.
    """
    _make_room(folder)
    start = time.perf_counter()
    stage = Stage(folder)
    cast = gather(folder)
    click.secho("ProML: one record of a model, kept by five organisations that do not trust each other", bold=True)
    stage.tell(f"Each has a folder, a key and files of its own in {folder}.")
    for organisation in cast.values():
        click.echo(f"    {click.style(organisation.key.ljust(10), fg='cyan')} {organisation.title}")
    try:
        for chapter in (*CHAPTERS, *ATTACKS):
            chapter(stage, cast)
        show_summary(stage, cast, time.perf_counter() - start)
    except Surprise as surprise:
        raise ProMLError(f"the demonstration failed: {surprise}") from surprise


def _make_room(folder: Path) -> None:
    mark = folder / _MARK
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not mark.is_file():
            raise UsageError(
                f"expected {folder} to be empty or an earlier demonstration, found something else there.",
                hint="Name another folder: proml demo --into FOLDER",
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
