"""``proml workspace verify-contract``: is the contract the one that was agreed, built from published source?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.group import command
from proml.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.core.workspace_file import WorkspaceFile
    from proml.verify.contract import Check

_INDENT = " " * 6


@command(
    "verify-contract",
    examples="""
        proml workspace verify-contract
        proml workspace verify-contract study.json
        proml workspace verify-contract study.json --json
    """,
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
def verify_contract(session: Session, file: Path | None) -> None:
    """Check chain, contract and build against the workspace file: this folder's, or FILE before joining.

    Compares the chain id, the genesis block, the code at the contract's address, the published build that it belongs
    to, the factory's code, and that this factory created the contract. Asks only the ledger; needs no identity. Exits
    with 4 and says what was expected and found where something differs, with 5 when the ledger does not answer.
    """
    from proml.contract_build import release_of  # noqa: PLC0415 - takes long to import

    pinned, checks = _checked(session, file)
    differing = [check.name for check in checks if not check.ok]
    release = release_of(pinned.code_hash)
    document: dict[str, object] = {
        "ok": not differing,
        "workspace": pinned.name,
        "contract": pinned.contract,
        "release": release.version if release else None,
        "checks": [check.to_json() for check in checks],
    }
    lines = [f"{output.printable(pinned.name)}  {pinned.contract}", *_lines(checks)]
    if not differing:
        session.answer(document, lines)
        return
    session.facts.update(document)
    if not session.as_json:
        session.answer({}, lines)
    raise VerificationError(
        f"{len(differing)} of {len(checks)} comparisons of {pinned.name} with its workspace file differ: "
        f"{', '.join(differing)}.",
        hint="Do not use it before this is explained: ask a node of your own, and another member for the file.",
    )


def _checked(session: Session, file: Path | None) -> tuple[WorkspaceFile, tuple[Check, ...]]:
    from proml.verify.contract import check_contract  # noqa: PLC0415 - takes long to import
    from proml.wiring import open_ledger  # noqa: PLC0415 - as above
    from proml.workspace import read_workspace_file  # noqa: PLC0415 - as above

    chosen = os.environ.get("PROML_LEDGER")
    if file is None:
        with session.participant() as participant:
            pinned, base = participant.pinned, participant.folder.dot
            chosen = chosen or participant.config.ledger
    else:
        pinned, base = read_workspace_file(file), file.absolute().parent
    ledger = open_ledger(chosen or list(pinned.ledgers), base=base)
    try:
        return pinned, check_contract(pinned, ledger)
    finally:
        ledger.close()


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        if check.ok:
            yield f"  {output.colour('✓', 'good')} {check.name}: {check.found}"
        else:
            yield f"  {output.colour('✗', 'bad')} {check.name} differs"
            yield f"{_INDENT}expected  {check.expected}"
            yield f"{_INDENT}found     {check.found}"
