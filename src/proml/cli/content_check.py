"""``proml content list`` and ``check``: which place says that it has what, and whether it is true."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.completion import artefacts
from proml.cli.content import find, jobs, output_of, places
from proml.cli.follow import up_to_date
from proml.cli.group import command
from proml.errors import UnreachableError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.cli.session import Session
    from proml.content_wiring import Place
    from proml.core.shards import StatedShards
    from proml.exchange.sampling import Sampled
    from proml.exchange.version import Version
    from proml.wiring import Participant

_COLOURS = {"good": "good", "partial": "warn", "none": "dim", "wrong": "bad", "missing": "bad", "unreachable": "warn"}
_SHARES = (0.01, 0.1)
_SEED_BITS = 63


@command("list", examples="proml content list\nproml content list tumours@2 tumour-model")
@click.argument("names", nargs=-1, shell_complete=artefacts)
@click.option("--at", "words", multiple=True, metavar="PLACE", help="Which places; by default all that are known.")
@jobs
def list_(session: Session, names: tuple[str, ...], *, words: tuple[str, ...], threads: int) -> None:
    """Which place says that it has what, of the versions named, or of the current ones of all artefacts.

    It is only what they say; `proml content check` reads.
    """
    from proml.exchange.holdings import holding  # noqa: PLC0415 - keeps --help quick
    from proml.exchange.pushing import pieces_of  # noqa: PLC0415 - as above

    with session.participant() as participant, places(participant, words) as opened:
        up_to_date(session, participant)
        found = []
        for name in names or _current(participant):
            version = find(participant, name, opened)
            pieces = pieces_of(version.manifest, with_names=False)
            found.append((version, [(place.name, holding(place.contents, pieces, threads)) for place in opened]))
    rows = [
        (version.label, place, one.error or f"{one.objects} of {one.of_objects} objects, "
         f"{output.size(one.has_bytes)} of {output.size(one.of_bytes)}")
        for version, holdings in found for place, one in holdings
    ]  # fmt: skip
    documents = [
        {"version": version.label, "content": version.content,
         "places": [{"place": place, **output_of(one)} for place, one in holdings]}
        for version, holdings in found
    ]  # fmt: skip
    lines = output.table(("version", "place", "says that it has"), rows) if rows else ["Nothing to list."]
    session.answer({"versions": documents}, lines)


@command(
    "check",
    examples="""
        proml content check tumours
        proml content check tumours data/ --sample 100
        proml content check tumours@1 --at clinic --copies 1
    """,
)
@click.argument("name", shell_complete=artefacts)
@click.argument("path", required=False, type=click.Path())
@click.option("--at", "words", multiple=True, metavar="PLACE", help="Which places; by default all that are known.")
@click.option("--sample", "count", type=click.IntRange(1, 1_000_000), default=32, show_default=True, metavar="N",
              help="How many parts are read from each place.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**_SEED_BITS - 1), help="Read the parts of an earlier check again.")
@click.option("--copies", type=click.IntRange(1, 1000), metavar="N", help="Fail unless so many places are good.")
@jobs
def check(  # one option each
    session: Session, name: str, path: str | None, *, words: tuple[str, ...], count: int, seed: int | None,
    copies: int | None, threads: int,
) -> None:  # fmt: skip
    """Read random parts of a version from every place, and compare them with what is on the ledger.

    A part is a file. With PATH, your own copy of the content, large files are read in parts of 16 MiB, also by later
    checks: their digests are kept. Exits with 4 if a place sends other bytes, does not give what it says that it has,
    or is named and does not have all; with 5 if one does not answer.
    """
    from proml.exchange.pushing import pieces_of  # noqa: PLC0415 - keeps --help quick
    from proml.exchange.sampling import chance, draw, parts_of, sample  # noqa: PLC0415 - as above

    chosen = secrets.randbits(_SEED_BITS) if seed is None else seed
    with session.participant() as participant, places(participant, words) as opened:
        up_to_date(session, participant)
        if not opened:
            raise UsageError("no place is known.", hint="`proml content place add NAME URL` makes one known.")
        version = find(participant, name, opened)
        everything = parts_of(version.manifest, _shards(session, participant, version, path))
        parts = draw(everything, count, chosen)
        pieces = pieces_of(version.manifest, with_names=False)
        found = []
        for place in opened:
            with output.progress(
                f"reading from {output.printable(place.name)}", quiet=session.as_json, in_bytes=True
            ) as advance:
                found.append((place, sample(place.contents, pieces, parts, threads=threads, progress=advance)))
    odds = {
        str(share): 1.0 if len(parts) == len(everything) else round(chance(len(parts), share), 4) for share in _SHARES
    }
    document = {
        "version": version.label, "content": version.content, "seed": chosen, "parts": len(parts),
        "of_parts": len(everything), "chance_to_see_loss_of": odds,
        "places": [{"place": place.name, "verdict": one.verdict, **output_of(one)} for place, one in found],
    }  # fmt: skip
    error = _error(version, found, copies, named=bool(words))
    if error is None:
        session.answer(document, _lines(document, found))
        return
    session.facts.update(document)
    if not session.as_json:
        for line in _lines(document, found):
            output.print_line(line)
    raise error


def _current(participant: Participant) -> list[str]:
    return [str(one.name) for one in participant.model.artefacts() if one.version and one.name is not None]


def _shards(session: Session, participant: Participant, version: Version, path: str | None) -> StatedShards | None:
    from proml.exchange.shard_lists import make_list, read_list  # noqa: PLC0415 - keeps --help quick

    folder = participant.folder.shards_folder
    if path is None:
        return read_list(folder, version.manifest)
    with output.progress(f"reading {output.printable(path)}", quiet=session.as_json, in_bytes=True) as advance:
        return make_list(folder, version.manifest, path, advance)


def _lines(document: dict[str, object], found: Sequence[tuple[Place, Sampled]]) -> Iterator[str]:
    odds = document["chance_to_see_loss_of"]
    assert isinstance(odds, dict)
    drawn = f"{document['parts']} of {document['of_parts']} parts, seed {document['seed']}"
    yield f"{output.colour(document['version'], 'name')}  {drawn}"
    rows = [
        (place.name, output.colour(one.verdict, _COLOURS[one.verdict]), f"{one.good} of {one.parts}",
         f"{one.holding.objects} of {one.holding.of_objects} objects")
        for place, one in found
    ]  # fmt: skip
    yield from output.table(("place", "is", "parts as agreed", "says that it has"), rows)
    for place, one in found:
        for fault in one.faults:
            yield f"{output.colour('✗', 'bad')} {output.printable(place.name)}: {output.printable(fault)}"
    read = [place.name for place, one in found if one.parts]
    if read:
        told = ", ".join(f"{float(share):.0%} of the parts with {odds[share]:.0%}" for share in odds)
        at = "" if len(read) == len(found) else f" at {output.printable(', '.join(read))}"
        yield str(output.colour(f"a loss of {told} probability would have been seen{at}", "dim"))


def _error(
    version: Version, found: Sequence[tuple[Place, Sampled]], copies: int | None, *, named: bool
) -> VerificationError | UnreachableError | None:
    by_verdict: dict[str, list[str]] = {}
    for place, one in found:
        by_verdict.setdefault(one.verdict, []).append(place.name)
    told = "; ".join(f"{', '.join(names)}: {verdict}" for verdict, names in by_verdict.items() if verdict != "good")
    hint = "Push it there anew (`proml content push … --anew`), or ask whoever runs the place."
    # Whoever names places means that it should be there; of all that are known, some may never have had it.
    if {"wrong", "missing", *(("partial", "none") if named else ())} & by_verdict.keys():
        return VerificationError(f"{version.label} is not everywhere what it should be: {told}.", hint=hint)
    if copies is not None and len(by_verdict.get("good", [])) < copies:
        good = len(by_verdict.get("good", []))
        return VerificationError(f"expected {copies} good copies of {version.label}, found {good}. {told}", hint=hint)
    if "unreachable" in by_verdict:
        return UnreachableError(f"{', '.join(by_verdict['unreachable'])} did not answer.", hint="Check it later again.")
    return None
