"""A run, as a script sees it: what it used, measured, and published."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proml.capture import active, run_folder
from proml.capture.journal import ENDED
from proml.capture.redaction import redact
from proml.capture.trouble import Trouble, in_words
from proml.capture.values import NAME_LIMIT, label, shown, text, tidy
from proml.core.digest import format_digest
from proml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from proml.capture.journal import Journal
    from proml.capture.sampling import Sampler

_INTERRUPTED_BY_KEYBOARD = 130
_STATUS_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Used:
    """What :meth:`Run.use` returns; itself a path, so ``open(run.use("data.csv"))`` works.

    Attributes:
        path: The path or name as it was given.
        content: Content digest ``sha256:…``; empty if it was given by name only, or could not be read.
        name: Name of the artefact, as far as it was said; else it is found by its content when it is sent.
    """

    path: str
    content: str
    name: str

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Membership:
    """How a process takes part in a run.

    Attributes:
        id: The run's id; empty if nothing is recorded.
        folder: ``.proml/runs/RUN_ID``.
        journal: Where this process writes; None if nothing is recorded.
        owner: This process closes the run; else, in a shared run, the last to leave does.
        shared: A launcher named the run.
        expected: Number of ranks that take part in a shared run, if that is known.
        previous: The run that was active before.
        sampler: Reads what the run uses meanwhile; None if nothing is to be read.
        on_closed: Called once everything is in the outbox, with the run's folder: waits, if asked to.
    """

    id: str = ""
    folder: Path = Path()
    journal: Journal | None = None
    owner: bool = False
    shared: bool = False
    expected: int = 0
    previous: Run | None = None
    sampler: Sampler | None = None
    on_closed: Callable[[Path], None] | None = None

    @property
    def dot(self) -> Path:
        """``.proml/`` of the working folder."""
        return self.folder.parents[1]


class Run:
    """One execution of a script, function or command. Made by :func:`proml.start_run`; a context manager.

    No method raises into the script or waits for a network, unless the run is strict: what cannot be recorded is said
    once in a warning. All methods may be called from any thread, from forked processes and in coroutines.
    """

    def __init__(self, name: str, membership: Membership, trouble: Trouble) -> None:
        self._name = name
        self._membership = membership
        self._journal = membership.journal
        self._trouble = trouble
        self._pid = os.getpid()
        self._environment = os.environ.get("PROML_RUN")
        self.is_open = True

    @property
    def id(self) -> str:
        """The run's id; empty if nothing is recorded."""
        return self._membership.id

    @property
    def name(self) -> str:
        """The run's name."""
        return self._name

    @property
    def folder(self) -> Path | None:
        """Where the run's journal is; None if nothing is recorded."""
        return self._membership.folder if self._journal else None

    @property
    def is_inherited(self) -> bool:
        """Whether this process got the run by a fork."""
        return self._pid != os.getpid()

    def log_metric(self, name: str, value: object, step: int | None = None) -> None:
        """Records an observation; when this returns, killing the process does not lose it.

        Args:
            name: Name of the metric.
            value: Any real number: int, float, a scalar of NumPy or PyTorch; may be infinite or no number.
            step: Place in a sequence, such as the epoch.
        """
        try:
            self._journal.observe(name, value, step)  # type: ignore[union-attr]  # None is rare and costs an exception
        except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on
            self._failed(f"record the metric {name!a}", error)

    def log_metrics(self, values: Mapping[str, object], step: int | None = None) -> None:
        """Records several observations at the same step."""
        with _Careful(self, "record metrics"):
            for name, value in values.items():
                self.log_metric(name, value, step)

    def log_param(self, name: str, value: object) -> None:
        """Records a parameter: what was chosen before, as against measured. The last value of a name counts.

        Args:
            name: Name of the parameter.
            value: Anything; what JSON cannot hold is recorded as text.
        """
        self.log_params({name: value})

    def log_params(self, values: Mapping[str, object]) -> None:
        """Records several parameters at once."""
        with _Careful(self, "record parameters"):
            self._write("parameters", {"values": {label(str(key), NAME_LIMIT): tidy(values[key]) for key in values}})

    def note(self, remark: str) -> None:
        """Adds a remark, kept in the record in the order of the calls."""
        with _Careful(self, "record a note"):
            self._write("note", {"text": text(str(remark))})

    def use(
        self,
        path_or_name: str | os.PathLike[str] | object,
        *,
        role: str = "input",
        name: str | None = None,
        version: str | int | None = None,
        uri: str | None = None,
        licence: str | None = None,
    ) -> Used:
        """Records an input.

        Args:
            path_or_name: A file or folder, whose content is hashed now; or, if there is none, an artefact's name
                (``NAME[@VERSION]``). A path object, and what ends like a file's name, is always a path. Or a data
                frame, see :mod:`proml.frames`.
            role: What it is used as, for example ``training data``.
            name: Name of the artefact; by default it is found by its content when the run is sent.
            version: Its version: a number, or ``0x`` with the beginning of a head.
            uri: Where it came from.
            licence: Its licence.

        Returns:
            The path, unchanged, with what was found out.
        """
        path = shown(path_or_name)
        with _Careful(self, f"record the use of {path!a}"):
            if self._journal is not None:
                from proml.capture.usage import describe_use  # noqa: PLC0415 - few calls, more to load

                fact = describe_use(path_or_name, self._membership.dot, name=name, version=version)
                fact |= {"role": label(role)} | ({"path": label(path)} if path else {})
                fact |= {key: label(redact(value)) for key, value in (("uri", uri), ("licence", licence)) if value}
                self._write("use", fact)
                return Used(path, str(fact.get("content", "")), str(fact.get("name", "")))
        return Used(path, "", name or "")

    def publish(
        self,
        name: str,
        path: str | os.PathLike[str] | object,
        *,
        kind: str | None = None,
        action: str | None = None,
        manifest: str | os.PathLike[str] | None = None,
    ) -> str:
        """Records an output as a new version of an artefact; it is registered if it does not exist.

        The content is hashed now, not copied. What goes on the ledger is made when the run ends, also if it fails.

        Args:
            name: The artefact's name.
            path: File or folder; or a data frame, see :mod:`proml.frames`.
            kind: Kind of a new artefact: ``model``, ``dataset``, ``evaluation``…; by default ``model`` for the usual
                suffixes of model files, else ``dataset``.
            action: Transition of the kind's lifecycle; by default the shipped lifecycle's first that brings content.
            manifest: A ``sha256sum`` file or Model Signing manifest, whose digests are taken instead of hashing.

        Returns:
            The content digest ``sha256:…``; empty if it could not be recorded.
        """
        content = ""
        with _Careful(self, f"record the publication of {shown(path)!a} as {name!a}"):
            if self._journal is None:
                return content
            from proml.capture.usage import content_of, describe_publication  # noqa: PLC0415 - few calls, more to load

            described = describe_publication(name, path, kind=kind, action=action)
            hashed = content_of(path, self._membership.dot, manifest)
            content = format_digest(hashed.manifest.digest)
            contents = self._membership.folder / run_folder.CONTENTS
            contents.mkdir(mode=0o700, exist_ok=True)
            run_folder.write_whole(contents / hashed.manifest.digest.hex(), hashed.manifest.bytes)
            self._write("publish", {**described, "content": content, **hashed.mark()})
        return content

    def close(self, exit_status: int | None = 0) -> None:
        """Ends the run: writes its records and puts what they call for into the outbox. Safe to call twice.

        ``with proml.start_run():`` does this. A run that is still open when Python exits is closed then; one whose
        process is killed is closed by the next ``proml sync``.

        Args:
            exit_status: As a shell would see it; None if it is not known.
        """
        self._end(exit_status, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._end(0, None)
            return
        strict, self._trouble.strict = self._trouble.strict, False  # never hide the script's own exception
        try:
            self._end(status_of(error), describe_exception(error))
        finally:
            self._trouble.strict = strict

    def _end(self, exit_status: int | None, exception: Mapping[str, str] | None) -> None:
        """Leaves the run, and closes it if that is this process's to do."""
        if not self.is_open:
            return
        self.is_open = False
        with _Careful(self, "make the run's records", always=True):
            active.leave(self, self._membership.previous)
            if self._journal is not None and not self.is_inherited:
                self._restore_environment()
                self._leave(exit_status, exception)

    def _leave(self, exit_status: int | None, exception: Mapping[str, str] | None) -> None:
        from proml.capture import closing  # noqa: PLC0415 - needed once, at the end

        journal, membership = self._journal, self._membership
        assert journal is not None
        ending = run_folder.Ending(time.time_ns(), exit_status, exception=exception)
        if membership.sampler is not None:
            membership.sampler.finish()
        try:
            journal.write("leave", {"journal": journal.token, "exit_status": exit_status, "exception": exception})
            journal.sync()
        except OSError as error:
            self._failed("write the end of the run", error)
        journal.close()
        if membership.owner:
            closing.close(membership.folder, ending)
        is_closed = membership.owner or (
            membership.shared and closing.close_if_last(membership.folder, expected=membership.expected)
        )
        if is_closed and membership.on_closed:
            membership.on_closed(membership.folder)
        run_folder.check_not_outlived(membership.folder)

    def _restore_environment(self) -> None:
        if os.environ.get("PROML_RUN") == str(self._membership.folder):
            if self._environment is None:
                del os.environ["PROML_RUN"]
            else:
                os.environ["PROML_RUN"] = self._environment

    def _record_observed(self, found: Callable[[], Iterable[tuple[str, Mapping[str, Any]]]]) -> None:
        """Writes facts that somebody else found out, as far as finding them succeeds."""
        with _Careful(self, "record what the command did to files"):
            for kind, fact in found():
                self._write(kind, fact)

    def _write(self, kind: str, fact: Mapping[str, Any]) -> None:
        """Writes a fact into the journal, unless the run was closed meanwhile by another process."""
        if self._journal is None:
            return
        if not self.is_open or run_folder.is_sealed(self._membership.folder):
            raise UsageError(ENDED, hint="Start a new run.")
        self._journal.write(kind, fact)

    def _failed(self, doing: str, error: Exception) -> None:
        if self._journal is not None:
            self._trouble.report(doing, error)


class _Careful:
    """Around everything that is done on behalf of the script: failures go to the run's :class:`Trouble`."""

    __slots__ = ("_always", "_doing", "_run")

    def __init__(self, run: Run, doing: str, *, always: bool = False) -> None:
        self._run = run
        self._doing = doing
        self._always = always

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._run._failed(self._doing, error)  # noqa: SLF001 - part of the run
        return True


def status_of(error: BaseException) -> int:
    """Returns the exit status that Python gives a program which ends with this exception."""
    if isinstance(error, SystemExit):
        code = error.code
        return 0 if code is None else code % _STATUS_LIMIT if isinstance(code, int) else 1
    return _INTERRUPTED_BY_KEYBOARD if isinstance(error, KeyboardInterrupt) else 1


def describe_exception(error: BaseException) -> dict[str, str] | None:
    """Returns type and message without secrets; None for an orderly exit."""
    if isinstance(error, SystemExit) and status_of(error) == 0:
        return None
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception as fault:  # noqa: BLE001 - the script's own class may fail to describe itself
        message = str(in_words("read the exception's message", fault))
    return {"type": label(name), "message": text(redact(message))}
