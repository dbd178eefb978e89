"""Closes a run: from its sealed journal to records in the store and intents in the outbox.

Everything here follows from what is on disk and was sealed (:func:`proml.capture.run_folder.seal`): salts come from the
run's secret, times from its end, keys of intents from its id and a number. So it can be cut off at any instant and done
again, by any process, with the same outcome: nothing lost, nothing doubled.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from proml.adapters.outbox_sqlite import SqliteOutbox
from proml.adapters.store_folder import FolderStore
from proml.capture import observe, processes, run_folder
from proml.capture.gathering import Gathered, Placed, gather
from proml.capture.journal import has_left, segments, writers
from proml.capture.resources import joined
from proml.capture.run_folder import Ending, Extent, Start
from proml.config import Folder
from proml.core import merkle
from proml.core.digest import format_digest, parse_digest
from proml.core.intent import MAX_INPUTS, OBSERVED, AnchorIntent, TransitionIntent, Use
from proml.core.manifest import Manifest
from proml.core.record import SALT_BYTES, Record, build_record, format_time
from proml.errors import ConfigError, ProMLError

if TYPE_CHECKING:
    from pathlib import Path

    from proml.capture.observe import Observations
    from proml.ports import Intent

_INLINE_BYTES = 1 << 20  # records have a limit of 4 MiB; what is larger goes beside them
_PART_BYTES = 1 << 19
_OBSERVED_OFFERED = 256  # each is a question to the ledger
_RUN_FIELDS = (
    "name",
    "command",
    "entry_point",
    "folder",
    "git",
    "python",
    "platform",
    "environment",
    "hardware",
    "rank",
    "world_size",
)
FACTS = ("tags", "parent_run", "interrupted", "left_out", "imported", "observed", "digests", "resources")
"""Fields of a record's ``facts``; the page on what is captured is checked against them."""

_USE_FIELDS = ("role", "name", "version", "path", "content", "size_bytes", "uri", "licence", "digests")


@dataclass(frozen=True, slots=True)
class Closed:
    """What was made of a run.

    Attributes:
        records: Digests ``sha256:…`` of its records, which are in the store.
        intents: Keys of its intents, which are in the outbox.
    """

    records: tuple[str, ...]
    intents: tuple[str, ...]


def close(folder: Path, ending: Ending) -> Closed:
    """Closes a run, or finishes closing it; a run that is closed stays as it is.

    Args:
        folder: The run's folder.
        ending: How it ended, unless that was sealed before.

    Raises:
        ProMLError: The store or the outbox cannot be written; nothing is lost, and it can be done again.
        OSError: The run's folder cannot be written; as above.
    """
    with run_folder.locked(folder):
        return read_closed(folder) if run_folder.is_closed(folder) else _close(folder, ending)


def close_abandoned(folder: Path) -> bool:
    """Closes a run whose processes have all ended; returns False if another process does that, or did.

    Raises:
        ProMLError, OSError: As :func:`close`.
    """
    with run_folder.locked(folder, wait=False) as mine:
        if not mine or run_folder.is_closed(folder):
            return False
        _close(folder, ending_from_journal(folder))
    return True


def _close(folder: Path, ending: Ending) -> Closed:
    """Does what :func:`close` says, while the run's lock is held."""
    closed = _carry_out(folder, run_folder.seal(folder, ending))
    value = {"records": closed.records, "intents": closed.intents}
    run_folder.write_whole(folder / run_folder.CLOSED, json.dumps(value).encode())
    return closed


def read_closed(folder: Path) -> Closed:
    """Reads what was made of a closed run."""
    value = json.loads((folder / run_folder.CLOSED).read_bytes())
    return Closed(tuple(value["records"]), tuple(value["intents"]))


def close_if_last(folder: Path, *, expected: int = 0) -> bool:
    """Closes a shared run if no other process is at work in it any more; returns whether it did.

    Args:
        folder: The run's folder.
        expected: Number of ranks of the job. While fewer have joined, others may still come, so the run is left to
            :mod:`proml.capture.recover`, as in jobs of which only one rank records.
    """
    with run_folder.locked(folder):
        if run_folder.is_sealed(folder) or at_work(folder):
            return False
        ranks = {writer["rank"] for writer in writers(segments(folder)) if "rank" in writer}
        if len(ranks) < expected:
            return False
        extent = run_folder.seal(folder, ending_from_journal(folder))
    close(folder, extent.ending)
    return True


