"""The command ``proml`` and the table of its commands, in the order in which a newcomer meets them."""

from __future__ import annotations

import click

from proml.cli.group import Group, Lazy

COMMANDS = {
    "init": Lazy("proml.cli.init:init", "Make this folder a working folder."),
    "id": Lazy("proml.cli.identity:identity", "Identities and session keys."),
    "workspace": Lazy("proml.cli.workspace:workspace", "Create a workspace, see and govern it."),
    "lifecycle": Lazy("proml.cli.lifecycle:lifecycle", "The state machines of artefacts."),
    "register": Lazy("proml.cli.act:register", "Register a new artefact."),
    "act": Lazy("proml.cli.act:act", "Perform a transition of an artefact."),
    "endorse": Lazy("proml.cli.vote:endorse", "Vote for a transition that needs a quorum."),
    "reject": Lazy("proml.cli.vote:reject", "Vote against a transition that needs a quorum."),
    "relay": Lazy("proml.cli.relay:relay", "Send a message that another member signed."),
    "run": Lazy("proml.cli.run:run", "Run a program and capture its provenance."),
    "import": Lazy("proml.cli.import_:import_", "Import runs that MLflow or DVC recorded."),
    "status": Lazy("proml.cli.status:status", "State, owner, version, votes, outbox."),
    "log": Lazy("proml.cli.log:log", "The history of an artefact, newest first."),
    "lineage": Lazy("proml.cli.lineage:lineage", "Where an artefact comes from, what came of it."),
    "verify": Lazy("proml.cli.verify:verify", "Check that files or an artefact are what was agreed."),
    "audit": Lazy("proml.cli.audit:audit", "Check the whole record: chain, index, outbox, and the end point itself."),
    "diff": Lazy("proml.cli.diff:diff", "What changed between two versions."),
    "content": Lazy("proml.cli.content:content", "Push, fetch, replicate and check the bytes of versions."),
    "sync": Lazy("proml.cli.sync:sync", "Send the outbox and follow the chain."),
    "node": Lazy("proml.cli.node:node", "The participant's daemon: sends, follows, takes records in, answers."),
    "consortium": Lazy("proml.cli.consortium:consortium", "A network of the participants' own clients."),
    "demo": Lazy("proml.cli.demo:demo", "The whole story, on real data, in a minute."),
    "completion": Lazy("proml.cli.completion:completion", "Print the script for completion in a shell."),
}


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version  # noqa: PLC0415 - only for --version

        click.echo(f"proml {version('proml')}")
        context.exit()


@click.group(
    "proml",
    cls=Group,
    lazy=COMMANDS,
    examples="""
        proml init
        proml register tumours --kind dataset
        proml act tumours collect data/
        proml status
    """,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
def root() -> None:
    """One provenance record of machine-learning artefacts, kept by organisations that do not trust each other."""
