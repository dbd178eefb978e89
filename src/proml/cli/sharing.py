"""``proml content share``, ``unshare`` and ``shared``: what this participant's node hands out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.content import find
from proml.cli.follow import up_to_date
from proml.cli.group import command
from proml.errors import UnknownName, VerificationError

if TYPE_CHECKING:
    from proml.cli.session import Session


@command("share", examples="proml content share tumours data/\nproml content share tumour-model@2 model.joblib")
@click.argument("name", shell_complete=artefacts)
@click.argument("path", type=click.Path())
def share(session: Session, name: str, path: str) -> None:
    """Let your node hand out a version's bytes to those who have a token, from where they are.

    They are read once, to see that they are this version. Nothing is copied: a file that changes is handed out no
    more. Make tokens with `proml node token new PEER`.
    """
    from proml.adapters.sharing_sqlite import Share  # noqa: PLC0415 - keeps --help quick
    from proml.content_wiring import open_sharing  # noqa: PLC0415 - as above
    from proml.contents import ObjectName  # noqa: PLC0415 - as above
    from proml.hashing import check_unchanged, find_entries, hash_path  # noqa: PLC0415 - as above

    with session.participant() as participant:
        up_to_date(session, participant)
        version = find(participant, name, ())
        given, root, entries = find_entries(path)
        with output.progress(f"reading {output.printable(path)}", quiet=session.as_json, in_bytes=True) as advance:
            manifest = hash_path(path, version.manifest.algorithm, progress=advance)
        if manifest.digest != version.content:
            raise VerificationError(
                f"{output.printable(path)} is not {version.label}: expected the content "
                f"sha256:{version.content.hex()}, found sha256:{manifest.digest.hex()}.",
                hint="`proml verify PATH` says what it is.",
            )
        check_unchanged(entries, root, given)
        resources = {one.name: one for one in manifest.resources}
        made = Share(
            version.content, version.label, os.path.realpath(path), manifest.bytes, len(entries), manifest.size_bytes
        )
        open_sharing(participant).share(made, (
            (ObjectName(resources[entry.name].algorithm, resources[entry.name].digest), entry.path, entry.identity)
            for entry in entries
        ))  # fmt: skip
    lines = [f"{output.colour(version.label, 'name')} is shared from {output.printable(made.root)}"]
    document = {"version": version.label, "content": version.content, "root": made.root, "files": made.files,
                "size_bytes": made.size_bytes}  # fmt: skip
    session.answer(document, lines)


@command("unshare", examples="proml content unshare tumours@1")
@click.argument("name", shell_complete=artefacts)
def unshare(session: Session, name: str) -> None:
    """Hand out a version's bytes no more. What others have fetched, they have."""
    from proml.content_wiring import open_sharing  # noqa: PLC0415 - keeps --help quick

    with session.participant() as participant:
        up_to_date(session, participant)
        view = participant.model.version(name)
        if not open_sharing(participant).unshare(view.content):
            raise UnknownName(f"{view.label} is not shared.", hint="`proml content shared` shows what is.")
    session.answer({"unshared": view.label}, [f"{output.colour(view.label, 'name')} is shared no more"])


@command("shared", examples="proml content shared")
def shared(session: Session) -> None:
    """What your node hands out to those who have a token."""
    from proml.content_wiring import open_sharing  # noqa: PLC0415 - keeps --help quick

    with session.participant() as participant:
        found = open_sharing(participant).shares()
    rows = [(one.label, one.files, output.size(one.size_bytes), one.root) for one in found]
    documents = [
        {
            "version": one.label,
            "content": one.content,
            "root": one.root,
            "files": one.files,
            "size_bytes": one.size_bytes,
        }
        for one in found
    ]
    lines = output.table(("version", "files", "size", "from"), rows) if rows else ["Nothing is shared."]
    session.answer({"shared": documents}, lines)