def at_work(folder: Path, *, unknown: bool = True) -> bool:
    """Tells whether a process that did not leave the run is still running.

    Args:
        folder: The run's folder.
        unknown: The answer for a process of another machine or container.
    """
    # Each rank of a job asks when it leaves: the whole journal would be read as often as there are ranks.
    parts = segments(folder)
    left = {writer.get("journal") for writer in writers([part for part in parts if has_left(part)])}
    alive = (processes.is_alive(writer) for writer in writers(parts) if writer.get("journal") not in left)
    return any(unknown if answer is None else answer for answer in alive)


def ending_from_journal(folder: Path) -> Ending:
    """Returns how a run ended whose processes have all left or vanished, from what they wrote."""
    parts = segments(folder)
    gathered = gather(parts)
    takes_part = {writer["journal"] for writer in writers(parts) if writer.get("role") in {"owner", "member"}}
    left = {leave["journal"]: leave for leave in gathered.leaves}
    moments = [leave["t"] for leave in left.values()] + [part.path.stat().st_mtime_ns for part in parts]
    ended_ns = max(moments, default=0)
    failed = [leave for leave in left.values() if leave.get("exit_status") != 0]
    exception = next((leave["exception"] for leave in failed if leave.get("exception")), None)
    if takes_part - left.keys() or not takes_part:
        started_ns = run_folder.read_start(folder).started_ns
        return Ending(ended_ns or started_ns, None, interrupted=True, exception=exception)
    return Ending(ended_ns, failed[0].get("exit_status") if failed else 0, exception=exception)


def check(folder: Path, extent: Extent) -> None:
    """Makes the records of a sealed run and throws them away, to see that they can be made.

    Raises:
        ProMLError: They cannot.
    """
    made = _Making(folder, extent, gather(extent.segments), observe.observations(extent.segments))
    for number, publication in enumerate(made.gathered.publications):
        made.transition(number, publication, made.manifest(publication))
    if not made.gathered.publications:
        made.run_record()


def _carry_out(folder: Path, extent: Extent) -> Closed:
    """Makes the records and intents of a sealed run and puts them where they are found."""
    working = Folder(folder.parents[2])
    store, outbox = FolderStore(working.store_folder), SqliteOutbox(working.outbox_file)
    made = _Making(folder, extent, gather(extent.segments), observe.observations(extent.segments))
    try:
        records, intents = [], []
        for number, publication in enumerate(made.gathered.publications):
            manifest = made.manifest(publication)
            record = made.transition(number, publication, manifest)
            documents = () if "resources" in cast("dict[str, Any]", record.json["content"]) else (manifest.digest,)
            if documents:
                store.put(manifest.bytes)
            records.append(record)
            intents.append(made.intent(number, publication, record, documents))
        if not records:
            record = made.run_record()
            records.append(record)
            # A tree of one leaf, the record's digest, so that an anchor is always a root as RFC 9162 defines it.
            anchor = AnchorIntent(merkle.root([record.digest]), 1, record.digest)
            intents.append(anchor.intent(f"{made.start.id}/0"))
        for record in records:
            store.put(record.bytes)
        outbox.add(intents)
    finally:
        outbox.close()
    return Closed(tuple(format_digest(record.digest) for record in records), tuple(intent.key for intent in intents))


