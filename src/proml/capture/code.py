"""Which code runs: command line, entry point, git commit and what differs from it.

Git is asked by its command line. Nothing that a repository's own configuration names is executed (hooks, file system
monitors, filters, diff drivers), nothing is fetched, nobody is asked, and all of it has a deadline.
"""

from __future__ import annotations

import hashlib
import os
import re
import select
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from proml.capture.redaction import redact, redact_command
from proml.capture.run_folder import write_whole
from proml.capture.values import TEXT_LIMIT, label, text
from proml.core.digest import format_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from subprocess import Popen

GIT_DEADLINE_S = 5.0
_ENTRY_POINT_LIMIT = 64 << 20
_PATCH_LIMIT = 16 << 20
_ARGUMENTS_LIMIT = 1_000
_COMMAND_CHARACTERS = 100_000
_NEUTRAL = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.untrackedCache=false", "protocol.allow=never")
# What makes the patch the same whatever a person prefers to see; no program of the repository runs to make it.
_DIFF = (  # noqa: SIM905 - reads as it is typed
    "diff HEAD --binary --full-index --no-color --no-ext-diff --no-textconv --no-renames --diff-algorithm=myers "
    "--no-indent-heuristic --unified=3 --inter-hunk-context=0 --src-prefix=a/ --dst-prefix=b/ --submodule=short "
    "--ignore-submodules=dirty"
).split()


def describe_command(argv: Sequence[str], root: Path) -> dict[str, object]:
    """Returns the fields ``command``, ``entry_point`` and ``folder`` of a record's run.

    Args:
        argv: The command line with the program first.
        root: Paths are shown relative to this folder.
    """
    fields: dict[str, object] = {"folder": show_path(Path.cwd(), root)}
    if argv:
        fields["command"] = [text(argument) for argument in redact_command(_beginning(argv))]
    entry_point = _entry_point(argv)
    if entry_point:
        described = {"path": show_path(entry_point, root)}
        digest = _file_digest(entry_point)
        fields["entry_point"] = described | ({"digest": format_digest(digest)} if digest else {})
    return fields


def describe_git(folder: Path, patches: Path | None = None) -> dict[str, object] | None:
    """Returns the field ``git`` of a record's run; None if the folder is in no repository or git does not answer.

    ``dirty`` and ``diff_digest`` concern files under version control. The digest is SHA-256 over the output of
    ``git diff HEAD --binary --full-index`` with the options above.

    Args:
        folder: Folder in the working tree.
        patches: Folder where that output is kept as ``HEX.patch``, if it is not empty; it never leaves the machine.
    """
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return None
    with suppress(OSError, ValueError):
        return _Git(folder, time.monotonic() + GIT_DEADLINE_S).describe(patches)
    return None


def show_path(path: Path, root: Path) -> str:
    """Returns a path relative to the root or, outside of it, to ``~``, so that it does not tell who runs it where."""
    path = path.absolute()
    with suppress(ValueError):
        return label(str(path.relative_to(root)))
    with suppress(ValueError, RuntimeError):
        return label(str(Path("~") / path.relative_to(Path.home())))
    return label(str(path))


