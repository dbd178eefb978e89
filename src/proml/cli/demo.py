"""``proml demo``: the whole story on real data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli.group import command
from proml.errors import MissingExtra

if TYPE_CHECKING:
    from proml.cli.session import Session


@command("demo", examples="proml demo\nproml demo --into /tmp/tumour-study")
@click.option(
    "--into", "target", type=click.Path(path_type=Path), default=Path("proml-demo"), show_default=True,
    help="Where everything is written; an earlier demonstration there is replaced.",
)  # fmt: skip
def demo(session: Session, target: Path) -> None:
    """Five organisations make a model together on real data, and insiders try to cheat. Takes about a minute."""
    try:
        import joblib  # noqa: F401, PLC0415 - asked for here, so that the first script does not fail half-way
        import sklearn  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra(
            f"the demonstration trains a model and needs scikit-learn: {error}.", hint="pip install 'proml[demo]'"
        ) from error
    from proml.demo import perform  # noqa: PLC0415 - only for this command

    perform((Path(session.start or ".") / target).absolute())