class _Making:
    """Makes the records of one run."""

    def __init__(self, folder: Path, extent: Extent, gathered: Gathered, observations: Observations) -> None:
        self.folder = folder
        self.start: Start = run_folder.read_start(folder)
        self.gathered = gathered
        self._ending = extent.ending
        self._observations = observations
        self._surroundings = gathered.surroundings(self.start.facts)

    def transition(self, number: int, publication: Placed, manifest: Manifest) -> Record:
        """Returns the record of a publication."""
        fact = publication.fact
        content = manifest.to_record_field()
        if "resources" in content and len(manifest.bytes) > _INLINE_BYTES:
            content = {
                "digest": format_digest(manifest.digest),
                "files": len(manifest.resources),
                "size_bytes": manifest.size_bytes,
            }
        return build_record(
            "transition",
            created_ns=self._ending.ended_ns,
            salt=self._salt(number),
            artefact={"name": fact["name"], "kind": fact["kind"]},
            action=fact["action"],
            content=content,
            **self._common(self.gathered.uses_of(publication), fact.get("digests")),
        )

    def run_record(self) -> Record:
        """Returns the record of a run that published nothing."""
        uses = self.gathered.all_uses()
        return build_record("run", created_ns=self._ending.ended_ns, salt=self._salt(0), **self._common(uses))

    def intent(self, number: int, publication: Placed, record: Record, documents: tuple[bytes, ...]) -> Intent:
        """Returns what a publication calls for."""
        fact = publication.fact
        return TransitionIntent(
            name=fact["name"],
            action=fact["action"],
            record=record.digest,
            kind=fact["kind"],
            content=parse_digest(fact["content"]),
            uses=tuple(_intended(used) for used in _offered(self.gathered.uses_of(publication))),
            register=True,
            documents=documents,
        ).intent(f"{self.start.id}/{number}")

    def manifest(self, publication: Placed) -> Manifest:
        """Returns the manifest that the publication was hashed to."""
        path = self.folder / run_folder.CONTENTS / parse_digest(publication.fact["content"]).hex()
        return Manifest.from_bytes(path.read_bytes(), str(path))

    def _common(self, uses: Iterable[Mapping[str, Any]], digests: object = None) -> dict[str, object]:
        facts: dict[str, object] = {"digests": digests} if digests else {}
        if self._ending.interrupted:
            facts["interrupted"] = True
        for name, field in (("tags", "tags"), ("parent", "parent_run"), ("imported", "imported")):
            if self._surroundings.get(name):
                facts[field] = self._surroundings[name]
        shown = {
            "uses": _Part([{key: used[key] for key in _USE_FIELDS if key in used} for used in uses]),
            "parameters": _Part(self.gathered.parameters),
            "metrics": _Part({name: metric.to_json() for name, metric in self._observations.metrics.items()}),
            "notes": _Part(self.gathered.notes),
        }
        observed = {name: _Part(files) for name, files in self.gathered.observed.items() if isinstance(files, list)}
        if self.gathered.observed:
            facts["observed"] = self.gathered.observed | {name: part.kept for name, part in observed.items()}
        resources = {name: _Part(used) for name, used in joined(self.gathered.resources.values()).items()}
        if resources:
            facts["resources"] = {name: part.kept for name, part in resources.items()}
        left_out = {name: part.left_out for name, part in (shown | observed | resources).items() if part.left_out}
        if left_out:
            facts["left_out"] = left_out  # the journal has them all
        return {name: part.kept for name, part in shown.items() if part.kept} | {
            "run": self._run(),
            "observations": self._observations.to_json() if self._observations.count else None,
            "facts": facts or None,
        }

    def _run(self) -> dict[str, object]:
        run: dict[str, object] = {key: self._surroundings[key] for key in _RUN_FIELDS if key in self._surroundings}
        run |= {"id": self.start.id, "started": format_time(self.start.started_ns)}
        run["ended"] = format_time(self._ending.ended_ns)
        if self._ending.exit_status is not None:
            run["exit_status"] = self._ending.exit_status
        if self._ending.exception:
            run["exception"] = dict(self._ending.exception)
        # A process that starts the run again joins it again.
        ranks = sorted({member["rank"] for member in self.gathered.members if isinstance(member.get("rank"), int)})
        if ranks and self.start.shared:
            run.pop("rank", None)
            run["ranks"] = ranks
        return run

    def _salt(self, number: int) -> bytes:
        secret = bytes.fromhex(self.start.secret)
        return hmac.digest(secret, f"{self.start.id}/{number}".encode(), hashlib.sha256)[:SALT_BYTES]


class _Part:
    """As much of a list or object as a record has room for, from its beginning."""

    def __init__(self, value: list[Any] | Mapping[str, Any]) -> None:
        items = list(value.items()) if isinstance(value, Mapping) else value
        size, count = 0, 0
        for item in items:
            size += len(json.dumps(item))
            if size > _PART_BYTES:
                break
            count += 1
        self.kept = dict(items[:count]) if isinstance(value, Mapping) else items[:count]
        self.left_out = len(items) - count


def _offered(uses: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns what is looked up on the ledger: what was declared, and not too much of what was only observed."""
    observed = [used for used in uses if used["role"] == OBSERVED]
    return [*(used for used in uses if used["role"] != OBSERVED), *observed[:_OBSERVED_OFFERED]][:MAX_INPUTS]


def _intended(used: Mapping[str, Any]) -> Use:
    content = used.get("content")
    return Use(used["role"], used.get("name", ""), used.get("version", ""), parse_digest(content) if content else None)


def not_closed(folder: Path, error: Exception) -> ProMLError:
    """Returns why a run cannot be closed, in words."""
    return ConfigError(
        f"the run in {folder} cannot be closed: {type(error).__name__}: {error}.",
        hint="Check free space and permissions; if its files are damaged, move the folder away.",
    )
