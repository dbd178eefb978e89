"""``proml node``: the participant's daemon."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from proml.cli import output
from proml.cli.group import Group, Lazy
from proml.cli.session import Session
from proml.core.url import host_in_url
from proml.errors import UsageError


@click.group(
    "node",
    cls=Group,
    invoke_without_command=True,
    lazy={"token": Lazy("proml.cli.token:token", "Who may read the content shared here, and place some.")},
    examples="""
        proml node
        proml node --listen 0.0.0.0:8700 --tls-cert node.crt --tls-key node.key
        proml node token new clinic
    """,
)
@click.option("--listen", default="127.0.0.1:8700", show_default=True, metavar="HOST:PORT", help="Where it answers.")
@click.option("--every", "every_s", type=click.FloatRange(0.03, 3600), metavar="SECONDS",
              help="How often it looks for a new block; a thirtieth of the block period by default.")  # fmt: skip
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate, for HTTPS.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key.")
@click.pass_context
def node(
    context: click.Context, *, listen: str, every_s: float | None, tls_cert: Path | None, tls_key: Path | None
) -> None:
    """Run this participant's node: send what waits, follow the chain, take records in from other hosts, answer queries.

    Runs until SIGTERM or Ctrl-C. Who has the token in .proml/node-token may have its identity record in its name, and
    read everything: give it to your own training hosts only (`proml init --node URL --token-file FILE`). Other
    participants get tokens of their own, for the content that you share.
    """
    if context.invoked_subcommand is None:
        _run(context.ensure_object(Session), listen, every_s, tls_cert, tls_key)


def _run(session: Session, listen: str, every_s: float | None, tls_cert: Path | None, tls_key: Path | None) -> None:
    from proml.node.opening import open_node  # noqa: PLC0415 - takes long to import

    if (tls_cert is None) != (tls_key is None):
        raise UsageError("expected --tls-cert and --tls-key, found one of them.", hint="Name both.")
    host, port = _address(listen)
    server = open_node(session.start, every_s=every_s, tell=session.say)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        bound = server.bind(host, port, tls=None if tls_cert is None or tls_key is None else (tls_cert, tls_key))
        url = f"{'http' if tls_cert is None else 'https'}://{host_in_url(host)}:{bound}"
        session.answer(
            {"node": url, "folder": str(server.folder), "identity": server.identity,
             "token_file": str(server.token_file)},
            [f"node of {output.colour(server.identity, 'name')} at {url}",
             f"token: {output.printable(server.token_file)}"],
        )  # fmt: skip
        sys.stdout.flush()  # whoever started it may wait for this line in a pipe
        server.serve()
    finally:
        server.close()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - TCP's largest port
        raise UsageError(f"expected HOST:PORT, found {text!r}.", hint="For example 127.0.0.1:8700; port 0 is any free.")
    return host.strip("[]"), int(port)
