"""From what was seen to facts of a run: which files were read and written, with digests as far as these are true.

What a file's digest is now says what was read only if the file has not changed since. If it has, the cache of digests
may still know what it was when it was read, because it was hashed before; else it is named without a digest, and why.
(Hashing it in the program, before it is overwritten, would take the program's time, and closing it there would drop the
program's own locks on it.) Files that the run wrote first and read later are its own products, not inputs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proml.adapters.digest_cache import open_digest_cache
from proml.capture.observed.reading import stamp_of
from proml.capture.usage import content_of
from proml.capture.values import label
from proml.core.digest import format_digest
from proml.core.intent import OBSERVED
from proml.errors import ContentError
from proml.hashing import known_content
from proml.listing import Identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from proml.capture.observed.filtering import Filter
    from proml.capture.observed.reading import Seen, Stamp, Touch
    from proml.hashing import Hashed

ROLE = OBSERVED
"""Role of inputs that nobody declared."""

CHANGED = "changed after it was read"
GONE = "no longer there"
OVER_LIMIT = "over the limit of bytes"
_CODE = ".py"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is hashed once a command has ended; what is over it is counted and said.

    Attributes:
        files: At most so many files.
        size_bytes: At most so much together.
    """

    files: int = 1_000
    size_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Known:
    """What was declared, and is not said again; and what was hashed before.

    Attributes:
        dot: ``.proml/`` of the working folder, whose cache of digests is used.
        used: Files and folders, as ``os.path.realpath``.
        published: As above.
    """

    dot: Path

    used: Collection[str] = ()
    published: Collection[str] = ()


@dataclass(slots=True)
class Description:
    """Facts, as a run's journal has them.

    Attributes:
        uses: Inputs, with digests.
        outputs: Files that are there now and were written.
        code: Python source that was loaded.
        without_digest: Files that were read, of which it cannot be told what was in them.
        left_out: How many files are in none of these lists, by reason.
    """

    uses: list[dict[str, object]] = field(default_factory=list)
    outputs: list[dict[str, object]] = field(default_factory=list)
    code: list[dict[str, object]] = field(default_factory=list)
    without_digest: list[dict[str, object]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def facts(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Yields kinds and facts for the journal."""
        lists = {"use": self.uses, "output": self.outputs, "code": self.code, "without_digest": self.without_digest}
        for kind, found in lists.items():
            yield from ((kind, fact) for fact in found)


def describe(seen: Seen, watched: Sequence[str], chosen: Filter, known: Known, limits: Limits) -> Description:
    """Hashes the files of the work and says what became of each.

    Args:
        seen: What Python programs reported.
        watched: Files that changed in watched folders, as absolute paths.
        chosen: Tells files of the work.
        known: What was declared.
        limits: Of hashing.
    """
    return _Describing(seen, chosen, known, limits).all(watched)


class _Describing:
    def __init__(self, seen: Seen, chosen: Filter, known: Known, limits: Limits) -> None:
        self._seen = seen
        self._chosen = chosen
        self._known = known
        self._left_files, self._left_bytes = limits.files, limits.size_bytes
        self._done: set[str] = set()
        self._made = Description()

    def all(self, watched: Sequence[str]) -> Description:
        written = [path for path in dict.fromkeys([*self._seen.writes, *watched]) if self._is_of_the_work(path)]
        outputs = [path for path in written if self._is_output(path, watched)]
        made = set(outputs)
        reads = [path for path in self._seen.reads if self._is_of_the_work(path)]
        for path in sorted(reads, key=lambda path: path.endswith(_CODE)):
            self._read(path, self._seen.reads[path], is_output=path in made)
        for path in outputs:
            self._output(path)
        return self._made

    def _is_of_the_work(self, path: str) -> bool:
        if self._chosen.keeps(path):
            return True
        self._leave_out("ignored")
        return False

    def _is_output(self, path: str, watched: Sequence[str]) -> bool:
        now = stamp_of(path)
        touch = self._seen.writes.get(path)
        if now is None:
            self._leave_out("gone")
        return now is not None and (touch is None or now != touch.stamp or path in watched)

    def _read(self, path: str, touch: Touch, *, is_output: bool) -> None:
        written = self._seen.writes.get(path)
        now = stamp_of(path)
        is_product = written is not None and written.moment < touch.moment and (is_output or now is None)
        if is_product or _is_within(os.path.realpath(path), self._known.used):
            return
        found = self._hashed(path, now) if now == touch.stamp else self._remembered(path, touch.stamp)
        if found and path.endswith(_CODE):
            self._made.code.append(found)
        elif found:
            self._made.uses.append({"role": ROLE, **found})
        elif now != touch.stamp:
            self._without_digest(path, GONE if now is None else CHANGED)

    def _remembered(self, path: str, stamp: Stamp | None) -> dict[str, object] | None:
        """Returns what a file was that changed since it was read, if it was hashed before and not since."""
        cache = open_digest_cache(self._known.dot)
        if cache is None or stamp is None:
            return None
        try:
            device = os.stat(path if os.path.lexists(path) else os.path.dirname(path)).st_dev  # noqa: PTH116, PTH120 - text
        except OSError:
            return None
        identity = Identity(0, device, stamp.inode, stamp.size_bytes, stamp.mtime_ns, stamp.ctime_ns)
        hashed = known_content(path, identity, cache)
        return {"path": self._chosen.shown(path), **_content(hashed)} if hashed else None

    def _output(self, path: str) -> None:
        if _is_within(os.path.realpath(path), self._known.published):
            return
        found = self._hashed(path, None, is_read=False)
        if found:
            self._made.outputs.append(found | ({"also_read": True} if path in self._seen.reads else {}))

    def _hashed(self, path: str, expected: Stamp | None, *, is_read: bool = True) -> dict[str, object] | None:
        """Returns path, content and size; without a digest there is a reason, also where several names are one file."""
        real = os.path.realpath(path)
        if real in self._done:
            return None
        self._done.add(real)
        now = expected or stamp_of(path)
        if now is None:
            self._leave_out("gone")
            return None
        self._left_files -= 1
        if self._left_files < 0:
            self._leave_out("over_limit")
            return None
        shown: dict[str, object] = {"path": self._chosen.shown(path)}
        why = OVER_LIMIT
        if now.size_bytes <= self._left_bytes:
            self._left_bytes -= now.size_bytes
            try:
                hashed = content_of(path, self._known.dot)
                if expected is None or stamp_of(path) == expected:
                    return shown | _content(hashed)
                why = CHANGED
            except ContentError as error:
                why = label(error.message)
        if is_read:
            self._without_digest(path, why)
            return None
        return {**shown, "size_bytes": now.size_bytes, "why": why}

    def _without_digest(self, path: str, why: str) -> None:
        self._made.without_digest.append({"path": self._chosen.shown(path), "why": why})

    def _leave_out(self, why: str) -> None:
        self._made.left_out[why] = self._made.left_out.get(why, 0) + 1


def _content(hashed: Hashed) -> dict[str, object]:
    manifest = hashed.manifest
    return {"content": format_digest(manifest.digest), "size_bytes": manifest.size_bytes, **hashed.mark()}


def _is_within(path: str, declared: Collection[str]) -> bool:
    return any(path == one or path.startswith(one.removesuffix(os.sep) + os.sep) for one in declared)