class _Git:
    """Asks git about one working tree until a deadline."""

    def __init__(self, folder: Path, deadline: float) -> None:
        self._folder = folder
        self._deadline = deadline
        self._settings = list(_NEUTRAL)

    def describe(self, patches: Path | None) -> dict[str, object] | None:
        names = self._ask("rev-parse", "HEAD", "--abbrev-ref", "HEAD")
        if names is None:
            return None
        commit, _, branch = names.decode("utf-8", "replace").strip().partition("\n")
        found: dict[str, object] = {"commit": label(commit)}
        if branch and branch != "HEAD":
            found["branch"] = label(branch)
        configuration = self._ask("config", "--list", "--show-scope", "-z", "--includes")
        if configuration is None:
            return found
        for key, value in _own_settings(configuration):
            if key == "remote.origin.url":
                found["remote"] = label(redact(value))
            driver = re.fullmatch(r"filter\.(.+)\.(?:clean|smudge|process|required)", key, re.DOTALL)
            if driver:
                self._settings += [f"filter.{driver[1]}.clean=", f"filter.{driver[1]}.process="]
                self._settings += [f"filter.{driver[1]}.required=false"]
        return found | self._difference(patches)

    def _difference(self, patches: Path | None) -> dict[str, object]:
        digest, size = hashlib.sha256(), 0
        kept = bytearray()
        try:
            for chunk in self._read(_DIFF):
                digest.update(chunk)
                size += len(chunk)
                if size <= _PATCH_LIMIT:
                    kept += chunk
        except (TimeoutError, ChildProcessError):
            return {}
        if not size:
            return {"dirty": False}
        if patches is not None and size <= _PATCH_LIMIT:
            _keep(bytes(kept), patches / f"{digest.hexdigest()}.patch")
        return {"dirty": True, "diff_digest": format_digest(digest.digest())}

    def _ask(self, *arguments: str) -> bytes | None:
        try:
            return b"".join(self._read(arguments))
        except (TimeoutError, ChildProcessError):
            return None

    def _read(self, arguments: Sequence[str]) -> Iterator[bytes]:
        """Yields what git prints; raises TimeoutError or, if it fails, ChildProcessError."""
        from subprocess import DEVNULL, PIPE, Popen  # noqa: PLC0415 - only in a repository

        command = ["git", "--no-pager", *(part for setting in self._settings for part in ("-c", setting)), *arguments]
        with Popen(  # noqa: S603 - fixed words, and settings that only take programs away
            command, cwd=self._folder, env=_git_environment(), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        ) as process:
            try:
                yield from self._until_deadline(process)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise ChildProcessError(process.returncode)

    def _until_deadline(self, process: Popen[bytes]) -> Iterator[bytes]:
        assert process.stdout is not None
        ready = select.poll()
        ready.register(process.stdout, select.POLLIN)
        while True:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0 or not ready.poll(left_s * 1000):
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                return
            yield chunk


def _keep(patch: bytes, path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(path, patch)


def _beginning(argv: Sequence[str]) -> list[str]:
    """Returns as much of a command line as is recorded: its first arguments, and of these the first characters."""
    kept, left = [], _COMMAND_CHARACTERS
    for argument in argv[:_ARGUMENTS_LIMIT]:
        kept.append(argument[: min(left, TEXT_LIMIT)])
        left -= len(kept[-1])
        if left <= 0:
            break
    return kept


def _own_settings(listing: bytes) -> Iterator[tuple[str, str]]:
    """Yields what the repository itself sets, as against its user or machine, whose settings are trusted."""
    fields = listing.decode("utf-8", "surrogateescape").split("\0")
    for scope, setting in zip(fields[::2], fields[1::2], strict=False):
        if scope in {"local", "worktree"}:
            key, _, value = setting.partition("\n")
            yield key, value


def _git_environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    return inherited | quiet


def _entry_point(argv: Sequence[str]) -> Path | None:
    """Returns the script of this process or, for another command line, the script or program that it names."""
    if list(argv) == sys.orig_argv:
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        return Path(file) if file else None
    for argument in argv[1:] if argv and re.match(r"(?:python|pypy)[\d.]*$", Path(argv[0]).name) else argv[:1]:
        if not argument.startswith("-"):
            return _program(argument)
    return None


def _program(name: str) -> Path | None:
    import shutil  # noqa: PLC0415 - for `proml run` only

    found = name if Path(name).is_file() else shutil.which(name)
    return Path(found) if found else None


def _file_digest(path: Path) -> bytes | None:
    with suppress(OSError):
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= _ENTRY_POINT_LIMIT:
            return hashlib.sha256(path.read_bytes()).digest()
    return None
