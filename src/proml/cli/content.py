"""``proml content``: the bytes of versions, between folders, stores and other participants' nodes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.follow import up_to_date
from proml.cli.group import Group, Lazy, command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proml.cli.session import Session
    from proml.content_wiring import Place
    from proml.contents import Contents
    from proml.exchange.pushing import Pushed
    from proml.exchange.version import Version
    from proml.wiring import Participant

_HERE = "proml.cli.content"
_THREADS = 4
_MOST_THREADS = 64


@click.group(
    "content",
    cls=Group,
    lazy={
        "push": Lazy(f"{_HERE}:push", "Place a version's bytes in a store or at a node."),
        "fetch": Lazy(f"{_HERE}:fetch", "Get a version's bytes from whoever has them."),
        "replicate": Lazy(f"{_HERE}:replicate", "Push until n places have a version."),
        "list": Lazy("proml.cli.content_check:list_", "Which place says that it has what."),
        "check": Lazy("proml.cli.content_check:check", "Read random parts from every place, and compare them."),
        "share": Lazy("proml.cli.sharing:share", "Let your node hand out a version's bytes from where they are."),
        "unshare": Lazy("proml.cli.sharing:unshare", "Hand out a version's bytes no more."),
        "shared": Lazy("proml.cli.sharing:shared", "What your node hands out."),
        "place": Lazy("proml.cli.place:place", "The places that are known here."),
    },
    examples="""
        proml content place add bucket s3://study/content
        proml content push tumours data/ --to bucket
        proml content fetch tumours@2 -o data
        proml content check tumours
    """,
)
def content() -> None:
    """The bytes of versions: push, fetch, replicate and check them.

    A place is a folder, a store by URL (s3://…), an IPFS daemon, or another participant's node. None is believed: what
    arrives is compared with the content that is on the ledger.
    """


jobs = click.option(
    "--jobs", "threads", type=click.IntRange(1, _MOST_THREADS), default=_THREADS, show_default=True, metavar="N",
    help="How many files are moved at once.",
)  # fmt: skip
_without_names = click.option(
    "--without-names", is_flag=True,
    help="Do not place the manifest, which has the files' names; whoever fetches needs it from the record.",
)  # fmt: skip


@command(
    "push",
    examples="""
        proml content push tumours data/ --to bucket
        proml content push tumours@1 data-2024/ --to clinic --to /mnt/backup
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.argument("path", required=False, type=click.Path())
@click.option("--to", "targets", multiple=True, required=True, metavar="PLACE", help="Where to; may be repeated.")
@_without_names
@click.option("--anew", is_flag=True, help="Also send what is there already, as it may be damaged.")
@jobs
def push(  # one option each
    session: Session, name: str, path: str | None, *, targets: tuple[str, ...], without_names: bool, anew: bool,
    threads: int,
) -> None:  # fmt: skip
    """Place a version's bytes in a store or at a node.

    Only what is missing there is sent. Without PATH, the bytes are taken from where they are shared from. Repeat it if
    it was interrupted.
    """
    from proml.content_wiring import open_own, root_of  # noqa: PLC0415 - keeps --help quick
    from proml.exchange.pushing import Pushing, push  # noqa: PLC0415 - as above

    with session.participant() as participant, places(participant, targets) as opened:
        up_to_date(session, participant)
        version = find(participant, name, opened)
        sources = own_files(version, path) + open_own(participant)
        made = []
        for at in opened:
            with output.progress(
                f"pushing to {output.printable(at.name)}", quiet=session.as_json, in_bytes=True
            ) as advance:
                how = Pushing(not without_names, threads, advance, anew)
                done = push(version.manifest, sources, at.contents, how)
            warn(session, done.faults)
            made.append((at.name, done, root_of(at)))
    documents = [{"place": place, **output_of(done), "root": root or None} for place, done, root in made]
    lines = []
    for place, done, root in made:
        told = f"{output.size(done.sent_bytes)} sent, {done.there} of {done.objects} objects were there"
        lines.append(f"{output.colour(version.label, 'name')} → {output.printable(place)}  {told}")
        lines += output.fields([("root", root and f"ipfs://{root}")])
    session.answer({"version": version.label, "content": version.content, "pushed": documents}, lines)


@command(
    "fetch",
    examples="""
        proml content fetch tumours -o data
        proml content fetch tumour-model@2 -o model.joblib --from clinic --from bucket
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.option("-o", "--output", "path", type=click.Path(), required=True, metavar="PATH",
              help="The folder; the file, if the content is a single file.")  # fmt: skip
@click.option("--from", "sources", multiple=True, metavar="PLACE",
              help="Where from; the first is asked first. By default all that are known, then the stores.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace files that are there with other bytes.")
@jobs
def fetch(  # one option each
    session: Session, name: str, *, path: str, sources: tuple[str, ...], overwrite: bool, threads: int
) -> None:
    """Get a version's bytes from whoever has them.

    A file appears under its name only when its digest is the one on the ledger. Files that are there already are left
    alone. A place that sends other bytes, or stops, is told, and the next one asked. Repeat it if it was interrupted:
    it goes on where it stopped. Exits with 4 if only other bytes could be had, with 5 if some could not be had.
    """
    from proml.content_wiring import open_own  # noqa: PLC0415 - keeps --help quick
    from proml.exchange.fetching import Fetching, fetch  # noqa: PLC0415 - as above

    with session.participant() as participant, places(participant, sources, stores=True) as opened:
        up_to_date(session, participant)
        version = find(participant, name, opened)
        asked = ([] if sources else open_own(participant)) + [place.contents for place in opened]
        with output.progress(f"fetching {version.label}", quiet=session.as_json, in_bytes=True) as advance:
            done = fetch(version.manifest, path, asked, Fetching(overwrite, threads, advance))
    warn(session, done.faults)
    there = f", {done.there} were there" if done.there else ""
    came = f"{_files(done.files)}, {output.size(done.size_bytes)}{there}"
    lines = [
        f"{output.colour(version.label, 'name')} → {output.printable(path)}  {came}",
        *output.fields([("from", ", ".join(f"{where} ({count})" for where, count in done.sources.items()))]),
    ]
    document = {"version": version.label, "content": version.content, "path": path, **output_of(done)}
    session.answer(document, lines)


@command(
    "replicate",
    examples="""
        proml content replicate tumours data/ --copies 3
        proml content replicate tumour-model --copies 2 --to clinic --to bucket
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.argument("path", required=False, type=click.Path())
@click.option(
    "--copies", type=click.IntRange(1, 1000), required=True, metavar="N", help="How many places should have it."
)
@click.option("--to", "targets", multiple=True, metavar="PLACE", help="Which places; by default all that are known.")
@_without_names
@jobs
def replicate(  # one option each
    session: Session, name: str, path: str | None, *, copies: int, targets: tuple[str, ...], without_names: bool,
    threads: int,
) -> None:  # fmt: skip
    """Push until n places say that they have all of a version.

    Places are taken in their order in the configuration; those that are silent or refuse are passed over and told.
    Without PATH, the bytes come from what is shared here, or from the places that have them. Exits with 5 if there are
    too few.
    """
    from proml.content_wiring import open_own  # noqa: PLC0415 - keeps --help quick
    from proml.exchange.pushing import Pushing, not_enough, replicate  # noqa: PLC0415 - as above

    with session.participant() as participant, places(participant, targets) as opened:
        up_to_date(session, participant)
        version = find(participant, name, opened)
        sources = own_files(version, path) + open_own(participant)
        with output.progress(f"replicating {version.label}", quiet=session.as_json, in_bytes=True) as advance:
            how = Pushing(not without_names, threads, advance)
            found = replicate(version.manifest, sources, [place.contents for place in opened], copies, how)
    for done in found.pushed:
        warn(session, done.faults)
    document = {"version": version.label, "content": version.content, "copies": found.copies,
                "places": [{"place": one.name, **output_of(has)}
                           for one, has in zip(opened, found.holdings, strict=True)],
                "refused": found.refused}  # fmt: skip
    if found.copies < copies:
        session.facts.update(document)
        raise not_enough(found, copies)
    names = {place.contents.where: place.name for place in opened}
    lines = [
        f"{output.colour(version.label, 'name')} is at {found.copies} of {len(opened)} places",
        *output.table(("place", "objects", "sent"), [
            (place.name, f"{one.objects} of {one.of_objects}", _sent(found.pushed, place.contents.where))
            for place, one in zip(opened, found.holdings, strict=True)
        ]),
        *(f"{output.colour('passed over:', 'warn')} {output.printable(names[where])}: {output.printable(why)}"
          for where, why in found.refused.items()),
    ]  # fmt: skip
    session.answer(document, lines)


@contextlib.contextmanager
def places(participant: Participant, words: Sequence[str], *, stores: bool = False) -> Iterator[list[Place]]:
    """Opens places, as :func:`proml.content_wiring.open_places`, and closes them."""
    from proml.content_wiring import open_places  # noqa: PLC0415 - keeps --help quick

    opened = open_places(participant, words, stores=stores)
    try:
        yield opened
    finally:
        for place in opened:
            place.contents.close()


def find(participant: Participant, reference: str, opened: Sequence[Place]) -> Version:
    """Returns a version with its files; raises UnknownName or NotAvailable."""
    from proml.exchange.version import find_version  # noqa: PLC0415 - keeps --help quick

    return find_version(participant.model, participant.store, reference, [place.contents for place in opened])


def own_files(version: Version, path: str | None) -> list[Contents]:
    """Returns the files at a path as a source, after comparing names and sizes; without one, the manifest alone.

    Raises:
        VerificationError: They are not this content.
        ContentError: There is nothing, or something that cannot be read.
    """
    from proml.adapters.content_files import LocalFiles  # noqa: PLC0415 - keeps --help quick
    from proml.exchange.pushing import check_listing  # noqa: PLC0415 - as above
    from proml.hashing import find_entries  # noqa: PLC0415 - as above

    if path is None:
        return [LocalFiles(version.manifest, {}, "this folder")]
    given, _, entries = find_entries(path)
    check_listing(version.manifest, entries, given)
    return [LocalFiles(version.manifest, {entry.name: entry.path for entry in entries}, given)]


def warn(session: Session, faults: Mapping[str, Sequence[str]]) -> None:
    """Tells what places did wrong."""
    for where, messages in faults.items():
        for message in messages:
            session.say(f"{output.colour('warning:', 'warn')} {output.printable(where)}: {output.printable(message)}")


def output_of(value: object) -> dict[str, object]:
    """Returns a dataclass as a JSON object."""
    plain = output.plain(value)
    assert isinstance(plain, dict)
    return plain


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


def _sent(pushed: Sequence[Pushed], where: str) -> str:
    return next((output.size(one.sent_bytes) for one in pushed if one.where == where), "-")
